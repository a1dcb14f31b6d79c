"""Tables of the evaluation of recommendations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from churn.recommendations.evaluation import LEARNT, MEASURES
from churn.results.job_result import Line, Table

KINDS = {
    "all": "Lists of ten, repeated and new products",
    "repeat": "Repeated products only",
    "new": "New products only",
}
PREDICTORS = {
    LEARNT: "learnt",
    "own": "own best",
    "own_then_shop": "own, then shop",
    "shop": "shop's best",
}
HEADER = ("", "hit rate", "recall", "NDCG", "learnt hits", "NDCG")


def recommend_tables(metrics: Mapping[str, Any], rows: Mapping[str, int]) -> tuple[Table, ...]:
    """The resolved settings, the evaluation by kind of list, and the rows written."""
    judged = [_judged(KINDS[kind], judged) for kind, judged in metrics["judgement"].items()]
    return (_resolved(metrics), *judged, *_written(rows))


def _resolved(metrics: Mapping[str, Any]) -> Table:
    lines = (
        ("recommended", metrics["level"], _source(metrics)),
        (
            "evaluated",
            f"{metrics['horizon_days']} days",
            f"from {' and '.join(metrics['cutoffs'])}",
        ),
    )
    return Table("Resolved", ("", "", ""), lines)


def _source(metrics: Mapping[str, Any]) -> str:
    learnt = metrics["source"] == "learnt"
    return "learnt from baskets" if learnt else "best sellers instead of learnt lists"


def _judged(title: str, judged: Mapping[str, Any]) -> Table:
    lines = tuple(_line(name, figures, judged) for name, figures in judged["figures"].items())
    return Table(f"{title}, {judged['lists']:,} evaluated", HEADER, lines)


def _line(name: str, figures: Mapping[str, Any], judged: Mapping[str, Any]) -> Line:
    differences = judged["differences"].get(name)
    gaps: Iterable[str] = ("", "")
    if differences is not None:
        gaps = (_half(differences[metric], "+") for metric in ("hit_rate", "ndcg"))
    return (PREDICTORS[name], *(_half(figures[measure]) for measure in MEASURES), *gaps)


def _half(figure: list[float], sign: str = "") -> str:
    """The figure with half its interval: `.843 ±.013`."""
    estimate, low, high = figure
    return f"{estimate:{sign}.3f} ±{(high - low) / 2:.3f}".replace("0.", ".")


def _written(rows: Mapping[str, int]) -> tuple[Table, ...]:
    if not rows:
        return ()
    repeated = rows["recommendations"] - rows["new"]
    numbers = (rows["customers"], rows["recommendations"], repeated, rows["new"])
    line = tuple(f"{number:,}" for number in numbers)
    return (Table("Recommendations", ("customers", "rows", "repeated", "new"), (line,)),)
