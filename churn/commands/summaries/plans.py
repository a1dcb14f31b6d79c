"""A plan's totals as a person reads them."""

from __future__ import annotations

from typing import Any

from churn.offers.suppression import Suppression
from churn.results.job_result import Table


def plan_tables(summary: dict[str, Any]) -> tuple[Table, ...]:
    """Who gets what, the money, other budgets and, where there are groups, how they fare."""
    return (
        _offers_table(summary),
        _arms_table(summary),
        _money_table(summary),
        _curve_table(summary),
        _groups_table(summary),
    )


def _offers_table(summary: dict[str, Any]) -> Table:
    prices = summary["offer_prices"]
    offered = [
        (name, f"{n:,}", f"one more place would earn {prices[name]:,.2f}" if prices[name] else "")
        for name, n in summary["offers"].items()
        if name != "none"
    ]
    none = [
        (f"none: {code}", f"{n:,}", Suppression[code.upper()].meaning)
        for code, n in summary["suppressed"].items()
        if n
    ]
    return Table("Who gets what", ("offer", "customers", "why"), tuple(offered + none))


def _arms_table(summary: dict[str, Any]) -> Table:
    """Nothing where nothing but the holdout is left to chance: the codes tell of it already."""
    shares = summary["shares"]
    if not shares["control"] and not shares["explore"]:
        return Table("Arms", ("", ""), ())
    rows = tuple((arm, f"{n:,}") for arm, n in summary["arms"].items())
    return Table("Arms", ("arm", "customers"), rows)


def _money_table(summary: dict[str, Any]) -> Table:
    names = {
        "budget": "budget",
        "expected_cost": "expected cost",
        "explored_cost": "of it for offers by lot",
        "worst_cost": "cost if everyone redeems",
        "expected_gain": f"expected gain in margin ({_sources(summary)} effects)",
        "expected_value": "expected net value",
        "lambda": "net value of one more unit of budget",
    }
    if not summary["explored_cost"]:
        del names["explored_cost"]
    rows = tuple((label, _money(summary[key])) for key, label in names.items())
    return Table(f"Money, {summary['currency']}", ("", ""), rows)


def _sources(summary: dict[str, Any]) -> str:
    return " and ".join(summary["effect_sources"]) or "assumed"


def _curve_table(summary: dict[str, Any]) -> Table:
    """Nothing where no budget would earn anything, for nobody may get an offer or none pays."""
    title = f"What other budgets would earn, {summary['currency']}"
    header = ("budget", "expected cost", "expected net value")
    if not any(one["expected_cost"] or one["expected_value"] for one in summary["value_curve"]):
        return Table(title, header, ())
    rows = tuple(
        (_money(one["budget"]), _money(one["expected_cost"]), _money(one["expected_value"]))
        for one in summary["value_curve"]
    )
    return Table(title, header, rows)


def _groups_table(summary: dict[str, Any]) -> Table:
    rows = tuple(
        (
            row["group"],
            f"{row['customers']:,}",
            f"{row['permitted']:,}",
            f"{row['offered']:,}",
            f"{row['offer_rate']:.1%}",
            _money(row["expected_cost"]),
        )
        for row in summary["groups"]
    )
    header = ("group", "customers", "with a permitted offer", "with an offer", "rate", "cost")
    return Table("Groups", header, rows)


def _money(amount: float | None) -> str:
    return "unlimited" if amount is None else f"{amount:,.2f}"
