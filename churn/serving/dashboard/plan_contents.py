"""What the page of campaigns shows: the plan, its value at other budgets, and what was earned."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from churn.offers.catalogue import NO_OFFER
from churn.serving.dashboard.figures import Figures
from churn.serving.dashboard.pictures import Line, Picture, ticks
from churn.serving.dashboard.tables import Column, DataTable
from churn.serving.dashboard.wording import Wording

Document = Mapping[str, Any]


@dataclass(frozen=True)
class AtBudget:
    """What a plan with another budget would cost and bring, interpolated between the budgets that
    were computed. The curve is concave, so the value is at least this.
    """

    budget: float
    cost: float
    value: float


def curve_of(document: Document) -> list[AtBudget]:
    """The points of the curve by budget; the one without a budget stands at its cost."""
    points = []
    for row in document.get("value_curve", []):
        cost = float(row["expected_cost"] or 0.0)
        budget = cost if row["budget"] is None else float(row["budget"])
        points.append(AtBudget(budget, cost, float(row["expected_value"] or 0.0)))
    ordered = sorted(points, key=lambda point: (point.budget, point.value))
    return list({point.budget: point for point in ordered}.values())


def at_budget(curve: Sequence[AtBudget], budget: float) -> AtBudget | None:
    """The point of the curve at a budget; beyond the last one nothing more is spent.

    >>> points = [AtBudget(0.0, 0.0, 0.0), AtBudget(100.0, 100.0, 300.0)]
    >>> at_budget(points, 50.0)
    AtBudget(budget=50.0, cost=50.0, value=150.0)
    """
    if not curve:
        return None
    place = bisect_left([point.budget for point in curve], budget)
    if place == len(curve):
        return AtBudget(budget, curve[-1].cost, curve[-1].value)
    after = curve[place]
    if place == 0 or after.budget == budget:
        return AtBudget(budget, after.cost, after.value)
    before = curve[place - 1]
    share = (budget - before.budget) / (after.budget - before.budget)
    return AtBudget(
        budget,
        before.cost + share * (after.cost - before.cost),
        before.value + share * (after.value - before.value),
    )


def plan_tables(document: Document, wording: Wording) -> list[DataTable]:
    """Customers per offer, and why the others get none, the most frequent first."""
    offers = [
        {"offer": name, "customers": count}
        for name, count in document.get("offers", {}).items()
        if count
    ]
    reasons = [
        {"outcome_reason": code, "customers": count}
        for code, count in document.get("suppressed", {}).items()
    ]
    offers.sort(key=lambda row: (row["offer"] == NO_OFFER, -row["customers"]))
    reasons.sort(key=lambda row: -row["customers"])
    groups = document.get("groups", [])
    offer = Column("offer", "code", link=lambda row: _customers(offer=row["offer"]))
    reason = Column(
        "outcome_reason", "code", link=lambda row: _customers(outcome=row["outcome_reason"])
    )
    count = Column("customers", "count")
    found = [
        DataTable("offers", [offer, count], offers),
        DataTable("without_offer", [reason, count], reasons),
    ]
    if groups:
        names = list(groups[0])
        kinds = [Column(n, "text" if isinstance(groups[0][n], str) else "number") for n in names]
        found.append(DataTable("groups", kinds, groups))
    points = [
        {"budget": p.budget, "expected_cost": p.cost, "expected_value": p.value}
        for p in curve_of(document)
    ]
    kinds = [Column(name, "money") for name in ("budget", "expected_cost", "expected_value")]
    found.append(DataTable("value_curve", kinds, points))
    return found


def _customers(**chosen: str) -> str:
    return f"/customers?{urlencode(chosen)}"


def curve_picture(
    document: Document, chosen: AtBudget | None, wording: Wording, figures: Figures
) -> Picture | None:
    """The expected net result by budget, with the chosen budget marked."""
    curve = curve_of(document)
    if len(curve) < 2:
        return None
    points = [(point.budget, point.value) for point in curve]
    most_x = max(x for x, _ in points)
    most_y = max(y for _, y in points)
    x_ticks = tuple((x, str(figures.show(x, "count"))) for x in ticks(0.0, most_x))
    y_ticks = tuple((y, str(figures.show(y, "count"))) for y in ticks(0.0, most_y))
    mark = None
    if chosen is not None and chosen.budget <= x_ticks[-1][0]:
        mark = (chosen.budget, chosen.value)
    return Picture(
        "value_curve",
        wording("campaigns.curve_title"),
        (Line(points, dots=True),),
        x_label=wording("campaigns.curve_x", unit=figures.symbol),
        y_label=wording("campaigns.curve_y", unit=figures.symbol),
        x_ticks=x_ticks,
        y_ticks=y_ticks,
        mark=mark,
    )


def measurement_table(document: Sequence[Document]) -> DataTable:
    """What the measured campaigns brought, the newest first; money is exact, as text. As in the
    overview, the estimate with CUPED where there is one.
    """
    rows = [
        {
            "campaign_id": one.get("campaign_id"),
            "as_of": one.get("plan_as_of"),
            "closes_on": one.get("closes"),
            **_money(one.get("money") or {}),
        }
        for one in document
    ]
    kinds = [Column("campaign_id"), Column("as_of", "date"), Column("closes_on", "date")]
    kinds += [_earned(name) for name in EARNED]
    return DataTable("measurements", kinds, rows)


EARNED = ("cost", "incremental_margin", "net", "net_low", "net_high")


def _earned(name: str) -> Column:
    bounds = ("net_low", "net_high") if name == "net" else None
    return Column(name, "money", bounds=bounds, shown=name not in ("net_low", "net_high"))


def _money(money: Document) -> dict[str, float | None]:
    adjusted = {
        "incremental_margin": "incremental_margin_cuped",
        **{name: name.replace("net", "net_cuped") for name in ("net", "net_low", "net_high")},
    }
    names = adjusted if money.get("net_cuped") is not None else {}
    return {name: _amount(money.get(names.get(name, name))) for name in EARNED}


def _amount(text: Any) -> float | None:
    return None if text is None else float(text)
