"""The definition of every number that an analysis shows, the same on every surface.

Each analysis declares its numbers once, as `Definition`s; the terminal, the JSON, the files and the
page docs/retention.md take them from there (`python -m churn.analytics.docs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Definition:
    """A number: its name, its unit, what it is in one line, and its source if it has one."""

    name: str
    unit: str
    meaning: str
    source: str = ""

    def to_dict(self) -> dict[str, str]:
        """For JSON, without what is empty."""
        return {key: value for key, value in asdict(self).items() if value}


def defined(definitions: Iterable[Definition]) -> Mapping[str, Definition]:
    """The definitions by name."""
    return {one.name: one for one in definitions}
