"""Forward-in-time folds: each judges one cutoff by what had closed before it, never at random."""

from __future__ import annotations

from dataclasses import dataclass

from churn.data.cutoffs import Cutoffs

__all__ = ["Fold", "forward_folds", "separate_folds"]

MOST_FOLDS = 3


@dataclass(frozen=True)
class Fold:
    """Cutoffs to learn from, whose labels close by the one cutoff to judge on."""

    learn: Cutoffs
    judge: Cutoffs


def forward_folds(cutoffs: Cutoffs, *, most: int = MOST_FOLDS) -> tuple[Fold, ...]:
    """At most the newest `most` folds of a panel, oldest first; none that has nothing to learn.

    >>> panel = Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=4)
    >>> [(len(fold.learn), str(fold.judge.dates[0])) for fold in forward_folds(panel)]
    [(1, '2017-09-20'), (2, '2017-10-04')]
    """
    folds = [Fold(cutoffs.before(date), cutoffs.only((date,))) for date in cutoffs]
    return tuple(fold for fold in folds if fold.learn.dates)[-most:]


def separate_folds(cutoffs: Cutoffs, *, most: int = MOST_FOLDS) -> tuple[Fold, ...]:
    """At most `most` folds, oldest first, back from the newest; the label window of each has
    closed at the cutoff that the next one judges, so that they share no outcome.

    >>> panel = Cutoffs.every(14, until="2017-11-01", horizon_days=28, count=6)
    >>> [(len(fold.learn), str(fold.judge.dates[0])) for fold in separate_folds(panel)]
    [(2, '2017-09-06'), (4, '2017-10-04')]
    """
    found: list[Fold] = []
    known = cutoffs
    while known.dates and len(found) < most:
        newest = known.dates[-1]
        known = known.before(newest)
        found.append(Fold(known, cutoffs.only((newest,))))
    return tuple(fold for fold in reversed(found) if fold.learn.dates)
