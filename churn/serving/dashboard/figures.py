"""Numbers as people of a language read them, the unit apart so that it can be set thin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from math import isfinite
from typing import Any

SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "CHF": "CHF", "JPY": "¥"}
BEFORE = ("$", "£", "¥")
"""Signs that English writes before the amount."""
MONTHS = {
    "en": tuple("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()),  # noqa: SIM905
    "de": (
        *("Jan.", "Feb.", "März", "Apr.", "Mai", "Juni"),
        *("Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."),
    ),
}
GERMAN = str.maketrans(",.", ".,")
DIGITS = {
    "count": 0,
    "percent": 1,
    "share": 1,
    "points": 1,
    "money": 0,
    "cents": 2,
    "days": 0,
    "measure": 3,
}
NUMERIC = (
    "count",
    "percent",
    "share",
    "points",
    "money",
    "cents",
    "days",
    "number",
    "whole",
    "measure",
)


@dataclass(frozen=True)
class Figure:
    """A number as text, and its unit."""

    text: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.unit}".strip()


@dataclass(frozen=True)
class Figures:
    """How a language writes numbers, dates and money of a currency."""

    language: str = "en"
    currency: str = "EUR"

    def show(self, value: Any, kind: str) -> Figure:
        """The value as a `count`, `percent` (of 100), `share` (of 1), `points`, `money` (to the
        unit), `cents`, `days`, `number`, `date` or plain text; unknown is a dash.

        >>> str(Figures("de").show(1234.56, "money")), str(Figures().show(0.1234, "share"))
        ('1.235 €', '12.3 %')
        """
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return Figure("–")  # noqa: RUF001 - the dash of an unknown value
        if kind in NUMERIC and isinstance(value, int | float):
            return self._number(float(value), kind)
        if kind in ("date", "moment"):
            return Figure(self.moment(value) if kind == "moment" else self.date(value))
        return Figure(str(value))

    def date(self, value: Any) -> str:
        """A date such as `1 Dec 2011`, from a date or its ISO form."""
        try:
            day = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        except ValueError:
            return str(value)
        month = MONTHS.get(self.language, MONTHS["en"])[day.month - 1]
        point = "." if self.language == "de" else ""
        return f"{day.day}{point} {month} {day.year}"

    def moment(self, value: Any) -> str:
        """A date with its time of day, if it has one."""
        if isinstance(value, datetime) and (value.hour or value.minute):
            return f"{self.date(value)}, {value:%H:%M}"
        return self.date(value)

    def difference(self, value: float) -> str:
        """A difference of money with its sign.

        >>> Figures().difference(12.4)
        '+12 €'
        """
        shown = str(self.show(value, "money"))
        return f"+{shown}" if round(value) > 0 else shown

    @cached_property
    def symbol(self) -> str:
        """The sign of the currency."""
        return SYMBOLS.get(self.currency, self.currency)

    @cached_property
    def is_before(self) -> bool:
        """Whether the sign stands before the amount."""
        return self.language == "en" and self.symbol in BEFORE

    def _number(self, value: float, kind: str) -> Figure:
        return Figure(self.number_text(value, kind), self.units.get(kind, ""))

    def number_text(self, value: float, kind: str) -> str:
        """The digits of a known number, without its unit unless that stands before them."""
        if kind == "share":
            value *= 100
        digits = DIGITS.get(kind, 0 if kind == "whole" else 2)
        value = round(value, digits) + 0.0  # no minus before a zero
        text = f"{value:+,.{digits}f}" if kind == "points" else f"{value:,.{digits}f}"
        if value < 0:
            text = text.replace("-", "−")  # noqa: RUF001 - a minus sign
        if self.language == "de":
            text = text.translate(GERMAN)
        if kind in ("money", "cents") and self.is_before:
            return text[0] + self.symbol + text[1:] if value < 0 else self.symbol + text
        return text

    @cached_property
    def units(self) -> dict[str, str]:
        """What stands after the digits of each kind."""
        money = "" if self.is_before else self.symbol
        return {"percent": "%", "share": "%", "money": money, "cents": money}
