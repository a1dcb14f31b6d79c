"""`churn check`: what was found in the tables, what was dropped and why, and what is feasible."""

from __future__ import annotations

import math
from pathlib import Path

from churn.data.overview import overview
from churn.errors import GateError
from churn.jobs.consents import preference_notes
from churn.jobs.in_place import in_place_notes
from churn.jobs.overview import audit_table, overview_tables
from churn.jobs.resolve import resolve_from_settings
from churn.jobs.result import JobResult, Line
from churn.jobs.session import Progress, Session, open_session, silent
from churn.modeling.dataset import build_dataset
from churn.modeling.model import check_classes
from churn.modeling.panel import Panel
from churn.retention.design import smallest_detectable_effect

__all__ = ["check"]


def check(config: Path, *, as_of: str | None = None, progress: Progress = silent) -> JobResult:
    """The audit of every table and, where a training is feasible, its panel, its positives and
    the smallest effect that the configured holdout could show. Writes nothing.
    """
    with open_session("check", config, as_of=as_of, progress=progress) as session:
        progress("looking at what is feasible")
        feasible: tuple[Line, ...] = ()
        warnings: tuple[str, ...] = ()
        resolved: dict[str, object] = {}
        try:
            panel = _panel(session)
            feasible, resolved = _feasible(session, panel), panel.to_dict()
        except GateError as failure:
            warnings = (f"no training yet: {failure}",)
        audits = session.tables.audits
        seen = overview(session.tables, as_of=session.as_of)
        notes = tuple(f"{name}: {note}" for name, audit in audits.items() for note in audit.notes)
        notes = (*_read_from(session), *notes)
        return JobResult(
            command="check",
            run_id=session.run_id,
            as_of=session.as_of,
            resolved=resolved,
            rows={name: audit.rows_kept for name, audit in audits.items()},
            audits=audits,
            metrics={} if seen is None else {"overview": seen.to_dict()},
            warnings=(*warnings, *notes, *preference_notes(session), *in_place_notes(session)),
            tables=(
                audit_table(audits),
                *overview_tables(seen),
                ("Feasible", ("", ""), feasible),
            ),
        )


def _read_from(session: Session) -> tuple[str, ...]:
    """Where tables of databases lie; files are named in the configuration."""
    there = {} if session.tables.fetched is None else session.tables.fetched.tables
    return tuple(f"{table}: read from {fetched.address}" for table, fetched in there.items())


def _panel(session: Session) -> Panel:
    if not session.tables.audits["orders"].rows_kept:
        raise GateError("a model needs orders to learn from", got="0 usable rows")
    return resolve_from_settings(session)


def _feasible(session: Session, panel: Panel) -> tuple[Line, ...]:
    dataset = build_dataset(session.tables, panel.cutoffs, panel.clock, names=())
    check_classes(dataset.only(panel.development).eligible["lapse"])
    newest = panel.cutoffs.only(panel.cutoffs.dates[-1:])
    rows = dataset.only(newest).eligible
    lapsed, eligible = int(rows["lapse"].sum()), len(rows)
    base_rate = lapsed / eligible if eligible else math.nan
    holdout = session.settings.offers.holdout
    effect = smallest_detectable_effect(base_rate, eligible, holdout=holdout)
    blocks = panel.blocks
    first, last = session.tables.span()
    return (
        ("orders", f"{session.tables.count('orders'):,} from {first} to {last}"),
        ("horizon, lookback", f"{panel.clock.horizon_days} days, {panel.clock.lookback_days} days"),
        ("usable cutoffs", f"{len(panel.cutoffs)}, {panel.cutoffs.dates[0]} .. {newest.dates[0]}"),
        (
            "training, calibration, test",
            f"{len(blocks.train)}, {len(blocks.calibrate)}, {len(blocks.test)} cutoffs",
        ),
        ("eligible at the newest cutoff", f"{eligible:,}, of whom {lapsed:,} lapsed"),
        (
            f"smallest effect that a {holdout:.0%} holdout shows",
            f"{100 * effect:.1f} points in the lapse rate of {base_rate:.1%}",
        ),
    )
