"""What a command did, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from churn.data.audit import TableAudit
from churn.files.hashes import sha256_of

__all__ = ["JobResult", "Line", "ShownTable", "dropped_rows", "hashed"]

SCHEMA = 1
Line = tuple[str, ...]
ShownTable = tuple[str, Line, tuple[Line, ...]]


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """One finished command. `tables` are for people: title, header and rows of text each.

    `exit_code` is 4 where the job was done but the quality gate refused its model. `failure` is the
    cause in one line where a job ended before all was done.
    """

    command: str
    run_id: str | None = None
    as_of: date | None = None
    resolved: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    model_id: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] | None = None
    files: Mapping[Path | str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    tables: tuple[ShownTable, ...] = ()
    exit_code: int = 0
    failure: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The one object of `--json`."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "run_id": self.run_id,
            "as_of": None if self.as_of is None else str(self.as_of),
            "resolved": dict(self.resolved),
            "rows": dict(self.rows),
            "dropped": {table: dict(counts) for table, counts in self.dropped.items()},
            "model_id": self.model_id,
            "metrics": dict(self.metrics),
            "gate": self.gate,
            "files": [{"path": str(path), "sha256": sha} for path, sha in self.files.items()],
            "warnings": list(self.warnings),
        }


def dropped_rows(audits: Mapping[str, TableAudit]) -> dict[str, dict[str, int]]:
    """Rows that the tables lost at the door, by table and reason."""
    return {name: dict(audit.dropped) for name, audit in audits.items() if audit.dropped}


def hashed(*paths: Path) -> dict[Path | str, str]:
    """The files with their SHA-256."""
    return {path: sha256_of(path) for path in paths}
