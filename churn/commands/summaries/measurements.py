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
    "contact_cost": "contact cost",
    "redemption_cost": "redemption cost",
    "net": "net: incremental margin - costs",
    "roi": "return on investment (ROI)",
    "crc": "cost per retained contacted customer (CRC)",
    "cost_per_saved": "cost per saved customer",
}


def measure_tables(told: dict[str, Any]) -> tuple[Table, ...]:
    """The groups compared, the effects, the money, and the follow-up."""
    return (_groups(told), _effects(told), _needed(told), _money(told), _answers(told))


def _groups(told: dict[str, Any]) -> Table:
    money = told["money"]
    rows = tuple(
        (
            word,
            f"{money[f'{name}_customers']:,}",
            f"{money[f'{name}_offered']:,}",
            f"{money[f'{name}_retained']:,}",
            f"{money[f'{name}_orders']:,}",
            _cents(money[f"{name}_margin"]),
        )
        for name, word in (("treated", "treated"), ("kept", "control"))
    )
    title = f"Campaign {told['campaign_id']}, {told['plan_as_of']} to before {told['closes']}"
    header = ("", "customers", "got an offer", "retained", "orders", f"margin, {told['currency']}")
    return Table(title, header, rows)


def _effects(told: dict[str, Any]) -> Table:
    rows: list[Line] = []
    for name, effect in told["effects"].items():
        label, scale, digits = PER_CUSTOMER[name]
        for how in ("plain", "cuped"):
            found = effect[how]
            if found is not None:
                verdict = effect["verdict"] if how == _read_from(effect) else ""
                what = label if how == "plain" else "  with CUPED"
                rows.append((what, *_numbers(found, scale, digits), verdict))
    look = "" if told["closed"] else ", anytime-valid"
    title = f"Effect per customer, treated minus control (95 % intervals{look})"
    return Table(title, ("", "treated", "kept", "difference", "verdict"), tuple(rows))


def _read_from(effect: dict[str, Any]) -> str:
    return "plain" if effect["cuped"] is None else "cuped"


def _numbers(found: dict[str, Any], scale: int, digits: int) -> tuple[str, ...]:
    def text(name: str, sign: str = "+") -> str:
        value = found[name]
        return "?" if value is None else f"{value * scale:{sign}.{digits}f}"

    difference = f"{text('estimate')} [{text('low')}, {text('high')}]"
    return text("treated", ""), text("kept", ""), difference


def _needed(told: dict[str, Any]) -> Table:
    """Power, for effects that are too small to tell at the end of the window."""
    rows = []
    for name, effect in (told["effects"] if told["closed"] else {}).items():
        if effect["verdict"] != "too small to tell" or effect["smallest_shown"] is None:
            continue
        label, scale, digits = PER_CUSTOMER[name]
        needed = effect["customers_needed"]
        shown = f"{effect['smallest_shown'] * scale:.{digits}f}"
        rows.append((label, shown, "undefined" if needed is None else f"{needed:,} customers"))
    header = ("per customer", "minimum detectable effect", "needed for the estimate")
    return Table("Power, where the effect is too small to tell", header, tuple(rows))


def _money(told: dict[str, Any]) -> Table:
    money = told["money"]
    words = {name: label for name, label in MONEY.items() if money[name] is not None}
    rows = tuple(
        (label, _amount(name, money[name]), _range(money, name)) for name, label in words.items()
    )
    how = "as expected" if told["costs"] == "expected" else "counted"
    counted = f"{money['sent']:,} sent, redemptions {how}"
    return Table(f"Money, {told['currency']} ({counted})", ("", "", "interval"), rows)


def _range(money: dict[str, Any], name: str) -> str:
    low, high = money.get(f"{name}_low"), money.get(f"{name}_high")
    return "" if low is None or high is None else f"{_cents(low)} to {_cents(high)}"


def _amount(name: str, value: str) -> str:
    return f"{Decimal(value):+,.1%}" if name == "roi" else _cents(value)


def _cents(value: str) -> str:
    return f"{Decimal(value):,.2f}"


def _answers(told: dict[str, Any]) -> Table:
    rows = tuple(
        (name.replace("_", " "), f"{told['answers'][name]:,}", step)
        for name, step in ANSWERS.items()
        if told["answers"].get(name)
    )
    header = ("response", "customers", "next step")
    return Table("Follow-up of customers with an offer", header, rows)
