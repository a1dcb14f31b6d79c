"""From sums to metrics: one row per split, value and period, with rates and their references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from churn.analytics.costs import PeriodCosts
from churn.analytics.customer_base import MILLIONTHS
from churn.analytics.metric_sums import EVERYONE, MEASURES
from churn.analytics.periods import Period
from churn.analytics.splits import SEGMENT
from churn.analytics.survival import Z_95, kaplan_meier
from churn.arrays import Bools, Floats, Ints
from churn.data.history.columns import arrow_mask, arrow_numbers, whole_numbers

COUNTED = ("new", "won_back", "redeemers")
"""Counts that may be unknown."""


def arrow_counts(values: Floats | Ints) -> pa.Array:
    """Whole numbers, null where a count is NaN."""
    return arrow_numbers(np.asarray(values, dtype=np.float64)).cast(pa.int64())


def period_columns(periods: Sequence[Period], places: Ints) -> dict[str, pa.Array]:
    """The period of each row: its label, its bounds, and whether it is partial or truncated."""
    chosen = [periods[place] for place in places.tolist()]
    return {
        "period": pa.array([one.label for one in chosen], pa.string()),
        "start": pa.array([one.start for one in chosen], pa.date32()),
        "end": pa.array([one.end for one in chosen], pa.date32()),
        "is_partial": arrow_mask(np.array([one.is_partial for one in chosen], dtype=bool)),
        "is_truncated": arrow_mask(np.array([one.is_truncated for one in chosen], dtype=bool)),
    }


class Rows:
    """The rows of the table `periods`, made of sums."""

    def __init__(
        self,
        periods: Sequence[Period],
        sums: pa.Table,
        gaps: pa.Table,
        costs: PeriodCosts,
        late: Ints,
        redemptions: bool,
    ) -> None:
        self.periods = periods
        self.place = whole_numbers(sums["period"])
        self.split = sums["split"].to_pylist()
        self.value = sums["value"].to_pylist()
        self.sums = {name: whole_numbers(sums[name]) for name in MEASURES}
        self.gaps = gaps
        self.costs = costs
        self.late = late
        self.redemptions = redemptions

    def table(self) -> pa.Table:
        """One row per split, value and period."""
        columns: dict[str, pa.Array] = {
            "split": pa.array(self.split, pa.string()),
            "value": pa.array(self.value, pa.string()),
            **period_columns(self.periods, self.place),
        }
        for name, values in {**self._balance(), **self._purchases(), **self._money()}.items():
            columns[name] = arrow_counts(values) if name in COUNTED else arrow_numbers(values)
        return pa.table(columns)

    def margin_share(self, otherwise: float) -> float:
        """The margin of everyone in all periods as a share of net revenue."""
        net, margin = self._net(), int(self.sums["margin"][self._everyone].sum())
        return margin / net if net > 0 else otherwise

    @property
    def uncosted_share(self) -> float:
        """The share of net revenue whose cost of goods is unknown."""
        net = self._net()
        return int(self.sums["uncosted"][self._everyone].sum()) / net if net > 0 else 0.0

    def _net(self) -> int:
        net = self.sums["gross_revenue"] - self.sums["refunds"]
        return int(net[self._everyone].sum())

    def _balance(self) -> dict[str, Floats | Ints]:
        sums, rated = self.sums, ~self._flag("is_truncated")
        rate, low, high = wilson(sums["kept"], sums["active_at_start"])
        hidden = np.where(rated, 1.0, np.nan)
        return {
            "active_at_start": sums["active_at_start"],
            "kept": sums["kept"],
            "lost": sums["lost"],
            "arrived": sums["new"] + sums["won_back"],
            "new": sums["new"] * hidden,
            "won_back": sums["won_back"] * hidden,
            "active_at_end": sums["active_at_end"],
            "retention_rate_percent": rate * hidden,
            "retention_rate_percent_low": low * hidden,
            "retention_rate_percent_high": high * hidden,
            "churn_rate_percent": (100 - rate) * hidden,
            "retention_rate_last_year_percent": np.where(
                self._is_of(SEGMENT), np.nan, self._of("last_year", rate)
            ),
            "retention_rate_before_percent": self._of("before", rate),
        }

    def _purchases(self) -> dict[str, Floats | Ints]:
        sums = self.sums
        median, gaps, ended = self._gaps()
        gross = np.asarray(sums["gross_revenue"] / MILLIONTHS)
        refunds = np.asarray(sums["refunds"] / MILLIONTHS)
        redeemers = np.where(self.redemptions, sums["redeemers"], np.nan)
        return {
            "buyers": sums["buyers"],
            "orders": sums["orders"],
            "gross_revenue": gross,
            "refunds": refunds,
            "net_revenue": gross - refunds,
            "repeat_purchase_rate_percent": percent(
                sums["repeat_customers"], sums["active_at_end"]
            ),
            "purchase_frequency": divided(sums["orders"], sums["buyers"]),
            "average_order_value": divided(gross, sums["orders"]),
            "days_between_purchases_median": median,
            "purchase_gaps": gaps,
            "purchase_gaps_ended": ended,
            "redeemers": redeemers,
            "redemption_rate_percent": percent(redeemers, sums["buyers"]),
        }

    def _money(self) -> dict[str, Floats | Ints]:
        sums, ends = self.sums, self.sums["active_at_end"]
        before = sums["revenue_before"] * self._follows()
        retention, acquisition = self._costs()
        new = sums["new"] * np.where(self._flag("is_truncated"), np.nan, 1.0)
        realised = sums["realised_margin"] / MILLIONTHS
        return {
            "margin": np.asarray(sums["margin"] / MILLIONTHS),
            "customers": sums["bought_before"],
            "realised_value": divided(realised, sums["bought_before"]),
            "revenue_before": before / MILLIONTHS,
            "gross_revenue_retention_percent": percent(sums["revenue_retained"], before),
            "net_revenue_retention_percent": percent(sums["revenue_again"], before),
            "retention_cost": retention,
            "retention_cost_per_customer": divided(retention, ends),
            "acquisition_cost": acquisition,
            "acquisition_cost_per_customer": divided(acquisition, new),
            "late_orders": np.where(self._everyone, self.late[self.place], 0),
        }

    @property
    def _everyone(self) -> Bools:
        return self._is_of(EVERYONE[0])

    def _is_of(self, split: str) -> Bools:
        return np.array([one == split for one in self.split], dtype=bool)

    def _flag(self, name: str) -> Bools:
        return np.array([getattr(one, name) for one in self.periods], dtype=bool)[self.place]

    def _follows(self) -> Floats:
        """1 where a period and the one before it are complete, else NaN."""
        whole = np.array([not one.is_partial for one in self.periods])
        follows = whole & np.concatenate([[False], whole[:-1]])
        return np.where(follows[self.place], 1.0, np.nan)

    def _of(self, reference: str, rate: Floats) -> Floats:
        """The rate of the period that each is compared with; NaN without one."""
        labels = {one.label: place for place, one in enumerate(self.periods)}
        keys = list(zip(self.split, self.value, self.place.tolist(), strict=True))
        rates = dict(zip(keys, rate.tolist(), strict=True))
        found = [
            rates.get((split, value, labels.get(getattr(self.periods[place], reference), -1)))
            for split, value, place in keys
        ]
        return np.array([np.nan if one is None else one for one in found], dtype=np.float64)

    def _gaps(self) -> tuple[Floats, Ints, Ints]:
        """The median gap of each row, the gaps, and how many of them ended."""
        counts = {name: whole_numbers(self.gaps[name]) for name in ("days", "events", "censored")}
        period = whole_numbers(self.gaps["period"]).tolist()
        keys = list(
            zip(self.gaps["split"].to_pylist(), self.gaps["value"].to_pylist(), period, strict=True)
        )
        begins = [n for n, key in enumerate(keys) if n == 0 or key != keys[n - 1]]
        ends = [*begins[1:], len(keys)] if keys else []
        spans = {keys[a]: slice(a, b) for a, b in zip(begins, ends, strict=True)}
        rows = len(self.split)
        median, gaps, ended = np.full(rows, np.nan), np.zeros(rows, int), np.zeros(rows, int)
        own = zip(self.split, self.value, self.place.tolist(), strict=True)
        for row, key in enumerate(own):
            if (span := spans.get(key)) is not None:
                days, events, censored = (counts[name][span] for name in counts)
                median[row] = kaplan_meier(days.astype(np.float64), events, censored).median
                gaps[row], ended[row] = (events + censored).sum(), events.sum()
        return median, gaps, ended

    def _costs(self) -> tuple[Floats, Floats]:
        """Costs are of everyone; those of acquisition also of an acquisition source."""
        retention = np.where(self._everyone, self.costs.retention[self.place], np.nan)
        acquisition = np.where(self._everyone, self.costs.acquisition[self.place], np.nan)
        for row, (split, value) in enumerate(zip(self.split, self.value, strict=True)):
            if split == "acquisition_source" and value in self.costs.by_source:
                acquisition[row] = self.costs.by_source[value][self.place[row]]
        return retention, acquisition


def divided(one: Any, other: Any) -> Floats:
    """The quotient, NaN where the divisor is not positive."""
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    nothing = np.full(np.broadcast(one, other).shape, np.nan)
    return np.asarray(np.divide(one, other, out=nothing, where=other > 0))


def percent(one: Any, other: Any) -> Floats:
    """The share in percent, NaN where the divisor is not positive."""
    return np.asarray(100 * divided(one, other))


def wilson(count: Ints, total: Ints) -> tuple[Floats, Floats, Floats]:
    """A share in percent with its 95 % interval; NaN for a share of nothing."""
    share = divided(count, total)
    n = np.where(total > 0, total, 1)
    middle = (share + Z_95**2 / (2 * n)) / (1 + Z_95**2 / n)
    half = Z_95 / (1 + Z_95**2 / n) * np.sqrt(share * (1 - share) / n + (Z_95 / (2 * n)) ** 2)
    return 100 * share, 100 * (middle - half), 100 * (middle + half)
