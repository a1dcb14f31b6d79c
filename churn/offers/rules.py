"""Types of the catalogue's values, each with its rule and fix; and pools of coupon codes."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr as short_repr
from typing import Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from churn.analytics.segments import SEGMENTS
from churn.errors import ConfigError, DataError

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


def is_code(text: str) -> bool:
    """Whether it can be used in a list, a message and an address: printable, without white
    space.
    """
    blank = any(character.isspace() for character in text)
    return 0 < len(text) <= LONGEST_CODE and text.isprintable() and not blank


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


class Table(BaseModel):
    """A table of the catalogue; ConfigError for an unknown key, missing keys, or a broken rule.

    The `context` of `model_validate` is the table's name in errors, `label` that of a key in them;
    `heading` is the fix if the value is not a table.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    heading: ClassVar[str] = ""
    label: ClassVar[str] = "{where}: {key}"

    @model_validator(mode="wrap")
    @classmethod
    def _validated(
        cls, table: Any, validate: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return validate(table)
        except ValidationError as failure:
            raise cls._mistake(failure.errors(), cls.where(table, info.context)) from None

    @classmethod
    def where(cls, table: object, context: object) -> str:
        """The name of the table in errors."""
        return str(context)

    @classmethod
    def _mistake(cls, errors: list[ErrorDetails], where: str) -> ConfigError:
        unknown, missing = (
            [str(error["loc"][-1]) for error in errors if error["type"] == kind]
            for kind in ("extra_forbidden", "missing")
        )
        if unknown:
            near = get_close_matches(unknown[0], cls.model_fields, n=1)
            fix = f"Did you mean '{near[0]}'?" if near else f"It may hold {[*cls.model_fields]}."
            return ConfigError(f"{where} has an unknown key", got=repr(unknown[0]), fix=fix)
        if missing:
            fix = "Add them; examples/offers.toml has all."
            return ConfigError(f"{where} lacks {missing}", fix=fix)
        return cls._broken(errors[0], where)

    @classmethod
    def _broken(cls, error: ErrorDetails, where: str) -> ConfigError:
        value = error["input"]
        got = short_repr(value) if isinstance(value, dict) else repr(value)
        if not error["loc"]:
            return ConfigError(f"{where} must be a table", got=got, fix=cls.heading)
        key, *inner = map(str, error["loc"])
        words = [cls.label.format(where=where, key=key), *inner, "must be", error["msg"]]
        return ConfigError(" ".join(words), got=got, fix=error["ctx"]["fix"])


@dataclass(frozen=True)
class Rule:
    """The text and the fix of all errors of an annotated type; a part's own rule takes precedence.

    `holds` checks what the type does not. Lists of TOML become tuples.
    """

    text: str
    fix: str
    holds: Callable[[Any], object] = lambda _: True

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The annotated type with this rule."""
        return core_schema.no_info_wrap_validator_function(self._checked, handler(source))

    def _checked(self, value: object, of_type: Callable[[object], object]) -> object:
        try:
            checked = of_type(tuple(value) if isinstance(value, list) else value)
            if self.holds(checked):
                return checked
        except ValidationError as failure:
            if any(error["type"] == "rule" for error in failure.errors()):
                raise
        except ValueError:  # raised by `holds`
            pass
        raise PydanticCustomError("rule", "{text}", {"text": self.text, "fix": self.fix})


def _is_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()


def _days(least: int, most: int, example: int) -> Rule:
    text, fix = f"whole days from {least} to {most}", f"Write e.g. {example}."
    return Rule(text, fix, lambda days: least <= days <= most)


TEXT = Rule("a non-empty text", 'Put it in quotes, e.g. "email".', str.strip)
KIND = Rule(f"one of {list(KINDS)}", 'Use "other" if none fits.', KINDS.__contains__)
OBJECTIVE = Rule(
    f"one of {list(OBJECTIVES)}", 'Write e.g. "retain", or leave it out.', OBJECTIVES.__contains__
)
MONEY = Rule("a number >= 0", "Write money, e.g. 2.5.", lambda v: v >= 0)
COST = Rule(
    'a number >= 0, or a share of the order from "0%" to "100%"',
    'Write money, e.g. 2.5, or "10%" for a discount of 10 %.',
    lambda v: share_of(v) <= 1 if isinstance(v, str) else v >= 0,
)
SHARE = Rule("a number between 0 and 1", "Write 15 % as 0.15.", lambda v: 0 <= v <= 1)
POINTS = Rule(
    "a number between -1 and 1", "Write three percentage points as 0.03.", lambda v: -1 < v < 1
)
COOLDOWN, LIFETIME = _days(0, LONGEST_DAYS, 28), _days(1, LONGEST_DAYS, 14)
NEARNESS = _days(0, 366, 7)
PLACES = Rule("a whole number >= 0", "Write e.g. 500.", lambda v: 0 <= v <= 10**12)
LINK = Rule(
    "an address that starts with https://",
    'Write e.g. "https://shop.example/survey".',
    lambda v: v.startswith("https://") and v.isprintable() and " " not in v,
)
SUBJECT = Rule(
    "one line of text, or one per language",
    'Write subject = "…", or subject.en = "…" and subject.de = "…".',
    lambda v: v and all(map(_is_line, v.values() if isinstance(v, dict) else [v])),
)
CODE = Rule(
    "a code without white space", 'Write e.g. "WELCOME10"; a file of codes is `codes`.', is_code
)
CODES = Rule("the name of a file", 'Write e.g. "codes.csv", next to the catalogue.', str.strip)
STATUS = Rule(
    f"one or more of {list(STATUSES)}",
    'Write e.g. ["eligible"] in brackets.',
    lambda v: v and set(v) <= set(STATUSES),
)
SEGMENT = Rule(
    f"a list of {list(SEGMENTS)}",
    'Write e.g. ["loyal", "best"] in brackets.',
    lambda v: set(v) <= set(SEGMENTS),
)
TEXTS = Rule(
    "a list of texts", 'Write e.g. ["loyal"] in brackets.', lambda v: all(map(str.strip, v))
)
DAYS = Rule(
    "a yearly day or dates",
    'Write "12-25", or ["2027-03-28", "2028-04-16"].',
    lambda v: all(map(day_of, [v] if isinstance(v, str) else v)),
)
