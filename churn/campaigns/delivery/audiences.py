"""Audiences with hashed identifiers, in the form of each advertising platform.

Sources: Google Ads Customer Match, "Format your customer data file"; Google Data Manager API,
"Format user data"; Meta, "Customer information parameters". What is hashed is still personal data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.deliverable import Sendable
from churn.errors import ConfigError, check_extra

_GMAIL = ("gmail.com", "googlemail.com")


def sha256_hex(text: str | None) -> str | None:
    """Lower-case hexadecimal SHA-256 of the text's UTF-8; None for an empty or missing text.

    >>> sha256_hex("16505551212")
    'e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176'
    """
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def trimmed_email(text: str) -> str | None:
    """Lower case, without space around it; None where it is no address.

    >>> trimmed_email(" John_Smith@gmail.com ")
    'john_smith@gmail.com'
    """
    return _address(text.strip().lower())


def spaceless_email(text: str) -> str | None:
    """Lower case, without any space; None where it is no address.

    >>> spaceless_email(" User. Name+NYC@Example.com ")
    'user.name+nyc@example.com'
    """
    return _address("".join(text.split()).lower())


def gmail_folded(text: str) -> str | None:
    """The same, and at Gmail without dots and without what follows a plus.

    >>> gmail_folded("cloudy.sanfrancisco+shopping@gmail.com")
    'cloudysanfrancisco@gmail.com'
    """
    address = spaceless_email(text)
    if address is None:
        return None
    name, _, domain = address.partition("@")
    if domain not in _GMAIL:
        return address
    return _address(f"{name.partition('+')[0].replace('.', '')}@{domain}")


def e164(text: str, *, region: str | None) -> str | None:
    """A phone number with + and its country; None where it is none that could exist.

    A number without country code is read as one of `region`, and is none without a region.

    >>> e164("(800) 555-0100", region="US")
    '+18005550100'
    """
    phonenumbers = _phonenumbers()
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def check_region(region: str | None) -> None:
    """ConfigError unless phone numbers of that region can be read, or there is no region."""
    if region is not None and region not in _phonenumbers().SUPPORTED_REGIONS:
        rule = "[offers] phone_region must be two capital letters that name a country"
        raise ConfigError(rule, got=region, fix='Write e.g. "US" or "DE".')


@cache
def _phonenumbers() -> Any:
    check_extra("phone", "phonenumbers", what="hashing phone numbers")
    import phonenumbers

    return phonenumbers


def _address(text: str) -> str | None:
    """The text, if something stands on both sides of its one @."""
    name, at, domain = text.partition("@")
    return text if name and at and domain and "@" not in domain else None


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
