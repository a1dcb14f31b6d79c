"""`churn features`: the feature table of eligible customers as of a date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.commands.session import Progress, inputs, open_session, resolve_clock, silent
from churn.data.days import day_number
from churn.data.history.columns import arrow_numbers, arrow_texts
from churn.features.builder import FeatureBatches, sweep_features
from churn.features.catalogue import feature_names
from churn.results.job_result import JobResult, Table, hashed
from churn.results.output import check_out, file_of, guard_notes

ELIGIBLE = arrow_texts(["eligible"])
KEYS = (("customer_id", pa.string()), ("as_of", pa.date32()), ("status", pa.string()))


def features(
    config: Path, *, out: Path | str, as_of: str | None = None, progress: Progress = silent
) -> JobResult:
    """One row per eligible customer: customer_id, as_of, status, the features of `[features]`.

    Horizon and lookback are the champion's; without one, those that training would use.
    """
    file, kept = file_of(out), inputs(config)
    check_out(file, keep=kept)
    with (
        open_session("features", config, as_of=as_of, progress=progress) as session,
        session.writing(file, keep=kept) as writer,
    ):
        clock = resolve_clock(session)
        tables = session.tables
        names = feature_names(tables.connected(), session.settings.features.families)
        progress(f"building {len(names)} features")
        built = sweep_features(tables, [session.as_of], clock, names=names)
        facts = {"run_id": session.run_id, "as_of": str(session.as_of)}
        schema = pa.schema([*KEYS, *((name, pa.float64()) for name in names)])
        rows = writer.write_batches(_eligible(built, session.as_of, schema), schema, facts)
    return JobResult(
        command="features",
        run_id=session.run_id,
        as_of=session.as_of,
        resolved={"horizon_days": clock.horizon_days, "lookback_days": clock.lookback_days},
        rows={"features": rows, "columns": len(names) + 3},
        audits=session.tables.audits,
        files=hashed(file),
        warnings=guard_notes(writer),
        tables=(Table("Features", ("customers", "features"), ((f"{rows:,}", str(len(names))),)),),
    )


def _eligible(built: FeatureBatches, as_of: date, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of the eligible, with the date in place of the cutoff."""
    for batch in built.batches():
        rows = batch.filter(pc.is_valid(pc.index_in(batch["status"], value_set=ELIGIBLE)))
        dates = arrow_numbers(np.full(rows.num_rows, day_number(as_of), np.int32))
        columns = [rows.column(0), dates.cast(pa.date32()), *rows.columns[2:]]
        yield pa.record_batch(columns, schema=schema)
