"""Alerts of a monitoring: as JSON, and as metrics in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from churn.analytics.analysis import Analysis

EVENT = "monitor.alerts"
LAYERS = ("data", "early", "backtest", "shift")


def alerts(found: Analysis, *, at: datetime) -> dict[str, Any]:
    """The signal and every check with an alarm, without customers' values."""
    signal = found.table("signal").to_pylist()[0]
    rows = found.table("checks").to_pylist()
    return {
        "type": EVENT,
        "timestamp": at.isoformat(),
        "data": {
            "as_of": str(found.as_of),
            "model_id": found.resolved["model_id"],
            "signal": signal,
            "alarms": [row for row in rows if row["state"] == "alarm"],
        },
    }


def prometheus_text(found: Analysis, *, at: datetime) -> str:
    """The metrics for the textfile collector of Prometheus's node exporter."""
    return "".join(f"{line}\n" for line in _lines(found, at))


def _lines(found: Analysis, at: datetime) -> Iterator[str]:
    rows = found.table("checks").to_pylist()
    action = found.table("signal").to_pylist()[0]["action"]
    yield from _gauge("run_timestamp_seconds", "When the monitoring ran.", {"": at.timestamp()})
    dated = {"": _midnight(found.as_of)}
    yield from _gauge("as_of_timestamp_seconds", "The date that was monitored, in UTC.", dated)
    checked = {layer: [row for row in rows if row["layer"] == layer] for layer in LAYERS}
    counts = {_label("layer", layer): len(checks) for layer, checks in checked.items()}
    yield from _gauge("checks", "Checks of each layer.", counts)
    alarms = {
        _label("layer", layer): sum(row["state"] == "alarm" for row in checks)
        for layer, checks in checked.items()
    }
    yield from _gauge("alarms", "Checks with an alarm, of each layer.", alarms)
    refit = {"": float(action == "refit")}
    yield from _gauge("refit_needed", "1 if real labels call for a refit.", refit)
    if "early" in found.tables:
        early = found.table("early").to_pylist()
        for name, text in (("expected", "expected"), ("observed", "observed")):
            values = {_label("day", str(row["day"])): float(row[name]) for row in early}
            yield from _gauge(f"returners_{name}", f"Returners {text} by the early check.", values)


def _gauge(name: str, text: str, values: Mapping[str, float]) -> Iterator[str]:
    full = f"churn_monitor_{name}"
    yield f"# HELP {full} {text}"
    yield f"# TYPE {full} gauge"
    for label, value in values.items():
        yield f"{full}{label} {value:.10g}" if value < 1e9 else f"{full}{label} {value:.3f}"


def _label(name: str, value: str) -> str:
    return f'{{{name}="{value}"}}'


def _midnight(when: date) -> float:
    return datetime(when.year, when.month, when.day, tzinfo=UTC).timestamp()
