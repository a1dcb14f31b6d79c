"""What a plan adds up to.

`customers`, `held_out`; `offers`, `suppressed` and `arms`: customers per offer, code and arm.
In `currency`: `expected_gain`, `expected_cost`, `expected_value`; `worst_cost`, if everyone
redeems; `explored_cost`, the part of the cost that was given by lot; `budget` (None where
unlimited); `lambda`, what one more unit of it would earn; `dual_gap`, how far the best possible
plan may lie above this one; `offer_prices`, what one more place of each offer would earn;
`value_curve`, see `churn.retention.curve`. `groups`: who gets how much, and what floors lack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.retention.arms import ARMS, EXPLORE, TREATMENT
from churn.retention.curve import value_curve
from churn.retention.offers import NO_OFFER
from churn.retention.plan_table import counted
from churn.retention.policy import NOTHING, picked
from churn.retention.suppression import Suppression

if TYPE_CHECKING:
    from churn.retention.arms import Arms, Shares
    from churn.retention.decision import Decided
    from churn.retention.groups import Groups
    from churn.retention.offers import Offers

__all__ = ["totals_of"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def totals_of(
    table: pa.Table,
    offers: Offers,
    decided: Decided,
    permitted: Bools,
    *,
    arms: Arms,
    shares: Shares,
    groups: Groups | None,
    order_amount: Floats,
) -> dict[str, Any]:
    """The totals of a plan's table, plain JSON."""
    explored = table.filter(pc.equal(table["arm"], ARMS[EXPLORE]))
    spent = _sum(explored, "expected_cost")
    return {
        **_counts(table, offers),
        **_money(table, offers, decided, order_amount),
        "explored_cost": spent,
        "explore_share": arms.explore,
        "effect_sources": sorted(set(table["effect_source"].drop_null().unique().to_pylist())),
        "shares": {"holdout": shares.holdout, "control": shares.control, "explore": shares.explore},
        "value_curve": value_curve(
            np.where(arms.is_in(TREATMENT)[:, None], decided.value, np.nan),
            decided.cost,
            decided.limits,
            budget=decided.budget,
            spent=spent,
            earned=_sum(explored, "expected_value"),
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
        "budget": decided.budget if np.isfinite(decided.budget) else None,
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
        {**row, "floor_lacks": int(lack)}
        for row, lack in zip(rows, decided.allocation.unmet, strict=True)
    ]


def _sum(table: pa.Table, column: str) -> float:
    return float(pc.sum(table[column]).as_py() or 0.0)
