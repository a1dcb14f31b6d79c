"""The totals of a plan.

`customers`, `held_out`; `offers`, `suppressed` and `arms`: customers per offer, code and arm. In
`currency`: `expected_gain`, `expected_cost`, `expected_value`; `worst_cost`, if everyone redeems;
`explored_cost`, the part of the cost from exploration; `budget` (None if unlimited); `lambda`, the
value of one more unit of it; `dual_gap`, how far the best possible plan may lie above this one;
`offer_prices`, the value of one more place of each offer; `value_curve`, see the function.
`groups`: totals per group, and what floors lack.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.arrays import Bools, Floats
from churn.offers.allocation.knapsack import NOTHING, picked
from churn.offers.arms import ARMS, EXPLORE
from churn.offers.catalogue import NO_OFFER
from churn.offers.choice import serve
from churn.offers.plan_table import counted
from churn.offers.suppression import Suppression

if TYPE_CHECKING:
    from churn.offers.arms import Arms
    from churn.offers.catalogue import Offers
    from churn.offers.choice import Decided
    from churn.offers.groups import Groups, PlanLimits


Point = dict[str, float | None]

MULTIPLES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
MOST_ROWS = 50_000


def value_curve(
    value: Floats,
    cost: Floats,
    arms: Arms,
    limits: PlanLimits,
    *,
    spent: float,
    earned: float,
    explored: int,
    ties: Floats,
) -> list[Point]:
    """Customers with an offer, expected cost and value at multiples of the budget.

    The last point is without a budget (`budget` None). Offers are chosen as in the plan, see
    `churn.offers.choice`. `spent`, `earned` and `explored` are the cost, value and offers of
    exploration, independent of the budget. Without a budget the multiples refer to the cost of the
    plan. Bases of over 50,000 customers are estimated from every k-th customer, with proportional
    limits.
    """
    rows = len(value)
    sample = np.arange(rows)[:: max(1, -(-rows // MOST_ROWS))]
    share = len(sample) / rows if rows else 1.0
    value, cost, ties = value[sample], cost[sample], ties[sample]
    arms, whole = arms.part(sample, share=share), limits.part(sample, share=share)

    def point(money: float | None) -> Point:
        budget = np.inf if money is None else money * share
        choice = serve(value, cost, arms, replace(whole, budget=budget), ties=ties).choice
        return {
            "budget": money,
            "customers": explored + round(np.count_nonzero(choice != NOTHING) / share),
            "expected_cost": spent + float(picked(cost, choice).sum()) / share,
            "expected_value": earned + float(picked(value, choice).sum()) / share,
        }

    free = point(None)
    unit = limits.budget if np.isfinite(limits.budget) else float(free["expected_cost"] or 0.0)
    budgets = sorted({unit * multiple for multiple in MULTIPLES if unit * multiple >= spent})
    return [*(point(money) for money in budgets), free]


def totals_of(
    table: pa.Table,
    offers: Offers,
    decided: Decided,
    permitted: Bools,
    *,
    arms: Arms,
    order_amount: Floats,
) -> dict[str, Any]:
    """The totals of a plan's table, plain JSON."""
    explored = table.filter(pc.equal(table["arm"], ARMS[EXPLORE]))
    spent = _sum(explored, "expected_cost")
    shares, groups = arms.shares, decided.limits.groups
    return {
        **_counts(table, offers),
        **_money(table, offers, decided, order_amount),
        "explored_cost": spent,
        "explore_share": arms.explore,
        "effect_sources": sorted(set(table["effect_source"].drop_null().unique().to_pylist())),
        "shares": {"holdout": shares.holdout, "control": shares.control, "explore": shares.explore},
        "value_curve": value_curve(
            decided.value,
            decided.cost,
            arms,
            decided.limits,
            spent=spent,
            earned=_sum(explored, "expected_value"),
            explored=explored.num_rows - counted(explored["offer_id"]).get(NO_OFFER, 0),
            ties=decided.ties,
        ),
        "groups": [] if groups is None else _groups(groups, decided, permitted),
    }


def _counts(table: pa.Table, offers: Offers) -> dict[str, Any]:
    offered, suppressed = counted(table["offer_id"]), counted(table["suppression"])
    arms = counted(table["arm"])
    return {
        "campaign_id": offers.campaign_id,
        "customers": table.num_rows,
        "held_out": arms.get("holdout", 0),
        "arms": {name: arms.get(name, 0) for name in ARMS},
        "offers": {
            name: offered.get(name, 0) for name in [*(o.offer_id for o in offers), NO_OFFER]
        },
        "suppressed": {str(code): suppressed[code] for code in Suppression if code in suppressed},
    }


def _money(
    table: pa.Table, offers: Offers, decided: Decided, order_amount: Floats
) -> dict[str, Any]:
    worst = sum(
        float(offer.worst_cost(order_amount[decided.choice == number]).sum())
        for number, offer in enumerate(offers)
    )
    found = decided.allocation
    return {
        "expected_gain": _sum(table, "expected_gain"),
        "expected_cost": _sum(table, "expected_cost"),
        "expected_value": _sum(table, "expected_value"),
        "worst_cost": worst,
        "budget": decided.limits.budget if np.isfinite(decided.limits.budget) else None,
        "lambda": found.lambda_,
        "dual_gap": found.upper_bound - found.value,
        "offer_prices": {
            offer.offer_id: float(price)
            for offer, price in zip(offers, found.offer_prices, strict=True)
        },
    }


def _groups(groups: Groups, decided: Decided, permitted: Bools) -> list[dict[str, Any]]:
    offered = np.asarray(decided.choice != NOTHING)
    reachable = np.asarray(permitted.any(axis=1))
    rows = groups.table(reachable, offered, picked(decided.cost, decided.choice))
    return [
        {**row, "floor_lacks": int(lack)} for row, lack in zip(rows, decided.unmet, strict=True)
    ]


def _sum(table: pa.Table, column: str) -> float:
    return float(pc.sum(table[column]).as_py() or 0.0)
