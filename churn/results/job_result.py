"""What a command did, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from churn.data.audit import IdMatch, TableAudit
from churn.storage.files import sha256_of

SCHEMA = 1
Line = tuple[str, ...]


class Table(NamedTuple):
    """A table for people: all of it is text."""

    title: str
    header: Line
    rows: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """One finished command. `tables` are for people.

    `audits` are those of the tables that were read: their warnings are shown by every command.
    `left_out` counts what the command itself left out, by table and reason.
    `exit_code` is 4 where the job was done but the quality gate refused its model. `failure` is the
    cause in one line where a job ended before all was done.
    """

    command: str
    run_id: str | None = None
    as_of: date | None = None
    resolved: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    audits: Mapping[str, TableAudit] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    model_id: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] | None = None
    files: Mapping[Path | str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    exit_code: int = 0
    failure: str | None = None

    @property
    def dropped(self) -> dict[str, dict[str, int]]:
        """Rows that were read and not used, by table and reason."""
        dropped = {name: dict(audit.dropped) for name, audit in self.audits.items()}
        for name, counts in self.left_out.items():
            dropped[name] = {**dropped.get(name, {}), **counts}
        return {name: counts for name, counts in dropped.items() if counts}

    @property
    def id_matches(self) -> dict[str, IdMatch]:
        """How the ids of the tables that were read go with those of the orders."""
        return {name: audit.ids for name, audit in self.audits.items() if audit.ids is not None}

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """What a person has to know of the tables, and then of what the command did."""
        return (*table_warnings(self.audits), *self.warnings)

    def to_dict(self) -> dict[str, Any]:
        """The one object of `--json`."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "run_id": self.run_id,
            "as_of": None if self.as_of is None else str(self.as_of),
            "resolved": dict(self.resolved),
            "rows": dict(self.rows),
            "dropped": self.dropped,
            "ids": {name: match.to_dict() for name, match in self.id_matches.items()},
            "model_id": self.model_id,
            "metrics": dict(self.metrics),
            "gate": self.gate,
            "files": [{"path": str(path), "sha256": sha} for path, sha in self.files.items()],
            "warnings": list(self.all_warnings),
        }


def table_warnings(audits: Mapping[str, TableAudit]) -> tuple[str, ...]:
    """The warnings of every table, each with the table's name."""
    return tuple(f"{name}: {text}" for name, audit in audits.items() for text in audit.warnings)


def hashed(*paths: Path) -> dict[Path | str, str]:
    """The files with their SHA-256."""
    return {path: sha256_of(path) for path in paths}
