"""The money table of the demo: what was measured, and beside it what really happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from churn.results.job_result import Line, Table

CENT = Decimal("0.01")
KEPT, NET = "customers_kept", "net_gain"
LABELS = {
    KEPT: "customers kept from leaving",
    "extra_orders": "extra orders",
    "extra_margin": "extra margin",
    "cost": "cost of the offers",
    NET: "net gain",
    "margin_per_cost": "extra margin for each {currency} spent",
}


@dataclass(frozen=True)
class Earned:
    """One line of the table: `measured` with its interval, None where nothing may be read of it,
    and the `truth`. Money is in cents, `digits` are those after the point.
    """

    name: str
    measured: Decimal | None
    low: Decimal | None
    high: Decimal | None
    truth: Decimal
    digits: int = 2

    @property
    def holds(self) -> bool | None:
        """Whether the interval holds the truth; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.truth <= self.high

    def to_dict(self) -> dict[str, Any]:
        """The line for machines; numbers as text, so that they stay exact."""
        names = ("measured", "low", "high", "truth")
        found = {name: getattr(self, name) for name in names}
        return {name: None if value is None else str(value) for name, value in found.items()}


def earned(measured: Mapping[str, Any], lived: Mapping[str, Any]) -> tuple[Earned, ...]:
    """The lines, from the metrics of `churn measure` and those of `churn live-on`."""
    money = measured["money"]
    rate = Decimal(str(measured["margin_rate"]))
    more = Decimal(str(lived["net_spend"])) - Decimal(str(lived["net_spend_without"]))
    margin, cost = (rate * more).quantize(CENT), _of(money, "cost", CENT)
    truth = {
        "retained": Decimal(lived["bought"] - lived["bought_without"]),
        "orders": Decimal(lived["orders"] - lived["orders_without"]),
    }
    return (
        _customers(KEPT, "retained", measured, truth),
        _customers("extra_orders", "orders", measured, truth),
        _money("extra_margin", "incremental_margin", money, margin),
        Earned("cost", cost, None, None, cost or Decimal(0)),
        _money(NET, "net", money, margin - (cost or 0)),
        _each("margin_per_cost", money, margin),
    )


def _customers(
    line: str, name: str, measured: Mapping[str, Any], truth: Mapping[str, Decimal]
) -> Earned:
    """How many more there were among the treated, with the interval of that same difference."""
    effect = measured["effects"].get(name)
    found = None if effect is None else effect["plain"]
    customers = measured["money"]["treated_customers"]
    low, high = (
        None if found is None or found[side] is None else _whole(found[side] * customers)
        for side in ("low", "high")
    )
    value = _of(measured["money"], f"incremental_{name}", Decimal(1))
    return Earned(line, value, low, high, truth[name], digits=0)


def _whole(number: float) -> Decimal:
    return Decimal(repr(number)).quantize(Decimal(1))


def _money(line: str, name: str, money: Mapping[str, Any], truth: Decimal) -> Earned:
    value, low, high = (_of(money, name + side, CENT) for side in ("", "_low", "_high"))
    return Earned(line, value, low, high, truth)


def _each(line: str, money: Mapping[str, Any], truth: Decimal) -> Earned:
    """Margin over cost; 0 where nothing was spent."""
    cost = _of(money, "cost", CENT) or Decimal(0)
    names = (f"incremental_margin{side}" for side in ("", "_low", "_high"))
    value, low, high = (_over(_of(money, name, CENT), cost) for name in names)
    return Earned(line, value, low, high, _over(truth, cost) or Decimal(0))


def _over(value: Decimal | None, cost: Decimal) -> Decimal | None:
    return None if value is None or not cost else (value / cost).quantize(CENT)


def _of(money: Mapping[str, Any], name: str, places: Decimal) -> Decimal | None:
    value = money[name]
    return None if value is None else Decimal(str(value)).quantize(places)


def money_table(lines: tuple[Earned, ...], *, days: int, currency: str) -> Table:
    """The lines as a marketer reads them."""
    header = ("", "measured", "interval of 95 %", "the truth")
    title = f"SIMULATED: what the offers earned in {days} days, {currency}"
    return Table(title, header, tuple(_row(line, currency) for line in lines))


def verdict(lines: tuple[Earned, ...]) -> str:
    """What may be read of the lines, in a sentence."""
    found = {line.name: line for line in lines}
    kept, net = _sign(found[KEPT]), _sign(found[NET])
    if kept is None or net is None:
        return "too few customers to tell anything"
    if kept == net == 0:
        return "too few customers to tell whether any were kept, or whether it pays"
    customers = (
        "whether customers were kept is too small to tell",
        "customers were kept",
        "customers were driven away",
    )
    money = ("whether it pays is too small to tell with so few", "it pays", "it loses money")
    return f"{customers[kept]}; {money[net]}"


def _sign(line: Earned) -> int | None:
    """1 or -1 where the interval says so, 0 where it holds zero, None without one."""
    if line.low is None or line.high is None:
        return None
    return (line.low > 0) - (line.high < 0)


def _row(line: Earned, currency: str) -> Line:
    interval = ""
    if line.low is not None and line.high is not None:
        interval = f"{_text(line, line.low)} to {_text(line, line.high)}"
    measured = "?" if line.measured is None else _text(line, line.measured)
    label = LABELS[line.name].format(currency=currency)
    return label, measured, interval, _text(line, line.truth)


def _text(line: Earned, value: Decimal) -> str:
    return f"{value:,.{line.digits}f}"
