"""Tables of the evaluation of recommendations."""

from __future__ import annotations

from collections.abc import Mapping
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


def recommend_tables(told: Mapping[str, Any], rows: Mapping[str, int]) -> tuple[Table, ...]:
    """The resolved settings, the evaluation by kind of list, and the rows written."""
    judged = [_judged(KINDS[kind], found) for kind, found in told["judgement"].items()]
    return (_resolved(told), *judged, *_written(rows))


def _resolved(told: Mapping[str, Any]) -> Table:
    lines = (
        ("recommended", told["level"], _source(told)),
        ("evaluated", f"{told['horizon_days']} days", f"from {' and '.join(told['cutoffs'])}"),
    )
    return Table("Resolved", ("", "", ""), lines)


def _source(told: Mapping[str, Any]) -> str:
    learnt = told["source"] == "learnt"
    return "learnt from baskets" if learnt else "best sellers instead of learnt lists"


def _judged(title: str, found: Mapping[str, Any]) -> Table:
    lines = tuple(_line(name, figures, found) for name, figures in found["figures"].items())
    return Table(f"{title}, {found['lists']:,} evaluated", HEADER, lines)


def _line(name: str, figures: Mapping[str, Any], found: Mapping[str, Any]) -> Line:
    more = found["differences"].get(name)
    gaps = ("", "") if more is None else (_half(more[m], "+") for m in ("hit_rate", "ndcg"))
    return (PREDICTORS[name], *(_half(figures[measure]) for measure in MEASURES), *gaps)


def _half(found: list[float], sign: str = "") -> str:
    """The figure with half its interval: `.843 ±.013`."""
    estimate, low, high = found
    return f"{estimate:{sign}.3f} ±{(high - low) / 2:.3f}".replace("0.", ".")


def _written(rows: Mapping[str, int]) -> tuple[Table, ...]:
    if not rows:
        return ()
    repeated = rows["recommendations"] - rows["new"]
    numbers = (rows["customers"], rows["recommendations"], repeated, rows["new"])
    line = tuple(f"{number:,}" for number in numbers)
    return (Table("Recommendations", ("customers", "rows", "repeated", "new"), (line,)),)
