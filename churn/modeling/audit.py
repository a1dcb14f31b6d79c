"""Leakage audit: features that contain information from after the cutoff.

`alone`: a single feature ranks the lapses at later cutoffs almost perfectly, and better than past
orders alone can in this shop, as only a column derived from the label does. `days`: a feature that
has seen the first days after the cutoff is correlated with purchases on those days, but not on the
days soon after; correlations that stem from the past fade slowly.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.arrays import Floats
from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.engines.base import Frame
from churn.data.tables import Tables
from churn.features.catalogue import CATALOGUE
from churn.modeling.dataset import Dataset
from churn.modeling.metrics import Interval, bootstrap_metrics

BLIND_SOURCES = frozenset({"orders", "order_lines"})
LEAST_BOUND = 0.9
BINS = 20
LEAST_POSITIVES = 30
LEAST_STEP = 0.15
DEVIATIONS = 6.0
DAYS_AFTER = 7
MOST_CUSTOMERS = 10_000
RIDGE = 1e-4  # collinear features share their weight, and no matrix is singular
MOST_DEVIATIONS = 5.0


def purchases_ahead(
    tables: Tables, cutoffs: Cutoffs, customers: Sequence[str], *, days: int
) -> Frame:
    """One row per purchase day of those customers among the first `days` from each cutoff, before
    the panel's `until`: customer_id, cutoff and `days_ahead`, which is 0 on the cutoff itself.

    Of several versions of an order the newest counts.
    """
    wanted = tables.engine.values({"customer_id": list(customers)})
    dates = tables.engine.values({"cutoff": [day_number(cutoff) for cutoff in cutoffs]})
    joined = _bought(tables).join(wanted, on="customer_id", how="inner").join(dates, how="cross")
    ahead = nw.col("local_day") - nw.col("cutoff")
    known = nw.col("local_day") < day_number(cutoffs.until)
    inside = joined.filter((ahead >= 0) & (ahead < days) & known)
    return inside.select("customer_id", "cutoff", days_ahead=ahead).unique()


def _bought(tables: Tables) -> Frame:
    orders = tables.frame("orders").filter(nw.col("amount") > 0)
    if "superseded_day" in orders.collect_schema().names():
        orders = orders.filter(nw.col("superseded_day").is_null())
    return orders.select("customer_id", "local_day")


@dataclass(frozen=True)
class Leak:
    """A leaking feature, the kind of evidence, and the reason as text."""

    feature: str
    kind: str
    reason: str
    figures: dict[str, Any]


def is_blind(feature: str) -> bool:
    """Whether a feature is blind to the future by construction, provided that dates are right.

    It is a built-in feature, whose builder the tests prove blind, derived only from orders and
    order lines: who bought what, when, and for how much. Other columns may have been filled in
    later, and a user's own feature may read anything.
    """
    one = CATALOGUE.get(feature)
    return one is not None and one.is_shipped and one.needs <= BLIND_SOURCES


def is_of(feature: str, tables: Collection[str]) -> bool:
    """Whether it is a built-in feature that reads only those tables."""
    one = CATALOGUE.get(feature)
    return (
        one is not None
        and one.is_shipped
        and {need.split(".")[0] for need in one.needs} <= {*tables}
    )


def audit_alone(learnt: Dataset, later: Dataset, *, rule_auc: float) -> tuple[Leak, ...]:
    """Features that on their own rank the lapses of `later` above a bound, in either direction.

    Each feature is scored by the lapse rates of its bins (20, and one for missing values) in
    `learnt`. The bound is halfway between 1 and the best AUC that past orders alone achieve, with
    the best baseline or with a feature that is blind by construction (`is_blind`), and at least .9.
    In a shop with a regular rhythm, as with a weekly box or Christmas business, that is high. The
    whole 95 % interval must lie above the bound. Blind features themselves are exempt.
    """
    past, rows = learnt.eligible, later.eligible
    target = rows["lapse"].to_numpy()
    if min(target.sum(), (1 - target).sum()) < LEAST_POSITIVES:
        return ()
    rates = {
        name: _binned_rate(past[name], past["lapse"].to_numpy(), rows[name])
        for name in later.feature_names
    }
    auc = {name: _auc(target, rate, rows, replicates=1) for name, rate in rates.items()}
    blind = [auc[name].estimate for name in auc if is_blind(name)]
    bound = max(LEAST_BOUND, (1 + max([rule_auc, *blind])) / 2)
    found = []
    for name in (name for name in auc if not is_blind(name) and auc[name].estimate > bound):
        one = _auc(target, rates[name], rows)
        if one.low > bound:
            found.append(_alone(name, one.estimate, bound))
    return tuple(sorted(found, key=lambda leak: -leak.figures["roc_auc"]))


def _auc(target: Floats, rate: Floats, rows: pd.DataFrame, *, replicates: int = 200) -> Interval:
    customer = rows["customer_id"]
    return bootstrap_metrics(target, rate, customer, replicates=replicates, seed=0)["roc_auc"]


def _alone(name: str, auc: float, bound: float) -> Leak:
    reason = (
        f"the feature {name!r} alone ranks later lapses with an AUC of {auc:.3f}, above "
        f"{bound:.3f}: it seems to contain the label"
    )
    return Leak(name, "alone", reason, {"roc_auc": auc, "bound": bound})


def _binned_rate(past: pd.Series[float], lapse: Floats, later: pd.Series[float]) -> Floats:
    """The smoothed lapse rate of each later value's bin; bins are quantiles of the past."""
    then = np.asarray(past.to_numpy("float64", na_value=np.nan))
    now = np.asarray(later.to_numpy("float64", na_value=np.nan))
    inside = then[np.isfinite(then)]
    shares = np.arange(1, BINS) / BINS
    edges = np.unique(np.quantile(inside, shares).astype(float)) if inside.size else inside
    bins = len(edges) + 2
    where = _bin(edges, then)
    rows, lapsed = np.bincount(where, minlength=bins), np.bincount(where, lapse, bins)
    rate = (lapsed + lapse.mean()) / (rows + 1)
    return np.asarray(rate[_bin(edges, now)])


def _bin(edges: NDArray[Any], values: NDArray[Any]) -> NDArray[np.intp]:
    """The bin of each value; the last bin holds missing values."""
    found = np.searchsorted(edges, values, side="left")
    return np.where(np.isnan(values), len(edges) + 1, np.minimum(found, len(edges)))


def sample_customers(dataset: Dataset, *, most: int = MOST_CUSTOMERS, seed: int = 0) -> Dataset:
    """The eligible rows of a random sample of at most 10,000 customers, enough to detect a leak."""
    rows = dataset.eligible
    customers = np.unique(rows["customer_id"].to_numpy(dtype=object))
    if len(customers) > most:
        drawn = np.random.default_rng(seed).choice(customers, most, replace=False)
        rows = rows[rows["customer_id"].isin(drawn)]
    return replace(dataset, rows=rows)


def purchase_days_ahead(tables: Tables, dataset: Dataset) -> pd.DataFrame:
    """The input of `audit_days`: customer_id, cutoff and days_ahead, one row per purchase day among
    the days examined after each cutoff.
    """
    customers = dataset.rows["customer_id"].unique().tolist()
    if not customers:
        return pd.DataFrame({"customer_id": [], "cutoff": [], "days_ahead": []})
    ahead = purchases_ahead(tables, dataset.cutoffs, customers, days=_days_looked_at(dataset))
    return pd.DataFrame(tables.engine.collect(ahead).to_pandas())


def audit_days(dataset: Dataset, ahead: pd.DataFrame) -> tuple[Leak, ...]:
    """Features that see the first days after the cutoff, including the cutoff itself.

    For each day ahead, the partial correlation of a feature with a purchase on that day is
    computed, given all other features. A leak of k days shows as a step: the last of these k
    correlations, and their median, exceed those of all seven following days by more than .15 and by
    more than six standard errors. The worst feature is reported and removed, and the others are
    tested again, because a leak also lends weight to its neighbours. Once no single feature shows a
    step, each family is tested as a whole, because features derived from the same leaking rows mask
    one another.
    """
    rows = _known_rows(dataset)
    if rows.empty:
        return ()
    names = [name for name in dataset.feature_names if rows[name].nunique() > 1]
    moments = _moments(rows[names], _bought_matrix(rows, ahead, _days_looked_at(dataset)))
    bound = max(LEAST_STEP, DEVIATIONS * np.sqrt(2 / len(rows)))
    found: list[Leak] = []
    while names:
        step = _worst_step(names, *moments, bound=bound)
        if step.height <= bound:
            break
        found.append(_sees_days(step, bound))
        worst = names.index(step.feature)
        names.pop(worst)
        moments = _without(moments, worst)
    return tuple(found)


@dataclass(frozen=True)
class _Step:
    """Correlation of a feature, or its family, with the first `days` days and with those after."""

    feature: str
    family: str | None
    days: int
    seen: float
    after: float

    @property
    def height(self) -> float:
        return self.seen - self.after


def _worst_step(names: list[str], among: Floats, ties: Floats, *, bound: float) -> _Step:
    """The highest step of a single feature, or of a family if no single one exceeds the bound; a
    family is represented by its feature with the highest step.
    """
    model = _Linear.of(among, ties)
    single = np.stack([model.tie([number]) for number in range(len(names))])
    steps = _steps(single)
    worst, last = np.unravel_index(np.argmax(steps.height), steps.height.shape)
    if steps.height[worst, last] > bound:
        return steps.at(int(worst), int(last), names[int(worst)], None)
    families = _families(names)
    whole = _steps(np.stack([model.tie(members) for members in families.values()]))
    row, last = np.unravel_index(np.argmax(whole.height), whole.height.shape)
    family, members = list(families.items())[int(row)]
    named = max(members, key=lambda member: steps.height[member, last])
    return whole.at(int(row), int(last), names[named], family if len(members) > 1 else None)


def _families(names: list[str]) -> dict[str, list[int]]:
    """Positions of the features by family; an undeclared feature is a family of its own."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        family = CATALOGUE[name].family if name in CATALOGUE else name
        found.setdefault(family, []).append(number)
    return found


def _sees_days(step: _Step, bound: float) -> Leak:
    which = "the cutoff's own day"
    if step.days > 1:
        which = f"the first {step.days} days from the cutoff on"
    who, whose = f"the feature {step.feature!r} sees", "its"
    if step.family is not None:
        who = f"the feature {step.feature!r}, with others of its family {step.family!r}, sees"
        whose = "their"
    reason = (
        f"{who} {which}: {whose} correlation with a purchase then, given the other features, is "
        f"{step.seen:.2f}, and at most {step.after:.2f} in the week after"
    )
    figures = {"days": step.days, "seen": step.seen, "after": step.after, "bound": float(bound)}
    return Leak(step.feature, "days", reason, figures)


def _days_looked_at(dataset: Dataset) -> int:
    return dataset.clock.horizon_days + DAYS_AFTER


def _known_rows(dataset: Dataset) -> pd.DataFrame:
    """Eligible rows whose days ahead are all before the panel's end."""
    newest = day_number(dataset.cutoffs.until) - _days_looked_at(dataset)
    rows = dataset.eligible
    return rows[rows["cutoff"] <= newest].reset_index(drop=True)


def _bought_matrix(rows: pd.DataFrame, ahead: pd.DataFrame, days: int) -> Floats:
    """Whether the customer of each row bought on each of the days ahead, shape (rows, days)."""
    keys = rows[["customer_id", "cutoff"]].assign(row=np.arange(len(rows)))
    met = keys.merge(ahead, on=["customer_id", "cutoff"])
    bought = np.zeros((len(rows), days))
    bought[met["row"].to_numpy(), met["days_ahead"].to_numpy(dtype=int)] = 1.0
    return bought


def _moments(features: pd.DataFrame, bought: Floats) -> tuple[Floats, Floats]:
    """Correlations among features, and of each feature with a purchase on each day."""
    matrix, days = _standardised(features), bought - bought.mean(axis=0, keepdims=True)
    often_enough = bought.sum(axis=0) >= LEAST_POSITIVES
    scale = np.where(often_enough, bought.std(axis=0), np.inf)
    among = matrix.T @ matrix / len(matrix)
    among[np.diag_indices_from(among)] += RIDGE
    return among, matrix.T @ (days / scale) / len(matrix)


def _standardised(features: pd.DataFrame) -> Floats:
    """Signed logarithms, centred, scaled and clipped; missing values are set to the mean."""
    raw = features.to_numpy("float64", na_value=np.nan)
    sizes = np.sign(raw) * np.log1p(np.abs(raw))
    scale = np.nanstd(sizes, axis=0)
    scaled = (sizes - np.nanmean(sizes, axis=0)) / np.where(scale > 0, scale, 1.0)
    clipped = np.clip(np.nan_to_num(scaled), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return np.asarray(clipped - clipped.mean(axis=0))


@dataclass(frozen=True)
class _Steps:
    """Correlations up to the last day seen and after it, by feature (or family) and last day."""

    seen: Floats
    after: Floats

    @property
    def height(self) -> Floats:
        return np.asarray(self.seen - self.after)

    def at(self, row: int, last: int, feature: str, family: str | None) -> _Step:
        seen, after = float(self.seen[row, last]), float(self.after[row, last])
        return _Step(feature, family, last + 1, seen, after)


def _steps(tie: Floats) -> _Steps:
    lasts = range(tie.shape[1] - DAYS_AFTER)
    usual = np.stack([np.median(tie[:, : last + 1], axis=1) for last in lasts], axis=1)
    weeks = [tie[:, last + 1 : last + 1 + DAYS_AFTER].max(axis=1) for last in lasts]
    return _Steps(np.minimum(usual, tie[:, : len(lasts)]), np.stack(weeks, axis=1))


@dataclass(frozen=True)
class _Linear:
    """A purchase on each day as a linear function of all features."""

    inverse: Floats
    slopes: Floats
    left: Floats

    @classmethod
    def of(cls, among: Floats, ties: Floats) -> Self:
        inverse = np.asarray(np.linalg.inv(among), dtype=np.float64)
        slopes = inverse @ ties
        return cls(inverse, slopes, np.maximum(1 - (ties * slopes).sum(axis=0), RIDGE))

    def tie(self, members: list[int]) -> Floats:
        """The (multiple) partial correlation of some features with each day, given the others."""
        slopes = self.slopes[members]
        inner = np.linalg.solve(self.inverse[np.ix_(members, members)], slopes)
        gain = np.maximum((slopes * inner).sum(axis=0), 0.0)
        return np.asarray(np.sqrt(gain / (self.left + gain)))


def _without(moments: tuple[Floats, Floats], feature: int) -> tuple[Floats, Floats]:
    among, ties = moments
    kept = np.delete(np.delete(among, feature, axis=0), feature, axis=1)
    return kept, np.delete(ties, feature, axis=0)
