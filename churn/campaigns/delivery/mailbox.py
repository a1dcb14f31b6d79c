"""E-mail addresses that are safe in a header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from churn.errors import ConfigError

_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.IGNORECASE)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_NAMED = re.compile(r"([^<>\"]*)<([^<>]*)>")
MAX_ADDRESS, MAX_LOCAL = 254, 64


def checked_address(text: str) -> str | None:
    """The stripped address, with its domain in lower-case ASCII; None if it is invalid.

    Stricter than RFC 5321: no quotes, no comments, only ASCII before the @, no domain without a
    dot. An accepted address cannot break out of a header or an envelope.

    >>> checked_address(" Jo.Smith@Bücher.example "), checked_address("a@b\\nBcc: c@d.example")
    ('Jo.Smith@xn--bcher-kva.example', None)
    """
    local, at, domain = text.strip().rpartition("@")
    if not at or len(local) > MAX_LOCAL or not _LOCAL.fullmatch(local):
        return None
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = ascii_domain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    address = f"{local}@{ascii_domain}"
    return address if len(address) <= MAX_ADDRESS else None


@dataclass(frozen=True)
class Mailbox:
    """A name, which may be empty, and an address."""

    name: str
    address: str

    @classmethod
    def parse(cls, text: str, *, what: str) -> Self:
        """The mailbox of a text such as "Corner Shop <news@shop.example>".

        Raises ConfigError about `what` if it is invalid.
        """
        named = _NAMED.fullmatch(text.strip())
        name, address = named.groups() if named else ("", text)
        checked = checked_address(address)
        if checked is None or not text.isprintable():
            fix = 'Write e.g. "Corner Shop <news@shop.example>".'
            raise ConfigError(f"{what} must be one e-mail address", got=ascii(text), fix=fix)
        return cls(name.strip(), checked)

    @property
    def domain(self) -> str:
        """The part after the @."""
        return self.address.rpartition("@")[2]
