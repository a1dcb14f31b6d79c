"""Feedback: NPS, CSAT and reviews, each with its count, response rate and interval.

NPS: Reichheld (2003), "The One Number You Need to Grow". Its interval is that of a difference of
two shares of one multinomial sample; those of shares are Wilson's (1927).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd

from churn.analytics.proportions import Z_95, wilson_interval
from churn.arrays import Bools, Floats
from churn.errors import DataError

Interval = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """A scale of scores: its bounds, and the scores that count as satisfied and as unhappy."""

    name: str
    least: float
    most: float
    satisfied_from: float
    unhappy_to: float


SCALES = {
    "nps": Scale("nps", 0, 10, 9, 6),
    "1-5": Scale("1-5", 1, 5, 4, 2),
    "1-7": Scale("1-7", 1, 7, 6, 3),
    "1-10": Scale("1-10", 1, 10, 9, 5),
}
OTHER_NAMES = {"csat": "1-5", "stars": "1-5", "0-10": "nps", "netpromoterscore": "nps"}


@dataclass(frozen=True)
class NetPromoterScore:
    """Promoters (9, 10), passives (7, 8) and detractors (0 to 6), counted."""

    promoters: int
    passives: int
    detractors: int

    @property
    def count(self) -> int:
        """The number of responses."""
        return self.promoters + self.passives + self.detractors

    @property
    def score(self) -> float:
        """Percentage of promoters minus percentage of detractors; NaN without a response.

        >>> NetPromoterScore(50, 30, 20).score
        30.0
        """
        return 100 * (self.promoters - self.detractors) / self.count if self.count else np.nan

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the score.

        >>> [round(bound, 1) for bound in NetPromoterScore(50, 30, 20).interval]
        [14.7, 45.3]
        """
        if not self.count:
            return np.nan, np.nan
        difference = self.score / 100
        spread = (self.promoters + self.detractors) / self.count - difference**2
        half = 100 * Z_95 * sqrt(spread / self.count)
        return max(-100.0, self.score - half), min(100.0, self.score + half)


@dataclass(frozen=True)
class Satisfaction:
    """CSAT: how many responses are in the top two of the scale (4 and 5 of 1 to 5), of how many."""

    satisfied: int
    count: int

    @property
    def percent(self) -> float:
        """Percentage satisfied; NaN without a response."""
        return 100 * self.satisfied / self.count if self.count else np.nan

    @property
    def interval(self) -> Interval:
        """Its 95 % interval."""
        low, high = wilson_interval(self.satisfied, self.count)
        return 100 * low, 100 * high


def scale_of(text: str) -> Scale:
    """The scale with that name; DataError if it is unknown."""
    plain = "".join(sign for sign in text.lower() if sign.isalnum() or sign == "-")
    plain = plain.replace("to", "-") if plain[:1].isdigit() else plain
    name = OTHER_NAMES.get(plain, plain)
    if name not in SCALES:
        rule = f"scale must be one of {sorted(SCALES)}"
        fix = "Map it in [data.surveys.columns], e.g. scale = \"'nps'\" for a constant."
        raise DataError(rule, got="another text", fix=fix)
    return SCALES[name]


def guessed_scale(scores: Floats, *, table: str) -> Scale:
    """The scale of scores without one.

    Surveys: NPS, if a 0 occurs and all are whole numbers up to 10, because scores of 1 to 10 and of
    1 to 5 mean something else. Reviews: 1 to 5, if all fit. DataError otherwise.
    """
    known = scores[np.isfinite(scores)]
    whole = bool((known == np.round(known)).all())
    if not len(known) or (table == "reviews" and known.min() >= 1 and known.max() <= 5):
        return SCALES["1-5" if table == "reviews" else "nps"]
    if table == "surveys" and whole and known.min() == 0 and 5 < known.max() <= 10:
        return SCALES["nps"]
    rule = f"the scale of the scores in {table!r} must be given unless it is unmistakable"
    got = f"scores of {known.min():g} to {known.max():g}"
    fix = f"Add e.g. scale = \"'nps'\" to [data.{table}.columns], or '1-5', '1-7', '1-10'."
    raise DataError(rule, got=got, fix=fix)


def check_range(scores: Floats, scale: Scale, *, table: str) -> None:
    """DataError if a score is outside its scale, or not a whole number on the NPS scale."""
    known = scores[np.isfinite(scores)]
    outside = (known < scale.least) | (known > scale.most)
    if scale.name == "nps":
        outside |= known != np.round(known)
    if outside.any():
        whole = " whole numbers" if scale.name == "nps" else ""
        rule = f"scores in {table!r} on the scale {scale.name!r} must be{whole} from "
        rule += f"{scale.least:g} to {scale.most:g}"
        fix = f"Map scale in [data.{table}.columns], or exclude the rows with where."
        raise DataError(rule, got=f"{int(outside.sum()):,} others", fix=fix)


def net_promoter_score(scores: Floats) -> NetPromoterScore:
    """The NPS of scores on the scale 0 to 10; NaN is no response."""
    known = scores[np.isfinite(scores)]
    promoters, detractors = int((known >= 9).sum()), int((known <= 6).sum())
    return NetPromoterScore(promoters, len(known) - promoters - detractors, detractors)


def satisfaction(scores: Floats, scale: Scale) -> Satisfaction:
    """The CSAT of scores on that scale; NaN is no response."""
    known = scores[np.isfinite(scores)]
    return Satisfaction(int((known >= scale.satisfied_from).sum()), len(known))


def unhappy(scores: Floats, scale: Scale) -> Bools:
    """Detractors, or the bottom of the scale (1 and 2 of 1 to 5); False without a score."""
    return np.isfinite(scores) & (scores <= scale.unhappy_to)


def latest_answers(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest response per customer, scale and wave; without any, one row without a score.

    `rows` has customer_id, day, score, scale, wave. Of two responses at the same time the lower
    counts.
    """
    keys = ["customer_id", "scale", "wave"]
    ordered = rows.assign(responded=rows["score"].notna()).sort_values(
        [*keys, "responded", "day", "score"],
        ascending=[True, True, True, False, False, True],
        kind="stable",
    )
    return ordered.drop_duplicates(keys).drop(columns="responded").reset_index(drop=True)
