"""How a table's text columns are read: in the plainest way, or after inspecting their values.

A first reading marks the columns with values that it cannot read. Only those are inspected and read
again with care. Values that remain unread are shown by their shape, never by themselves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from churn.data.casts import NUMERIC, cast_sql, is_text, source_columns, text_sql, usual_notation
from churn.data.conditions import given_columns
from churn.data.contracts import Column, TableContract
from churn.data.engines.base import identifier
from churn.data.engines.duck import DuckDBEngine
from churn.data.notations.look import (
    Notation,
    NumberLook,
    given_sql,
    look_at_numbers,
    look_at_times,
    shape_sql,
)
from churn.data.notations.numbers import SHARED_SIGNS, size_sql
from churn.data.notations.times import ISO
from churn.data.open_ends import open_end_sql
from churn.data.settings import DataSettings, TableSource
from churn.data.where import Where
from churn.errors import DataError

OPEN_ENDED = "expires_at"
READ_AS = ("time", "number", "flag")
SHAPES = 3
SIZES = 100_000
MONEY = (("orders", "amount"), ("orders", "discount"), ("order_lines", "amount"))


@dataclass(frozen=True)
class Unread:
    """Values of a source column in no known notation: their number and shapes.

    `sizes` are the numbers that they may mean, without sign, as far as the digits show.
    """

    column: Column
    theirs: str
    rows: int
    shapes: tuple[str, ...]
    sizes: tuple[float, ...] = ()
    hint: str = ""

    @property
    def written(self) -> str:
        """The most frequent shapes as text."""
        return "written like " + " or ".join(repr(shape.strip()) for shape in self.shapes)


@dataclass(frozen=True)
class Reading:
    """The notations of source columns that have one of their own, and what was found."""

    notations: Mapping[str, Notation]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    hints: Mapping[str, str] | None = None


@dataclass(frozen=True)
class TableReader:
    """One source of a table; `mapped` is ours → theirs, `files` the SQL of its rows."""

    engine: DuckDBEngine
    contract: TableContract
    mapped: Mapping[str, str]
    types: dict[str, str]
    source: TableSource
    where: Where
    files: str
    settings: DataSettings

    @property
    def relation(self) -> str:
        """The SQL of the rows to inspect: those not left out on purpose."""
        if self.where.condition is None:
            return self.files
        chosen = self.where.compiler.sql(self.where.condition)
        return f"(SELECT * FROM {self.files} WHERE ({chosen}) IS NOT FALSE)"

    def parts(self) -> Iterator[tuple[Column, str]]:
        """Our column and theirs, for every text column in which values must be read."""
        for ours, theirs in self.mapped.items():
            column = self.contract.column(ours)
            given = theirs not in self.types and given_columns(theirs) is not None
            if column.kind in READ_AS and not given:
                for part in source_columns(theirs, self.types):
                    if is_text(self.types[part]):
                        yield column, part

    def cast(self, column: Column, theirs: str, reading: Reading) -> str:
        """The SQL of one value in that reading."""
        zone = self.settings.timezone
        cast = cast_sql(column, theirs, self.types, self.source, zone, reading.notations)
        return open_end_sql(theirs, self.types, cast) if column.name == OPEN_ENDED else cast

    def marks_sql(self, reading: Reading) -> tuple[list[str], str]:
        """The extra columns that a select of casts needs, and the SQL of the marks over them.

        Each part has one bit for unread values, and one for values that may mean two numbers.
        """
        extras, marks = [], ["0"]
        chosen = "" if self.where.condition is None else "chosen IS NOT FALSE AND "
        for i, (column, part) in enumerate(self.parts()):
            raw, read = identifier(f"raw {i}"), identifier(column.name)
            extras.append(f"{text_sql(part, self.types)} AS {raw}")
            if part != self.mapped[column.name]:  # one of several in arithmetic
                read = identifier(f"read {i}")
                extras.append(f"{self.cast(column, part, reading)} AS {read}")
            unread = f"{read} IS NULL AND {raw} IS NOT NULL AND {given_sql(raw)}"
            marks.append(f"CASE WHEN {chosen}{unread} THEN {1 << 2 * i} ELSE 0 END")
            if column.kind == "number" and self._is_open(part, reading):
                marks.append(f"CASE WHEN {chosen}{raw} LIKE '%.___' THEN {2 << 2 * i} ELSE 0 END")
        return extras, f"CAST({' + '.join(marks)} AS BIGINT)"

    def _is_open(self, part: str, reading: Reading) -> bool:
        return self.source.decimal is None and part not in reading.notations

    def plain(self) -> Reading:
        """The plainest reading; only times stored as numbers are inspected."""
        usual = usual_notation(self.source)
        notations = {}
        for ours, theirs in self.mapped.items():
            is_time = self.contract.column(ours).kind == "time" and theirs in self.types
            if is_time and NUMERIC.match(self.types[theirs]) and usual.formats == (ISO,):
                text = rf"regexp_replace(CAST({identifier(theirs)} AS VARCHAR), '\.0$', '')"
                look = look_at_times(self.engine, self.relation, text, base=())
                if look.formats:
                    notations[theirs] = Notation(formats=look.formats, careful=True)
        return Reading(notations)

    def changes(self, before: Reading, after: Reading, marks: int) -> bool:
        """Whether the rows must be read again: something was unread, or means another number."""
        unread = any(marks >> 2 * i & 1 for i, _ in enumerate(self.parts()))
        usual = usual_notation(self.source).decimal
        new = [after.notations[part] for part in after.notations.keys() - before.notations.keys()]
        return (unread and bool(new)) or any(each.decimal != usual for each in new)

    def careful(self, reading: Reading, marks: int) -> Reading:
        """The reading after inspecting the marked columns."""
        for i, (column, part) in enumerate(self.parts()):
            if marks >> 2 * i & 3 and part not in reading.notations:
                if column.kind == "time":
                    reading = self._with_times(reading, column, part)
                elif column.kind == "number":
                    reading = self._with_numbers(reading, column, part)
        return reading

    def _with_times(self, reading: Reading, column: Column, part: str) -> Reading:
        usual = usual_notation(self.source)
        text = text_sql(part, self.types)
        look = look_at_times(self.engine, self.relation, text, base=usual.formats)
        formats = look.formats or usual.formats
        notes, hints = reading.notes, dict(reading.hints or {})
        if len(look.formats) > 1:
            counts = [f"{n:,} as {f}" for f, n in zip(look.formats, look.hits, strict=True)]
            notes = (*notes, f"{column.name} is written in several ways: {', '.join(counts)}")
        if look.doubt:
            day, month = look.doubt
            hints[part] = (
                "They can be read as day first or month first: set date_format = "
                f'"{day}" or "{month}" in [data.{self.contract.name}].'
            )
        notations = {**reading.notations, part: Notation(formats=formats, careful=True)}
        return replace(reading, notations=notations, notes=notes, hints=hints)

    def _with_numbers(self, reading: Reading, column: Column, part: str) -> Reading:
        look = look_at_numbers(self.engine, self.relation, text_sql(part, self.types))
        if (self.contract.name, column.name) in MONEY:
            self._check_currency(look)
        decimal = self.source.decimal or look.decimal
        hints = dict(reading.hints or {})
        hints[part] = f'They are read with decimal = "{decimal}".'
        notations = {**reading.notations, part: Notation(decimal=decimal, careful=True)}
        warnings = reading.warnings
        if look.is_doubtful and self.source.decimal is None:
            warnings = (*warnings, _doubtful(self.contract.name, column, look))
        return replace(reading, notations=notations, warnings=warnings, hints=hints)

    def _check_currency(self, look: NumberLook) -> None:
        """Raises DataError if the currency signs next to the amounts are of another currency."""
        found = [
            sign
            for sign in look.known_currencies
            if sign != self.settings.currency
            and self.settings.currency not in SHARED_SIGNS.get(sign, ())
        ]
        if found or len(look.known_currencies) > 1:
            currency = self.settings.currency
            raise DataError(
                f"orders must be in the one currency of [data] currency = {currency!r}",
                got=list(look.known_currencies[:10]),
                fix="Convert the amounts in the export, or name the currency that they are in.",
            )

    def unread(self, reading: Reading, marks: int) -> tuple[Unread, ...]:
        """The values that this reading leaves unread in the marked columns."""
        return tuple(
            self._shapes(column, part, reading)
            for i, (column, part) in enumerate(self.parts())
            if marks >> 2 * i & 1
        )

    def _shapes(self, column: Column, part: str, reading: Reading) -> Unread:
        text = text_sql(part, self.types)
        unread = f"{given_sql(text)} AND {self.cast(column, part, reading)} IS NULL"
        rows = f"SELECT {text} AS v FROM {self.relation} WHERE {unread}"
        shapes = self.engine.rows(
            f"SELECT {shape_sql('v')} AS shape, count(*) AS n FROM ({rows}) "
            "GROUP BY 1 ORDER BY n DESC, shape"
        )
        sizes = []
        if column.name == "amount":
            found = self.engine.rows(f"SELECT {size_sql('v')} AS size FROM ({rows}) LIMIT {SIZES}")
            sizes = [float(str(row["size"])) for row in found if row["size"] is not None]
        return Unread(
            column,
            part,
            sum(int(str(row["n"])) for row in shapes),
            tuple(str(row["shape"]) for row in shapes[:SHAPES]),
            tuple(sizes),
            (reading.hints or {}).get(part, ""),
        )


def _doubtful(table: str, column: Column, look: NumberLook) -> str:
    shape, meant = ("9,999", "thousands") if look.with_comma else ("9.999", "decimals")
    return (
        f"{look.differs:,} values of {column.name} are written like {shape} and read as {meant}; "
        f'set decimal = "." or "," in [data.{table}] to settle it'
    )
