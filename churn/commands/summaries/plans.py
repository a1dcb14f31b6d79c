"""Tables of a plan's totals."""

from __future__ import annotations

from typing import Any

from churn.offers.catalogue import NO_OFFER
from churn.offers.suppression import Suppression
from churn.results.job_result import Table


def plan_tables(summary: dict[str, Any]) -> tuple[Table, ...]:
    """Offers, money, other budgets and, if there are groups, their shares."""
    return (
        _offers_table(summary),
        _arms_table(summary),
        _money_table(summary),
        _targeting_table(summary),
        _curve_table(summary),
        learning_table(summary),
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
    return Table("Offers", ("offer", "customers", "why"), tuple(offered + none))


def _arms_table(summary: dict[str, Any]) -> Table:
    """Empty if only the holdout is randomised, because the codes show it already."""
    shares = summary["shares"]
    if not shares["control"] and not shares["explore"]:
        return Table("Arms", ("", ""), ())
    rows = tuple((arm, f"{n:,}") for arm, n in summary["arms"].items())
    return Table("Arms", ("arm", "customers"), rows)


def _money_table(summary: dict[str, Any]) -> Table:
    names = {
        "budget": "budget",
        "expected_cost": "expected cost",
        "explored_cost": "of it for exploration",
        "worst_cost": "cost if everyone redeems",
        "expected_gain": f"expected gain in margin{_sources(summary)}",
        "expected_value": "expected net value",
        "lambda": "net value of one more unit of budget",
    }
    if not summary["explored_cost"]:
        del names["explored_cost"]
    rows = [(label, _money(summary[key])) for key, label in names.items()]
    life = summary["remaining_life"]
    if life is not None:
        label = f"not on top: the same over {life['years']:g} years, if the retained stay on"
        after = list(names).index("expected_value") + 1
        rows.insert(after, (label, _money(life["expected_value"])))
    return Table(f"Money, {summary['currency']}", ("", ""), tuple(rows))


def _targeting_table(summary: dict[str, Any]) -> Table:
    """What each way of targeting would earn without a budget, the one used named."""
    used, values = summary["targeting"]["rule"], summary["targeting"]["expected_value"]
    names = {
        "nobody": "no offers",
        "one offer": "one offer, riskiest customers first",
        "per customer": "the best offer for each customer",
    }
    rows = tuple(
        (label, _money(values[key]), "used" if key == used else "") for key, label in names.items()
    )
    title = f"Targeting, {summary['currency']}"
    return Table(title, ("rule", "expected net value without a budget", ""), rows)


def _sources(summary: dict[str, Any]) -> str:
    """Where the effects of the plan's offers come from; nothing without an offer."""
    if not summary["effect_sources"]:
        return ""
    *others, last = summary["effect_sources"]
    return f" ({', '.join(others)} and {last} effects)" if others else f" ({last} effects)"


def _curve_table(summary: dict[str, Any]) -> Table:
    """Empty if no budget would earn anything, because nobody may get an offer or none is
    profitable.
    """
    title = f"Value at other budgets, {summary['currency']}"
    header = ("budget", "expected cost", "expected net value")
    if not any(
        point["expected_cost"] or point["expected_value"] for point in summary["value_curve"]
    ):
        return Table(title, header, ())
    rows = tuple(
        (_money(point["budget"]), _money(point["expected_cost"]), _money(point["expected_value"]))
        for point in summary["value_curve"]
    )
    return Table(title, header, rows)


def learning_table(summary: dict[str, Any]) -> Table:
    """When effects will be known, and how likely exploration is to give each offer and none; empty
    if chance decides nothing.
    """
    known = [one for one in summary["learning"] if one["assigned"] and one["controls"]]
    explores = bool(known) and summary["explore_share"] > 0
    rows = [
        (
            one["offer_id"],
            f"{100 * one['effect']:+.1f}",
            f"{one['assigned']:,}",
            f"{one['controls']:,}",
            "?" if one["plans"] is None else f"{one['plans']:,}",
            _money(one["explored_cost"]),
            *([_explored(summary, one["offer_id"])] if explores else []),
        )
        for one in known
    ]
    if explores:
        rows.append((NO_OFFER, *[""] * 5, _explored(summary, NO_OFFER)))
    header = (
        *("offer", "effect expected, points", "given it by chance", "controls"),
        *("plans like this until known", f"explored for, {summary['currency']}"),
        *(["chance in exploration"] if explores else []),
    )
    title = "When average effects will be known (95 % intervals, 80 % power)"
    return Table(title, header, tuple(rows))


def _explored(summary: dict[str, Any], offer: str) -> str:
    """The chance that exploration gives an offer to a customer who may have it, and why."""
    chance, best = (summary["exploration"][name][offer] for name in ("chances", "best"))
    if chance is None:
        return ""
    return f"{chance:.0%}, " + ("as any" if best is None else f"best with {best:.0%}")


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
