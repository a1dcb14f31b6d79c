"""The first `offers.toml`: costs scaled to the shop's own orders, effects that are assumed."""

from __future__ import annotations

from math import floor, log10
from pathlib import Path

__all__ = ["starter_offers"]

TEMPLATE = Path(__file__).with_name("starter_offers.toml")
USUAL_ORDER = 40.0
NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
VOUCHER_SHARE = 0.2  # of the mean order
CONTACT_COST, CONTACT_SHARE = 0.01, 1e-5  # an e-mail; of orders in thousands, such as in yen


def starter_offers(
    mean_order: float | None = None, *, currency: str | None = None, margin_rate: float = 0.3
) -> str:
    """The text of the catalogue for a shop whose orders come to so much on average; for one of
    which nothing is known, for orders of 40.
    """
    known = mean_order is not None and mean_order > 0
    order = mean_order if known and mean_order is not None else USUAL_ORDER
    money = currency or ""
    seen = f"{order:,.2f} {money}".strip()
    figures = {
        "@SHOP@": (
            f"# Seen: an order of yours comes to {seen} on average; a margin of {margin_rate:.0%}\n"
            f"# leaves {margin_rate * order:,.2f} of it. Costs below are scaled to that."
            if known
            else f"# Costs are for a shop whose orders come to {seen}: put in your own."
        ),
        "@CONTACT@": _text(nice(max(CONTACT_COST, CONTACT_SHARE * order))),
        "@VOUCHER@": _text(nice(VOUCHER_SHARE * order)),
        "@DISCOUNT@": _text(0.1 * order),
        "@ORDER@": _text(order),
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    for mark, value in figures.items():
        text = text.replace(mark, value)
    return text


def nice(amount: float) -> float:
    """An amount as people set it: its first digit, or a half more.

    >>> [nice(amount) for amount in (8.0, 14.7, 0.0184, 233.0)]
    [8.0, 15.0, 0.02, 250.0]
    """
    unit = 10.0 ** floor(log10(amount))
    nearest = min(NICE, key=lambda one: abs(one - amount / unit))
    return float(f"{nearest * unit:.6g}")


def _text(amount: float) -> str:
    """The amount as TOML writes a float.

    >>> _text(1234.5), _text(0.01)
    ('1234.5', '0.01')
    """
    return repr(round(amount, 2) if amount >= 1 else float(f"{amount:.3g}"))
