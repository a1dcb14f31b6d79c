"""Charts of a model's evaluation, and all figures as files."""

from __future__ import annotations

from typing import Any

from churn.modeling.judgement.backtest import Listed
from churn.modeling.judgement.drawing import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    PALE,
    VERMILION,
    can_draw,
    data_of,
    titled,
    to_svg,
)
from churn.modeling.judgement.judgement import Judgement
from churn.modeling.judgement.plain import as_plain
from churn.modeling.judgement.reliability import Reliability
from churn.modeling.metrics import Interval
from churn.results.figures import interval

WIDTH, HEIGHT = 360, 280
LEAST_SLICE_ROWS = 100


def pictures(judgement: Judgement) -> dict[str, bytes]:
    """SVG by name; parts that were not requested have no chart."""
    made = {name: draw(judgement) for name, draw in PICTURES.items()}
    return {f"{name}.svg": to_svg(chart) for name, chart in made.items() if chart is not None}


def _gain(judgement: Judgement) -> Any:
    """Gain and lift, side by side."""
    import altair as alt

    names = _names(judgement)
    rows = [
        {"who": names[gain.predictor], "listed": at, "caught": caught, "lift": caught / at}
        for gain in judgement.gains
        for at, caught in zip(gain.listed, gain.caught, strict=True)
        if at > 0
    ]
    rows += [{"who": who, "listed": 0.0, "caught": 0.0} for who in names.values()]
    listed = alt.X("listed:Q", title="share of customers listed", axis=alt.Axis(format="%"))
    lines = alt.Chart(data_of(rows)).mark_line(strokeWidth=2.5).encode(listed, **_by_who(names))
    random = alt.Chart(data_of([{"a": 0, "b": 0, "c": 1}, {"a": 1, "b": 1, "c": 1}]))
    rule = random.mark_line(color=GREY, strokeDash=[2, 3]).encode(x="a:Q")
    caught = alt.Y("caught:Q", title="share of lapsed customers found", axis=alt.Axis(format="%"))
    lift = alt.Y("lift:Q", title="lift: lapse rate / overall rate")
    return alt.hconcat(
        _sized(lines.encode(caught) + rule.encode(alt.Y("b:Q"))),
        _sized(lines.encode(lift) + rule.encode(alt.Y("c:Q"))),
    ).properties(
        title=titled(
            "Gain and lift",
            "Gain (left) and lift (right) on later cutoffs; dotted: a random list.",
        )
    )


def _calibration(judgement: Judgement) -> Any:
    """The test, and the pooled forecasts where there are any."""
    import altair as alt

    shown = [("later cutoffs", judgement.calibration[0])]
    if judgement.pooled is not None:
        shown.append(("forward forecasts, pooled", judgement.pooled.calibration[0]))
    panels = [_reliability_panel(title, found) for title, found in shown]
    return alt.hconcat(*panels).properties(
        title=titled(
            "Calibration",
            "Ten groups of similar probability; diagonal: perfect calibration. Bars: 95 % "
            "intervals.",
        )
    )


def _reliability_panel(title: str, found: Reliability) -> Any:
    import altair as alt

    rows = [
        {"said": one.predicted, "came": one.observed.estimate, **_bounds(one.observed)}
        for one in found.bins
    ]
    most = max(max(row["said"], row["high"]) for row in rows)
    data = alt.Chart(data_of(rows))
    said = alt.X("said:Q", title="probability of lapsing", axis=alt.Axis(format="%"))
    scale = alt.Scale(domain=[0, most], nice=True)
    came = alt.Y("came:Q", title="lapsed", axis=alt.Axis(format="%"), scale=scale)
    line = alt.Chart(data_of([{"a": 0}, {"a": most}])).mark_line(color=GREY, strokeDash=[2, 3])
    error = found.error.estimate
    return _sized(
        line.encode(x="a:Q", y="a:Q")
        + data.mark_rule(color=BLUE).encode(said, alt.Y("low:Q"), alt.Y2("high:Q"))
        + data.mark_point(color=BLUE, filled=True, size=60, opacity=1).encode(said, came),
        title=titled(
            f"{title}: {found.rows:,} rows",
            f"error {error:.4f}; noise floor {found.floor.mean:.4f}, 95 % quantile "
            f"{found.floor.high:.4f}",
            size=13,
        ),
    )


def _slices(judgement: Judgement) -> Any:
    """Slices of the pooled forecasts, else of the test."""
    import altair as alt

    found = judgement.calibration if judgement.pooled is None else judgement.pooled.calibration
    rows = [
        {
            "slice": f"{one.group} ({one.rows:,})",
            "error": one.error.estimate,
            "mean": one.floor.mean,
            "high": one.floor.high,
            "kind": "above the noise floor" if not one.within_floor else "within the noise floor",
        }
        for one in found
        if one.rows >= LEAST_SLICE_ROWS
    ]
    data = alt.Chart(data_of(rows))
    y = alt.Y("slice:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    x = alt.X("error:Q", title="expected calibration error")
    kinds = ["within the noise floor", "above the noise floor"]
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[BLUE, VERMILION]))
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["circle", "square"]))
    return _sized(
        data.mark_bar(color=PALE, height=12).encode(alt.X("high:Q"), y)
        + data.mark_tick(color=GREY, thickness=2, size=14).encode(alt.X("mean:Q"), y)
        + data.mark_point(filled=True, size=80, opacity=1).encode(x, y, color=colour, shape=shape),
        height=24 * len(rows),
    ).properties(
        title=titled(
            "Calibration by slice",
            "Grey: noise floor, the 95 % range of a perfectly calibrated model; tick: its mean.",
            f"Slices of {LEAST_SLICE_ROWS} rows or more; rows in brackets.",
        )
    )


def _profit(judgement: Judgement) -> Any:
    import altair as alt

    names, rules = _names(judgement), judgement.rules
    rows = [
        {"who": names[one.predictor], "listed": at, "profit": money}
        for one in judgement.profits
        for at, money in zip(one.listed, one.profit, strict=True)
    ]
    data = alt.Chart(data_of(rows))
    listed = alt.X("listed:Q", title="share of customers contacted", axis=alt.Axis(format="%"))
    zero = alt.Chart(data_of([{"z": 0}])).mark_rule(color=GREY, strokeDash=[2, 3])
    lines = data.mark_line(strokeWidth=2.5).encode(
        listed, alt.Y("profit:Q", title="profit per customer"), **_by_who(names)
    )
    best = ", ".join(
        f"{names[one.predictor]} {interval(one.best, digits=2)}" for one in judgement.profits
    )
    return _sized(lines + zero.encode(y="z:Q"), width=460).properties(
        title=titled(
            "Profit of a campaign",
            f"Verbraken et al. (2013): a retained customer is worth {rules.lifetime_value:g}, an "
            f"offer costs {rules.offer_cost:g},",
            f"a contact {rules.contact_cost:g}, {rules.acceptance:.0%} of lapsing customers "
            "accept. Expected maximum:",
            best,
        )
    )


def _rates(judgement: Judgement) -> Any:
    """Rates above, AUC below, on one axis of time."""
    import altair as alt

    kinds = {"lapsed": "lapse", "declined": "decline"}
    came = [
        {"cutoff": one.cutoff, "kind": kind, "rate": rate.estimate, **_bounds(rate)}
        for one in judgement.rates
        for kind, field in kinds.items()
        for rate in [getattr(one, field)]
    ]
    told = [
        {"cutoff": one.cutoff, "kind": "lapse, predicted", "rate": one.foretold}
        for one in judgement.rates
        if one.foretold is not None
    ]
    when = alt.X("cutoff:T", title=None, axis=alt.Axis(format="%d %b %y", labelAngle=-40))
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(
            domain=["lapsed", "lapse, predicted", "declined"], range=[BLUE, VERMILION, AMBER]
        ),
    )
    data, points = alt.Chart(data_of(came)), alt.Chart(data_of(told))
    rate = alt.Y("rate:Q", title="share of eligible customers", axis=alt.Axis(format="%"))
    band = data.mark_area(opacity=0.18).encode(when, alt.Y("low:Q"), alt.Y2("high:Q"), colour)
    above = (
        band
        + data.mark_line(strokeWidth=2.5).encode(when, rate, colour)
        + points.mark_point(shape="diamond", filled=True, size=70, opacity=1).encode(
            when, rate, colour
        )
    )
    ranked = alt.Chart(
        data_of(
            {"cutoff": one.cutoff, "auc": one.roc_auc.estimate, **_bounds(one.roc_auc)}
            for one in judgement.rates
            if one.roc_auc is not None
        )
    )
    auc = alt.Y("auc:Q", title="AUC", scale=alt.Scale(zero=False))
    below = ranked.mark_rule(color=BLUE).encode(
        when, alt.Y("low:Q"), alt.Y2("high:Q")
    ) + ranked.mark_point(color=BLUE, filled=True, size=60, opacity=1).encode(when, auc)
    panels = alt.vconcat(_sized(above, width=560, height=200), _sized(below, width=560, height=110))
    return panels.resolve_scale(x="shared").properties(
        title=titled(
            "Lapse rate over time",
            "Customers who lapsed or declined in the horizon after each cutoff; diamonds: mean",
            "predicted probability. Below: AUC of the forecast. 95 % intervals.",
        )
    )


def _importance(judgement: Judgement) -> Any:
    if not judgement.importance:
        return None
    import altair as alt

    rows = [
        {
            "family": one.family,
            "gain": one.gain_share,
            "rise": one.loss_rise.estimate,
            **_bounds(one.loss_rise),
        }
        for one in judgement.importance
    ]
    data = alt.Chart(data_of(rows))
    y = alt.Y("family:N", sort=None, title=None)
    bare = alt.Y("family:N", sort=None, title=None, axis=None)
    height = 20 * len(rows)
    gain = alt.X("gain:Q", title="share of total split gain", axis=alt.Axis(format="%"))
    left = data.mark_bar(color=BLUE, height=11).encode(gain, y)
    return alt.hconcat(
        _sized(left, width=260, height=height),
        _sized(
            _whiskers(data, bare, "log loss increase with permuted values"),
            width=320,
            height=height,
        ),
    ).properties(
        title=titled(
            "Feature importance",
            "Feature families: in training (left), on later cutoffs (right, 95 % intervals).",
        )
    )


def _backtest(judgement: Judgement) -> Any:
    import altair as alt

    names = _names(judgement) | {"value_at_risk": "value at risk"}
    questions = {
        "precision": "precision",
        "recall": "recall",
        "spend_caught": "usual spend caught",
    }
    rows = [
        {"who": names[one], "what": what, "rise": found.estimate, **_bounds(found)}
        for one in names
        for field, what in questions.items()
        for found in [getattr(judgement.listed(one), field)]
    ]
    y = alt.Y("who:N", sort=list(names.values()), title=None, axis=alt.Axis(labelLimit=200))
    panels = alt.Chart(data_of(rows)).properties(width=200, height=26 * len(names))
    most = max(listed.high for one in names for listed in _shares(judgement.listed(one)))
    scale = alt.Scale(domain=[0, 1.05 * most])
    low, point = (
        alt.X(f"{at}:Q", title=None, axis=alt.Axis(format="%", tickCount=5), scale=scale)
        for at in ("low", "rise")
    )
    marks = panels.mark_rule(color=BLUE).encode(low, alt.X2("high:Q"), y) + panels.mark_point(
        color=BLUE, filled=True, size=70, opacity=1
    ).encode(point, y)
    listed = judgement.listed("model")
    column = alt.Column("what:N", sort=list(questions.values()), title=None)
    return marks.facet(column=column, spacing=32).properties(
        title=titled(
            "Backtest of the list",
            f"{listed.listed:,} of {listed.rows:,} customers listed at a capacity of "
            f"{capacity_in_words(judgement.capacity)};",
            "outcomes in the horizon. 95 % intervals over customers.",
        )
    )


def _ablation(judgement: Judgement) -> Any:
    import altair as alt

    if not judgement.ablation:
        return None
    rows = [
        {"family": one.family, "rise": one.loss_rise.estimate, **_bounds(one.loss_rise)}
        for one in judgement.ablation
    ]
    y = alt.Y("family:N", sort=None, title=None)
    chart = _whiskers(alt.Chart(data_of(rows)), y, "log loss increase without the family")
    return _sized(chart, width=420, height=20 * len(rows)).properties(
        title=titled(
            "Ablation of feature families",
            "The recipe refitted without each family. 95 % intervals.",
        )
    )


PICTURES = {
    "gain": _gain,
    "calibration": _calibration,
    "slices": _slices,
    "profit": _profit,
    "rates": _rates,
    "importance": _importance,
    "backtest": _backtest,
    "ablation": _ablation,
}


def _whiskers(data: Any, y: Any, title: str) -> Any:
    """Points with horizontal intervals, and a line at zero."""
    import altair as alt

    zero = alt.Chart(data_of([{"z": 0}])).mark_rule(color=GREY, strokeDash=[2, 3])
    return (
        zero.encode(x="z:Q")
        + data.mark_rule(color=BLUE).encode(alt.X("low:Q", title=title), alt.X2("high:Q"), y)
        + data.mark_point(color=BLUE, filled=True, size=60, opacity=1).encode(alt.X("rise:Q"), y)
    )


def _names(judgement: Judgement) -> dict[str, str]:
    """The names of predictors on charts."""
    best = judgement.evaluation.best_baseline
    if judgement.stand_in is not None:
        best = judgement.stand_in
    return {
        gain.predictor: judgement.named(gain.predictor).replace("_", " ")
        + (" (best baseline)" if gain.predictor == best else "")
        for gain in judgement.gains
    }


def _by_who(names: dict[str, str]) -> dict[str, Any]:
    """Colour and dash of a line by its predictor."""
    import altair as alt

    domain, count = list(names.values()), len(names)
    colours, dashes = [BLUE, AMBER, GREEN][:count], [[1, 0], [8, 3], [3, 3]][:count]
    return {
        "color": alt.Color("who:N", scale=alt.Scale(domain=domain, range=colours)),
        "strokeDash": alt.StrokeDash("who:N", scale=alt.Scale(domain=domain, range=dashes)),
    }


def _shares(listed: Listed) -> tuple[Interval, Interval, Interval]:
    return listed.precision, listed.recall, listed.spend_caught


def _bounds(value: Interval) -> dict[str, Any]:
    return {"low": as_plain(value.low), "high": as_plain(value.high)}


def _sized(chart: Any, *, width: int = WIDTH, height: int = HEIGHT, **more: Any) -> Any:
    return chart.properties(width=width, height=height, **more)


def capacity_in_words(capacity: float) -> str:
    """A share in per cent, or a number of customers."""
    return f"{capacity:.0%}" if capacity < 1 else f"{capacity:,} customers"


def judgement_files(judgement: Judgement) -> dict[str, bytes]:
    """Contents by file name: `judgement.json`, and with the extra `report` the charts."""
    figures = {"judgement.json": judgement.to_json().encode()}
    return figures | (pictures(judgement) if can_draw() else {})
