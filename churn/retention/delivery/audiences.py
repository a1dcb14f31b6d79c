"""Audiences with hashed identifiers, in the form of each advertising platform.

Sources: Google Ads Customer Match, "Format your customer data file"; Google Data Manager API,
"Format user data"; Meta, "Customer information parameters". What is hashed is still personal data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import ConfigError
from churn.retention.delivery.identifiers import (
    check_region,
    e164,
    gmail_folded,
    sha256_hex,
    spaceless_email,
    trimmed_email,
)
from churn.retention.delivery.sendable import Sendable

__all__ = ["ADS", "AUDIENCES", "Audience", "audience", "hashed_audience"]

ADS = "ads"
"""The channel of offers that audiences serve: consent to another says nothing about platforms."""


@dataclass(frozen=True)
class Audience:
    """How a platform wants its identifiers; `phone_plus` says whether the number keeps its +."""

    name: str
    email_column: str
    phone_column: str
    email: Callable[[str], str | None]
    phone_plus: bool

    def hashed_email(self, text: str | None) -> str | None:
        """The hash of an address in the platform's form; None where it is none."""
        return None if text is None else sha256_hex(self.email(text))

    def hashed_phone(self, text: str | None, *, region: str | None) -> str | None:
        """The hash of a number in the platform's form; None where it is none."""
        number = None if text is None else e164(text, region=region)
        return sha256_hex(number if number is None or self.phone_plus else number.lstrip("+"))


AUDIENCES = {
    one.name: one
    for one in (
        Audience("google-ads", "Email", "Phone", spaceless_email, phone_plus=True),
        Audience(
            "google-data-manager", "email_address", "phone_number", gmail_folded, phone_plus=True
        ),
        Audience("meta", "email", "phone", trimmed_email, phone_plus=False),
    )
}


def audience(name: str) -> Audience:
    """The platform's form; ConfigError naming those that there are."""
    if name not in AUDIENCES:
        rule = f"--audience must be one of {', '.join(AUDIENCES)}"
        raise ConfigError(rule, got=name, fix="Name one of them.")
    return AUDIENCES[name]


def hashed_audience(
    sent: Sendable, addresses: pa.Table, kind: Audience, *, phone_region: str | None
) -> Sendable:
    """The hashes of those who may be contacted, nothing else, sorted so that their order tells
    nothing; null where a customer lacks one of the two. `addresses`: customer_id, email, phone.
    """
    check_region(phone_region)
    place = pc.index_in(sent.table["customer_id"], value_set=addresses["customer_id"])
    emails, phones = (addresses[name].take(place).to_pylist() for name in ("email", "phone"))
    pairs = [
        (kind.hashed_email(email), kind.hashed_phone(phone, region=phone_region))
        for email, phone in zip(emails, phones, strict=True)
    ]
    known = [pair for pair in pairs if any(pair)]
    distinct = sorted(set(known), key=lambda pair: (pair[0] or "", pair[1] or ""))
    lost = {
        "no_identifier": len(pairs) - len(known),
        "repeated_identifier": len(known) - len(distinct),
    }
    columns = {
        kind.email_column: pa.array([email for email, _ in distinct], pa.string()),
        kind.phone_column: pa.array([phone for _, phone in distinct], pa.string()),
    }
    return Sendable(pa.table(columns), sent.left_out | {k: n for k, n in lost.items() if n})
