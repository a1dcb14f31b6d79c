"""When a plan's random draws will have shown the average effect of each offer, if plans go on
like it, and what exploration of the offer costs each time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from churn.offers.arms import ARMS, EXPLORE
from churn.offers.catalogue import NO_OFFER

if TYPE_CHECKING:
    import pyarrow as pa

    from churn.arrays import Bools, Floats
    from churn.offers.catalogue import Offer

SMALLEST_EFFECT = 0.01
"""Smaller effects count as one percentage point, which few shops could ever tell from none."""


def learning_pace(
    table: pa.Table, offers: Iterable[Offer], base_rate: float
) -> list[dict[str, Any]]:
    """For each offer of a plan's table, plain JSON: `effect`, the mean of what the plan expects of
    it (None without a row); `assigned` and `controls`, how many customers a draw gave the offer,
    and none where it could have been the offer; `explored_cost`, the expected cost of those who
    explore it; `plans`, how many plans like this one show the effect, None if none ever would.

    A plan shows an effect if a 95 % interval excludes zero with a probability of 80 %. `base_rate`
    is the mean churn probability.
    """
    drawn = _drawn(table)
    return [_pace(offer.offer_id, drawn, 1 - base_rate) for offer in offers]


def plans_needed(effect: float, retained: float, arms: Iterable[tuple[int, int]]) -> int | None:
    """How many plans with so many customers with the offer and without, by choice set, detect this
    effect on P(retained).

    8 p (1 - p) / (effect^2 x sum of n_j n_0 / (n_j + n_0)), which for two equal arms asks for as
    many customers as the rule 16 p (1 - p) / effect^2 of each: a power of 80 % at a two-sided 5 %
    (Lehr 1992). None if no choice set has both, or the retention is not known.

    >>> plans_needed(0.05, 0.8, [(512, 512)])
    2
    """
    variance = retained * (1 - retained)
    compared = sum(given * without / (given + without) for given, without in arms if given)
    if not compared or not math.isfinite(variance):
        return None
    size = max(abs(effect), SMALLEST_EFFECT)
    return max(1, math.ceil(round(8 * variance / (compared * size**2), 6)))


def _drawn(table: pa.Table) -> Mapping[str, Any]:
    """The columns of the rows that were left to chance."""
    propensity = table["propensity"].to_numpy()
    by_chance = (propensity > 0) & (propensity < 1)
    names = ("offer_id", "lot", "arm", "effect", "expected_cost")
    columns = {name: table[name].to_numpy()[by_chance] for name in names}
    return columns | {"lot": np.array([lot or "" for lot in columns["lot"]], dtype=object)}


def _pace(name: str, drawn: Mapping[str, Any], retained: float) -> dict[str, Any]:
    has_lot: Bools = drawn["lot"] != ""
    given = (drawn["offer_id"] == name) & has_lot
    with_offer = Counter(drawn["lot"][given])
    without = Counter(drawn["lot"][(drawn["offer_id"] == NO_OFFER) & has_lot])
    arms = [(count, without[lot]) for lot, count in with_offer.items()]
    effects: Floats = drawn["effect"][given].astype(float)
    effect = float(np.mean(effects)) if len(effects) else None
    explored = given & (drawn["arm"] == ARMS[EXPLORE])
    needed = None
    if effect is not None:
        needed = plans_needed(effect, retained, arms)
    return {
        "offer_id": name,
        "effect": effect,
        "assigned": len(effects),
        "controls": sum(controls for _, controls in arms),
        "explored_cost": float(drawn["expected_cost"][explored].astype(float).sum()),
        "plans": needed,
    }
