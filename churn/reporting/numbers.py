"""Numbers of the overview, each from its place in the documents of the commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churn.reporting.published import PublishedRow
from churn.reporting.sentences import Number, Wording, found_at
from churn.reporting.translated import translated

LEAST_EVENTS = 30
"""The fewest events that a rate or a change is stated for."""
LEAST_CUSTOMERS = 10
"""Counts of fewer customers are hidden from those who may not see customers."""
NO_CUSTOMERS = frozenset(
    (
        *("notes", "late_days", "needed", "looks", "active_days", "listed"),
        "deviation_half",
    )
)
"""Counts of something else."""


@dataclass(frozen=True)
class Numbers:
    """Makes the numbers of a block from the documents, in the words of a language.

    Counts of fewer than `least` customers are hidden.
    """

    row: PublishedRow
    documents: Mapping[str, Any]
    words: Wording
    least: int = 0

    def number(
        self,
        name: str,
        *terms: str | tuple[str, float],
        unit: str = "count",
        definition: str | None = None,
        link: str = "",
    ) -> Number:
        """The number at the path, or the sum of several, each with a factor."""
        sources = tuple((one, 1.0) if isinstance(one, str) else one for one in terms)
        found = [(found_at(self.documents, path) or 0.0) * factor for path, factor in sources]
        return self._number(name, sum(found), unit, definition, link, sources)

    def derived(
        self, name: str, value: float, *, unit: str = "count", definition: str | None = None
    ) -> Number:
        """A number that is no sum of others."""
        return self._number(name, value, unit, definition, "", ())

    def _number(
        self,
        name: str,
        value: float,
        unit: str,
        definition: str | None,
        link: str,
        sources: tuple[tuple[str, float], ...],
    ) -> Number:
        meaning = self.words.definition(definition or name)
        if unit == "count" and name not in NO_CUSTOMERS and self.hides(value):
            return Number(name, None, unit, f"<{self.least}", meaning, link, ())
        return Number(name, value, unit, self.words.written(value, unit), meaning, link, sources)

    def hides(self, count: float | None) -> bool:
        """Whether a count is of so few customers that it is hidden."""
        return count is not None and 0 < count < self.least

    def known(self, path: str) -> float | None:
        """The number at the path; None if it is unknown."""
        return found_at(self.documents, path)

    def missing(self, name: str) -> str | None:
        """What to connect for a part that could not be made."""
        reason = (self.documents.get("missing") or {}).get(name)
        if reason is None:
            return None
        reason = translated(reason, self.words.language.code)
        return self.words.sentence(f"missing/{name}", reason=reason).text

    def details(self, name: str) -> tuple[str, ...]:
        """The notes of a command."""
        notes = (self.documents.get("notes") or {}).get(name, ())
        return tuple(translated(note, self.words.language.code) for note in notes)
