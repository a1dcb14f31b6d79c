"""The checks of all layers as rows of one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from math import isfinite
from typing import Any

import pyarrow as pa

from churn.monitoring.backtest import Matured
from churn.monitoring.early import EarlyCheck
from churn.monitoring.feeds import FeedCheck
from churn.monitoring.shift import Shift

CHECKS = pa.schema(
    [
        *((name, pa.string()) for name in ("layer", "check", "what")),
        *((name, pa.float64()) for name in ("value", "low", "high")),
        ("n", pa.int64()),
        ("state", pa.string()),
        ("text", pa.string()),
    ]
)

Layers = tuple[
    tuple[FeedCheck, ...], tuple[EarlyCheck, ...], tuple[Matured, ...], tuple[Shift, ...]
]


def check_rows(layers: Layers, reference: date | None) -> list[dict[str, Any]]:
    """One row for each check of every layer."""
    feeds, early, backtest, moved = layers
    rows = [
        _row("data", c.check, c.what, (c.value, c.low, c.high), None, c.state, c.text)
        for c in feeds
    ]
    for one in early:
        bounds = (one.deviation, one.deviation - one.half, one.deviation + one.half)
        named = f"{one.cutoff} day {one.day}"
        rows.append(
            _row("early", "returners", named, bounds, one.customers, one.state, one.sentence())
        )
    for past in backtest:
        bounds = (past.deviation, past.deviation - past.half, past.deviation + past.half)
        text = past.sentence()
        what = str(past.cutoff)
        rows.append(_row("backtest", "lapsed", what, bounds, past.customers, past.state, text))
    for one_shift in moved:
        text = _shift_text(one_shift, reference)
        bounds = (one_shift.larger, one_shift.low, one_shift.high)
        rows.append(
            _row("shift", "A", one_shift.name, bounds, one_shift.new_rows, one_shift.state, text)
        )
    return rows


def _row(
    layer: str,
    check: str,
    what: str,
    bounds: tuple[float, float, float],
    n: int | None,
    state: str,
    text: str,
) -> dict[str, Any]:
    value, low, high = (_plain(bound) for bound in bounds)
    cells = {"value": value, "low": low, "high": high, "n": n, "state": state, "text": text}
    return {"layer": layer, "check": check, "what": what, **cells}


def _shift_text(one: Shift, reference: date | None) -> str:
    if one.state == "too few":
        return f"Too few to say: {min(one.new_rows, one.old_rows):,} of 1,000 needed."
    return f"Larger than on {reference} with a probability of {one.larger:.3f}."


def layer_table(found: Sequence[Any]) -> pa.Table:
    """Dataclasses as a table; NaN is null."""
    rows = [{name: _plain(value) for name, value in asdict(one).items()} for one in found]
    return pa.Table.from_pylist(rows) if rows else pa.table({})


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
