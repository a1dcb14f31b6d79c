"""`churn sync`: records models in MLflow that were trained while it was unreachable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from churn.commands.model_store import ModelStore, follow, record
from churn.commands.session import Progress, on_record, silent
from churn.config import load_settings
from churn.errors import ModelError
from churn.results.job_result import JobResult, Table
from churn.storage.redaction import shown_address


def sync(config: Path, *, models: Path | None = None, progress: Progress = silent) -> JobResult:
    """Records every undamaged bundle that is missing in MLflow, and updates the aliases.

    It is idempotent. Damaged bundles are reported and skipped. Raises StorageError if MLflow does
    not respond; what was recorded by then stays.
    """
    settings = load_settings(config)
    store = ModelStore.of(settings, models)
    facts: dict[str, Any] = {}
    with on_record("sync", settings, facts) as (ledger, run_id):
        recorded: list[str] = []
        existing: list[str] = []
        warnings: list[str] = []
        for name in store.bundles():
            progress(f"recording {name}")
            try:
                model = store.load(name)
            except ModelError as failure:
                warnings.append(f"left out: {failure}")
                continue
            done = record(settings, model, store.directory / name)
            (recorded if done.new else existing).append(name)
        moved = follow(settings, store, ledger)
        facts |= {"recorded": recorded, "aliases": moved}
    return JobResult(
        command="sync",
        run_id=run_id,
        resolved={"recorded": recorded, "aliases": moved},
        rows={"recorded": len(recorded), "there": len(existing)},
        model_id=store.champion,
        warnings=tuple(warnings),
        tables=(_table(shown_address(settings.tracking.uri), recorded, existing, moved),),
    )


def _table(uri: str, recorded: list[str], existing: list[str], moved: dict[str, str]) -> Table:
    rows = [
        ("address", uri),
        ("recorded now", ", ".join(recorded) or "nothing"),
        ("recorded before", f"{len(existing):,}"),
        *((f"alias {alias}", model_id or "none") for alias, model_id in moved.items()),
    ]
    return Table("MLflow", ("", ""), tuple(rows))
