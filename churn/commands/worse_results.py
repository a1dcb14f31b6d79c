"""A good file of scores, or a plan, is not replaced by a worse one unasked.

Each run leaves figures of its data in the manifest of its scores. The next run to the same place
compares its own with them, and stops where they differ by more than one run to the next can.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.commands.earlier_scores import customers_in
from churn.commands.session import Session
from churn.data.days import date_of
from churn.errors import ChurnError, DataError
from churn.storage.manifests import verify_file
from churn.storage.postgres.address import Place
from churn.storage.postgres.target import customers_of_run, facts_of_run

MOST_LOST = 0.25
"""Customers or orders of the last run that may be gone."""
MOST_FEWER_ELIGIBLE = 0.5
MOST_TIMES = 2.0
"""So many times larger or smaller the median order and the mean risk may become."""
LEAST_RISK_STEP = 0.05
"""A mean risk that moves by less than this many points has not moved."""
COMPARABLE_DAYS = 60
"""After more days than these a shop may have changed: then only its data are compared."""
MOST_DAYS_BACK = 2
MOST_LATE_DAYS = 14
HISTORIC_DAYS = 31
"""Data that ended longer ago than this when it was scored is history, and nothing is late."""

TYPICAL = "median(CASE WHEN amount > 0 THEN amount END) AS typical"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run knew of its data and said of its customers.

    `late_days` is how long before the run the last order came, as it usually is.
    """

    as_of: str
    customers: int
    eligible: int
    orders: int
    median_order: float | None
    mean_risk: float | None
    horizon_days: int
    last_order: str | None
    late_days: int | None

    @classmethod
    def read(cls, facts: Mapping[str, Any] | None) -> Figures | None:
        """Those in a manifest; None where it has none, as of older releases."""
        told = (facts or {}).get("figures")
        try:
            return cls(**told) if isinstance(told, Mapping) else None
        except TypeError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON for the manifest."""
        return asdict(self)


def figures_of(session: Session, scores: pa.Table, horizon_days: int) -> Figures:
    """Those of a run that is about to write its scores."""
    shown = f"count(*) AS n, {TYPICAL}, max(local_day) AS last_day"
    instant = session.snapshot.instant
    sql = f"SELECT {shown} FROM orders WHERE day < {instant!r}"  # noqa: S608 - a number
    counted = session.tables.engine.rows(sql)[0]
    known = counted["last_day"] is not None
    last = date_of(int(str(counted["last_day"]))) if known else None
    eligible = scores.filter(pc.equal(scores["status"], "eligible"))
    risk = pc.mean(eligible["churn_probability"]).as_py()
    typical = counted["typical"]
    return Figures(
        as_of=str(session.as_of),
        customers=scores.num_rows,
        eligible=eligible.num_rows,
        orders=int(str(counted["n"])),
        median_order=None if typical is None else round(float(str(typical)), 6),
        mean_risk=None if risk is None else round(risk, 6),
        horizon_days=horizon_days,
        last_order=None if last is None else str(last),
        late_days=None if last is None else (datetime.now(UTC).date() - last).days,
    )


def _last_figures(session: Session, out: Place) -> tuple[Figures | None, bool]:
    """The figures of the scores that lie at `out`, else of the last scores on record, and whether
    they are those that would be replaced.
    """
    facts = _facts_at(out)
    there = Figures.read(facts)
    if facts is not None:
        return there, True
    runs = session.ledger.runs("score")
    found = (Figures.read(run.facts) for run in runs if run.status == "done")
    return next((figures for figures in found if figures is not None), None), False


def _facts_at(out: Place) -> dict[str, Any] | None:
    """What the manifest at `out` tells, if it has one that can be believed."""
    try:
        if isinstance(out, Path):
            return verify_file(out) if out.is_file() else None
        return facts_of_run(out)
    except ChurnError:  # what is damaged is nobody's good file
        return None


def changes_between(
    now: Figures, then: Figures, *, gone: float = 0.0, asked: bool, quiet_days: int
) -> str | None:
    """What changed more than it may from one run to the next, in words; None where nothing did.

    A date that was `asked` for may lie before that of the last run. `quiet_days` is how long this
    shop may be without an order.
    """
    backwards = asked and now.as_of < then.as_of
    found = [*_of_amounts(now, then)]
    if not backwards:
        found += [*_of_counts(now, then, gone)]
        found += [] if asked else [*_of_end(now, then, quiet_days)]
        found += [*_of_risk(now, then)]
    return "; ".join(found) or None


def _of_counts(now: Figures, then: Figures, gone: float) -> Iterator[str]:
    if now.customers < (1 - MOST_LOST) * then.customers:
        yield f"{then.customers:,} customers then and {now.customers:,} now"
    elif gone > MOST_LOST:
        yield f"{gone:.0%} of the {then.customers:,} customers then are unknown now"
    if now.orders < (1 - MOST_LOST) * then.orders:
        yield f"{then.orders:,} orders then and {now.orders:,} now"


def _of_amounts(now: Figures, then: Figures) -> Iterator[str]:
    new, old = now.median_order, then.median_order
    if new and old and not 1 / MOST_TIMES <= new / old <= MOST_TIMES:
        yield f"a median order of {old:,.2f} then and {new:,.2f} now"


def _of_end(now: Figures, then: Figures, quiet_days: int) -> Iterator[str]:
    if now.last_order is None or then.last_order is None:
        return
    new, old = date.fromisoformat(now.last_order), date.fromisoformat(then.last_order)
    if (old - new).days > MOST_DAYS_BACK:
        yield f"a last order on {old} then and on {new} now"
        return
    usual, late = then.late_days, now.late_days
    if usual is None or late is None or usual > HISTORIC_DAYS:
        return
    if late > usual + max(MOST_LATE_DAYS, quiet_days):
        yield f"a last order {usual} days before the run then and {late} days before it now"


def _of_risk(now: Figures, then: Figures) -> Iterator[str]:
    apart = date.fromisoformat(now.as_of) - date.fromisoformat(then.as_of)
    if now.horizon_days != then.horizon_days or abs(apart.days) > COMPARABLE_DAYS:
        return
    if now.eligible < (1 - MOST_FEWER_ELIGIBLE) * then.eligible:
        yield f"{then.eligible:,} eligible customers then and {now.eligible:,} now"
    new, old = now.mean_risk, then.mean_risk
    if new is None or old is None or abs(new - old) < LEAST_RISK_STEP:
        return
    if not 1 / MOST_TIMES <= new / old <= MOST_TIMES:
        yield f"a mean P(lapse) of the eligible of {old:.1%} then and {new:.1%} now"


def guarded(
    session: Session,
    out: Place,
    scores: pa.Table,
    now: Figures,
    *,
    asked: bool,
    accept_change: bool,
) -> tuple[Figures, tuple[str, ...]]:
    """The figures to leave beside the scores, and notes. DataError where scores would be replaced
    that differ by more than a run may change, unless that is to be accepted.
    """
    then, replaces = _last_figures(session, out)
    if then is None:
        return now, ()
    gone = _share_gone(out, scores) if replaces else 0.0
    changed = changes_between(
        now, then, gone=gone, asked=asked, quiet_days=session.tables.quiet_days
    )
    if changed is None:
        return replace(now, late_days=_usual_lateness(now, then)), ()
    elsewhere = "" if replaces else ", written elsewhere"
    return now, _accepted(changed, then.as_of + elsewhere, accept_change or not replaces)


def guarded_rows(
    session: Session, out: Place, rows: int, *, asked: bool, accept_change: bool
) -> tuple[str, ...]:
    """Notes, or DataError where a result of fewer customers than a run may lose would replace one
    at `out`. A date that was `asked` for may have fewer customers than a later one.
    """
    facts = _facts_at(out) or {}
    then, when = facts.get("rows"), facts.get("as_of")
    if not isinstance(then, int) or rows >= (1 - MOST_LOST) * then:
        return ()
    if asked and (when is None or str(session.as_of) < when):
        return ()
    changed = f"{then:,} customers then and {rows:,} now"
    return _accepted(changed, when or "of an older release", accept_change)


def _share_gone(out: Place, scores: pa.Table) -> float:
    """The share of the customers in the scores at `out` who have none now."""
    if isinstance(out, Path) and out.suffix not in (".parquet", ".csv"):
        return 0.0
    ids = customers_in(out) if isinstance(out, Path) else customers_of_run(out)
    gone = ids - set(scores.column("customer_id").to_pylist())
    return len(gone) / max(len(ids), 1)


def _accepted(changed: str, when: str, accept_change: bool) -> tuple[str, ...]:
    if not accept_change:
        raise DataError(
            "a result must not differ as much as this from the one that it replaces",
            got=changed,
            fix="Nothing was replaced. Check the export and churn.toml; if the change is right, "
            "run it again with --accept-change.",
        )
    return (f"much has changed since the last run ({when}): {changed}",)


def _usual_lateness(now: Figures, then: Figures) -> int | None:
    known = [days for days in (now.late_days, then.late_days) if days is not None]
    return min(known, default=None)
