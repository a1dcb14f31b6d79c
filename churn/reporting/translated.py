"""What commands say in English, in another language: a catalogue of their sentences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

PLACEHOLDER = re.compile(r"\\\{(\w+)(:n)?\\\}")
NUMBER = r"[-+\u2212]?\d[\d,]*(?:\.\d+)?"
SEPARATORS = str.maketrans(",.", ".,")


def translated(text: str, language: str) -> str:
    """A note, a reason, a finding or a definition of a command in that language.

    What the catalogue does not have stays as it is.

    >>> translated("Too few to say: 1,029 of 1,200.5 needed.", "de")
    'Zu wenige für eine Aussage: 1.029 von 1.200,5 nötigen.'
    >>> translated("something else", "de"), translated("Nothing calls for a refit.", "en")
    ('something else', 'Nothing calls for a refit.')
    """
    plain = text.replace("`", "")
    catalogue = _catalogue(language)
    whole = catalogue["definitions"].get(plain) or catalogue["terms"].get(plain)
    if whole is not None:
        return whole
    for form in _forms(language):
        found = form.pattern.fullmatch(plain) or form.pattern.fullmatch(plain.removesuffix("."))
        if found is not None:
            return form.filled(found.groupdict(), catalogue["terms"])
    return text


def named(name: str, language: str) -> str | None:
    """The name of a figure in that language; None if the catalogue does not have it.

    >>> named("purchase_gaps", "de"), named("purchase_gaps", "en")
    ('Kaufabstände', None)
    """
    return _catalogue(language)["names"].get(name)


@dataclass(frozen=True)
class Form:
    """A sentence with placeholders: its English pattern, those that are numbers, and the other."""

    pattern: re.Pattern[str]
    numbers: frozenset[str]
    text: str

    def filled(self, values: Mapping[str, str], terms: Mapping[str, str]) -> str:
        """The sentence with what stood in the English one."""
        shown = {
            name: value.translate(SEPARATORS) if name in self.numbers else terms.get(value, value)
            for name, value in values.items()
        }
        return self.text.format(**shown)


@cache
def _forms(language: str) -> tuple[Form, ...]:
    return tuple(_form(*pair) for pair in _catalogue(language)["sentences"].items())


def _form(english: str, other: str) -> Form:
    escaped = re.escape(english)
    numbers = frozenset(name for name, kind in PLACEHOLDER.findall(escaped) if kind)
    pattern = PLACEHOLDER.sub(lambda one: f"(?P<{one[1]}>{NUMBER if one[2] else '.+?'})", escaped)
    return Form(re.compile(pattern), numbers, other)


@cache
def _catalogue(language: str) -> Mapping[str, Mapping[str, str]]:
    place = files("churn.reporting") / "catalogue" / f"{language}.toml"
    if not place.is_file():
        return {"sentences": {}, "terms": {}, "definitions": {}, "names": {}}
    return tomllib.loads(place.read_text("utf-8"))
