"""The words of the pages in a language: one TOML file each, with the same keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

LANGUAGES = {"en": "English", "de": "Deutsch"}
DEFAULT = "en"


@dataclass(frozen=True)
class Wording:
    """The words of one language."""

    language: str
    words: Mapping[str, Any]

    def __call__(self, key: str, **values: Any) -> str:
        """The text at `section.key`, with its placeholders filled; the key itself if none."""
        section, _, name = key.partition(".")
        found = self.words.get(section, {}).get(name)
        if found is None:
            return name.replace("_", " ")
        return str(found).format(**values) if values else str(found)

    def code(self, value: Any) -> str:
        """A value of the data, such as a segment or status, in this language if it is known."""
        return str(self.words["codes"].get(str(value), value))

    def label(self, column: str) -> str:
        """The heading of a column."""
        return str(self.words["columns"].get(column, column.replace("_", " ")))


@cache
def wording_of(language: str) -> Wording:
    """The words of a language; English where there are none."""
    known = language if language in LANGUAGES else DEFAULT
    text = (files("churn.serving.dashboard") / "wording" / f"{known}.toml").read_text("utf-8")
    return Wording(known, tomllib.loads(text))
