"""`churn features`: the feature table of the eligible at one date."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import narwhals as nw
import pyarrow as pa

from churn.errors import ModelError
from churn.features.builder import build_features
from churn.features.clock import FeatureClock
from churn.jobs.output import writing_table
from churn.jobs.result import JobResult, dropped_rows, hashed
from churn.jobs.session import Progress, Session, inputs, open_session, silent
from churn.jobs.train import CHAMPION, resolve_from_settings
from churn.modeling.bundle import read_manifest

__all__ = ["features"]


def features(
    config: Path, *, out: Path, as_of: str | None = None, progress: Progress = silent
) -> JobResult:
    """One row per eligible customer: customer_id, as_of, status and every feature.

    Lengths of time are those of the champion; without one, those that a training would resolve.
    """
    with (
        open_session("features", config, as_of=as_of, progress=progress) as session,
        writing_table(out, keep=inputs(config)) as writer,
    ):
        clock = _clock(session)
        progress("building features")
        built = build_features(session.tables, [session.as_of], clock)
        eligible = built.filter(nw.col("status") == "eligible").sort("customer_id")
        table = _dated(session.tables.engine.collect(eligible), session.as_of)
        facts = {"run_id": session.run_id, "as_of": str(session.as_of)}
        writer.write(table, facts)
    return JobResult(
        command="features",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": clock.horizon_days, "lookback_days": clock.lookback_days},
        rows={"features": table.num_rows, "columns": table.num_columns},
        dropped=dropped_rows(session.tables.audits),
        files=hashed(out),
        tables=(
            (
                "Features",
                ("customers", "columns"),
                ((f"{table.num_rows:,}", str(table.num_columns)),),
            ),
        ),
    )


def _dated(table: pa.Table, as_of: date) -> pa.Table:
    """The same with the date in place of the cutoff's day number."""
    dates = pa.array([as_of] * table.num_rows, pa.date32())
    return table.set_column(table.column_names.index("cutoff"), "as_of", dates)


def _clock(session: Session) -> FeatureClock:
    settings = session.settings
    try:
        manifest = read_manifest(settings.path(settings.model.directory) / CHAMPION)
    except ModelError:
        return resolve_from_settings(session).clock
    return FeatureClock(**manifest["clock"])
