"""Pictures as SVG for the report: axes in the colour of the text, the finding as title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

WIDTH, HEIGHT = 640, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 30
BAR = 24
LABELS = 4
"""The most labels below a line: dates have room for no more on a phone."""


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high`, over pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        """Three to six round values within the axis."""
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        raw = span / 4
        unit = 10.0 ** floor(log10(raw))
        step = next(unit * n for n in (1, 2, 2.5, 5, 10) if unit * n >= raw)
        first = ceil(self.low / step - 1e-9)
        last = floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]


def axis_of(values: Sequence[float], start: float, end: float, *, zero: bool = False) -> Axis:
    """An axis that holds all of the values, with some room."""
    known = [one for one in values if isfinite(one)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = 0.06 * (high - low or abs(high) or 1.0)
    return Axis(low if zero and low == 0 else low - room, high + room, start, end)


def line_picture(
    name: str,
    finding: str,
    labels: Sequence[str],
    values: Sequence[float],
    *,
    lows: Sequence[float],
    highs: Sequence[float],
    earlier: Sequence[float | None],
) -> str:
    """A line with its 95 % band, and the values of a year before as a dashed line."""
    known = [one for one in earlier if one is not None]
    across = Axis(0, max(len(labels) - 1, 1), LEFT + 8, WIDTH - RIGHT - 8)
    up = axis_of([*lows, *highs, *known], HEIGHT - BOTTOM, TOP)
    xs = [across.at(n) for n in range(len(labels))]
    band = [f"{x:.1f},{up.at(y):.1f}" for x, y in zip(xs, highs, strict=True)]
    band += [f"{x:.1f},{up.at(y):.1f}" for x, y in zip(xs[::-1], lows[::-1], strict=True)]
    parts = [*_rules(up), f'<polygon class="band" points="{" ".join(band)}"/>']
    past = [(x, up.at(y)) for x, y in zip(xs, earlier, strict=True) if y is not None]
    if past:
        parts.append(f'<polyline class="earlier" points="{_points(past)}"/>')
    now = [(x, up.at(y)) for x, y in zip(xs, values, strict=True)]
    parts.append(f'<polyline class="line" points="{_points(now)}"/>')
    x, y = now[-1]
    parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    every = max(1, ceil(len(labels) / LABELS))
    for n in range(len(labels) - 1, -1, -every):
        last = n == len(labels) - 1
        parts.append(
            _text(WIDTH - 2 if last else xs[n], HEIGHT - 9, labels[n], "end" if last else "middle")
        )
    return _svg(name, finding, HEIGHT, parts)


def curve_picture(
    name: str,
    finding: str,
    points: Sequence[tuple[float, float]],
    here: tuple[float, float] | None,
) -> str:
    """A curve from 0, with a mark at one of its points."""
    across = axis_of([x for x, _ in points], LEFT, WIDTH - RIGHT, zero=True)
    up = axis_of([y for _, y in points], HEIGHT - BOTTOM, TOP, zero=True)
    drawn = [(across.at(x), up.at(y)) for x, y in points]
    parts = [*_rules(up), f'<polyline class="line" points="{_points(drawn)}"/>']
    parts += [f'<circle class="small" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in drawn]
    if here is not None:
        x, y = across.at(here[0]), up.at(here[1])
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
    parts += [_text(across.at(one), HEIGHT - 9, f"{one:,.0f}", "middle") for one in across.ticks]
    return _svg(name, finding, HEIGHT, parts)


def bar_picture(name: str, finding: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: label, value and the text at the end of the bar."""
    height = BAR * len(rows) + 8
    most = max((value for _, value, _ in rows), default=1.0) or 1.0
    across = Axis(0, most, 190, WIDTH - 130)
    parts = []
    for n, (label, value, text) in enumerate(rows):
        y = 4 + n * BAR
        width = max(across.at(max(value, 0.0)) - across.start, 0.0)
        parts += [
            _text(across.start - 8, y + 16, label, "end"),
            f'<rect class="bar" x="{across.start:.0f}" y="{y + 4}" '
            f'width="{width:.1f}" height="16"/>',
            _text(across.start + width + 6, y + 16, text, "start"),
        ]
    return _svg(name, finding, height, parts)


def interval_picture(
    name: str, finding: str, rows: Sequence[tuple[str, float, float, float]]
) -> str:
    """Estimates with their intervals, one below the other, and a rule at 0."""
    height = BAR * len(rows) + BOTTOM + 4
    bounds = [one for _, *numbers in rows for one in numbers]
    across = axis_of(bounds, 190, WIDTH - RIGHT, zero=True)
    zero = across.at(0.0)
    parts = [f'<path class="zero" d="M{zero:.1f} 0V{height - BOTTOM + 4}"/>']
    for n, (label, estimate, low, high) in enumerate(rows):
        y = 16 + n * BAR
        parts += [
            _text(182, y + 4, label, "end"),
            f'<path class="range" d="M{across.at(low):.1f} {y}H{across.at(high):.1f}"/>',
            f'<circle class="dot" cx="{across.at(estimate):.1f}" cy="{y}" r="4"/>',
        ]
    parts += [_text(across.at(one), height - 9, f"{one:,.0f}", "middle") for one in across.ticks]
    return _svg(name, finding, height, parts)


def _rules(up: Axis) -> list[str]:
    """Horizontal rules with their values."""
    parts = []
    for one in up.ticks:
        y = up.at(one)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{one:,.6g}", "end"))
    return parts


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(name: str, finding: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{escape(finding)}</title>{"".join(parts)}</svg>'
    )
