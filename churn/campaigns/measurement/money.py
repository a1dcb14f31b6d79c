"""The money table of a campaign, exact to the cent and reproducible from the rows."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from churn.campaigns.measurement.rows import UNITS

if TYPE_CHECKING:
    import pandas as pd

    from churn.campaigns.measurement.analysis import Analysis, Effect
    from churn.campaigns.measurement.difference import Difference
    from churn.campaigns.measurement.rows import Measured


EARNED = (
    "incremental_retained",
    "incremental_orders",
    "incremental_margin",
    "incremental_margin_low",
    "incremental_margin_high",
    "net",
    "net_low",
    "net_high",
    "roi",
    "cost_per_saved",
)
ADJUSTED = (
    "incremental_margin_cuped",
    "incremental_margin_cuped_low",
    "incremental_margin_cuped_high",
    "net_cuped",
    "net_cuped_low",
    "net_cuped_high",
)
ANYWAY = ("redeemed_anyway", "redeemed_anyway_low", "redeemed_anyway_high")
"""The cost of redemptions on orders that would have been placed without the offer, too."""
COSTS = (
    *("contact_cost", "cost", "crc", "roi", "cost_per_saved"),
    *("net", "net_low", "net_high", "net_cuped", "net_cuped_low", "net_cuped_high"),
)
"""What depends on the cost of contacts."""

CENT = Decimal("0.01")
PLACES = Decimal("0.0001")


def money_of(measured: Measured, analysis: Analysis) -> dict[str, Any]:
    """The money table: numbers of customers, and money as exact decimals.

    Sums are those of the rows. `incremental_*` refer to `compared` customers: the total of the
    treated minus that of as many controls, by plain means. `net` is incremental margin less cost,
    `roi` net over cost, `crc` cost over the retained among those who were sent an offer. `*_low`
    and `*_high` bound the same plain difference, as in the analysis, and `*_cuped` are the margin
    and the net by the adjusted one, None without scores; `cost_per_saved`, cost divided by
    incremental retained customers, is given if these are significantly above zero.
    `redeemed_anyway` is the part of the redemption cost that was given away on orders which would
    have been placed anyway: even if every additional order redeemed, those beyond them did.
    Without a reportable effect, values are None; so are the cost of contacts, and what is net of
    it, if nothing says that the offers of the plan were sent.
    """
    frame = measured.frame
    cost = _sum(frame, "contact_cost") + _sum(frame, "redemption_cost")
    sent = frame[frame["sent"]]
    groups = _groups(frame[frame["compared"]])
    money = {
        "sent": len(sent),
        "contact_cost": _sum(frame, "contact_cost"),
        "redemption_cost": _sum(frame, "redemption_cost"),
        "cost": cost,
        "redemptions": int(frame["redemptions"].sum()) if measured.redemptions_known else None,
        "retained_of_sent": int(sent["retained"].sum()),
        "crc": _ratio(cost, int(sent["retained"].sum())),
        **groups,
        **(_earned(groups, cost, analysis) if analysis.effects else dict.fromkeys(EARNED)),
        **_adjusted(cost, analysis),
        **_anyway(measured, analysis),
    }
    unsent = measured.sent_by == "nothing" and bool(frame["offered"].any())
    return money | dict.fromkeys(COSTS if unsent else ())


def _groups(compared: pd.DataFrame) -> dict[str, Any]:
    groups: dict[str, Any] = {}
    for name, group in (
        ("treated", compared[~compared["kept"]]),
        ("kept", compared[compared["kept"]]),
    ):
        groups |= {
            f"{name}_customers": len(group),
            f"{name}_offered": int(group["offered"].sum()),
            f"{name}_retained": int(group["retained"].sum()),
            f"{name}_orders": int(group["orders"].sum()),
            f"{name}_net_spend": _sum(group, "net_spend"),
            f"{name}_margin": _sum(group, "margin"),
        }
    return groups


def _earned(groups: dict[str, Any], cost: Decimal, analysis: Analysis) -> dict[str, Decimal | None]:
    saved, orders, margin = (_gap(groups, name) for name in ("retained", "orders", "margin"))
    margins = analysis.effects["margin"]
    low, high = _bounds(margins, margins.plain)
    net = (margin - cost).quantize(CENT)
    is_saved = analysis.effects["retained"].verdict == "more" and saved > 0
    values = (saved, orders, margin, low, high, net, low - cost, high - cost, _ratio(net, cost))
    earned = dict(zip(EARNED, (*values, _ratio(cost, saved) if is_saved else None), strict=True))
    return {name: _finite(value) for name, value in earned.items()}


def _adjusted(cost: Decimal, analysis: Analysis) -> dict[str, Decimal | None]:
    """The incremental margin and the net by the difference that CUPED adjusted."""
    effect = analysis.effects.get("margin")
    if effect is None or effect.adjusted is None:
        return dict.fromkeys(ADJUSTED)
    margin = _cents(effect.adjusted.estimate * effect.treated_customers)
    margins = (margin, *_bounds(effect, effect.adjusted))
    values = (*margins, *(money - cost for money in margins))
    return {name: _finite(value) for name, value in zip(ADJUSTED, values, strict=True)}


def _anyway(measured: Measured, analysis: Analysis) -> dict[str, Decimal | None]:
    """What redemptions of the treated cost beyond their additional orders, with its interval."""
    frame, orders = measured.frame, analysis.effects.get("orders")
    treated = frame[frame["compared"] & ~frame["kept"]]
    redeemed = int(treated["redemptions"].sum()) if measured.redemptions_known else 0
    if orders is None or not redeemed:
        return dict.fromkeys(ANYWAY)
    cost, best = _sum(treated, "redemption_cost"), orders.best
    low, high = best.interval(orders.widening)
    if not (math.isfinite(low) and math.isfinite(high)):
        return dict.fromkeys(ANYWAY)
    shares = [
        min(max(1 - effect * orders.treated_customers / redeemed, 0.0), 1.0)
        for effect in (best.estimate, high, low)
    ]
    costs = (_cents(float(cost) * share) for share in shares)
    return dict(zip(ANYWAY, costs, strict=True))


def _bounds(effect: Effect, by: Difference) -> tuple[Decimal, Decimal]:
    """The interval of the incremental margin of all treated customers, to the cent if finite."""
    low, high = by.interval(effect.widening)
    customers = effect.treated_customers
    return _cents(low * customers), _cents(high * customers)


def _cents(money: float) -> Decimal:
    return Decimal(repr(money)).quantize(CENT) if math.isfinite(money) else Decimal("NaN")


def _finite(value: Decimal | None) -> Decimal | None:
    return None if value is None or not value.is_finite() else value


def _gap(groups: dict[str, Any], name: str) -> Decimal:
    """Treated - kept x (treated customers / kept customers), to a hundredth."""
    kept = Decimal(groups[f"kept_{name}"])
    scaled: Decimal = kept * groups["treated_customers"] / groups["kept_customers"]
    return (Decimal(groups[f"treated_{name}"]) - scaled).quantize(CENT)


def _sum(frame: pd.DataFrame, name: str) -> Decimal:
    """The exact sum of a column of units."""
    return (Decimal(int(frame[name].sum())) / UNITS).quantize(PLACES)


def _ratio(money: Decimal, by: Decimal | int) -> Decimal | None:
    return (money / by).quantize(PLACES) if by else None
