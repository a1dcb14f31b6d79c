"""Languages of the reasons: one TOML file each in the folder `languages`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from math import isfinite
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churn.arrays import Bools
from churn.errors import ConfigError

DEFAULT_LANGUAGE = "en"
_FOLDER = files("churn.scoring") / "languages"

Values = Mapping[str, Any]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Language:
    """Number formats, plural forms and sentences of one language."""

    code: str
    texts: Mapping[str, Any]

    def render(self, template: str, values: Values) -> str | None:
        """The template with the customer's values; None if one of them is unknown.

        >>> load_language("en").render("Last order {recency_days:ago}.", {"recency_days": 1.0})
        'Last order 1 day ago.'
        """
        sentence = ""
        for literal, name, form in parts_of(template):
            value = self._formatted(form, values.get(name), values) if name else ""
            if value is None:
                return None
            sentence += literal + value
        return sentence[:1].upper() + sentence[1:]

    def known(self, template: str, values: Values, rows: int) -> Bools:
        """For which rows `values` knows everything that the template mentions, shape (rows,).

        Values are arrays with a number or a text per row, or one for all rows.
        """
        found = np.ones(rows, dtype=bool)
        for _, name, _ in parts_of(template):
            if name is not None:
                found &= _is_known(values.get(name))
        return found

    def rendered(self, template: str, values: Values, rows: int) -> Texts:
        """`render` for rows whose values are all known, shape (rows,)."""
        texts = np.full(rows, "", dtype=object)
        for literal, name, form in parts_of(template):
            texts = texts + literal
            if name is not None:
                texts = texts + self._each_formatted(form, values[name], values)
        return np.array([text[:1].upper() + text[1:] for text in texts], dtype=object)

    def short_date(self, day: date) -> str:
        """A date in digits."""
        return day.strftime(self.texts["numbers"]["date"])

    def long_date(self, day: date) -> str:
        """A date with the name of the month.

        >>> [load_language(code).long_date(date(2026, 12, 3)) for code in ("de", "en")]
        ['3. Dezember 2026', '3 December 2026']
        """
        numbers = self.texts["numbers"]
        month = numbers["months"][day.month - 1]
        return str(numbers["long_date"].format(day=day.day, month=month, year=day.year))

    def number(self, value: float, decimals: int = 0) -> str:
        """A number with this language's separators.

        >>> load_language("de").number(1234.5, 2)
        '1.234,50'
        """
        numbers = self.texts["numbers"]
        text = f"{abs(value):,.{decimals}f}"
        separated = text.translate({ord(","): numbers["thousands"], ord("."): numbers["decimal"]})
        return separated if value >= 0 or not text.strip("0.,") else numbers["minus"] + separated

    def percent(self, share: float) -> str:
        """A share in percent, never rounded to 0 or 100 %.

        >>> [load_language("en").percent(share) for share in (0.0, 0.001, 0.354, 0.999, 1.0)]
        ['0%', 'under 1%', '35%', 'over 99%', '100%']
        """
        numbers = self.texts["numbers"]
        whole = round(100 * share)
        if whole == 0 and share > 0:
            return str(numbers["nearly_none"])
        if whole == 100 and share < 1:
            return str(numbers["nearly_all"])
        return str(numbers["percent"]).format(n=self.number(100 * share))

    def money(self, amount: float, currency: str) -> str:
        """An amount with its currency, or the word for zero; cents only below 100.

        >>> load_language("en").money(12.5, "EUR"), load_language("de").money(-1234.5, "EUR")
        ('EUR 12.50', '-1.234 EUR')
        """
        numbers = self.texts["numbers"]
        if round(amount, 2) == 0:
            return str(numbers["no_money"])
        decimals = 2 if abs(amount) < 100 else 0
        text = str(numbers["money"]).format(n=self.number(abs(amount), decimals), currency=currency)
        return text if amount > 0 else numbers["minus"] + text

    def phrase(self, name: str, value: float) -> str:
        """A phrase in the plural form of its number.

        >>> [load_language("de").phrase("ago", days) for days in (0, 1, 2)]
        ['heute', 'vor 1 Tag', 'vor 2 Tagen']
        """
        forms = self.texts["phrases"][name]
        count = round(value)
        form = forms.get(str(count)) or forms.get(self.plural(count), forms["other"])
        return str(form).format(n=self.number(count))

    def plural(self, count: int) -> str:
        """The plural form of a whole number: the first whose rule matches, else "other"."""
        for rule in self.texts["plurals"]:
            if _plural_matches(rule, abs(count)):
                return str(rule["form"])
        return "other"

    def _each_formatted(self, form: str, value: Any, values: Values) -> Any:
        """The numbers of all rows in their form, each distinct one formatted once."""
        if not isinstance(value, np.ndarray):
            return self._formatted(form, value, values)
        if value.dtype == object:
            return value
        distinct, place = np.unique(value, return_inverse=True)
        texts = [self._formatted(form, number, values) for number in distinct.tolist()]
        return np.array(texts, dtype=object)[place]

    def _formatted(self, form: str, value: Any, values: Values) -> str | None:
        """The number in its form; None if it is unknown. Texts are returned unchanged."""
        if isinstance(value, str):
            return value
        if value is None or not isfinite(value):
            return None
        if form == "money":
            return self.money(value, str(values.get("currency", "")))
        if form == "percent":
            return self.percent(value)
        decimals = {"whole": 0, "decimal": 1, "plain": int(value != round(value))}.get(form)
        return self.phrase(form, value) if decimals is None else self.number(value, decimals)


def load_language(code: str) -> Language:
    """The language of that code. Raises ConfigError with the available ones."""
    if not isinstance(code, str) or code not in language_codes():
        rule = f"[scoring] language must be one of {list(language_codes())}"
        raise ConfigError(rule, got=repr(code), fix='Write e.g. language = "en".')
    return _read(code)


@cache
def language_codes() -> tuple[str, ...]:
    """The available languages, from the names of their files."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


@cache
def parts_of(template: str) -> tuple[tuple[str, str | None, str], ...]:
    """A template as (preceding text, placeholder, form); the name is None after the last one."""
    return tuple(
        (literal, name, form or "") for literal, name, form, _ in Formatter().parse(template)
    )


@cache
def _read(code: str) -> Language:
    return Language(code, tomllib.loads((_FOLDER / f"{code}.toml").read_text(encoding="utf-8")))


def _is_known(value: Any) -> Any:
    """Whether there is a value: a finite number or a text."""
    if isinstance(value, np.ndarray):
        return value != np.array(None) if value.dtype == object else np.isfinite(value)
    return isinstance(value, str) or (value is not None and isfinite(value))


def _plural_matches(rule: Mapping[str, Any], count: int) -> bool:
    """Whether a rule of `[[plurals]]` matches; conditions that it does not state are met."""
    return (
        count in rule.get("values", [count])
        and count % 10 in rule.get("last_digit", [count % 10])
        and count % 100 in rule.get("last_two_digits", [count % 100])
        and count % 100 not in rule.get("not_last_two_digits", [])
    )
