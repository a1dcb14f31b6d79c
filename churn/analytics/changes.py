"""Which groups' rates moved between two periods beyond chance: the arithmetic of `churn signals`.

Every value of every split is looked at, and the false discovery rate is controlled over all looks,
which overlap: Benjamini and Yekutieli (2001). What another group explains is not reported again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from churn.analytics.proportions import Z_95
from churn.arrays import Bools, Floats, Ints

LEAST_EVENTS = 30
"""The least number of expected events, and of expected non-events, in either period."""
FALSE_DISCOVERIES = 0.05
MOST_SIGNALS = 10
EVERYONE = "everyone"


@dataclass(frozen=True)
class Population:
    """The customers at the start of a period: `event` says for whom the rate's event happened.

    `groups` has, by split, the place of each customer's value among `values[split]`; -1 without a
    value. All arrays have the shape (customers,).
    """

    event: Bools
    groups: Mapping[str, Ints]


@dataclass(frozen=True)
class Look:
    """One number that was looked at: a group's rate before and now, in counts.

    `p_value` is None if there were too few to say. `excess_p_value` tests the change against that
    of everyone else.
    """

    split: str
    value: str
    before_total: int
    before_events: int
    now_total: int
    now_events: int
    p_value: float | None
    excess_p_value: float | None

    @property
    def before(self) -> float:
        """The rate before."""
        return self.before_events / self.before_total if self.before_total else np.nan

    @property
    def now(self) -> float:
        """The rate now."""
        return self.now_events / self.now_total if self.now_total else np.nan

    @property
    def change(self) -> float:
        """The change of the rate."""
        return self.now - self.before

    @property
    def half_width(self) -> float:
        """Half of the 95 % interval of the change."""
        if not self.before_total or not self.now_total:
            return np.nan
        variances = (
            self.before * (1 - self.before) / self.before_total,
            self.now * (1 - self.now) / self.now_total,
        )
        return float(Z_95 * np.sqrt(sum(variances)))


@dataclass(frozen=True)
class Changes:
    """The signals, most certain first, of all looks."""

    signals: tuple[Look, ...]
    looks: tuple[Look, ...]

    @property
    def total(self) -> Look:
        """The look at everyone."""
        return self.looks[0]

    @property
    def tested(self) -> tuple[Look, ...]:
        """The looks that had enough events."""
        return tuple(look for look in self.looks if look.p_value is not None)

    @property
    def largest(self) -> Look:
        """The tested look with the smallest p-value; everyone if none was tested."""
        return min(self.tested, key=lambda look: look.p_value or 0.0, default=self.total)


def find_changes(
    before: Population,
    now: Population,
    values: Mapping[str, tuple[str, ...]],
    *,
    least_events: float = 0.0,
) -> Changes:
    """The groups whose rate moved, out of all values of all splits, and everyone.

    A group is a signal if its change is significant over all looks, and so is its difference from
    the change of everyone else; everyone is a signal if significant without those groups.
    `least_events` is the least effect: that many events more or less now. The customers of each
    signal are set aside before the next is sought, so that a group that only overlaps with one
    found before is not reported.
    """
    looks = _looks(before, now, values)
    originals = {(look.split, look.value): look for look in looks}
    signals: list[Look] = []
    some = looks
    while len(signals) < MOST_SIGNALS:
        found = _clearest(some, least_events, looks_made=len(looks))
        if found is None:
            break
        signals.append(originals[found.split, found.value])
        if found.split == EVERYONE:
            break
        code = values[found.split].index(found.value)
        before, now = (_without(one, found.split, code) for one in (before, now))
        some = _looks(before, now, values)
    return Changes(tuple(signals), looks)


def _clearest(looks: tuple[Look, ...], least_events: float, *, looks_made: int) -> Look | None:
    """The group that differs most certainly from everyone else, else everyone, else None."""
    tested = [look for look in looks if look.p_value is not None]
    p_values = np.array([_tested_p_value(look) for look in tested])
    rejected = benjamini_yekutieli(p_values, looks=looks_made, level=FALSE_DISCOVERIES)
    large = [
        (p_value, look)
        for p_value, look, moved in zip(p_values, tested, rejected, strict=True)
        if moved and abs(look.change * look.now_total) >= least_events
    ]
    groups = [one for one in large if one[1].split != EVERYONE]
    return min(groups or large, key=lambda one: one[0], default=(1.0, None))[1]


def _tested_p_value(look: Look) -> float:
    """The larger of the p-values of a group's change and of its difference from all others."""
    return max(look.p_value or 0.0, look.excess_p_value or 0.0)


def _without(population: Population, split: str, code: int) -> Population:
    kept = population.groups[split] != code
    groups = {name: codes[kept] for name, codes in population.groups.items()}
    return Population(population.event[kept], groups)


def _looks(
    before: Population, now: Population, values: Mapping[str, tuple[str, ...]]
) -> tuple[Look, ...]:
    """Everyone, then each value of each split."""
    totals = tuple((len(one.event), int(one.event.sum())) for one in (before, now))
    looks = [_look(EVERYONE, EVERYONE, totals, None)]
    for split, names in values.items():
        counts = [_counts(one, split, len(names)) for one in (before, now)]
        for place, name in enumerate(names):
            own = tuple((int(total[place]), int(events[place])) for total, events in counts)
            looks.append(_look(split, name, own, totals))
    return tuple(looks)


def _counts(population: Population, split: str, width: int) -> tuple[Ints, Ints]:
    codes = population.groups[split]
    known = codes >= 0
    total = np.bincount(codes[known], minlength=width)
    return total, np.bincount(codes[known & population.event], minlength=width)


Counts = tuple[tuple[int, int], ...]


def _look(split: str, value: str, own: Counts, everyone: Counts | None) -> Look:
    (n0, x0), (n1, x1) = own
    p_value = excess = None
    if _is_enough(own):
        p_value = _p_value(_z(own))
        if everyone is not None:
            rest = tuple((n - m, x - y) for (n, x), (m, y) in zip(everyone, own, strict=True))
            excess = _p_value(_excess_z(own, rest)) if _is_enough(rest) else 0.0
    return Look(split, value, n0, x0, n1, x1, p_value, excess)


def _is_enough(counts: Counts) -> bool:
    """Whether both periods expect enough events and enough non-events at the common rate."""
    total = sum(n for n, _ in counts)
    rate = sum(x for _, x in counts) / total if total else 0.0
    least = min(n for n, _ in counts) * min(rate, 1 - rate)
    return least >= LEAST_EVENTS


def _z(counts: Counts) -> float:
    """The two-proportion z, with the common rate's variance."""
    (n0, x0), (n1, x1) = counts
    rate = (x0 + x1) / (n0 + n1)
    return float((x1 / n1 - x0 / n0) / np.sqrt(rate * (1 - rate) * (1 / n0 + 1 / n1)))


def _excess_z(own: Counts, rest: Counts) -> float:
    """The z of the difference between two changes."""
    change = [x1 / n1 - x0 / n0 for (n0, x0), (n1, x1) in (own, rest)]
    variance = sum(x / n * (1 - x / n) / n for counts in (own, rest) for n, x in counts)
    return float((change[0] - change[1]) / np.sqrt(variance)) if variance > 0 else 0.0


def _p_value(z: float) -> float:
    from scipy.special import ndtr

    return float(2 * ndtr(-abs(z)))


def benjamini_yekutieli(p_values: Floats, *, looks: int, level: float) -> Bools:
    """Which of the hypotheses are rejected with that false discovery rate, whatever the dependence
    between the tests; `looks` is how many there are, tested or not.
    """
    if not len(p_values):
        return np.zeros(0, dtype=bool)
    order = np.argsort(p_values, kind="stable")
    harmonic = float(np.sum(1 / np.arange(1, looks + 1)))
    limits = level * np.arange(1, len(p_values) + 1) / (looks * harmonic)
    below = np.flatnonzero(p_values[order] <= limits)
    rejected = np.zeros(len(p_values), dtype=bool)
    if len(below):
        rejected[order[: below[-1] + 1]] = True
    return rejected
