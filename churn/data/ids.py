"""When two ids are the same, by the one rule of `[data] customer_id`, and which ids mean nobody."""

from __future__ import annotations

import re
from collections.abc import Sequence

from churn.data.engines.base import literal
from churn.data.settings import IdRule

__all__ = ["GUEST_NUMBERS", "GUEST_WORDS", "canonical", "canonical_sql", "guest_sql"]

GUEST_WORDS = (
    *("null", "(null)", "none", "nil", "nan", "na", "n/a", "#n/a", "<na>", "nat", "undefined"),
    *("guest", "anonymous", "-"),
)
"""What systems write where there is no customer; compared in lower case, without space around."""
GUEST_NUMBERS = ("0", "-1", "0.0", "-1.0")
"""Numbers that may mean nobody, or the first customer of a list: see `guests.py`."""

SPACE = " \t\r\n\u00a0"
NUMBER = r"^\s*0*([0-9]+?)(?:\.0*)?\s*$"  # read alike by DuckDB, Spark and Python


def canonical_sql(text: str, rule: IdRule) -> str:
    """The SQL for the form in which ids are compared; null stays null.

    `number`: without zeros in front, `.0` behind and space around where that leaves a whole
    number, else as it is. `email`: in lower case, without space around. `exact`: as it is.
    """
    if rule == "number":
        return f"coalesce(nullif(regexp_extract({text}, {literal(NUMBER)}, 1), ''), {text})"
    if rule == "email":
        return f"lower(trim({text}, {literal(SPACE)}))"
    return text


def canonical(name: str, rule: IdRule) -> str:
    """The same of one id.

    >>> [canonical(name, "number") for name in ("0013085", " 13085.0", "13085.5", "A7")]
    ['13085', '13085', '13085.5', 'A7']
    """
    if rule == "number":
        match = re.match(NUMBER, name, re.ASCII)
        return match[1] if match else name
    return name.strip(SPACE).lower() if rule == "email" else name


def guest_sql(text: str, guests: Sequence[str]) -> str:
    """The SQL for whether an id means nobody: it is blank, or among the guests."""
    plain = f"lower(trim({text}, {literal(SPACE)}))"
    listed = ", ".join(literal(guest.strip(SPACE).lower()) for guest in ("", *guests))
    return f"{plain} IN ({listed})"
