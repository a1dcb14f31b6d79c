"""Notation of a column: the one that its values follow, and the shapes of those that follow none.

A column is grouped by value first, so that a repeated value is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from churn.data.engines.base import literal
from churn.data.engines.duck import DuckDBEngine
from churn.data.notations.numbers import (
    PARTED_SQL,
    SHARED_SIGNS,
    currency_sql,
    is_number_sql,
)
from churn.data.notations.times import ISO, formats_like, order_of, plausible_sql, time_sql

LONGEST = 40
# What exports write for a missing value, in lower case.
NOTHING = (
    *("", "null", "(null)", "none", "nil", "nan", "nat", "n/a", "#n/a", "na", "-", "--", r"\n"),
    *("undefined", "0000-00-00", "0000-00-00 00:00:00"),
)

SAMPLE = 1_000
MOST_FORMATS = 8
VALUES = "values_of_a_column"
NEITHER = "neither day nor month first"


def given_sql(text: str) -> str:
    """Whether the text holds a value at all."""
    nothing = ", ".join(map(literal, NOTHING))
    return f"(lower(trim({text})) NOT IN ({nothing}))"


def shape_sql(text: str) -> str:
    """Digits as 9, letters as a or A, everything else unchanged."""
    shape = f"left({text}, {LONGEST})"
    for kind, sign in ((r"\p{N}", "9"), (r"[\p{Lu}\p{Lt}]", "A"), (r"\p{Cc}", "?")):
        shape = f"regexp_replace({shape}, '{kind}', '{sign}', 'g')"
    return rf"regexp_replace({shape}, '[\p{{Ll}}\p{{Lo}}\p{{Lm}}\p{{M}}]', 'a', 'g')"


@dataclass(frozen=True)
class Notation:
    """How one column is written: the decimal sign, and the formats of times.

    `careful` reads every known shape of them, at a cost; otherwise only the plainest.
    """

    decimal: str = "."
    formats: tuple[str, ...] = (ISO,)
    careful: bool = False


@dataclass(frozen=True)
class NumberLook:
    """Counts over the values of a column: all, those that are numbers in a notation, and others.

    `point` and `comma` count values readable with that decimal sign, `either` those readable with
    both; of the latter, `differs` count those that mean different numbers with a point and a comma,
    and `long` those with four or more digits without a separator.
    """

    filled: int
    point: int = 0
    comma: int = 0
    either: int = 0
    differs: int = 0
    long: int = 0
    with_comma: int = 0  # of those that differ, such as 1,234
    currencies: tuple[str, ...] = ()

    @property
    def decimal(self) -> str:
        """The decimal sign that fits most values; a point if neither does."""
        return "," if self.comma > self.point else "."

    def readable(self, decimal: str) -> int:
        """The number of values that are numbers with that decimal sign."""
        return self.either + (self.comma if decimal == "," else self.point)

    @property
    def is_doubtful(self) -> bool:
        """Whether values are ambiguous and nothing in the column settles it."""
        if self.point or self.comma or not self.differs:
            return False
        return bool(self.with_comma) or not self.long

    @property
    def known_currencies(self) -> tuple[str, ...]:
        """The currencies, without signs that another of them may be written with."""
        return tuple(
            sign
            for sign in self.currencies
            if not SHARED_SIGNS.get(sign, frozenset()) & set(self.currencies)
        )


@dataclass(frozen=True)
class TimeLook:
    """The formats in which a column's times are written and how many values each reads.

    `doubt` names two formats, day first and month first, that fit the values equally well.
    """

    filled: int
    formats: tuple[str, ...]
    hits: tuple[int, ...]
    doubt: tuple[str, str] | None = None

    @property
    def unread(self) -> int:
        """The number of values in none of the formats."""
        return self.filled - sum(self.hits)


def look_at_numbers(engine: DuckDBEngine, relation: str, text: str) -> NumberLook:
    """The values of that text column interpreted as numbers."""
    tests = f"{is_number_sql('v', '.')} AS point, {is_number_sql('v', ',')} AS comma"
    counts = {
        "filled": "true",
        "point": "point AND NOT comma",
        "comma": "comma AND NOT point",
        "either": "point AND comma",
        "differs": f"point AND comma AND {PARTED_SQL}",
        "long": r"regexp_full_match(v, '\s*[-+]?\d{4,}\s*')",
        "with_comma": f"point AND comma AND {PARTED_SQL} AND contains(v, ',')",
    }
    signs = f"list(DISTINCT {currency_sql('v')}) FILTER (point OR comma) AS currencies"
    shown = ", ".join([*(f"{_sum_sql(test)} AS {name}" for name, test in counts.items()), signs])
    with _values(engine, relation, text) as values:
        tested = f"(SELECT *, {tests} FROM {values})"
        found: dict[str, Any] = engine.rows(f"SELECT {shown} FROM {tested}")[0]
    codes = tuple(sorted(code for code in found.pop("currencies") or () if code))
    return NumberLook(**found, currencies=codes)


def look_at_times(
    engine: DuckDBEngine,
    relation: str,
    text: str,
    *,
    base: Sequence[str] = (ISO,),
    habit: Callable[[str], str] | None = None,
) -> TimeLook:
    """The formats of that text column: those of `base` and whatever others its values suggest.

    Day and month are in the same order throughout. If nothing settles it, `habit` gives the order
    for a format, and without a habit such values remain unread.
    """
    formats = list(base)
    order = next(filter(None, map(order_of, base)), None)
    doubt = None
    with _values(engine, relation, text) as values:
        while len(formats) < MOST_FORMATS:
            counts = _counts(engine, values, formats, order)
            if order is None and _is_tie(counts):
                doubt = _pair(counts)
                order = habit(doubt[0]) if habit else NEITHER
            order = order or _settled(counts)
            fitting = {f: n for f, n in counts.items() if order_of(f) in (None, order)}
            if not fitting:
                break
            formats.append(max(fitting, key=lambda each: fitting[each]))
        return _with_hits(engine, values, formats, doubt)


@contextmanager
def _values(engine: DuckDBEngine, relation: str, text: str) -> Iterator[str]:
    """The name of a temporary table: the values `v` of a column, and their counts `n`."""
    counted = f"SELECT {text} AS v, count(*) AS n FROM {relation} WHERE {given_sql(text)}"
    engine.create(VALUES, f"{counted} GROUP BY 1")
    try:
        yield VALUES
    finally:
        engine.create(VALUES, "SELECT NULL AS v")


def _sum_sql(test: str) -> str:
    return f"CAST(coalesce(sum(n) FILTER ({test}), 0) AS BIGINT)"


def _counts(
    engine: DuckDBEngine, values: str, known: Sequence[str], order: str | None
) -> dict[str, int]:
    """How many values in no known format each further one reads, as a sample suggests."""
    read = time_sql("v", known, "UTC", careful=True)
    unread = f"(SELECT * FROM {values} WHERE {read} IS NULL)"
    sample = engine.rows(f"SELECT v FROM {unread} LIMIT {SAMPLE}")
    looks = dict.fromkeys(each for row in sample for each in formats_like(str(row["v"])))
    likely = [each for each in looks if each not in known]
    if order is not None:
        likely = [each for each in likely if order_of(each) in (None, order)]
    if not likely:
        return {}
    sums = [
        f"{_sum_sql(f'{_plausible(each)} IS NOT NULL')} AS c{i}" for i, each in enumerate(likely)
    ]
    found: dict[str, Any] = engine.rows(f"SELECT {', '.join(sums)} FROM {unread}")[0]
    return {each: found[f"c{i}"] for i, each in enumerate(likely) if found[f"c{i}"]}


def _plausible(date_format: str) -> str:
    return plausible_sql(time_sql("v", (date_format,), "UTC", careful=True), date_format)


def _in_order(counts: dict[str, int], order: str) -> int:
    return sum(n for each, n in counts.items() if order_of(each) == order)


def _is_tie(counts: dict[str, int]) -> bool:
    day, month = _in_order(counts, "day first"), _in_order(counts, "month first")
    return day == month > 0


def _settled(counts: dict[str, int]) -> str | None:
    day, month = _in_order(counts, "day first"), _in_order(counts, "month first")
    if not day and not month:
        return None
    return "day first" if day > month else "month first"


def _pair(counts: dict[str, int]) -> tuple[str, str]:
    day, month = (
        max((f for f in counts if order_of(f) == order), key=lambda each: counts[each])
        for order in ("day first", "month first")
    )
    return day, month


def _with_hits(
    engine: DuckDBEngine, values: str, formats: Sequence[str], doubt: tuple[str, str] | None
) -> TimeLook:
    """The formats with the number of values that each is the first to read, if any."""
    tests = [
        f"WHEN {time_sql('v', (each,), 'UTC', careful=True)} IS NOT NULL THEN {literal(each)}"
        for each in formats
    ]
    first = f"CASE {' '.join(tests)} END" if tests else "CAST(NULL AS VARCHAR)"
    counted: list[dict[str, Any]] = engine.rows(
        f"SELECT {first} AS f, CAST(sum(n) AS BIGINT) AS hits FROM {values} GROUP BY 1"
    )
    hits = {row["f"]: row["hits"] for row in counted}
    used = tuple(each for each in formats if hits.get(each))
    return TimeLook(sum(hits.values()), used, tuple(hits[each] for each in used), doubt)
