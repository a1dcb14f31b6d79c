"""Audiences of hashed identifiers, in the format of each advertising platform.

Sources: Google Ads Customer Match, "Format your customer data file"; Google Data Manager API,
"Format user data"; Meta, "Customer information parameters". Hashed identifiers are still personal
data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.deliverable import Deliverable
from churn.errors import ConfigError, check_extra

_GMAIL = ("gmail.com", "googlemail.com")

ADS = "ads"
"""The channel of offers for audiences: consent to another channel does not cover platforms."""


def sha256_hex(text: str | None) -> str | None:
    """Lower-case hexadecimal SHA-256 of the text's UTF-8; None for an empty or missing text.

    >>> sha256_hex("16505551212")
    'e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176'
    """
    return hashlib.sha256(text.encode()).hexdigest() if text else None


def trimmed_email(text: str) -> str | None:
    """Lower case, stripped; None if it is not an address.

    >>> trimmed_email(" John_Smith@gmail.com ")
    'john_smith@gmail.com'
    """
    return _address(text.strip().lower())


def spaceless_email(text: str) -> str | None:
    """Lower case, without any space; None if it is not an address.

    >>> spaceless_email(" User. Name+NYC@Example.com ")
    'user.name+nyc@example.com'
    """
    return _address("".join(text.split()).lower())


def gmail_folded(text: str) -> str | None:
    """Like `spaceless_email`; for Gmail also without dots and without anything after a plus.

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
    """A phone number in E.164 format; None if it cannot exist.

    A number without country code is read as one of `region`, and is invalid without a region.

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
    """Raises ConfigError unless phone numbers of that region can be parsed, or there is no
    region.
    """
    if region is not None and region not in _phonenumbers().SUPPORTED_REGIONS:
        rule = "[offers] phone_region must be a two-letter country code in capitals"
        raise ConfigError(rule, got=region, fix='Write e.g. "US" or "DE".')


@cache
def _phonenumbers() -> Any:
    check_extra("phone", "phonenumbers", what="hashing phone numbers")
    import phonenumbers

    return phonenumbers


def _address(text: str) -> str | None:
    """The text, if it has exactly one @ with text on both sides."""
    name, at, domain = text.partition("@")
    return text if name and at and domain and "@" not in domain else None


@dataclass(frozen=True)
class Audience:
    """The identifier format of a platform; `phone_plus`: whether the number keeps its +."""

    name: str
    email_column: str
    phone_column: str
    email: Callable[[str], str | None]
    phone_plus: bool

    def hashed_email(self, text: str | None) -> str | None:
        """The hash of an address in the platform's format; None if it is invalid."""
        return None if text is None else sha256_hex(self.email(text))

    def hashed_phone(self, text: str | None, *, region: str | None) -> str | None:
        """The hash of a number in the platform's format; None if it is invalid."""
        number = None if text is None else e164(text, region=region)
        return sha256_hex(number if number is None or self.phone_plus else number.lstrip("+"))


AUDIENCES = {
    platform.name: platform
    for platform in (
        Audience("google-ads", "Email", "Phone", spaceless_email, phone_plus=True),
        Audience(
            "google-data-manager", "email_address", "phone_number", gmail_folded, phone_plus=True
        ),
        Audience("meta", "email", "phone", trimmed_email, phone_plus=False),
    )
}


def audience(name: str) -> Audience:
    """The platform's format. Raises ConfigError, which lists the known platforms."""
    if name not in AUDIENCES:
        rule = f"--audience must be one of {', '.join(AUDIENCES)}"
        raise ConfigError(rule, got=name, fix="Pass one of them.")
    return AUDIENCES[name]


def hashed_audience(
    sent: Deliverable, addresses: pa.Table, kind: Audience, *, phone_region: str | None
) -> Deliverable:
    """The hashes of customers who may be contacted, and nothing else, sorted so that their order
    reveals nothing; null if a customer lacks one of the two.

    `addresses`: customer_id, email, phone.
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
    return Deliverable(pa.table(columns), sent.left_out | {k: n for k, n in lost.items() if n})
