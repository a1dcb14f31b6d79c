"""`churn check`: an audit of the input tables, and whether training is feasible."""

from __future__ import annotations

from pathlib import Path

from churn.campaigns.measurement.power import smallest_detectable_effect
from churn.commands.delivery.notes import preference_notes
from churn.commands.session import (
    Progress,
    Session,
    open_session,
    resolve_from_settings,
    silent,
)
from churn.commands.summaries.judgements import cutoffs_in_words
from churn.commands.summaries.overview import audit_table, overview_tables
from churn.data.overview import overview
from churn.data.terms import share_renewed
from churn.errors import GateError
from churn.modeling.dataset import Dataset, build_dataset
from churn.modeling.feasible import check_can_judge, check_feasible, feasibility_notes
from churn.modeling.panel import Panel
from churn.results.job_result import JobResult, Line, Table

LEAST_RENEWED = 0.05
"""A smaller share of customers with a second subscription is noted."""


def check(config: Path, *, as_of: str | None = None, progress: Progress = silent) -> JobResult:
    """The audit of every table and, if training is feasible, its panel, its number of positives and
    the minimum detectable effect of the configured holdout. Writes nothing.
    """
    with open_session("check", config, as_of=as_of, progress=progress) as session:
        progress("checking feasibility")
        feasible: tuple[Line, ...] = ()
        warnings: tuple[str, ...] = ()
        resolved: dict[str, object] = {}
        try:
            panel = _panel(session)
            judged = panel.judged
            dataset = build_dataset(session.tables, judged.cutoffs, judged.clock, names=())
            if panel.trial is None:
                check_feasible(dataset, judged)
            else:
                check_can_judge(dataset.only(judged.blocks.test))
            feasible, resolved = _feasible(session, panel, dataset), panel.to_dict()
            warnings = feasibility_notes(session.tables, dataset, judged)
        except GateError as failure:
            warnings = (f"training is not feasible yet: {failure}",)
        audits = session.tables.audits
        months = overview(session.tables, as_of=session.as_of)
        notes = tuple(f"{name}: {note}" for name, audit in audits.items() for note in audit.notes)
        notes = (*_read_from(session), *notes)
        return JobResult(
            command="check",
            run_id=session.run_id,
            as_of=session.as_of,
            resolved=resolved,
            rows={name: audit.rows_kept for name, audit in audits.items()},
            audits=audits,
            metrics={} if months is None else {"overview": months.to_dict()},
            warnings=(*warnings, *notes, *preference_notes(session), *in_place_notes(session)),
            tables=(
                audit_table(audits),
                _ids_table(session),
                *overview_tables(months),
                *([Table("Training", ("", ""), feasible)] if feasible else []),
            ),
        )


def _read_from(session: Session) -> tuple[str, ...]:
    """The addresses of tables in databases; files are named in the configuration."""
    tables = {} if session.tables.fetched is None else session.tables.fetched.tables
    return tuple(f"{table}: read from {fetched.address}" for table, fetched in tables.items())


def _panel(session: Session) -> Panel:
    if not session.tables.audits["orders"].rows_kept:
        raise GateError("a model needs orders to learn from", got="0 usable rows")
    return resolve_from_settings(session)


def _feasible(session: Session, panel: Panel, dataset: Dataset) -> tuple[Line, ...]:
    judged = panel.judged
    newest = judged.cutoffs.only(judged.cutoffs.dates[-1:])
    rows = dataset.only(newest).eligible
    lapsed, eligible = int(rows["lapse"].sum()), len(rows)
    blocks = judged.blocks
    first, last = session.tables.span()
    return (
        ("orders", f"{session.tables.count('orders'):,} from {first} to {last}"),
        ("horizon, lookback", f"{panel.clock.horizon_days} days, {panel.clock.lookback_days} days"),
        ("usable cutoffs", cutoffs_in_words(panel.cutoffs)),
        (
            ("judged", f"provisionally, with {judged.clock.horizon_days} days at {newest.dates[0]}")
            if panel.trial is not None
            else (
                "training, calibration, test",
                f"{len(blocks.train)}, {len(blocks.calibrate)}, {len(blocks.test)} cutoffs",
            )
        ),
        ("eligible at the newest cutoff", f"{eligible:,}, of which {lapsed:,} lapsed"),
        _smallest_effect(session.settings.offers.holdout, eligible, lapsed),
    )


def _smallest_effect(holdout: float, eligible: int, lapsed: int) -> Line:
    """The minimum detectable effect of the holdout, or why there is none."""
    if not holdout:
        return "minimum detectable effect", "none: [offers] holdout = 0"
    title = f"minimum detectable effect, {holdout:.0%} holdout"
    if lapsed in (0, eligible):
        return title, "undefined: all or none of the eligible customers lapsed"
    effect = smallest_detectable_effect(lapsed / eligible, eligible, holdout=holdout)
    return title, f"{100 * effect:.1f} points of the lapse rate of {lapsed / eligible:.1%}"


def _ids_table(session: Session) -> Table:
    """How many ids of each table occur in the orders, and vice versa."""
    matches = [audit.ids for audit in session.tables.audits.values() if audit.ids is not None]
    rows = tuple(
        (
            match.table,
            match.column,
            f"{match.known:,} of {match.ids:,}",
            f"{match.found:,} of {match.ids_of_orders:,}",
        )
        for match in matches
    )
    return Table("Ids", ("table", "id", "found in orders", "orders' ids found"), rows)


def in_place_notes(session: Session) -> tuple[str, ...]:
    """A warning if hardly any subscription follows another and there is no `loaded_at` to separate
    versions: then renewals may have changed the expiry in place, which leaks the future.
    """
    tables = session.tables
    if not tables.has("subscriptions") or "loaded_day" in tables.columns("subscriptions"):
        return ()
    share = share_renewed(tables)
    if share is None or share >= LEAST_RENEWED:
        return ()
    return (
        f"subscriptions: only {share:.1%} of the customers have a second one. If a renewal changes "
        "expires_at in the same row, the model learns from the future: write one row per term, or "
        "keep each version with its loaded_at",
    )
