"""The money table of the demo: the measured result next to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from churn.results.job_result import Line, Table

CENT = Decimal("0.01")
KEPT, NET = "customers_kept", "net_gain"
LABELS = {
    KEPT: "customers retained",
    "extra_orders": "incremental orders",
    "extra_margin": "incremental margin",
    "cost": "cost of the offers",
    NET: "net result",
    "margin_per_cost": "incremental margin per {currency}",
}


@dataclass(frozen=True)
class Earned:
    """One line of the table: `measured` with its interval, None if undefined, and the `truth`.

    Money is rounded to cents; `digits` is the number of decimals shown.
    """

    name: str
    measured: Decimal | None
    low: Decimal | None
    high: Decimal | None
    truth: Decimal
    digits: int = 2

    @property
    def covers_truth(self) -> bool | None:
        """Whether the interval contains the truth; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.truth <= self.high

    def to_dict(self) -> dict[str, Any]:
        """The line as JSON; numbers are text, so that they stay exact."""
        names = ("measured", "low", "high", "truth")
        values = {name: getattr(self, name) for name in names}
        return {name: None if value is None else str(value) for name, value in values.items()}


def earned(measured: Mapping[str, Any], advanced: Mapping[str, Any]) -> tuple[Earned, ...]:
    """The lines, from the metrics of `churn measure` and those of `churn live-on`."""
    money = measured["money"]
    rate = Decimal(str(measured["margin_rate"]))
    spend = Decimal(str(advanced["net_spend"])) - Decimal(str(advanced["net_spend_without"]))
    margin, cost = (rate * spend).quantize(CENT), _of(money, "cost", CENT)
    truth = {
        "retained": Decimal(advanced["bought"] - advanced["bought_without"]),
        "orders": Decimal(advanced["orders"] - advanced["orders_without"]),
    }
    return (
        _customers(KEPT, "retained", measured, truth),
        _customers("extra_orders", "orders", measured, truth),
        _money("extra_margin", "incremental_margin", money, margin),
        Earned("cost", cost, None, None, cost or Decimal(0)),
        _money(NET, "net", money, margin - (cost or 0)),
        _per_cost("margin_per_cost", money, margin),
    )


def _customers(
    line: str, name: str, measured: Mapping[str, Any], truth: Mapping[str, Decimal]
) -> Earned:
    """The incremental number among the treated, with its interval."""
    effect = measured["effects"].get(name)
    plain = None if effect is None else effect["plain"]
    customers = measured["money"]["treated_customers"]
    low, high = (
        None if plain is None or plain[side] is None else _whole(plain[side] * customers)
        for side in ("low", "high")
    )
    value = _of(measured["money"], f"incremental_{name}", Decimal(1))
    return Earned(line, value, low, high, truth[name], digits=0)


def _whole(number: float) -> Decimal:
    return Decimal(repr(number)).quantize(Decimal(1))


def _money(line: str, name: str, money: Mapping[str, Any], truth: Decimal) -> Earned:
    value, low, high = (_of(money, name + side, CENT) for side in ("", "_low", "_high"))
    return Earned(line, value, low, high, truth)


def _per_cost(line: str, money: Mapping[str, Any], truth: Decimal) -> Earned:
    """Margin divided by cost; the truth is 0 if nothing was spent."""
    cost = _of(money, "cost", CENT) or Decimal(0)
    names = (f"incremental_margin{side}" for side in ("", "_low", "_high"))
    value, low, high = (_ratio(_of(money, name, CENT), cost) for name in names)
    return Earned(line, value, low, high, _ratio(truth, cost) or Decimal(0))


def _ratio(value: Decimal | None, cost: Decimal) -> Decimal | None:
    return None if value is None or not cost else (value / cost).quantize(CENT)


def _of(money: Mapping[str, Any], name: str, places: Decimal) -> Decimal | None:
    value = money[name]
    return None if value is None else Decimal(str(value)).quantize(places)


def money_table(lines: tuple[Earned, ...], *, days: int, currency: str) -> Table:
    """The lines as a table."""
    header = ("", "measured", "95 % interval", "truth")
    title = f"SIMULATED: result of the offers after {days} days, {currency}"
    return Table(title, header, tuple(_row(line, currency) for line in lines))


def verdict(lines: tuple[Earned, ...]) -> str:
    """The conclusion that the intervals support, as text."""
    by_name = {line.name: line for line in lines}
    kept, net = _sign(by_name[KEPT]), _sign(by_name[NET])
    if kept is None or net is None:
        return "inconclusive: too few customers"
    if kept == net == 0:
        return "inconclusive: too few customers to show an effect on retention or profit"
    customers = (
        "the effect on retention is too small to show with so few customers",
        "the offers retained customers",
        "the offers drove customers away",
    )
    money = (
        "the net result is too small to show with so few customers",
        "they pay off",
        "they lose money",
    )
    return f"{customers[kept]}; {money[net]}"


def _sign(line: Earned) -> int | None:
    """The sign of the interval, 0 if it contains zero, None without one."""
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
