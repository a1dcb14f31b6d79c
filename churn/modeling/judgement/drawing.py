"""Charts in one style, rendered as SVG by vl-convert without a browser.

Colours are Okabe and Ito's, distinguishable with colour blindness; lines also differ in their
dashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair


BLUE, AMBER, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY, PALE = "#8a8a8a", "#dcdcdc"

CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans, Verdana, sans-serif",
    "padding": 12,
    "title": {"anchor": "start", "fontSize": 16, "subtitleFontSize": 12, "subtitleColor": "#444"},
    "axis": {
        "labelFontSize": 12,
        "labelFlush": False,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "grid": True,
    },
    "axisY": {"gridColor": "#eeeeee"},
    "axisX": {"gridColor": "#eeeeee", "labelOverlap": "parity", "labelSeparation": 8},
    "header": {"labelFontSize": 13, "titleFontSize": 12},
    "legend": {
        "labelFontSize": 12,
        "orient": "bottom",
        "title": None,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 3,
    },
    "view": {"stroke": None},
}


INSTALL = "pip install 'churnwise[report]'"


def can_draw() -> bool:
    """Whether the extra `report`, which draws the charts, is installed."""
    return all(find_spec(package) is not None for package in ("altair", "vl_convert"))


def data_of(rows: Iterable[Mapping[str, object]]) -> altair.Data:
    """Rows as inline data of a chart; an undefined number is null."""
    import altair

    return altair.InlineData(values=[dict(row) for row in rows])


def titled(title: str, *subtitle: str, size: int = 16) -> Any:
    """A title, and below it lines that explain how to read the chart."""
    import altair

    return altair.TitleParams(title, subtitle=list(subtitle), fontSize=size, offset=14)


def to_svg(chart: Any) -> bytes:
    """The chart as scalable SVG; texts remain texts."""
    import vl_convert

    return vl_convert.vegalite_to_svg(chart.configure(**CONFIG).to_dict()).encode()
