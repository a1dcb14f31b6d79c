"""Every feature once more, in loops over plain Python values: slow, and nothing to misread.

`features_of` is the whole interface. Written from the formulas, not from the expressions.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise
from math import log, sqrt
from typing import Any
from zoneinfo import ZoneInfo

Values = dict[str, float | None]


@dataclass(frozen=True)
class Shop:
    """The population's mean gap, its deviation, and the average order; None where unknown."""

    gap: float | None
    gap_deviation: float | None
    order: float | None


@dataclass(frozen=True)
class Past:
    """One customer before a cutoff: amounts by age in days, purchase ages newest last, gaps."""

    amounts: Mapping[int, list[float]]

    @property
    def purchase_ages(self) -> list[int]:
        return sorted((a for a, paid in self.amounts.items() if max(paid) > 0), reverse=True)

    @property
    def gaps(self) -> list[int]:
        ages = self.purchase_ages
        return [earlier - later for earlier, later in pairwise(ages)]

    def spent(self, age: int) -> float:
        return sum(amount for amount in self.amounts[age] if amount > 0)

    def net(self, within: float = float("inf")) -> float:
        return sum(sum(paid) for age, paid in self.amounts.items() if age <= within)

    def days(self, within: float) -> int:
        return sum(age <= within for age in self.purchase_ages)


def features_of(
    orders: Iterable[Mapping[str, Any]],
    cutoff: date,
    *,
    horizon: int,
    lookback: int,
    min_tenure: int = 0,
    zone: str = "UTC",
) -> dict[str, tuple[str, Values]]:
    """Status and features of every customer known at the cutoff."""
    pasts: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for order in _visible(list(orders), cutoff, ZoneInfo(zone)):
        age = (cutoff - order["ordered_at"].astimezone(ZoneInfo(zone)).date()).days
        pasts[order["customer_id"]][age].append(order["amount"])
    known = {name: Past(amounts) for name, amounts in pasts.items()}
    shop = _population(list(known.values()))
    found = {}
    for name, past in known.items():
        values = _volumes(past, horizon) | _rhythm(past, shop, horizon)
        found[name] = (_status(values, lookback, min_tenure), values)
    return found


def _visible(
    orders: list[Mapping[str, Any]], cutoff: date, zone: ZoneInfo
) -> list[Mapping[str, Any]]:
    midnight = datetime.combine(cutoff, time(), tzinfo=zone)
    if any("loaded_at" in order for order in orders):
        newest: dict[str, Mapping[str, Any]] = {}
        for order in sorted(orders, key=lambda one: one["loaded_at"]):
            if order["loaded_at"] < midnight:
                newest[order["order_id"]] = order
        orders = list(newest.values())
    return [order for order in orders if order["ordered_at"] < midnight]


def _population(pasts: list[Past]) -> Shop:
    gaps = [gap for past in pasts for gap in past.gaps]
    paid = [a for past in pasts for amounts in past.amounts.values() for a in amounts if a > 0]
    order = sum(paid) / len(paid) if paid else None
    if not gaps:
        return Shop(None, None, order)
    mean = sum(gaps) / len(gaps)
    return Shop(mean, sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)), order)


def _status(values: Values, lookback: int, min_tenure: int) -> str:
    recency, tenure = values["recency_days"], values["tenure_days"]
    if recency is None or tenure is None or tenure < min_tenure:
        return "new"
    return "eligible" if recency <= lookback else "lapsed"


def _volumes(past: Past, horizon: int) -> Values:
    ages = past.purchase_ages
    spent = sum(past.spent(age) for age in past.amounts)
    values: Values = {
        "recency_days": ages[-1] if ages else None,
        "purchase_days": len(ages),
        "orders_count": sum(a > 0 for paid in past.amounts.values() for a in paid),
        "tenure_days": ages[0] if ages else None,
        "net_spend": past.net(),
        "average_basket": past.net() / len(ages) if ages else None,
        "last_basket_over_average": past.spent(ages[-1]) / (spent / len(ages)) if ages else None,
        "net_spend_three_horizons": past.net(3 * horizon),
    }
    for speed, half_life in {"short": 0.5, "medium": 1.5, "long": 4.0}.items():
        weight = {age: 2.0 ** (-age / (half_life * horizon)) for age in past.amounts}
        values[f"decayed_days_{speed}"] = sum(weight[age] for age in ages)
        values[f"decayed_spend_{speed}"] = sum(
            weight[age] * sum(paid) for age, paid in past.amounts.items()
        )
    for days in (7, 14, 30, 60, 90, 180, 365):
        values[f"purchase_days_{days}d"] = past.days(days)
        values[f"net_spend_{days}d"] = past.net(days)
    return values


def _rhythm(past: Past, shop: Shop, horizon: int) -> Values:
    ages, gaps = past.purchase_ages, past.gaps
    recency = ages[-1] if ages else None
    own_gap = sum(gaps) / len(gaps) if gaps else None
    expected = None if shop.gap is None else (sum(gaps) + 2 * shop.gap) / (len(gaps) + 2)
    deviation = _deviation(gaps) if len(gaps) >= 3 else shop.gap_deviation
    values: Values = {
        "active_window_share": _active_share(ages, max(1, horizon // 2)),
        "expected_gap_days": expected,
        "mean_gap_days": own_gap,
        "gap_deviation_days": deviation,
        "overdue_ratio": _over(recency, expected),
        "overdue_z": None,
        "recency_over_longest_gap": _over(recency, max(gaps, default=None)),
        "last_purchase_position": (ages[0] - ages[-1]) / ages[0] if ages else None,
        "last_gap_over_mean": _over(gaps[-1] if gaps else None, own_gap),
        "gap_variation": _over(deviation, own_gap) if len(gaps) >= 3 else None,
        "log_regularity": _log_regularity(gaps) if len(gaps) >= 3 else None,
        "clumpiness": _clumpiness([*gaps, ages[-1]]) if len(ages) >= 3 else None,
        "acceleration": None,
        "spend_trend": None,
    }
    if recency is not None and expected is not None and deviation is not None:
        values["overdue_z"] = _over(recency - expected, deviation + (shop.gap or 0.0) / 4)
    if ages and ages[0] >= 2 * horizon:
        late = past.days(horizon / 2)
        early = past.days(2 * horizon) - late
        values["acceleration"] = (late + 0.5) / (early / 3 + 0.5)
    if ages and ages[0] >= 4 * horizon and shop.order is not None:
        late_spend = past.net(2 * horizon)
        early_spend = past.net(4 * horizon) - late_spend
        values["spend_trend"] = (max(late_spend, 0) + shop.order) / (
            max(early_spend, 0) + shop.order
        )
    return values


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below is not None and below > 0 else None


def _deviation(gaps: list[int]) -> float:
    mean = sum(gaps) / len(gaps)
    return sqrt(sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1))


def _active_share(ages: list[int], width: int) -> float | None:
    if not ages:
        return None
    windows = range(min(24, (ages[0] - 1) // width + 1))
    active = {(age - 1) // width for age in ages}
    return sum(0.8**w for w in windows if w in active) / sum(0.8**w for w in windows)


def _log_regularity(gaps: list[int]) -> float:
    s = max(1e-6, log(sum(gaps) / len(gaps)) - sum(log(gap) for gap in gaps) / len(gaps))
    shape = (3 - s + sqrt((s - 3) ** 2 + 24 * s)) / (12 * s)
    return min(4.0, log(shape)) * len(gaps) / (len(gaps) + 3)


def _clumpiness(stretches: list[int]) -> float:
    shares = [stretch / sum(stretches) for stretch in stretches]
    return max(0.0, 1 + sum(share * log(share) for share in shares) / log(len(shares)))
