"""What a section of the report is, and what all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churn.reporting.sentences import Wording
from churn.reporting.tables import Columns, Grid
from churn.reporting.translated import named, translated

TO = "\N{EN DASH}"


@dataclass(frozen=True)
class Picture:
    """A picture: its finding, and either our SVG or the address of an image."""

    finding: str
    svg: str = ""
    address: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the report; `open_grids` are shown, `grids` are folded below the picture."""

    name: str
    title: str
    missing: str | None = None
    pictures: tuple[Picture, ...] = ()
    open_grids: tuple[Grid, ...] = ()
    grids: tuple[Grid, ...] = ()
    notes: tuple[str, ...] = ()
    definitions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Maker:
    """Makes sections from the documents; with `ids`, customers are named."""

    documents: Mapping[str, Any]
    words: Wording
    columns: Columns
    ids: bool

    def text(self, form: str) -> str:
        """A text of the report."""
        return self.words.text(f"report/{form}")

    def finding(self, name: str, **values: object) -> str:
        """The title of a picture or a table."""
        return self.words.sentence(f"report/findings/{name}", None, **values).text

    def _title(self, name: str) -> str:
        return self.text(f"sections/{name}")

    def _notes(self, name: str) -> tuple[str, ...]:
        notes = (self.documents.get("notes") or {}).get(name, ())
        return tuple(translated(note, self.words.language.code) for note in notes)

    def _defined(self, document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        found = document.get("definitions") or {}
        language = self.words.language.code
        return tuple(
            (
                named(name, language) or name.replace("_", " "),
                translated(one["meaning"], language),
            )
            for name, one in found.items()
        )
