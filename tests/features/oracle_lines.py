"""The features of order lines once more, in loops over plain Python values.

`line_features_of` is the whole interface. Written from the meanings, not from the expressions.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from math import exp, log
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Values = dict[str, float | None]


def line_features_of(
    orders: Iterable[Row], lines: Iterable[Row], cutoff: date, *, zone: str = "UTC"
) -> dict[str, Values]:
    """The features of every customer with an order before the cutoff."""
    local = ZoneInfo(zone)
    midnight = datetime.combine(cutoff, time(), tzinfo=local)
    ages: dict[str, set[int]] = defaultdict(set)
    bought: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for order in _newest(orders, midnight):
        if order["ordered_at"] >= midnight:
            continue
        age = (cutoff - order["ordered_at"].astimezone(local).date()).days
        customer = order["customer_id"]
        if order["amount"] > 0:
            ages[customer].add(age)
        bought[customer] += [
            (age, line)
            for line in lines
            if line["order_id"] == order["order_id"]
            and line["amount"] > 0
            and line.get("loaded_at", order["ordered_at"]) < midnight
        ]
    return {name: _values(bought[name], ages[name]) for name in bought}


def _newest(orders: Iterable[Row], midnight: datetime) -> list[Row]:
    """The version of each order that arrived last before that moment."""
    found: dict[str, Row] = {}
    for order in orders:
        arrival = order.get("loaded_at")
        if arrival is not None and arrival >= midnight:
            continue
        other = found.get(order["order_id"])
        if other is None or other["loaded_at"] < arrival:
            found[order["order_id"]] = order
    return list(found.values())


def _values(bought: list[tuple[int, Row]], ages: set[int]) -> Values:
    lines = [line for _, line in bought]
    recent = [line for age, line in bought if age <= 90]
    per_basket = _over(len(lines), len(ages)) if lines else None
    recent_per_basket = _over(len(recent), sum(age <= 90 for age in ages)) if lines else None
    spent = sum(line["amount"] for line in lines)
    discounts = [line["discount"] for line in lines if line["discount"] and line["discount"] > 0]
    units = sum(_units(line) for line in lines)
    price, recent_price = _typical_price(lines), _typical_price(recent)
    return {
        "lines_per_basket": per_basket,
        "lines_per_basket_trend_90d": _over(recent_per_basket, per_basket),
        "units_per_basket": _over(units, len(ages)) if lines else None,
        "typical_unit_price": price,
        "price_level_90d": _over(recent_price, price),
        "line_discount_share": _over(sum(discounts), spent + sum(discounts)),
        "discounted_line_share": _over(len(discounts), len(lines)),
        **_products(bought),
        **_categories(bought),
    }


def _products(bought: list[tuple[int, Row]]) -> Values:
    ages: dict[str, list[int]] = defaultdict(list)
    for age, line in bought:
        if line["product_id"] is not None:
            ages[line["product_id"]].append(age)
    lines = sum(len(some) for some in ages.values())
    recent_lines = sum(age <= 90 for some in ages.values() for age in some)
    new = sum(max(some) <= 90 for some in ages.values())
    return {
        "distinct_products": len(ages),
        "new_product_share_90d": _over(new, recent_lines),
        "repeat_product_share": _over(lines - len(ages), lines),
    }


def _categories(bought: list[tuple[int, Row]]) -> Values:
    ages: dict[str | None, set[int]] = defaultdict(set)
    for age, line in bought:
        ages[line["category"]].add(age)
    recent = sum(min(some) <= 90 for some in ages.values())
    gaps = [max(some) - min(some) for some in ages.values()]
    steps = sum(len(some) - 1 for some in ages.values())
    now, before = _spends(bought), _spends([(age, line) for age, line in bought if age > 90])
    change = _entropy(now) - _entropy(before) if before else None
    return {
        "category_breadth": len(ages),
        "category_breadth_90d": recent,
        "breadth_recent_over_lifetime": _over(recent, len(ages)),
        "new_categories_90d": sum(max(some) <= 90 for some in ages.values()),
        "newest_category_age_days": min((max(some) for some in ages.values()), default=None),
        "mean_category_gap_days": _over(sum(gaps), steps),
        "category_entropy": _entropy(now) if now else None,
        "category_entropy_change_90d": change,
        "top_category_share": _over(max(now, default=None), sum(now)),
    }


def _spends(bought: list[tuple[int, Row]]) -> list[float]:
    spends: dict[str | None, float] = defaultdict(float)
    for _, line in bought:
        spends[line["category"]] += line["amount"]
    return list(spends.values())


def _entropy(spends: list[float]) -> float:
    shares = [spend / sum(spends) for spend in spends]
    return -sum(share * log(share) for share in shares)


def _units(line: Row) -> float:
    quantity = max(line["quantity"] or 0.0, 0.0)
    return 1.0 if quantity >= 1_000 else quantity  # a measure, not a count


def _typical_price(lines: list[Row]) -> float | None:
    prices = [line["amount"] / _units(line) for line in lines if _units(line) > 0]
    return exp(sum(log(price) for price in prices) / len(prices)) if prices else None


def _over(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below is not None and below > 0 else None
