"""The money of a campaign, to the cent: whoever has the rows finds the same."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from churn.retention.measurement.rows import UNITS

if TYPE_CHECKING:
    import pandas as pd

    from churn.retention.measurement.rows import Measured

__all__ = ["money_of"]

CENT = Decimal("0.01")
PLACES = Decimal("0.0001")


def money_of(measured: Measured) -> dict[str, Any]:
    """The money table: numbers of customers, and money as exact decimals.

    Sums are those of the rows. `incremental_*` are over the `compared`: what the treated had, less
    what as many customers had among the kept (None without both). `net` is incremental margin
    less cost, `roi` net over cost, `crc` cost over the retained among those who were sent an
    offer, `cost_per_saved` cost over the incremental retained where those are more than none.
    """
    frame = measured.frame
    cost = _sum(frame, "contact_cost") + _sum(frame, "redemption_cost")
    sent = frame[frame["sent"]]
    return {
        "sent": len(sent),
        "contact_cost": _sum(frame, "contact_cost"),
        "redemption_cost": _sum(frame, "redemption_cost"),
        "cost": cost,
        "redemptions": int(frame["redemptions"].sum()) if measured.redemptions_known else None,
        "retained_of_sent": int(sent["retained"].sum()),
        "crc": _ratio(cost, int(sent["retained"].sum())),
        **_groups(frame[frame["compared"]]),
        **_earned(frame[frame["compared"]], cost),
    }


def _groups(compared: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, group in (
        ("treated", compared[~compared["kept"]]),
        ("kept", compared[compared["kept"]]),
    ):
        found |= {
            f"{name}_customers": len(group),
            f"{name}_retained": int(group["retained"].sum()),
            f"{name}_orders": int(group["orders"].sum()),
            f"{name}_net_spend": _sum(group, "net_spend"),
            f"{name}_margin": _sum(group, "margin"),
        }
    return found


def _earned(compared: pd.DataFrame, cost: Decimal) -> dict[str, Decimal | None]:
    """What the treated had more, and what it was worth; the comparison is that of plain means."""
    found = _groups(compared)
    more = {f"incremental_{name}": _more(found, name) for name in ("retained", "orders", "margin")}
    margin, saved = more["incremental_margin"], more["incremental_retained"]
    net = None if margin is None else (margin - cost).quantize(CENT)
    return {
        **more,
        "net": net,
        "roi": None if net is None else _ratio(net, cost),
        "cost_per_saved": None if saved is None or saved <= 0 else _ratio(cost, saved),
    }


def _more(found: dict[str, Any], name: str) -> Decimal | None:
    """Treated - kept x (treated customers / kept customers), to a hundredth."""
    ours, theirs = found["treated_customers"], found["kept_customers"]
    if not ours or not theirs:
        return None
    gap: Decimal = (
        Decimal(found[f"treated_{name}"]) - Decimal(found[f"kept_{name}"]) * ours / theirs
    )
    return gap.quantize(CENT)


def _sum(frame: pd.DataFrame, name: str) -> Decimal:
    """The exact sum of a column of units."""
    return (Decimal(int(frame[name].sum())) / UNITS).quantize(PLACES)


def _ratio(money: Decimal, by: Decimal | int) -> Decimal | None:
    return (money / by).quantize(PLACES) if by else None
