"""Every feature of orders once more, in loops over plain Python values: slow, nothing to misread.

`features_of` is the whole interface. Written from the formulas, not from the expressions. Only the
fits of BG/NBD and Gamma-Gamma are the product's own: they have tests of their own.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from itertools import pairwise
from math import exp, log, sqrt
from typing import Any
from zoneinfo import ZoneInfo

from churn.features.lifetime import BGNBD
from churn.features.spend import GammaGamma

Order = Mapping[str, Any]
Values = dict[str, float | None]


@dataclass(frozen=True)
class Past:
    """One customer before a cutoff: the orders by age in days."""

    cutoff: date
    orders: Mapping[int, list[Order]]

    def bought(self, age: int) -> list[Order]:
        return [order for order in self.orders.get(age, []) if order["amount"] > 0]

    @cached_property
    def purchase_ages(self) -> list[int]:
        """Oldest first."""
        return sorted((age for age in self.orders if self.bought(age)), reverse=True)

    @cached_property
    def gaps(self) -> list[int]:
        return [earlier - later for earlier, later in pairwise(self.purchase_ages)]

    def spent(self, age: int) -> float:
        return sum(order["amount"] for order in self.bought(age))

    def returned(self, age: int) -> float:
        return -sum(order["amount"] for order in self.orders[age] if order["amount"] < 0)

    def net(self, age: int) -> float:
        return self.spent(age) - self.returned(age)

    def net_within(self, days: float) -> float:
        return sum(self.net(age) for age in self.orders if age <= days)

    def days(self, within: float) -> int:
        return sum(age <= within for age in self.purchase_ages)

    def discounts(self, ages: Iterable[int]) -> list[float]:
        """What each purchase of those days had off."""
        return [max(o.get("discount") or 0.0, 0.0) for age in ages for o in self.bought(age)]


@dataclass(frozen=True)
class Shop:
    """What all customers teach; None where nothing is known."""

    gap: float | None
    gap_deviation: float | None
    order: float | None
    limit: float | None
    channels: Counter[str]
    buying: BGNBD | None
    spending: GammaGamma | None

    def capped(self, amount: float) -> float:
        return amount if self.limit is None else max(-self.limit, min(self.limit, amount))


def features_of(
    orders: Iterable[Order],
    cutoff: date,
    *,
    horizon: int,
    lookback: int,
    min_tenure: int = 0,
    zone: str = "UTC",
) -> dict[str, tuple[str, Values]]:
    """Status and features of every customer known at the cutoff.

    Those of `discount` and `channel` where orders have such a key.
    """
    orders = list(orders)
    columns = set().union(*orders)
    known = _pasts(orders, cutoff, ZoneInfo(zone))
    shop = _population(list(known.values()))
    found = {}
    for name, past in known.items():
        values = _volumes(past, shop, horizon) | _rhythm(past, shop, horizon)
        values |= _lifetime(past, shop, horizon) | _returns(past) | _habits(past, horizon)
        values |= _lapses(past, horizon) | _beginning(past)
        if "discount" in columns:
            values |= _discounts(past)
        if "channel" in columns:
            values["first_channel_share"] = _channel_share(past, shop)
        found[name] = (_status(values, lookback, min_tenure), values)
    return found


def _pasts(orders: list[Order], cutoff: date, zone: ZoneInfo) -> dict[str, Past]:
    by_age: dict[str, dict[int, list[Order]]] = defaultdict(lambda: defaultdict(list))
    for order in _visible(orders, cutoff, zone):
        age = (cutoff - order["ordered_at"].astimezone(zone).date()).days
        by_age[order["customer_id"]][age].append(order)
    return {name: Past(cutoff, dict(ages)) for name, ages in by_age.items()}


def _visible(orders: list[Order], cutoff: date, zone: ZoneInfo) -> list[Order]:
    midnight = datetime.combine(cutoff, time(), tzinfo=zone)
    if any("loaded_at" in order for order in orders):
        newest: dict[str, Order] = {}
        for order in sorted(orders, key=lambda one: one["loaded_at"]):
            if order["loaded_at"] < midnight:
                newest[order["order_id"]] = order
        orders = list(newest.values())
    return [order for order in orders if order["ordered_at"] < midnight]


def _population(pasts: list[Past]) -> Shop:
    gap, gap_deviation = _moments([float(gap) for past in pasts for gap in past.gaps])
    days = [past.spent(age) for past in pasts for age in past.purchase_ages]
    paid = [o["amount"] for past in pasts for age in past.orders for o in past.bought(age)]
    usual, spread = _moments([log(day) for day in days])
    limit = None if usual is None or spread is None else _nine(exp(usual + 3 * spread))
    channels = Counter(c for past in pasts if (c := _first_channel(past)) is not None)
    order = _moments(paid)[0]
    if order is not None and usual is not None and spread is not None:
        order = min(order, exp(usual + spread**2 / 2))
    gap, gap_deviation, order = _nine(gap), _nine(gap_deviation), _nine(order)
    shop = Shop(gap, gap_deviation, order, limit, channels, None, None)
    buyers = [past for past in pasts if past.purchase_ages]
    if not buyers:
        return shop
    buying, spending = _buying(buyers), _spending(buyers, shop)
    return Shop(gap, gap_deviation, shop.order, limit, channels, buying, spending)


def _nine(value: float | None) -> float | None:
    """Figures of the whole shop have nine digits: the last of a sum depend on the order of rows."""
    return None if value is None else float(f"{value:.9g}")


def _moments(values: list[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    mean = sum(values) / len(values)
    return mean, sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _buying(buyers: list[Past]) -> BGNBD:
    """Of the distinct histories, each as often as it occurs."""
    counted = Counter(
        (len(p.purchase_ages), p.purchase_ages[0], p.purchase_ages[-1]) for p in buyers
    )
    rows = [(n - 1, first - last, first) for n, first, last in sorted(counted)]
    weights = [counted[key] for key in sorted(counted)]
    return BGNBD.fit(*zip(*rows, strict=True), weights=weights)


def _spending(buyers: list[Past], shop: Shop) -> GammaGamma:
    """Of distinct purchase days and winsorised spends in whole cents, at least one."""
    spends = [sum(shop.capped(p.spent(age)) for age in p.purchase_ages) for p in buyers]
    cents = [max(1, int(spend * 100 + 0.5 + 1e-7)) for spend in spends]
    counted = Counter(zip((len(p.purchase_ages) for p in buyers), cents, strict=True))
    means = [(n, paid / 100 / n) for n, paid in sorted(counted)]
    weights = [counted[key] for key in sorted(counted)]
    return GammaGamma.fit(*zip(*means, strict=True), weights=weights)


def _status(values: Values, lookback: int, min_tenure: int) -> str:
    recency, tenure = values["recency_days"], values["tenure_days"]
    if recency is None or tenure is None or tenure < min_tenure:
        return "new"
    return "eligible" if recency <= lookback else "lapsed"


def _volumes(past: Past, shop: Shop, horizon: int) -> Values:
    ages = past.purchase_ages
    spent = sum(past.spent(age) for age in ages)
    net = past.net_within(float("inf"))
    values: Values = {
        "recency_days": ages[-1] if ages else None,
        "purchase_days": len(ages),
        "orders_count": sum(len(past.bought(age)) for age in ages),
        "tenure_days": ages[0] if ages else None,
        "net_spend": net,
        "average_basket": net / len(ages) if ages else None,
        "last_basket_over_average": past.spent(ages[-1]) / (spent / len(ages)) if ages else None,
        "typical_basket": _mean([shop.capped(past.spent(age)) for age in ages]),
        "net_spend_three_horizons": past.net_within(3 * horizon),
    }
    for speed, half_life in {"short": 0.5, "medium": 1.5, "long": 4.0}.items():
        weight = {age: 2.0 ** (-age / (half_life * horizon)) for age in past.orders}
        values[f"decayed_days_{speed}"] = sum(weight[age] for age in ages)
        values[f"decayed_spend_{speed}"] = sum(
            weight[age] * shop.capped(past.net(age)) for age in past.orders
        )
    for days in (7, 14, 30, 60, 90, 180, 365):
        values[f"purchase_days_{days}d"] = past.days(days)
        values[f"net_spend_{days}d"] = past.net_within(days)
    return values


def _rhythm(past: Past, shop: Shop, horizon: int) -> Values:
    ages, gaps = past.purchase_ages, past.gaps
    recency = ages[-1] if ages else None
    own_gap = _mean(gaps)
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
        values["spend_trend"] = _spend_trend(past, shop, shop.order, horizon)
    return values


def _spend_trend(past: Past, shop: Shop, order: float, horizon: int) -> float:
    halves = [0.0, 0.0]
    for age in past.orders:
        if age <= 4 * horizon:
            halves[age > 2 * horizon] += shop.capped(past.net(age))
    late, early = (max(half, 0.0) + order for half in halves)
    return late / early


def _lifetime(past: Past, shop: Shop, horizon: int) -> Values:
    names = ("p_alive", "p_no_purchase_in_horizon", "expected_purchase_days")
    values: Values = dict.fromkeys((*names, "expected_day_spend", "expected_spend_in_horizon"))
    ages, spending = past.purchase_ages, shop.spending
    if spending is not None:
        spent = sum(shop.capped(past.spent(age)) for age in ages)
        p, q, gamma = spending.p, spending.q, spending.gamma
        values["expected_day_spend"] = p * (gamma + spent) / (p * len(ages) + q - 1)
    if shop.buying is not None and ages:
        history = (len(ages) - 1, ages[0] - ages[-1], ages[0])
        days = float(shop.buying.expected_purchases(horizon, *history))
        values["p_alive"] = float(shop.buying.probability_alive(*history))
        values[names[1]] = float(shop.buying.probability_no_purchase(horizon, *history))
        values["expected_purchase_days"] = days
        values["expected_spend_in_horizon"] = days * (values["expected_day_spend"] or 0.0)
    return values


def _discounts(past: Past) -> Values:
    ages = past.purchase_ages
    recent = [age for age in ages if age <= 90]
    off = past.discounts(ages)
    share, share_90d = _discount_share(past, ages), _discount_share(past, recent)
    change = None if share is None or share_90d is None else share_90d - share
    return {
        "discount_share": share,
        "discount_share_90d": share_90d,
        "discount_share_change": change,
        "discounted_order_share": _mean([one > 0 for one in off]),
        "full_price_orders": sum(one == 0 for one in off),
        "last_discounted_purchase_days": min(
            (age for age in ages if sum(past.discounts([age])) > 0), default=None
        ),
        "first_discount_share": _discount_share(past, ages[:1]),
    }


def _discount_share(past: Past, ages: list[int]) -> float | None:
    off = sum(past.discounts(ages))
    return _over(off, off + sum(past.spent(age) for age in ages))


def _returns(past: Past) -> Values:
    days = [age for age in past.orders if past.returned(age) > 0]
    spent = sum(past.spent(age) for age in past.purchase_ages)
    return {
        "return_share": _over(sum(past.returned(age) for age in days), spent),
        "returned_90d": sum(past.returned(age) for age in days if age <= 90),
        "return_days": len(days),
        "last_return_days": min(days, default=None),
    }


def _habits(past: Past, horizon: int) -> Values:
    ages = past.purchase_ages
    weekdays = [(past.cutoff - timedelta(days=age)).isoweekday() for age in ages]
    shares = [count / len(ages) for count in Counter(weekdays).values()]
    begin = past.cutoff - timedelta(weeks=52)
    season = {begin + timedelta(days=day) for day in range(horizon)}
    there = sum(past.cutoff - timedelta(days=age) in season for age in ages)
    return {
        "weekend_share": _mean([day in (6, 7) for day in weekdays]),
        "main_weekday_share": max(shares, default=None),
        "weekday_entropy": -sum(share * log(share) for share in shares) if ages else None,
        "purchase_days_same_season": there if ages and ages[0] >= 364 else None,
    }


def _lapses(past: Past, horizon: int) -> Values:
    returns = [
        later for earlier, later in pairwise(past.purchase_ages) if earlier - later > horizon
    ]
    return {
        "past_lapses": len(returns),
        "past_lapse_share": _over(len(returns), len(past.gaps)),
        "last_return_from_lapse_days": min(returns, default=None),
    }


def _beginning(past: Past) -> Values:
    spends = [past.spent(age) for age in past.purchase_ages]
    return {
        "first_basket_over_average": spends[0] / (sum(spends) / len(spends)) if spends else None,
        "first_gap_days": past.gaps[0] if past.gaps else None,
    }


def _first_channel(past: Past) -> str | None:
    """The first by name where the first day has several."""
    first = past.bought(past.purchase_ages[0]) if past.purchase_ages else []
    return min((o["channel"] for o in first if o.get("channel") is not None), default=None)


def _channel_share(past: Past, shop: Shop) -> float | None:
    channel = _first_channel(past)
    return None if channel is None else shop.channels[channel] / shop.channels.total()


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return sum(values) / len(values) if values else None


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
