"""The monitoring on the terminal, and the definition of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from churn.analytics.definitions import Definition, defined
from churn.monitoring.backtest import Matured
from churn.monitoring.early import EarlyCheck, signed_percent
from churn.monitoring.feeds import FeedCheck
from churn.monitoring.shift import Shift
from churn.monitoring.signal import Signal
from churn.results.job_result import Table

SHOWN = 10
"""Shifted columns on the terminal; files and JSON have all."""

DEFINITIONS = defined(
    (
        Definition(
            "expected",
            "customers",
            "Σ (1 - p) F(d) over the customers without an offer: the returners that the model "
            "expects by day d; F is the share of returners of like probability back by day d at "
            "past cutoffs",
        ),
        Definition("observed", "customers", "those of them who have bought by day d"),
        Definition("deviation", "share", "observed over expected, minus 1"),
        Definition("half", "share", "half of the 95 % confidence interval of the deviation"),
        Definition("forecast", "share", "mean churn probability of the eligible customers"),
        Definition("lapsed", "share", "share of them who bought nothing in the horizon"),
        Definition("log_loss", "nats", "mean negative log likelihood of what happened"),
        Definition(
            "expected_log_loss", "nats", "the log loss that the probabilities themselves imply"
        ),
        Definition("roc_auc", "", "probability that a lapsed customer is ranked above a retained"),
        Definition(
            "larger",
            "",
            "A = P(new > old) + ½ P(new = old): .5 if nothing moved",
            "Vargha and Delaney 2000; interval: DeLong et al. 1988, Bonferroni over all columns",
        ),
        Definition(
            "gain",
            "nats",
            "log loss of the model minus that of a refit on the labels closed by then, at the "
            "newest matured cutoff",
        ),
    )
)


def displays(
    found: Signal,
    layers: tuple[Sequence[FeedCheck], Sequence[EarlyCheck], Sequence[Matured], Sequence[Shift]],
    campaigns: Sequence[Mapping[str, Any]],
    reference: date | None,
) -> tuple[Table, ...]:
    """The signal, then one table for each layer that has something to show."""
    feeds, early, backtest, moved = layers
    signal = [("what to do", found.action), ("layer", found.layer), ("finding", found.text)]
    if found.gain_text:
        signal.append(("refit", found.gain_text))
    tables = [
        Table("Signal", ("", ""), tuple(signal)),
        _feeds(feeds),
        _early(early),
        _backtest(backtest),
        _shift(moved, reference),
    ]
    if campaigns:
        tables.append(_campaigns(campaigns))
    return tuple(table for table in tables if table.rows)


def _feeds(feeds: Sequence[FeedCheck]) -> Table:
    rows = [(check.what, check.check, check.state, check.text) for check in feeds]
    return Table("Data", ("table", "check", "", "finding"), tuple(rows))


def _early(early: Sequence[EarlyCheck]) -> Table:
    rows = [
        (
            str(one.cutoff),
            f"{one.day}",
            f"{one.customers:,}",
            f"{one.treated:,}",
            f"{one.expected:,.0f}",
            f"{one.observed:,}",
            f"{signed_percent(one.deviation)} % ± {100 * one.half:.1f}",
            one.state,
        )
        for one in early
    ]
    header = ("predicted", "day", "customers", "left out", "expected", "came", "deviation", "")
    return Table("Early check: returners so far", header, tuple(rows))


def _backtest(backtest: Sequence[Matured]) -> Table:
    rows = [
        (
            str(one.cutoff),
            f"{one.customers:,}",
            f"{one.forecast:.1%}",
            f"{one.lapsed:.1%}",
            f"{signed_percent(one.deviation)} % ± {100 * one.half:.0f}",
            f"{one.log_loss:.4f}",
            f"{one.expected_log_loss:.4f}",
            f"{one.roc_auc:.3f}",
            one.state,
        )
        for one in backtest
    ]
    header = (
        *("predicted", "customers", "forecast", "lapsed", "deviation"),
        *("log loss", "implied", "AUC", ""),
    )
    return Table("Matured predictions", header, tuple(rows))


def _shift(moved: Sequence[Shift], reference: date | None) -> Table:
    alarmed = sorted((one for one in moved if one.state == "alarm"), key=lambda one: -one.beyond)
    tested = sum(one.state in ("ok", "alarm") for one in moved)
    exempt = sum(one.state == "exempt" for one in moved)
    rows = [
        (one.name, f"{one.larger:.3f}", f"[{one.low:.3f}, {one.high:.3f}]")
        for one in alarmed[:SHOWN]
    ]
    if len(alarmed) > SHOWN:
        rows.append((f"and {len(alarmed) - SHOWN} more", "", ""))
    if moved and not tested:
        rows.append(("too few to say: 1,000 customers are needed", "", ""))
    elif moved and not alarmed:
        rows.append((f"nothing moved beyond chance in {tested} columns", "", ""))
    without = f", {exempt} without alarm" if exempt else ""
    title = f"Shift since {reference}: {tested} columns tested{without}"
    return Table(title, ("column", "A", "interval"), tuple(rows))


def _campaigns(campaigns: Sequence[Mapping[str, Any]]) -> Table:
    from churn.monitoring.campaigns import campaign_row

    rows = []
    for row in map(campaign_row, campaigns):
        effect = "-" if row["effect"] is None else _points(row)
        net = "-" if row["net"] is None else f"{row['net']:,.0f}"
        state = "final" if row["closed"] else "interim"
        rows.append((row["campaign_id"], row["plan_as_of"], effect, net, state))
    header = ("campaign", "planned", "kept more, points", "net", "")
    return Table("Campaigns measured", header, tuple(rows))


def _points(row: Mapping[str, Any]) -> str:
    effect, low, high = (100 * row[name] for name in ("effect", "effect_low", "effect_high"))
    return f"{effect:+.1f} [{low:+.1f}, {high:+.1f}]"
