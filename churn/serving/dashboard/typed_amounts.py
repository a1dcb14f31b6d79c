"""Amounts of money as people type them into forms, in English or in German notation."""

from __future__ import annotations

import re

from churn.errors import ConfigError

MAX_AMOUNT = 1e12
AMOUNT = re.compile(
    r"(?P<sign>[-\u2212]?)"
    r"(?P<whole>[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)"
    r"(?:[.,](?P<cents>[0-9]{1,2}))?"
)
SPACES = str.maketrans("", "", " \u00a0\u202f")


def amount_of(text: str, *, least: float = -MAX_AMOUNT) -> float:
    """The amount that was typed: three digits after a separator are thousands, one or two are
    cents. ConfigError unless it is one of at least `least`.

    >>> amount_of("1,374.50"), amount_of("1.374,50"), amount_of("1374,5"), amount_of("1.374")
    (1374.5, 1374.5, 1374.5, 1374.0)
    """
    found = AMOUNT.fullmatch(text.translate(SPACES))
    if found:
        whole = found["whole"].replace(",", "").replace(".", "")
        value = float(f"{whole}.{found['cents'] or 0}") * (-1 if found["sign"] else 1)
        if least <= value <= MAX_AMOUNT:
            return value
    rule = f"an amount must be a number of at least {least:g} with at most two decimals"
    raise ConfigError(rule, fix="Write e.g. 1500 or 1,374.50.")


def amount_text(value: float) -> str:
    """An amount as it stands in a form or an address, to cents, without superfluous decimals.

    >>> amount_text(1234567.8), amount_text(250.0)
    ('1234567.80', '250')
    """
    return f"{value:.2f}".removesuffix(".00")
