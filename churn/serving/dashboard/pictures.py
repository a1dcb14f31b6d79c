"""Pictures as SVG without script or style attributes: sparklines, curves, and bars of shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """A line of a picture: its points, and the class that colours it."""

    points: Points
    kind: str = "line"
    dots: bool = False


@dataclass(frozen=True)
class Picture:
    """Lines in a box of `width` by `height`, over the ranges of both axes."""

    name: str
    title: str
    lines: tuple[Line, ...]
    width: int = 560
    height: int = 240
    x_label: str = ""
    y_label: str = ""
    x_ticks: tuple[tuple[float, str], ...] = ()
    y_ticks: tuple[tuple[float, str], ...] = ()
    mark: tuple[float, float] | None = None
    margin: tuple[int, int, int, int] = (26, 26, 40, 56)
    """Space above, to the right, below and to the left."""

    @property
    def x_range(self) -> tuple[float, float]:
        """The range of the horizontal axis."""
        return _range(
            [x for line in self.lines for x, _ in line.points] + [t for t, _ in self.x_ticks]
        )

    @property
    def y_range(self) -> tuple[float, float]:
        """The range of the vertical axis."""
        return _range(
            [y for line in self.lines for _, y in line.points] + [t for t, _ in self.y_ticks]
        )

    def x(self, value: float) -> float:
        """The horizontal place of a value."""
        low, high = self.x_range
        _, right, _, left = self.margin
        return round(left + (value - low) / (high - low) * (self.width - left - right), 1)

    def y(self, value: float) -> float:
        """The vertical place of a value."""
        low, high = self.y_range
        above, _, below, _ = self.margin
        return round(
            self.height - below - (value - low) / (high - low) * (self.height - above - below), 1
        )

    def path(self, line: Line) -> str:
        """The line as the attribute `points`."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in line.points)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def sparkline(
    values: Sequence[float | None],
    *,
    width: int = 220,
    height: int = 36,
    bounds: tuple[float, float] | None = None,
) -> list[str]:
    """The attributes `points` of a line through the values, in parts where some are unknown.

    >>> sparkline([0.0, 1.0], width=10, height=10)
    ['2.0,8.0 8.0,2.0']
    """
    known = [value for value in values if value is not None]
    low, high = bounds or _range(known)
    step = (width - 4) / max(len(values) - 1, 1)
    places = [
        None
        if value is None
        else f"{2 + n * step:.1f},{height - 2 - (value - low) / (high - low) * (height - 4):.1f}"
        for n, value in enumerate(values)
    ]
    parts = groupby(places, key=lambda place: place is not None)
    return [" ".join(str(place) for place in part) for is_known, part in parts if is_known]


@dataclass(frozen=True)
class Stroke:
    """A line that is ready to be drawn: its class and the attribute `points`."""

    kind: str
    points: str


def trend_lines(
    now: Sequence[float | None],
    before: Sequence[float | None],
    *,
    width: int = 300,
    height: int = 48,
) -> list[Stroke]:
    """Two series over one scale, the earlier one behind the other."""
    known = [value for value in (*now, *before) if value is not None]
    bounds = _range(known)
    earlier = [
        Stroke("guide", p) for p in sparkline(before, width=width, height=height, bounds=bounds)
    ]
    return [
        *earlier,
        *(Stroke("line", p) for p in sparkline(now, width=width, height=height, bounds=bounds)),
    ]


def ticks(low: float, high: float, *, count: int = 4) -> list[float]:
    """Round numbers that span a range.

    >>> ticks(0, 870)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
    """
    from math import ceil, floor, log10

    width = (high - low) or 1.0
    power = 10.0 ** floor(log10(width / count))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m * count >= width * 0.85)
    first, last = floor(low / step), ceil(high / step)
    return [round(n * step, 10) for n in range(first, last + 1)]
