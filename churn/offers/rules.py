"""Validation rules for offers of the catalogue, and pools of coupon codes."""

from __future__ import annotations

import csv
import math
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from churn.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_CODE = 100
HEADER = "code"

KINDS = (
    *("discount", "points", "gift", "free_delivery", "referral", "subscription"),
    *("greeting", "win_back", "service", "survey", "content", "other"),
)
CHANNELS = ("email", "sms", "push", "post", "call", "ads")
OBJECTIVES = ("retain", "win_back", "service", "welcome", "engage")
STATUSES = ("eligible", "lapsed", "new", "covered")
LONGEST_DAYS = 3650


def is_code(text: object) -> bool:
    """Whether it can be used in a list, a message and an address: printable, without white
    space.
    """
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_CODE
        and text.isprintable()
        and not any(one.isspace() for one in text)
    )


def read_codes(path: Path) -> tuple[str, ...]:
    """The distinct codes in their order, ignoring case.

    Raises ConfigError if the file does not exist, DataError if a line has no valid code.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = [row for row in csv.reader(text) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as failure:
        rule = f"the codes of an offer must be a readable text file, {path.name}"
        fix = "Write one code a line, or a CSV with a column code."
        raise ConfigError(rule, got=type(failure).__name__, fix=fix) from None
    codes = _column(rows, path)
    wrong = sum(not is_code(code) for code in codes)
    if wrong:
        rule = f"codes in {path.name} must have 1 to {LONGEST_CODE} characters and no white space"
        raise DataError(rule, got=f"{wrong:,} invalid", fix="Correct these lines.")
    first: dict[str, str] = {}
    for code in codes:
        first.setdefault(code.lower(), code)
    return tuple(first.values())


def _column(rows: list[list[str]], path: Path) -> list[str]:
    """The cells of the code column, stripped, without its header."""
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    place = header.index(HEADER) if HEADER in header else None
    if place is None and any(len(row) > 1 for row in rows):
        rule = f"{path.name} must have one column, or one named code"
        raise DataError(rule, got=f"{max(map(len, rows))} columns", fix="Name it in the first row.")
    first = 0 if place is None else 1
    return [row[place or 0].strip() if len(row) > (place or 0) else "" for row in rows[first:]]


class Rule(NamedTuple):
    """A rule as text, its check, and the fix."""

    text: str
    holds: Callable[[Any], bool]
    fix: str


def is_text(value: object) -> bool:
    """Whether it is a non-blank text."""
    return isinstance(value, str) and bool(value.strip())


def day_of(text: str) -> tuple[int, int] | date:
    """Month and day of a yearly "12-25", or the date of a "2027-03-28".

    Raises ValueError if it is neither.
    """
    if len(text) == len("12-25"):
        every = date.fromisoformat(f"2024-{text}")  # a leap year, so that 02-29 is valid
        return every.month, every.day
    return date.fromisoformat(text)


def share_of(percentage: str) -> float:
    """The share of a percentage. Raises ValueError if it is not a percentage.

    >>> share_of("10%"), share_of("12.5 %")
    (0.1, 0.125)
    """
    if not re.fullmatch(r"\s*\d{1,3}([.,]\d+)?\s*%\s*", percentage, re.ASCII):
        raise ValueError("not a percentage")
    return float(Decimal(percentage.strip(" \t%").replace(",", ".")) / 100)


def _is_percentage(text: str) -> bool:
    try:
        return share_of(text) <= 1
    except ValueError:
        return False


def _is_line(value: object) -> bool:
    return is_text(value) and str(value).isprintable()


def _is_number(value: object) -> bool:
    return _is_not_bool(value) and isinstance(value, int | float) and math.isfinite(value)


def _is_whole(value: object, *, least: int, most: int = LONGEST_DAYS) -> bool:
    return _is_not_bool(value) and isinstance(value, int) and least <= value <= most


def _is_not_bool(value: object) -> bool:
    return not isinstance(value, bool)  # a bool is an int in Python


def _are_statuses(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(word in STATUSES for word in value)


def _are_words(value: object) -> bool:
    return isinstance(value, tuple) and all(is_text(word) for word in value)


def _or_none(rule: Rule) -> Rule:
    return Rule(rule.text, lambda value: value is None or rule.holds(value), rule.fix)


TEXT = Rule("a non-empty text", is_text, 'Put it in quotes, e.g. "email".')
_KIND = Rule(f"one of {list(KINDS)}", lambda v: v in KINDS, 'Use "other" if none fits.')
_OBJECTIVE = Rule(
    f"one of {list(OBJECTIVES)}", lambda v: v in OBJECTIVES, 'Write e.g. "retain", or leave it out.'
)
_MONEY = Rule("a number >= 0", lambda v: _is_number(v) and v >= 0, "Write money, e.g. 2.5.")
_COST = Rule(
    'a number >= 0, or a share of the order from "0%" to "100%"',
    lambda v: _is_percentage(v) if isinstance(v, str) else _MONEY.holds(v),
    'Write money, e.g. 2.5, or "10%" for a discount of 10 %.',
)
_SHARE = Rule(
    "a number between 0 and 1", lambda v: _is_number(v) and 0 <= v <= 1, "Write 15 % as 0.15."
)
_POINTS = Rule(
    "a number between -1 and 1",
    lambda v: _is_number(v) and -1 < v < 1,
    "Write three percentage points as 0.03.",
)
_WAIT = Rule(
    f"whole days from 0 to {LONGEST_DAYS}", lambda v: _is_whole(v, least=0), "Write e.g. 28."
)
_LIFE = Rule(
    f"whole days from 1 to {LONGEST_DAYS}", lambda v: _is_whole(v, least=1), "Write e.g. 14."
)
_NEAR = Rule("whole days from 0 to 366", lambda v: _is_whole(v, least=0, most=366), "Write e.g. 7.")
_PLACES = Rule(
    "a whole number >= 0", lambda v: _is_whole(v, least=0, most=10**12), "Write e.g. 500."
)
_LINK = Rule(
    "an address that starts with https://",
    lambda v: is_text(v) and v.startswith("https://") and v.isprintable() and " " not in v,
    'Write e.g. "https://shop.example/survey".',
)
_SUBJECT = Rule(
    "one line of text, or one per language",
    lambda v: (
        all(_is_line(one) for one in (v.values() if isinstance(v, dict) else [v])) and bool(v)
    ),
    'Write subject = "…", or subject.en = "…" and subject.de = "…".',
)
_CODE = Rule(
    "a code without white space", is_code, 'Write e.g. "WELCOME10"; a file of codes is `codes`.'
)
_CODES = Rule("the name of a file", is_text, 'Write e.g. "codes.csv", next to the catalogue.')
_STATUSES = Rule(
    f"one or more of {list(STATUSES)}", _are_statuses, 'Write e.g. ["eligible"] in brackets.'
)
_WORDS = Rule("a list of texts", _are_words, 'Write e.g. ["loyal"] in brackets.')
RULES = {
    "offer_id": TEXT,
    "name": TEXT,
    "kind": _KIND,
    "channel": TEXT,
    "margin_cost": _COST,
    "contact_cost": _MONEY,
    "redemption_rate": _SHARE,
    "effect": _POINTS,
    "effect_low": _POINTS,
    "effect_high": _POINTS,
    "cooldown_days": _WAIT,
    "expires_after_days": _LIFE,
    "statuses": _STATUSES,
    "objective": _or_none(_OBJECTIVE),
    "value": _or_none(_MONEY),
    "segments": _WORDS,
    "reason_families": _WORDS,
    "birthday_within_days": _or_none(_NEAR),
    "holiday": _or_none(TEXT),
    "holiday_within_days": _NEAR,
    "capacity": _or_none(_PLACES),
    "template": _or_none(TEXT),
    "link": _or_none(_LINK),
    "subject": _or_none(_SUBJECT),
    "code": _or_none(_CODE),
    "codes": _or_none(_CODES),
}
