"""Tables of the measured result of a campaign."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from churn.campaigns.measurement.rows import ANSWERS
from churn.results.job_result import Line, Table

PER_CUSTOMER = {
    "retained": ("retained, %", 100, 2),
    "orders": ("orders per customer", 1, 3),
    "margin": ("margin per customer", 1, 3),
}
MONEY = {
    "incremental_margin": "incremental margin",
    "incremental_margin_cuped": "  with CUPED",
    "contact_cost": "contact cost",
    "redemption_cost": "redemption cost",
    "redeemed_anyway": "  of it at least, on orders placed anyway",
    "net": "net: incremental margin - costs",
    "net_cuped": "  with CUPED",
    "roi": "return on investment (ROI)",
    "crc": "cost per retained contacted customer (CRC)",
    "cost_per_saved": "cost per saved customer",
}


def measure_tables(metrics: dict[str, Any]) -> tuple[Table, ...]:
    """The groups compared, the effects, the money, and the follow-up."""
    return (
        _groups(metrics),
        _effects(metrics),
        _needed(metrics),
        _afterwards(metrics),
        _money(metrics),
        _answers(metrics),
    )


def _groups(metrics: dict[str, Any]) -> Table:
    money = metrics["money"]
    rows = tuple(
        (
            label,
            f"{money[f'{name}_customers']:,}",
            f"{money[f'{name}_offered']:,}",
            f"{money[f'{name}_retained']:,}",
            f"{money[f'{name}_orders']:,}",
            _cents(money[f"{name}_margin"]),
        )
        for name, label in (("treated", "treated"), ("kept", "control"))
    )
    title = (
        f"Campaign {metrics['campaign_id']}, {metrics['plan_as_of']} to before {metrics['closes']}"
    )
    header = (
        "",
        "customers",
        "got an offer",
        "retained",
        "orders",
        f"margin, {metrics['currency']}",
    )
    return Table(title, header, rows)


def _effects(metrics: dict[str, Any]) -> Table:
    rows: list[Line] = []
    for name, effect in metrics["effects"].items():
        label, scale, digits = PER_CUSTOMER[name]
        for how in ("plain", "cuped"):
            figures = effect[how]
            if figures is not None:
                verdict = effect["verdict"] if how == _decisive(effect) else ""
                title = label if how == "plain" else "  with CUPED"
                rows.append((title, *_numbers(figures, scale, digits), verdict))
    interim = "" if metrics["closed"] else ", anytime-valid"
    title = f"Effect per customer, treated minus control (95 % intervals{interim})"
    return Table(title, ("", "treated", "control", "difference", "verdict"), tuple(rows))


def _decisive(effect: dict[str, Any]) -> str:
    return "plain" if effect["cuped"] is None else "cuped"


def _numbers(figures: dict[str, Any], scale: int, digits: int) -> tuple[str, ...]:
    def text(name: str, sign: str = "+") -> str:
        value = figures[name]
        return "?" if value is None else f"{value * scale:{sign}.{digits}f}"

    difference = f"{text('estimate')} [{text('low')}, {text('high')}]"
    return text("treated", ""), text("kept", ""), difference


def _needed(metrics: dict[str, Any]) -> Table:
    """Power of effects that are too small to tell at the end of the window."""
    rows = []
    for name, effect in (metrics["effects"] if metrics["closed"] else {}).items():
        if effect["verdict"] != "too small to tell" or effect["smallest_shown"] is None:
            continue
        label, scale, digits = PER_CUSTOMER[name]
        needed = effect["customers_needed"]
        shown = f"{effect['smallest_shown'] * scale:.{digits}f}"
        rows.append((label, shown, "undefined" if needed is None else f"{needed:,} customers"))
    header = ("per customer", "minimum detectable effect", "needed for the estimate")
    return Table("Power of effects that are too small to tell", header, tuple(rows))


def _afterwards(metrics: dict[str, Any]) -> Table:
    """The same customers in a second window, in which what was only pulled forward is missing."""
    later = metrics["afterwards"]
    rows: list[Line] = []
    for name, spans in later["effects"].items():
        label, scale, digits = PER_CUSTOMER[name]
        shown = [
            _numbers(effect[_decisive(effect)], scale, digits)[-1] for effect in spans.values()
        ]
        rows.append((label, *shown, spans["afterwards"]["verdict"]))
    days = later["days"]
    header = (
        "",
        f"{days} days",
        f"{days} days after",
        f"{2 * days} days",
        "verdict on the days after",
    )
    title = "Orders that were only pulled forward are missing after the window (95 % intervals)"
    return Table(title, header, tuple(rows))


def _money(metrics: dict[str, Any]) -> Table:
    money = metrics["money"]
    labels = {name: label for name, label in MONEY.items() if money[name] is not None}
    rows = tuple(
        (label, _amount(name, money[name]), _range(money, name)) for name, label in labels.items()
    )
    source = "as expected" if metrics["costs"] == "expected" else "counted"
    basis = f"{money['sent']:,} sent, redemptions {source}"
    return Table(f"Money, {metrics['currency']} ({basis})", ("", "", "interval"), rows)


def _range(money: dict[str, Any], name: str) -> str:
    low, high = money.get(f"{name}_low"), money.get(f"{name}_high")
    return "" if low is None or high is None else f"{_cents(low)} to {_cents(high)}"


def _amount(name: str, value: str) -> str:
    return f"{Decimal(value):+,.1%}" if name == "roi" else _cents(value)


def _cents(value: str) -> str:
    return f"{Decimal(value):,.2f}"


def _answers(metrics: dict[str, Any]) -> Table:
    rows = tuple(
        (name.replace("_", " "), f"{metrics['answers'][name]:,}", step)
        for name, step in ANSWERS.items()
        if metrics["answers"].get(name)
    )
    header = ("response", "customers", "next step")
    return Table("Follow-up of customers with an offer", header, rows)
