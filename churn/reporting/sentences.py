"""The fixed sentences of the overview in each language, and how its numbers are written."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from churn.errors import ConfigError
from churn.scoring.language import Language, load_language

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}
BEFORE = {"en": ("USD", "GBP")}
"""Currencies whose symbol stands before the amount, by language."""


@dataclass(frozen=True)
class Number:
    """One number of the overview: its value, how it is written, and what it is.

    `sources` are where it stands in the documents, as pairs of a path (`plan/offers/none`) and a
    factor; the value is the sum of factor times number. It is empty for a product of two numbers
    and for what is counted in the table of customers. `link` is the page that shows its rows. The
    value of a hidden number, of too few customers, is None.
    """

    name: str
    value: float | None
    unit: str
    text: str
    definition: str
    link: str = ""
    sources: tuple[tuple[str, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "text": self.text,
            "definition": self.definition,
            "link": self.link,
            "sources": [list(one) for one in self.sources],
        }


@dataclass(frozen=True)
class Sentence:
    """Text and numbers in their order; `form` is the key of the fixed sentence."""

    form: str
    parts: tuple[str | Number, ...]

    @property
    def text(self) -> str:
        """The sentence as text."""
        return "".join(one if isinstance(one, str) else one.text for one in self.parts)

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The numbers in it."""
        return tuple(one for one in self.parts if isinstance(one, Number))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        parts = [one if isinstance(one, str) else one.to_dict() for one in self.parts]
        return {"form": self.form, "text": self.text, "parts": parts}


@dataclass(frozen=True)
class Wording:
    """The sentences of a language, and how numbers are written in it."""

    language: Language
    forms: Mapping[str, Any]
    currency: str

    def text(self, form: str) -> str:
        """A fixed text without placeholders, by its key, e.g. "titles/decide"."""
        found: Any = self.forms
        for part in form.split("/"):
            found = found[part]
        return str(found)

    def sentence(self, form: str, count: float | None = None, /, **values: object) -> Sentence:
        """The sentence of that key; with `count`, in its plural form."""
        key = form
        if count is not None:
            key = f"{form}/{'one' if count == 1 else 'other'}"
        parts: list[str | Number] = []
        for literal, name, _, _ in Formatter().parse(self.text(key)):
            if literal:
                parts.append(literal)
            if name is not None:
                value = values[name]
                parts += value.parts if isinstance(value, Sentence) else [_part(value)]
        return Sentence(form, tuple(parts))

    def definition(self, name: str) -> str:
        """What a number is, in one line."""
        return str(self.forms["definitions"][name])

    def written(self, value: float, unit: str) -> str:
        """The number with its unit: money to the unit, shares to a tenth, counts exact.

        >>> wording("en", "EUR").written(1374.4, "money")
        '1,374\u202f€'
        >>> wording("de", "USD").written(1374.4, "money"), wording("en", "USD").written(5, "cents")
        ('1.374\u202f$', '$5.00')
        """
        number = self.language.number
        size = abs(value)
        if unit in ("money", "cents"):
            digits = 0 if unit == "money" else 2
            text = self._money(number(round(size, digits), digits))
        elif unit in ("percent", "rounded_percent", "change"):
            text = f"{number(size, int(unit == 'percent'))}{THIN}%"
        else:
            text = number(size, {"points": 1, "half": 1}.get(unit, 0))
        digits = {"money": 0, "cents": 2, "percent": 1, "points": 1, "half": 1}.get(unit, 0)
        if unit in ("points", "change"):
            text = f"+{text}" if round(value, digits) > 0 else text
        return f"{MINUS}{text}" if round(value, digits) < 0 else text

    def _money(self, text: str) -> str:
        symbol = SYMBOLS.get(self.currency, self.currency)
        if self.currency in BEFORE.get(self.language.code, ()):
            return symbol + text
        return f"{text}{THIN}{symbol}"

    def day(self, day: date) -> str:
        """A date with the name of the month."""
        return self.language.long_date(day)

    def moment(self, moment: datetime) -> str:
        """A time of day, in UTC, with its date if it is another day's."""
        return f"{moment:%H:%M}{THIN}UTC"

    def month(self, day: date) -> str:
        """The name of the month."""
        return str(self.language.texts["numbers"]["months"][day.month - 1])


def wording(language: str, currency: str) -> Wording:
    """The sentences of that language. ConfigError if there are none."""
    return Wording(load_language(language), _forms(language), currency)


@cache
def _forms(language: str) -> Mapping[str, Any]:
    place = files("churn.reporting") / "wording" / f"{language}.toml"
    if not place.is_file():
        rule = f"the overview is written in {list(languages())}"
        raise ConfigError(rule, got=repr(language), fix='Pass e.g. language="en".')
    return tomllib.loads(place.read_text(encoding="utf-8"))


@cache
def languages() -> tuple[str, ...]:
    """The languages of the overview."""
    folder = files("churn.reporting") / "wording"
    names = (one.name for one in folder.iterdir() if one.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in names))


def _part(value: object) -> str | Number:
    return value if isinstance(value, Number) else str(value)


def found_at(document: Any, path: str) -> float | None:
    """The number at a path of the documents, such as `metrics/periods/3/kept`.

    `*` adds up all rows of a list, and `#` counts them. None if there is no such number.

    >>> found_at({"a": {"b": [{"c": 2}, {"c": 3}]}}, "a/b/*/c"), found_at({"a": [1]}, "a/#")
    (5.0, 1.0)
    """
    head, _, rest = path.partition("/")
    if isinstance(document, list) and head in ("*", "#"):
        if head == "#":
            return float(len(document))
        return math.fsum(found_at(one, rest) or 0.0 for one in document)
    try:
        inner: Any = document[int(head)] if isinstance(document, list) else document[head]
        return found_at(inner, rest) if rest else _number(inner)
    except (KeyError, IndexError, ValueError, TypeError):
        return None


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
