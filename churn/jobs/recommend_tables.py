"""How good lists of recommendations were, as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from churn.jobs.result import Line, ShownTable
from churn.retention.recommend.judge import LEARNT, MEASURES

__all__ = ["recommend_tables"]

KINDS = {
    "all": "Lists of ten, repeated and new together",
    "repeat": "Repeated purchases alone",
    "new": "New ones alone",
}
PREDICTORS = {
    LEARNT: "learnt",
    "own": "own best sellers",
    "own_then_shop": "own, then the shop's",
    "shop": "the shop's best sellers",
}
HEADER = ("", "hit rate", "recall", "NDCG", "learnt hits more by", "NDCG more by")


def recommend_tables(told: Mapping[str, Any], rows: Mapping[str, int]) -> tuple[ShownTable, ...]:
    """The judgement by kind of list, and what was written."""
    judged = [
        _judged(KINDS[kind], found, told)
        for kind, found in told["judgement"].items()
        if kind in (told["kind"], "repeat", "new")
    ]
    return (*judged, *_written(rows))


def _judged(title: str, found: Mapping[str, Any], told: Mapping[str, Any]) -> ShownTable:
    lines = tuple(_line(name, figures, found) for name, figures in found["figures"].items())
    when = f"the {told['horizon_days']} days from {' and '.join(told['cutoffs'])}"
    return f"{title}: {found['lists']:,} customers who bought such in {when}", HEADER, lines


def _line(name: str, figures: Mapping[str, Any], found: Mapping[str, Any]) -> Line:
    shown = tuple(_half(figures[measure]) for measure in MEASURES)
    more = found["differences"].get(name)
    gaps = ("", "") if more is None else (_gap(more["hit_rate"]), _gap(more["ndcg"]))
    return (PREDICTORS[name], *shown, *gaps)


def _half(found: list[float]) -> str:
    """The figure with half its interval."""
    estimate, low, high = found
    return f"{estimate:.3f} ±{(high - low) / 2:.3f}"


def _gap(found: list[float]) -> str:
    estimate, low, high = found
    return f"{estimate:+.3f} [{low:+.3f}, {high:+.3f}]"


def _written(rows: Mapping[str, int]) -> tuple[ShownTable, ...]:
    if not rows:
        return ()
    repeated = rows["recommendations"] - rows["new"]
    line = tuple(
        f"{n:,}" for n in (rows["customers"], rows["recommendations"], repeated, rows["new"])
    )
    return (("Recommendations", ("customers", "rows", "repeated", "new"), (line,)),)
