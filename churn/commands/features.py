"""`churn features`: the feature table of eligible customers as of a date."""

from __future__ import annotations

from pathlib import Path

import narwhals as nw

from churn.commands.session import Progress, inputs, open_session, resolve_clock, silent
from churn.data.history import customer_cuts
from churn.features.builder import build_features
from churn.features.catalogue import feature_names
from churn.results.job_result import JobResult, Table, hashed
from churn.results.output import check_out, file_of, guard_notes


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
        built = build_features(tables, [session.as_of], clock, names=names)
        dated = built.filter(nw.col("status") == "eligible").select(
            "customer_id", nw.lit(session.as_of).alias("as_of"), "status", *names
        )
        facts = {"run_id": session.run_id, "as_of": str(session.as_of)}
        cuts = customer_cuts(tables)
        rows = writer.write_frame(tables.engine, dated, facts, sort_by=["customer_id"], cuts=cuts)
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
