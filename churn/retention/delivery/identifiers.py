"""E-mail addresses and phone numbers in the form in which advertising platforms hash them."""

from __future__ import annotations

import hashlib

from churn.errors import ConfigError

__all__ = ["check_region", "e164", "gmail_folded", "sha256_hex", "spaceless_email", "trimmed_email"]

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
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def check_region(region: str | None) -> None:
    """ConfigError unless phone numbers of that region can be read, or there is no region."""
    import phonenumbers

    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        rule = "[offers] phone_region must be two capital letters that name a country"
        raise ConfigError(rule, got=region, fix='Write e.g. "US" or "DE".')


def _address(text: str) -> str | None:
    """The text, if something stands on both sides of its one @."""
    name, at, domain = text.partition("@")
    return text if name and at and domain and "@" not in domain else None
