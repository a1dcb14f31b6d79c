"""What unusable rows have in common: random losses are spread thin, a lost group leaves a hole.

A group is lost if at least three of its rows, and half of them, are unusable: the refunds, the
amounts above a limit, a day, a store, a channel, the refusals. Wrong money or a wrong date range
without them is an error, whatever the share of rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from churn.data.days import date_of
from churn.data.engines.base import Engine, identifier, literal
from churn.errors import DataError

NOBODY = "without a customer_id"
LEAST_ROWS = 3
HALF = 0.5
MONEY_SHARE = 0.05
END_DAYS = 7
GROUPS = ("store", "channel", "currency", "category", "event_type", "campaign_id", "region")
MONEY = "CASE WHEN abs(amount) < 1e15 THEN amount END"
REFUSALS = ("granted", "allowed")


@dataclass(frozen=True)
class Lost:
    """The unusable rows of an imported table, compared with the rows that are kept.

    `meant` are the reasons of rows left out on purpose, which are ignored.
    `amounts` are rough sizes of amounts that could not be read.
    """

    engine: Engine
    table: str
    meant: Sequence[str]
    amounts: Sequence[float] = ()

    def select(self, counted: str, more: str = "") -> list[dict[str, object]]:
        """Rows of a query over these rows; `lost` is 1 in unusable rows, and `money` the amount if
        it is plausible.
        """
        meant = ", ".join(map(literal, self.meant))
        faults = f"unusable IS NULL OR unusable NOT IN ({meant})"
        marked = "CASE WHEN unusable IS NULL THEN 0 ELSE 1 END AS lost"
        money = f", {MONEY} AS money" if self.has("amount") else ""
        rows = f"SELECT *, {marked}{money} FROM {identifier(self.table)} WHERE {faults}"
        return self.engine.rows(f"SELECT {counted} FROM ({rows}) AS marked {more}")

    def has(self, column: str) -> bool:
        """Whether the table has that column."""
        return column in self.engine.columns(self.table)


def lost_kinds(lost: Lost, *, limit: float) -> tuple[str, ...]:
    """Describes each group of rows that was lost; DataError if money or the date range would be
    wrong.

    `limit` is the share of rows that may be lost; raising it accepts the same share of the money.
    """
    found: list[str] = []
    if lost.has("amount"):
        found += _of_amounts(lost)
        _check_money(lost, limit)
    if lost.has("local_day"):
        found += _of_days(lost)
        _check_end(lost)
    for name in GROUPS:
        if lost.has(name):
            found += _of_groups(lost, name)
    for name in REFUSALS:
        if lost.has(name):
            found += _of_refusals(lost, name)
    return tuple(found)


def _of_amounts(lost: Lost) -> Iterator[str]:
    (row,) = lost.select(
        "sum(CASE WHEN money < 0 THEN 1 ELSE 0 END) AS refunds, "
        "sum(CASE WHEN money < 0 THEN lost ELSE 0 END) AS lost_refunds, "
        "max(CASE WHEN lost = 0 THEN money END) AS largest, "
        "min(CASE WHEN lost = 1 AND money > 0 THEN money END) AS smallest_lost"
    )
    refunds, lost_refunds = _whole(row["refunds"]), _whole(row["lost_refunds"])
    if lost_refunds and lost_refunds >= HALF * refunds:
        yield f"{lost_refunds:,} of {refunds:,} amounts below zero"
    if row["smallest_lost"] is not None:
        yield from _above(lost, float(str(row["smallest_lost"])))
    if lost.amounts and row["largest"] is not None:
        largest = float(str(row["largest"]))
        above = sum(amount > largest for amount in lost.amounts)
        if above and above >= HALF * len(lost.amounts):
            yield f"{above:,} amounts that look larger than all amounts that were read"


def _above(lost: Lost, least: float) -> Iterator[str]:
    """The amounts from the smallest lost one upwards, if few of those are kept."""
    (row,) = lost.select("count(*) AS n, sum(lost) AS lost", f"WHERE money >= {least!r}")
    if _is_kind(row):
        yield f"{_whole(row['lost']):,} of {_whole(row['n']):,} amounts from {least:,.2f} on"


def _of_days(lost: Lost) -> Iterator[str]:
    rows = lost.select(
        "local_day, count(*) AS n, sum(lost) AS lost",
        "WHERE local_day IS NOT NULL GROUP BY local_day HAVING sum(lost) > 0",
    )
    days = [row for row in rows if _is_kind(row)]
    if days:
        dates = sorted(date_of(_whole(row["local_day"])) for row in days)
        when = str(dates[0]) if len(dates) == 1 else f"{len(dates)} days, {_span(dates)}"
        yield f"{_sum(days, 'lost'):,} of {_sum(days, 'n'):,} rows of {when}"


def _span(dates: Sequence[date]) -> str:
    return f"{dates[0]} to {dates[-1]}"


def _of_groups(lost: Lost, name: str) -> Iterator[str]:
    rows = lost.select(
        f"count(*) AS n, sum(lost) AS lost, {identifier(name)} AS value",
        f"WHERE {identifier(name)} IS NOT NULL GROUP BY {identifier(name)} HAVING sum(lost) > 0",
    )
    kinds = [row for row in rows if _is_kind(row)]
    if kinds:
        many = f"one {name}" if len(kinds) == 1 else f"{len(kinds)} values of {name}"
        yield f"{_sum(kinds, 'lost'):,} of {_sum(kinds, 'n'):,} rows of {many}"


def _of_refusals(lost: Lost, name: str) -> Iterator[str]:
    (row,) = lost.select("count(*) AS n, sum(lost) AS lost", f"WHERE NOT {name}")
    if _whole(row["lost"]) and _whole(row["lost"]) >= HALF * _whole(row["n"]):
        yield f"{_whole(row['lost']):,} of {_whole(row['n']):,} refusals"


def _check_money(lost: Lost, limit: float) -> None:
    """Raises DataError if a considerable share of the money is in lost rows."""
    (row,) = lost.select(
        "sum(CASE WHEN lost = 0 THEN abs(money) END) AS kept, "
        "max(CASE WHEN lost = 0 THEN abs(money) END) AS largest, "
        "sum(CASE WHEN lost = 1 THEN abs(money) END) AS lost, "
        "sum(lost) AS n"
    )
    kept, largest = (float(str(row[name] or 0)) for name in ("kept", "largest"))
    unread = sum(min(amount, 10 * largest) for amount in lost.amounts)  # not typing errors
    money = float(str(row["lost"] or 0)) + unread
    share = money / (kept + money) if money else 0.0
    if _whole(row["n"]) >= LEAST_ROWS and share > max(MONEY_SHARE, limit):
        raise DataError(
            f"the rows of table {lost.table!r} that are left out may hold at most "
            f"{MONEY_SHARE:.0%} of the money",
            got=f"about {share:.0%} in {_whole(row['n']):,} rows",
            fix="Fix the export, or declare in [data] how values are written; "
            "`bad_row_limit` is the accepted share.",
        )


def _check_end(lost: Lost) -> None:
    """Raises DataError if the data seem to end earlier because their last rows are lost."""
    (row,) = lost.select("max(CASE WHEN lost = 0 THEN local_day END) AS last")
    if row["last"] is None:
        return
    last = _whole(row["last"])
    outside = "unusable NOT LIKE 'with %' AND local_day"
    (after,) = lost.select(
        "count(*) AS n, max(local_day) AS last", f"WHERE lost = 1 AND {outside} > {last}"
    )
    if _whole(after["n"]) >= LEAST_ROWS and _whole(after["last"]) >= last + END_DAYS:
        raise DataError(
            f"table {lost.table!r} must not lose its last days to rows that are left out",
            got=f"{after['n']:,} rows after {date_of(last)}, none of them usable",
            fix="Fix the export, or declare in [data] how values are written.",
        )


def _is_kind(row: dict[str, object]) -> bool:
    lost, n = _whole(row["lost"]), _whole(row["n"])
    return lost >= LEAST_ROWS and lost >= HALF * n


def _sum(rows: Sequence[dict[str, object]], name: str) -> int:
    return sum(_whole(row[name]) for row in rows)


def _whole(value: object) -> int:
    return int(str(value or 0))
