"""The retrain signal: what to do, which layer says so, and what a refit would gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Literal

from churn.monitoring.backtest import Matured
from churn.monitoring.early import EarlyCheck, signed_percent
from churn.monitoring.feeds import FeedCheck
from churn.monitoring.refit import RefitGain
from churn.monitoring.shift import Shift

Layer = Literal["data", "early", "backtest", "shift", "none"]
Action = Literal["check the data", "refit", "watch", "none"]

NAMED = 3


@dataclass(frozen=True)
class Signal:
    """What to do, the layer that says so, and the finding in one line.

    `gain` is the log loss that a refit would save, with its 95 % interval; None if no label has
    closed since the training, or nothing calls for a refit.
    """

    action: Action
    layer: Layer
    text: str
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    gain_text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    def with_gain(self, found: RefitGain | None, *, closes: date) -> Signal:
        """The same with the gain of a refit, or the date from which it can be known."""
        if self.action != "refit":
            return self
        if found is None:
            return replace(
                self, gain_text=f"What a refit would gain can be known from {closes} on."
            )
        gain = found.gain
        return replace(
            self,
            gain=gain.estimate,
            gain_low=gain.low,
            gain_high=gain.high,
            gain_text=found.sentence(),
        )


def signal_of(
    feeds: Sequence[FeedCheck],
    early: Sequence[EarlyCheck],
    backtest: Sequence[Matured],
    moved: Sequence[Shift],
) -> Signal:
    """The finding of the most trusted layer with an alarm.

    Wrong data come first: a model refitted on them would learn the fault. Real labels call for a
    refit, early ones before those that have closed. A shift alone calls for nothing: labels decide.
    """
    broken = [check for check in feeds if check.state == "alarm"]
    if broken:
        first = broken[0]
        more = f" ({len(broken) - 1} more)" if len(broken) > 1 else ""
        return Signal("check the data", "data", f"{first.what}, {first.check}: {first.text}{more}")
    off = [check for check in early if check.state == "alarm"]
    if off:
        worst = max(off, key=lambda check: abs(check.deviation) / max(check.half, 1e-12))
        return Signal("refit", "early", worst.sentence())
    wrong = [past for past in backtest if past.state == "alarm"]
    if wrong:
        newest = wrong[-1]
        deviation = f"{signed_percent(newest.deviation)} % ± {100 * newest.half:.0f}"
        text = f"{newest.sentence()[:-1]} ({deviation}): the model needs a refit."
        return Signal("refit", "backtest", text)
    shifted = sorted((one for one in moved if one.state == "alarm"), key=lambda one: -one.beyond)
    if shifted:
        names = ", ".join(one.name for one in shifted[:NAMED])
        count = len(shifted)
        more = f" and {count - NAMED} more" if count > NAMED else ""
        return Signal("watch", "shift", f"Shifted: {names}{more}. Labels decide about a refit.")
    return Signal("none", "none", "Nothing calls for a refit.")
