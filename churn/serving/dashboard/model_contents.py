"""What the page of the model shows: what it predicts, how well, and when it was promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from churn.serving.dashboard.contents import columns
from churn.serving.dashboard.pictures import Line, Picture
from churn.serving.dashboard.tables import DataTable
from churn.serving.dashboard.wording import Wording

Document = Mapping[str, Any]
MEASURES = ("roc_auc", "average_precision", "lift_at_10_percent", "log_loss", "brier")


def evaluation_of(document: Document) -> Mapping[str, Any]:
    """The measures of the model and of the baselines."""
    found = document.get("evaluation") or {}
    return found if isinstance(found, Mapping) else {}


def model_tables(document: Document) -> list[DataTable]:
    """The evaluation beside the baselines, the importance of families, and promotions."""
    evaluation = evaluation_of(document)
    judged = [row for row in evaluation.get("judged", []) if row.get("group") == "eligible"]
    names = " ".join(f"{name}:measure±" for name in MEASURES)
    kinds = columns(f"predictor:code rows:count customers:count base_rate:share {names}")
    found = [DataTable("evaluation", kinds, judged)] if judged else []
    importance = [
        {**row, "loss_rise": _middle(row.get("loss_rise"))}
        for row in _judgement(document).get("importance", [])
    ]
    if importance:
        kinds = columns("family:code features:whole gain_share:share loss_rise:measure")
        found.append(DataTable("importance", kinds, importance))
    if document.get("promotions"):
        kinds = columns("promoted_at:moment model_id previous cause:code reason:prose")
        found.append(DataTable("promotions", kinds, document["promotions"]))
    return found


def monitor_table(document: Document) -> DataTable:
    """The checks of `churn monitor`, alarms first; of the features, those that shifted."""
    checks = document.get("checks", [])
    shown = [row for row in checks if row["layer"] != "shift" or row["state"] == "alarm"]
    kinds = columns("layer:code check what text:prose state:code")
    return DataTable("monitor", kinds, sorted(shown, key=lambda row: row["state"] != "alarm"))


def monitor_signals(document: Document) -> list[str]:
    """Whether a refit is due, in sentences."""
    return [row["text"] for row in document.get("signal", [])]


def facts_of(document: Document) -> list[tuple[str, Any, str]]:
    """What the model is: name, kind of value, value."""
    clock = document.get("clock", {})
    return [
        ("model_id", document.get("model_id"), "text"),
        ("model_as_of", document.get("as_of"), "date"),
        ("horizon_days", clock.get("horizon_days"), "days"),
        ("lookback_days", clock.get("lookback_days"), "days"),
        ("base_rate", document.get("base_rate"), "share"),
    ]


def model_pictures(document: Document, wording: Wording) -> list[Picture]:
    """Calibration, and the share of the lapsed that a list of some length reaches."""
    judgement = _judgement(document)
    found = [_calibration(judgement, wording), _gains(judgement, wording)]
    return [picture for picture in found if picture is not None]


def _judgement(document: Document) -> Mapping[str, Any]:
    found = document.get("judgement") or evaluation_of(document).get("judgement") or {}
    return found if isinstance(found, Mapping) else {}


SHARES = tuple((share / 4, f"{25 * share} %") for share in range(5))


def _calibration(judgement: Document, wording: Wording) -> Picture | None:
    groups = judgement.get("calibration")
    if not isinstance(groups, Sequence) or isinstance(groups, str):
        return None
    bins: list[Document] = next(
        (g.get("bins", []) for g in groups if g.get("group") == "eligible"), []
    )
    points = [(row["predicted"], _middle(row["observed"])) for row in bins]
    if len(points) < 2 or any(y is None for _, y in points):
        return None
    most = max(max(pair) for pair in points)
    top = next(top for top in (0.25, 0.5, 0.75, 1.0) if most <= top)
    marks = tuple((top * n / 5, f"{100 * top * n / 5:.0f} %") for n in range(6))
    return Picture(
        "calibration",
        wording("model.calibration_title"),
        (Line([(0.0, 0.0), (top, top)], kind="guide"), Line(points, dots=True)),
        x_label=wording("model.predicted"),
        y_label=wording("model.observed"),
        x_ticks=marks,
        y_ticks=marks,
    )


def _gains(judgement: Document, wording: Wording) -> Picture | None:
    gains = judgement.get("gains") or []
    lines = [
        Line(
            list(zip(row["listed"], row["caught"], strict=True)),
            kind="line" if row["predictor"] == "model" else "guide",
        )
        for row in gains
        if row["predictor"] in ("model", "random")
    ]
    if not lines:
        return None
    if len(lines) == 1:
        lines.insert(0, Line([(0.0, 0.0), (1.0, 1.0)], kind="guide"))
    return Picture(
        "gain",
        wording("model.gain_title"),
        tuple(lines),
        x_label=wording("model.listed"),
        y_label=wording("model.caught"),
        x_ticks=SHARES,
        y_ticks=SHARES,
    )


def _middle(value: Any) -> Any:
    """The estimate of a value that may come with its interval."""
    if isinstance(value, list):
        return value[0]
    if isinstance(value, Mapping):
        return value.get("estimate")
    return value
