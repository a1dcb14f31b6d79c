"""What the commands of `churn.analytics` share: one run, its tables, `--out` and `--customers`.

A command passes two functions of the session: one that makes the `Analysis`, and one that lists the
customers of a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.commands.session import Progress, Session, inputs, open_session, resolve_clock
from churn.data.days import day_number
from churn.data.history.columns import arrow_numbers
from churn.errors import ConfigError
from churn.results.job_result import JobResult, Table
from churn.results.output import check_out, guard_notes, outputs
from churn.storage.postgres.address import Place, place_of
from churn.storage.postgres.layout import Layout

Analyse = Callable[[Session], Analysis]
ListCell = Callable[[Session, Cell], pa.Table]


def run_analysis(
    command: str,
    config: Path,
    analyse: Analyse,
    list_cell: ListCell,
    *,
    out: Place | str | None,
    customers: str | None,
    as_of: str | None,
    progress: Progress,
) -> JobResult:
    """The result of an analysis, written to `out` if that is given.

    With `customers`, a cell, the list of its customers is written instead: `customer_id`, `as_of`
    and `cell`. ConfigError if there is a cell but no `out`.
    """
    cell = None if customers is None else Cell.parse(customers)
    if cell is not None and out is None:
        rule = "--customers writes a list and needs --out"
        raise ConfigError(rule, fix="Pass e.g. --out customers.csv.")
    target, kept = None if out is None else place_of(out), inputs(config)
    if isinstance(target, Path):
        check_out(target, keep=kept)
    with open_session(command, config, as_of=as_of, progress=progress) as session:
        if cell is None:
            found = analyse(session)
            files, notes = _written(session, found.table(), found.key, target, kept)
            return _result(session, found, files, (*found.notes, *notes))
        rows = list_cell(session, cell)
        files, notes = _written(session, rows, ("customer_id",), target, kept)
        return JobResult(
            command=command,
            run_id=session.run_id,
            as_of=session.as_of,
            rows={"customers": rows.num_rows},
            audits=session.tables.audits,
            files=files,
            warnings=notes,
            tables=(Table("Customers", ("cell", "customers"), ((str(cell), f"{len(rows):,}"),)),),
        )


def active_days(session: Session, stated: int | None) -> int:
    """The days within which a customer who bought is active: those stated, else the lookback."""
    return resolve_clock(session).lookback_days if stated is None else stated


def _written(
    session: Session, rows: pa.Table, key: tuple[str, ...], target: Place | None, kept: list[Place]
) -> tuple[dict[Path | str, str], tuple[str, ...]]:
    """The files or database table with their hashes, and notes."""
    if target is None:
        return {}, ()
    dated = _dated(session, rows)
    layout = Layout(
        dated.schema, key=("run_id", *key), replaces={"run_id": "run_id"}, keeps_runs=True
    )
    with session.writing_result(target, layout, keep=kept) as writer:
        writer.write(dated, {"run_id": session.run_id, "as_of": str(session.as_of)})
    return outputs(target, writer), guard_notes(writer)


def _dated(session: Session, rows: pa.Table) -> pa.Table:
    """The rows with the run and its date in front."""
    import numpy as np

    days = np.full(rows.num_rows, day_number(session.as_of), np.int32)
    runs = pa.array([session.run_id] * rows.num_rows, pa.string())
    dates = arrow_numbers(days).cast(pa.date32())
    return rows.add_column(0, "as_of", dates).add_column(0, "run_id", runs)


def _result(
    session: Session, found: Analysis, files: dict[Path | str, str], notes: tuple[str, ...]
) -> JobResult:
    return JobResult(
        command=found.name,
        run_id=session.run_id,
        as_of=session.as_of,
        resolved=found.resolved,
        rows={name: table.num_rows for name, table in found.tables.items()},
        audits=session.tables.audits,
        left_out=found.left_out,
        metrics=found.to_dict(),
        files=files,
        warnings=notes,
        tables=found.displays,
    )
