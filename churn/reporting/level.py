"""The block on how retention stands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import sqrt
from typing import Any

from churn.analytics.survival import Z_95
from churn.reporting.blocks import Block, Point
from churn.reporting.numbers import LEAST_EVENTS, Numbers
from churn.reporting.sentences import Sentence

SERIES = 13
"""The periods of the picture: a year of 28 days each."""


class Level(Numbers):
    """The block `level`."""

    def level(self) -> Block:
        """The share kept in the last complete period, its balance, and a year of it."""
        title, words = self.words.text("titles/level"), self.words
        rows = (self.documents.get("metrics") or {}).get("periods") or []
        everyone = [n for n, one in enumerate(rows) if one["split"] == "all"]
        complete = [
            n
            for n in everyone
            if not rows[n]["is_partial"] and rows[n]["retention_rate_percent"] is not None
        ]
        missing = self.missing("metrics")
        if missing or not complete:
            return Block(title, () if missing else (words.sentence("level/no_period"),), missing)
        place = complete[-1]
        row, at = rows[place], f"metrics/periods/{place}"
        series = tuple(
            Point(
                rows[n]["period"],
                rows[n]["retention_rate_percent"],
                rows[n]["retention_rate_percent_low"],
                rows[n]["retention_rate_percent_high"],
                rows[n]["retention_rate_last_year_percent"],
            )
            for n in complete[-SERIES:]
        )
        if row["active_at_start"] < LEAST_EVENTS:
            n, needed = self.number("active_at_start", f"{at}/active_at_start"), LEAST_EVENTS
            sentence = words.sentence("level/too_few", n=n, needed=self.derived("needed", needed))
            return Block(title, (sentence,), series=series)
        sentences = [self._kept(rows, everyone, place), *self._balance(row, at)]
        days = self.number("active_days", "metrics/resolved/active_days", link="metrics")
        sentences.append(words.sentence("level/active", days=days))
        return Block(title, tuple(sentences), series=series, details=self.details("metrics"))

    def _kept(self, rows: list[dict[str, Any]], everyone: list[int], place: int) -> Sentence:
        row, at = rows[place], f"metrics/periods/{place}"
        name = "retention_rate_percent"
        numbers = {
            "rate": self.number("retention_rate", f"{at}/{name}", unit="percent", link="metrics"),
            "half": self.number(
                "half_width", (f"{at}/{name}_high", 0.5), (f"{at}/{name}_low", -0.5), unit="half"
            ),
        }
        other, path, reference = self._reference(rows, everyone, place)
        if other is None:
            return self.words.sentence("level/kept_alone", **numbers)
        form = _direction(row, other)
        direction = self.words.sentence(f"level/{form}", reference=reference)
        before = self.number("rate_before", path, unit="percent", link="metrics")
        return self.words.sentence("level/kept", **numbers, direction=direction, before=before)

    def _reference(
        self, rows: list[dict[str, Any]], everyone: list[int], place: int
    ) -> tuple[dict[str, Any] | None, str, str]:
        """The row to compare with, the path of its rate, and its name: the same period of last
        year, else the period before.
        """
        row, at = rows[place], f"metrics/periods/{place}"
        starts = {rows[n]["start"]: rows[n] for n in everyone}
        start = date.fromisoformat(row["start"])
        if row["retention_rate_last_year_percent"] is not None:
            is_month = self.documents["metrics"]["resolved"]["period"] == "month"
            reference = self.words.text("level/last_year")
            if is_month:
                reference = self.words.sentence(
                    "level/last_month", month=self.words.month(start)
                ).text
            earlier = [
                one
                for day, one in starts.items()
                if one["retention_rate_percent"] == row["retention_rate_last_year_percent"]
                and 350 <= (start - date.fromisoformat(day)).days <= 380
            ]
            if earlier:
                return earlier[0], f"{at}/retention_rate_last_year_percent", reference
        if row["retention_rate_before_percent"] is not None:
            before = rows[everyone[everyone.index(place) - 1]]
            reference = self.words.text("level/period_before")
            return before, f"{at}/retention_rate_before_percent", reference
        return None, "", ""

    def _balance(self, row: Mapping[str, Any], at: str) -> list[Sentence]:
        words = self.words
        start, end = (words.day(date.fromisoformat(row[name])) for name in ("start", "end"))
        number = self.number
        sentences = [
            words.sentence(
                "level/start",
                n=number("active_at_start", f"{at}/active_at_start", link="metrics"),
                day=start,
            ),
            words.sentence(
                "level/lost",
                n=number("lost", f"{at}/lost", link="metrics"),
                rate="-"
                if self.hides(row["lost"])
                else number("lost_rate", f"{at}/churn_rate_percent", unit="percent"),
            ),
        ]
        if row["new"] is None or self.hides(row["new"]) or self.hides(row["won_back"]):
            arrived = number("arrived", f"{at}/arrived", link="metrics")
            sentences.append(words.sentence("level/arrived", n=arrived))
        else:
            for name in ("new", "won_back"):
                one = number(name, f"{at}/{name}", link="metrics")
                sentences.append(words.sentence(f"level/{name}", n=one))
        last = number("active_at_end", f"{at}/active_at_end", link="metrics")
        return [*sentences, words.sentence("level/end", n=last, day=end)]


def _direction(row: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The word for the difference of two rates: same, if its 95 % interval holds 0, up or down."""
    shares = [one["retention_rate_percent"] / 100 for one in (row, other)]
    counts = [max(one["active_at_start"], 1) for one in (row, other)]
    variance = sum(p * (1 - p) / n for p, n in zip(shares, counts, strict=True))
    change = shares[0] - shares[1]
    if abs(change) <= Z_95 * sqrt(variance):
        return "same"
    return "up" if change > 0 else "down"
