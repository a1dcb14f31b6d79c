"""`churn segments`: the base by segment, cut points, clusters, personas and migration."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from churn.analytics.analysis import Analysis
from churn.analytics.cells import Cell
from churn.analytics.from_tables import earlier_date
from churn.analytics.segmentation import Segmentation, customers_of, segment_base, segment_rows
from churn.analytics.segments import crosswalk, rfm_segments
from churn.commands.analyses import run_analysis
from churn.commands.segment_bounds import freeze, frozen_for_lists, frozen_segments
from churn.commands.session import Progress, Session, resolve_clock, silent
from churn.errors import ConfigError
from churn.results.job_result import JobResult, Table
from churn.storage.postgres.address import Place


def segments(
    config: Path,
    *,
    out: Place | str | None = None,
    as_of: str | None = None,
    since: str | None = None,
    customers: str | None = None,
    refit: bool = False,
    progress: Progress = silent,
) -> JobResult:
    """The segments as of a date, and the migration since an earlier one, by default 28 days before.

    Bounds and clusters are learnt once and frozen in `segments.json`. `refit` learns them again and
    records the crosswalk from the old segments to the new.
    """

    def analyse(session: Session) -> Analysis:
        if refit:
            when = earlier_date(session.as_of, since)
            return _refitted(session, frozen_segments(session), when)
        return segments_analysis(session, since=since)

    def list_cell(session: Session, cell: Cell) -> pa.Table:
        frozen = frozen_for_lists(session)
        when, clock = earlier_date(session.as_of, since), resolve_clock(session)
        return customers_of(session.tables, session.as_of, when, clock, frozen, cell)

    if refit and customers is not None:
        rule = "--refit learns the segments again and lists no customers"
        raise ConfigError(rule, fix="Run them one after the other.")
    return run_analysis(
        "segments",
        config,
        analyse,
        list_cell,
        out=out,
        customers=customers,
        as_of=as_of,
        progress=progress,
    )


def segments_analysis(session: Session, *, since: str | None = None) -> Analysis:
    """The segments at the session's date, and the migration since an earlier one."""
    frozen = frozen_segments(session)
    session.progress("segmenting")
    found, fixed = _base(session, frozen, earlier_date(session.as_of, since))
    if frozen is None or frozen.clusters is None:
        freeze(session, fixed)
    return found


def _base(
    session: Session, frozen: Segmentation | None, since: date
) -> tuple[Analysis, Segmentation]:
    return segment_base(
        session.tables,
        session.as_of,
        since,
        resolve_clock(session),
        frozen=frozen,
        seed=session.settings.model.seed,
    )


def _refitted(session: Session, frozen: Segmentation | None, since: date) -> Analysis:
    """The analysis by bounds learnt now, with the crosswalk from the old ones, both recorded."""
    session.progress("learning the bounds again")
    found, fixed = _base(session, None, since)
    if frozen is None:
        freeze(session, fixed)
        return found
    bounds = replace(fixed.bounds, version=frozen.bounds.version + 1)
    fixed = replace(fixed, bounds=bounds)
    freeze(session, fixed)
    clock = resolve_clock(session)
    (rows,), _ = segment_rows(session.tables, [session.as_of], clock)
    before, after = rfm_segments(rows, frozen.bounds), rfm_segments(rows, bounds)
    moved = crosswalk(before, after)
    counts = _nested(moved)
    session.facts["crosswalk"] = counts
    lines = tuple(
        (str(name), *(f"{count:,}" if count else "" for count in row))
        for name, row in zip(moved.index, moved.to_numpy().tolist(), strict=True)
    )
    title = f"Crosswalk from version {frozen.bounds.version} (rows) to {bounds.version} (columns)"
    shown = Table(title, ("segment", *map(str, moved.columns)), lines)
    changed = int((before != after).sum())
    note = f"{changed:,} of {len(rows):,} customers are in another segment because of the refit"
    resolved = {**found.resolved, "bounds": bounds.to_json(), "crosswalk": counts}
    return replace(
        found,
        resolved=resolved,
        displays=(*found.displays, shown),
        notes=(*found.notes, note),
    )


def _nested(moved: Any) -> dict[str, dict[str, int]]:
    """The crosswalk as plain JSON, without zeros."""
    rows = moved.to_dict("index")
    return {
        str(name): {str(to): int(count) for to, count in row.items() if count}
        for name, row in rows.items()
        if any(row.values())
    }
