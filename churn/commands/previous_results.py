"""Results that exist already: their tables, scores to compare with, implausible replacements.

Each run of `churn score` stores figures about its data in the manifest of its scores. The next run
with the same output compares its own figures with them, and stops if they differ implausibly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.campaigns.delivery.planned import LIST_SCHEMA
from churn.commands.customer_lists import customers_in
from churn.commands.session import Session
from churn.data.days import date_of
from churn.errors import ChurnError, ConfigError, DataError
from churn.offers.plan_table import PLAN_SCHEMA
from churn.results.output import read_result
from churn.scoring.changes import EarlierScores
from churn.scoring.score import SCORE_SCHEMA
from churn.storage.manifests import verify_file
from churn.storage.postgres.address import Place
from churn.storage.postgres.layout import Layout
from churn.storage.postgres.target import customers_of_run, facts_of_run, has_run

_RUN = ("run_id", "customer_id")

SCORES = Layout(SCORE_SCHEMA, key=_RUN, replaces={"run_id": "run_id"}, keeps_runs=True)
PLANS = Layout(PLAN_SCHEMA, key=_RUN, replaces={"run_id": "run_id"}, keeps_runs=True)
LISTS = Layout(
    LIST_SCHEMA,
    key=("campaign_id", "as_of", "customer_id"),
    replaces={"campaign_id": "campaign_id", "as_of": "plan_as_of"},
    keeps_runs=False,
)
"""A list replaces the earlier one of the same campaign and date, as in a file."""

MOST_LOST = 0.25
"""The share of customers or orders of the last run that may be missing."""
MOST_FEWER_ELIGIBLE = 0.5
MOST_TIMES = 2.0
"""The factor by which the median order and the mean risk may change."""
LEAST_RISK_STEP = 0.05
"""A smaller absolute change of the mean risk is ignored."""
COMPARABLE_DAYS = 60
"""After more days, the shop may have changed: then only its data are compared."""
MOST_DAYS_BACK = 2
MOST_LATE_DAYS = 14
HISTORIC_DAYS = 31
"""Data that ended longer before the run is historic, and its lateness is not checked."""

TYPICAL = "median(CASE WHEN amount > 0 THEN amount END) AS typical"

NEEDED = {
    *("customer_id", "as_of", "horizon_days", "status"),
    *("churn_probability", "at_risk", "model_id"),
}
"""The columns of scores that are compared."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures about the data and the scores of one run.

    `late_days` is the usual number of days from the last order to the run.
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
        """The figures in a manifest; None if it has none, as in older releases."""
        figures = (facts or {}).get("figures")
        try:
            return cls(**figures) if isinstance(figures, Mapping) else None
        except TypeError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON for the manifest."""
        return asdict(self)


def figures_of(session: Session, scores: pa.Table, horizon_days: int) -> Figures:
    """The figures of a run that is about to write its scores; of these, `status` and
    `churn_probability` are read.
    """
    columns = f"count(*) AS n, {TYPICAL}, max(local_day) AS last_day"
    instant = session.snapshot.instant
    sql = f"SELECT {columns} FROM orders WHERE day < {instant!r}"  # noqa: S608 - a number
    counted = session.tables.engine.rows(sql)[0]
    last = None if counted["last_day"] is None else date_of(int(str(counted["last_day"])))
    is_eligible = pc.equal(scores["status"], "eligible")
    risk = pc.mean(scores["churn_probability"].filter(is_eligible)).as_py()
    typical = counted["typical"]
    return Figures(
        as_of=str(session.as_of),
        customers=scores.num_rows,
        eligible=pc.sum(is_eligible).as_py() or 0,
        orders=int(str(counted["n"])),
        median_order=None if typical is None else round(float(str(typical)), 6),
        mean_risk=None if risk is None else round(risk, 6),
        horizon_days=horizon_days,
        last_order=None if last is None else str(last),
        late_days=None if last is None else (datetime.now(UTC).date() - last).days,
    )


def _last_figures(session: Session, out: Place) -> tuple[Figures | None, bool]:
    """The figures of the scores in `out`, else of the last scores on record, and whether they are
    those to be replaced.
    """
    facts = _facts_at(out)
    if facts is not None:
        return Figures.read(facts), True
    runs = session.ledger.runs("score")
    recorded = (Figures.read(run.facts) for run in runs if run.status == "done")
    return next((figures for figures in recorded if figures is not None), None), False


def _facts_at(out: Place) -> dict[str, Any] | None:
    """The contents of the manifest of `out`, if it is valid."""
    try:
        if isinstance(out, Path):
            return verify_file(out) if out.is_file() else None
        return facts_of_run(out)
    except ChurnError:  # a damaged result needs no protection
        return None


def changes_between(
    now: Figures, then: Figures, *, gone: float = 0.0, asked: bool, quiet_days: int
) -> str | None:
    """The implausible changes from one run to the next, as text; None if there are none.

    A date that was `asked` for may be before that of the last run. `quiet_days` is the longest
    usual time without an order in this shop.
    """
    backwards = asked and now.as_of < then.as_of
    changes = [*_of_amounts(now, then)]
    if not backwards:
        changes += [*_of_counts(now, then, gone)]
        changes += [] if asked else [*_of_end(now, then, quiet_days)]
        changes += [*_of_risk(now, then)]
    return "; ".join(changes) or None


def _of_counts(now: Figures, then: Figures, gone: float) -> Iterator[str]:
    if now.customers < (1 - MOST_LOST) * then.customers:
        yield f"{then.customers:,} customers before, {now.customers:,} now"
    elif gone > MOST_LOST:
        yield f"{gone:.0%} of the previous {then.customers:,} customers are missing now"
    if now.orders < (1 - MOST_LOST) * then.orders:
        yield f"{then.orders:,} orders before, {now.orders:,} now"


def _of_amounts(now: Figures, then: Figures) -> Iterator[str]:
    new, old = now.median_order, then.median_order
    if new and old and not 1 / MOST_TIMES <= new / old <= MOST_TIMES:
        yield f"median order {old:,.2f} before, {new:,.2f} now"


def _of_end(now: Figures, then: Figures, quiet_days: int) -> Iterator[str]:
    if now.last_order is None or then.last_order is None:
        return
    new, old = date.fromisoformat(now.last_order), date.fromisoformat(then.last_order)
    if (old - new).days > MOST_DAYS_BACK:
        yield f"last order on {old} before, on {new} now"
        return
    usual, late = then.late_days, now.late_days
    if usual is None or late is None or usual > HISTORIC_DAYS:
        return
    if late > usual + max(MOST_LATE_DAYS, quiet_days):
        yield f"last order {usual} days before the previous run, {late} days before this one"


def _of_risk(now: Figures, then: Figures) -> Iterator[str]:
    apart = date.fromisoformat(now.as_of) - date.fromisoformat(then.as_of)
    if now.horizon_days != then.horizon_days or abs(apart.days) > COMPARABLE_DAYS:
        return
    if now.eligible < (1 - MOST_FEWER_ELIGIBLE) * then.eligible:
        yield f"{then.eligible:,} eligible customers before, {now.eligible:,} now"
    new, old = now.mean_risk, then.mean_risk
    if new is None or old is None or abs(new - old) < LEAST_RISK_STEP:
        return
    if not 1 / MOST_TIMES <= new / old <= MOST_TIMES:
        yield f"mean churn probability of eligible customers {old:.1%} before, {new:.1%} now"


def guarded(
    session: Session,
    out: Place,
    customer_ids: pa.ChunkedArray,
    now: Figures,
    *,
    asked: bool,
    accept_change: bool,
) -> tuple[Figures, tuple[str, ...]]:
    """The figures to store with the scores, and notes. DataError if the scores to be replaced
    differ implausibly, unless `accept_change`.
    """
    then, replaces = _last_figures(session, out)
    if then is None:
        return now, ()
    gone = _share_gone(out, customer_ids) if replaces else 0.0
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
    """Notes, or DataError if the result has far fewer customers than the one that it would replace.
    A date that was `asked` for may have fewer customers than a later one.
    """
    facts = _facts_at(out) or {}
    then, when = facts.get("rows"), facts.get("as_of")
    if not isinstance(then, int) or rows >= (1 - MOST_LOST) * then:
        return ()
    if asked and (when is None or str(session.as_of) < when):
        return ()
    changed = f"{then:,} customers before, {rows:,} now"
    return _accepted(changed, when or "an older release", accept_change)


def _share_gone(out: Place, customer_ids: pa.ChunkedArray) -> float:
    """The share of the customers in the scores at `out` that are not scored now."""
    if isinstance(out, Path) and out.suffix not in (".parquet", ".csv"):
        return 0.0
    before = customers_in(out) if isinstance(out, Path) else customers_of_run(out)
    ids = pa.array(before, pa.string())
    found = pc.sum(pc.is_in(ids, value_set=customer_ids)).as_py() or 0
    return (len(ids) - found) / max(len(ids), 1)


def _accepted(changed: str, when: str, accept_change: bool) -> tuple[str, ...]:
    if not accept_change:
        raise DataError(
            "a result must not differ implausibly from the one that it replaces",
            got=changed,
            fix="Nothing was replaced. Check the input files and churn.toml; if the change is "
            "correct, run it again with --accept-change.",
        )
    return (f"large changes since the last run ({when}): {changed}",)


def _usual_lateness(now: Figures, then: Figures) -> int | None:
    known = [days for days in (now.late_days, then.late_days) if days is not None]
    return min(known, default=None)


def earlier_scores(
    out: Place, since: Place | None, *, as_of: date
) -> tuple[EarlierScores | None, tuple[str, ...]]:
    """The scores of an earlier date in `since`, otherwise in `out`, and warnings.

    If `out` contains scores of this date, the scores that those were compared with are used, so
    that a run can be repeated. Scores that cannot be compared are an error only in `since`.
    """
    if since is not None:
        return _earlier(since, as_of), ()
    if not (out.is_file() if isinstance(out, Path) else has_run(out)):
        return None, ()
    if isinstance(out, Path) and out.suffix != ".parquet":
        return None, (
            f"{out.name} has no column types to compare with: pass a .parquet with --since",
        )
    try:
        return _earlier(out, as_of), ()
    except ChurnError as failure:
        return None, (f"not compared with {_name(out)}: {failure}",)


def _earlier(place: Place, as_of: date) -> EarlierScores | None:
    scores, facts = read_result(place, SCORES)
    missing = NEEDED - set(scores.schema.names)
    if missing:
        rule = f"{_name(place)} must contain scores of `churn score`"
        raise DataError(rule, got=f"no column {sorted(missing)}", fix="Pass another file.")
    earlier = EarlierScores.of(scores, facts)
    if earlier is None or earlier.as_of < as_of:
        return earlier
    if earlier.as_of == as_of:
        return EarlierScores.behind(scores, facts or {})
    rule = f"scores to compare with must have a date before {as_of}"
    raise ConfigError(rule, got=earlier.as_of, fix="Pass earlier scores.")


def _name(place: Place) -> str:
    return place.name if isinstance(place, Path) else str(place)
