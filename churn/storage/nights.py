"""Steps of nightly runs on record: what has been done for a date, its data and its inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from churn.errors import ChurnError
from churn.storage.files import canonical_json, sha256_of
from churn.storage.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """A finished step of the night of `as_of` on the data of a fingerprint.

    `inputs` is the hash of everything else that its result depends on. `outputs` are the files that
    it wrote with their SHA-256, relative to the folder of the configuration.
    """

    as_of: date
    data: str
    step: str
    inputs: str
    run_id: str
    exit_code: int = 0
    outputs: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def stands(self, folder: Path) -> bool:
        """Whether the files that it wrote are still there, byte for byte."""
        try:
            return all(sha256_of(folder / name) == sha for name, sha in self.outputs.items())
        except ChurnError:
            return False


def record_step(ledger: Ledger, done: StepDone) -> None:
    """Records a finished step; the same step again replaces its record."""
    values = (
        *(done.as_of.isoformat(), done.data, done.step, done.inputs, done.run_id),
        *(done.exit_code, canonical_json(dict(done.outputs)).decode()),
        *(canonical_json(dict(done.facts)).decode(), ledger.moment()),
    )
    with ledger.changing() as connection:
        connection.execute(f"INSERT OR REPLACE INTO steps VALUES ({_marks(values)})", values)  # noqa: S608


def finished_step(
    ledger: Ledger, as_of: date, data: str, step: str, inputs: str
) -> StepDone | None:
    """The record of that step; None if it has not finished with these inputs."""
    with ledger.reading() as connection:
        row = connection.execute(
            "SELECT run_id, exit_code, outputs, facts FROM steps "
            "WHERE as_of = ? AND data = ? AND step = ? AND inputs = ?",
            (as_of.isoformat(), data, step, inputs),
        ).fetchone()
    if row is None:
        return None
    run_id, exit_code, outputs, facts = row
    return StepDone(
        as_of=as_of,
        data=data,
        step=step,
        inputs=inputs,
        run_id=run_id,
        exit_code=exit_code,
        outputs=json.loads(outputs),
        facts=json.loads(facts),
    )


def _marks(values: tuple[object, ...]) -> str:
    return ", ".join("?" * len(values))
