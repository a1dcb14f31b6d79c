"""The result of a command, for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from churn.storage.files import sha256_of

if TYPE_CHECKING:
    from churn.data.audit import IdMatch, TableAudit

SCHEMA = 1
Line = tuple[str, ...]


class Table(NamedTuple):
    """A table to display; all cells are text."""

    title: str
    header: Line
    rows: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """The result of one command. `tables` are for display only.

    `audits` are those of the tables that were read; every command shows their warnings. `left_out`
    counts rows excluded by the command itself, by table and reason. `exit_code` is 4 if the command
    finished but the gate rejected its model. `failure` is the cause, in one line, if a command
    ended early.
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
        """Number of rows that were read and not used, by table and reason."""
        dropped = {name: dict(audit.dropped) for name, audit in self.audits.items()}
        for name, counts in self.left_out.items():
            dropped[name] = {**dropped.get(name, {}), **counts}
        return {name: counts for name, counts in dropped.items() if counts}

    @property
    def id_matches(self) -> dict[str, IdMatch]:
        """How the ids of each table match those of the orders."""
        return {name: audit.ids for name, audit in self.audits.items() if audit.ids is not None}

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings of the tables, then those of the command."""
        return (*table_warnings(self.audits), *self.warnings)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object of `--json`."""
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
    """The warnings of all tables, prefixed with the table's name."""
    return tuple(f"{name}: {text}" for name, audit in audits.items() for text in audit.warnings)


def hashed(*paths: Path) -> dict[Path | str, str]:
    """The files with their SHA-256."""
    return {path: sha256_of(path) for path in paths}
