"""Import: every table in our own columns, times as day numbers, unusable rows counted and removed.

`<column>` of kind time becomes `<column without _at>_day`, a float of days since 1970-01-01 UTC;
the time at which a row happened is simply `day`, and `local_day` its date in the day time zone.
Times that a contract calls dated also get `<column without _at>_local_day`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, reduce
from operator import or_

from churn.data.audit import TableAudit, check_share
from churn.data.calendar import LATER_THAN_CLOCK
from churn.data.casts import cast_sql
from churn.data.condition_sql import given_sql
from churn.data.conditions import given_columns
from churn.data.contracts import TABLES, Column, TableContract
from churn.data.duplicates import duplicates_of, timed_sql
from churn.data.engines.base import Engine, Relation, identifier, literal
from churn.data.erased import AS_WRITTEN, ERASED, ErasedRows
from churn.data.ids import GUEST, Guests, canonical_sql
from churn.data.losses import NOBODY, Lost, lost_kinds
from churn.data.open_ends import count_open
from churn.data.readings import Reading, TableReader, Unread
from churn.data.refunds import NET_AMOUNT, REFUND, count_refunds, refund_sql
from churn.data.restricting import EARLIEST, KEPT, RAW, RAW_AS, WORDS, Rows, restricting_sql
from churn.data.settings import DataSettings, TableSource
from churn.data.sources import FILE_COLUMN, mapped_columns, unused_columns, used_columns
from churn.data.statuses import StatusCheck
from churn.data.unclear import check_words, keep_restricting
from churn.data.where import LEFT_OUT, UNDECIDED, Where, where_of
from churn.data.words import Words, arm_sql

MEANT = (NOBODY, GUEST, LEFT_OUT, UNDECIDED)  # reasons that are not a fault of the data
LONG_AGO = "before 1900"
# Optional as a column, but a row without a value would be no order, or would never have arrived.
NEVER_NULL = (("orders", "order_id"), *((table, "loaded_at") for table in TABLES))


@dataclass(frozen=True)
class TableImporter:
    """Imports tables into the engine, in our columns, by the same SQL on every engine."""

    engine: Engine
    settings: DataSettings
    clock: datetime
    erased: ErasedRows
    guests: Guests

    def load(
        self, table: str, relation: Relation, types: dict[str, str], source: TableSource
    ) -> TableAudit:
        """Creates the engine's table of that name; returns what was read and dropped."""
        contract = TABLES[table]
        file = FILE_COLUMN if FILE_COLUMN in types else None
        types = {name: kind for name, kind in types.items() if name != file}
        mapped = mapped_columns(contract, types, source)
        grain = self.settings.orders.grain
        duplicates = duplicates_of(table, types, mapped, grain=grain, file=file)
        where = where_of(table, types, source, self.settings.timezone, mapped=mapped)
        used = used_columns(types, mapped, where)
        status = StatusCheck.of(table, types, source, self.settings.timezone, used=used)
        extras = {**where.extras, **status.extras, **duplicates.extras}
        extras |= self._as_written(types, mapped, source)
        reader = TableReader(
            self.engine.reader, contract, mapped, types, source, where, relation.sql, self.settings
        )
        with self.engine.reading(f"table {table!r}"):
            reading = self._admit(reader, relation, extras)
        erased = self.erased.leave_out(table)
        unread = reader.unread(reading, self._marks(table))
        audit = self._audit(reader, reading, unread, erased=erased)
        unused = unused_columns(types, mapped, where, relation.unread)
        audit = replace(audit, notes=(*relation.notes, *unused, *audit.notes))
        if table in WORDS:
            audit = keep_restricting(self.engine, audit)
        elif audit.dropped:
            kept = f"SELECT * FROM {identifier(table)} WHERE unusable IS NULL"
            self.engine.create(table, kept)
        audit = duplicates.leave_out(self.engine, audit)
        audit = replace(audit, warnings=(*audit.warnings, *status.warnings(self.engine)))
        audit = self._refunded(audit) if "refund" in mapped else audit
        if table == "subscriptions":
            audit = replace(audit, notes=(*audit.notes, *count_open(self.engine)))
        timed = ["timed"] if "content" in extras else []
        unusable = () if table in WORDS else ("unusable",)
        for extra in (*unusable, "marks", *timed, *extras):
            self.engine.drop_column(table, extra)
        return self._without_guests(audit) if table == "orders" else audit

    def _as_written(
        self, types: dict[str, str], mapped: Mapping[str, str], source: TableSource
    ) -> dict[str, str]:
        """The customers' ids as written, if erased customers must be recognised by them."""
        compared_as_written = self.settings.customer_id == "exact"
        if compared_as_written or not self.erased.as_written or "customer_id" not in mapped:
            return {}
        column = Column("customer_id", "id")
        cast = cast_sql(column, mapped["customer_id"], types, source, self.settings.timezone)
        return {AS_WRITTEN: cast}

    def _refunded(self, audit: TableAudit) -> TableAudit:
        notes, warnings = count_refunds(self.engine)
        self.engine.drop_column(audit.table, "refund")
        return replace(audit, notes=(*audit.notes, *notes), warnings=(*audit.warnings, *warnings))

    def _without_guests(self, audit: TableAudit) -> TableAudit:
        rows, warnings = self.guests.leave_out_numbers(self.engine)
        if not rows:
            return audit
        dropped = {**audit.dropped, GUEST: audit.dropped.get(GUEST, 0) + rows}
        return replace(audit, dropped=dropped, warnings=(*audit.warnings, *warnings))

    def _admit(self, reader: TableReader, relation: Relation, extras: Mapping[str, str]) -> Reading:
        """Creates the table in the plainest reading that works; returns the reading used."""
        table = reader.contract.name
        plain = reader.plain()
        self.engine.admit(table, relation, partial(self._typed_sql, reader, plain, extras))
        marks = self._marks(table)
        if not marks:
            return plain
        careful = reader.careful(plain, marks)
        if reader.changes(plain, careful, marks):
            typed = partial(self._typed_sql, reader, careful, extras)
            self.engine.admit(table, relation, typed)
        return careful

    def _marks(self, table: str) -> int:
        """All marks that a row of the table has."""
        rows = self.engine.rows(f"SELECT DISTINCT marks FROM {identifier(table)}")
        return reduce(or_, (int(str(row["marks"])) for row in rows), 0)

    def _typed_sql(
        self, reader: TableReader, reading: Reading, extras: Mapping[str, str], relation: str
    ) -> str:
        contract, where = reader.contract, reader.where
        columns = [contract.column(ours) for ours in reader.mapped]
        casts = [
            f"{self._word_or_cast(reader, column, reading)} AS {identifier(column.name)}"
            for column in columns
        ]
        helpers, marks = reader.marks_sql(reading)
        casts += [*helpers, *_limits_as_text(reader)]
        casts += [f"{sql} AS {name}" for name, sql in extras.items()]
        cast = f"SELECT {', '.join(casts)} FROM {relation}"
        if contract.name in WORDS:
            timed = [f"{self._timed_sql(contract)} AS timed"] if "content" in extras else []
            return self._restricting_sql(reader, cast, [f"{marks} AS marks", *extras, *timed])
        words = reader.source.words
        shown = [self._column_sql(contract, column, words) for column in columns]
        if "refund" in reader.mapped:
            shown = [f"{NET_AMOUNT} AS amount" if sql == '"amount"' else sql for sql in shown]
        unusable = self._unusable_sql(contract, columns, where)
        shown += [f"{unusable} AS unusable", f"{marks} AS marks", *extras]
        if "content" in extras:
            shown.append(f"{self._timed_sql(contract)} AS timed")
        return f"SELECT {', '.join(shown)} FROM ({cast})"

    def _restricting_sql(self, reader: TableReader, casts: str, helpers: list[str]) -> str:
        """The rows of a restricting table, made from the text of its words."""
        contract, where = reader.contract, reader.where
        check_words(contract, reader.source)
        columns = [contract.column(ours) for ours in reader.mapped]
        made = (*WORDS[contract.name], *RAW.get(contract.name, ()))
        others = [one for one in columns if one.kind != "time" and one.name not in made]
        assert contract.happened is not None
        happened = identifier(contract.happened)
        customer = [contract.column("customer_id")]
        rows = Rows(
            table=contract.name,
            casts=casts,
            has=frozenset(reader.mapped),
            others=(*(identifier(column.name) for column in others), *helpers),
            unusable=self._unusable_sql(contract, columns, where),
            nobody=self._unusable_sql(contract, customer, where, restricts=True),
            happened=happened,
            latest=self._now_sql(),
            local_day=local_day_sql(happened, self.settings.day_timezone),
            words=reader.source.words,
        )
        return restricting_sql(rows)

    def _now_sql(self) -> str:
        return f"{literal(self.clock.isoformat())}::TIMESTAMPTZ"

    def _word_or_cast(self, reader: TableReader, column: Column, reading: Reading) -> str:
        """A value of our kind, or the text of what is interpreted as a word."""
        if column.name not in WORDS.get(reader.contract.name, ()):
            return self._cast_sql(reader, column, reading)
        theirs = reader.mapped[column.name]
        if theirs in reader.types:
            return f"CAST({identifier(theirs)} AS VARCHAR)"
        return f"CAST({self._cast_sql(reader, column, reading)} AS VARCHAR)"

    def _timed_sql(self, contract: TableContract) -> str:
        """Whether a row happened at a time of day."""
        if contract.happened is None:
            return "false"
        zones = (self.settings.timezone, self.settings.day_timezone)
        return timed_sql(identifier(contract.happened), zones)

    def _cast_sql(self, reader: TableReader, column: Column, reading: Reading) -> str:
        """A value of our kind; ids in the form in which they are compared."""
        theirs, types = reader.mapped[column.name], reader.types
        if theirs not in types and given_columns(theirs) is not None:
            return given_sql(column, theirs, types, reader.source, self.settings.timezone)
        cast = reader.cast(column, theirs, reading)
        if column == REFUND:
            return refund_sql(theirs, types, cast)
        if column.name == "customer_id":
            return canonical_sql(cast, self.settings.customer_id)
        if column.name == "order_id":
            return canonical_sql(cast, self.settings.order_id)
        return cast

    def _column_sql(self, contract: TableContract, column: Column, words: Words) -> str:
        name = identifier(column.name)
        if (contract.name, column.name) == ("contacts", "arm"):
            return f"{arm_sql(name, words)} AS {name}"
        if column.kind != "time":
            return name
        day = f"epoch_us({name}) / 86400e6"
        local_day = local_day_sql(name, self.settings.day_timezone)
        if column.name == contract.happened:
            return f"{day} AS day, {local_day} AS local_day"
        short = column.name.removesuffix("_at")
        shown = f"{day} AS {identifier(short + '_day')}"
        dated = f", {local_day} AS {identifier(short + '_local_day')}"
        return shown + dated if column.name in contract.dated else shown

    def _unusable_sql(
        self,
        contract: TableContract,
        columns: list[Column],
        where: Where,
        *,
        restricts: bool = False,
    ) -> str:
        rules = []
        for column in columns:
            name = identifier(column.name)
            if column.kind in ("id", "code"):
                rules.append((f"contains({name}, chr(0))", f"with a NUL in {column.name}"))
            if column.name == "customer_id":
                rules.append((f"trim({name}) = ''", _missing(column)))
                rules.append((self.guests.sql(name), GUEST))
            if column.kind == "number":
                rules.append((_absurd_sql(name), f"with a non-finite {column.name}"))
            if column.required or (contract.name, column.name) in NEVER_NULL or column == REFUND:
                rules.append((f"{name} IS NULL", _missing(column)))
            if column.kind == "time":
                rules.append((f"isinf({name})", _missing(column)))
            if column.name == contract.happened:
                rules.append(
                    (f"{name} < '{EARLIEST}'::TIMESTAMPTZ", f"with {column.name} {LONG_AGO}")
                )
            if column.name in (contract.happened, "loaded_at"):
                later = f"{name} > {self._now_sql()}"
                rules.append((later, f"with {column.name} {LATER_THAN_CLOCK}"))
        rules.sort(key=lambda rule: rule[1] != NOBODY)
        rules = [*where.rules(restricts=restricts), *rules]
        cases = " ".join(f"WHEN {test} THEN {literal(reason)}" for test, reason in rules)
        return f"CASE {cases} END" if cases else "NULL::VARCHAR"

    def _audit(
        self, reader: TableReader, reading: Reading, unread: tuple[Unread, ...], *, erased: int
    ) -> TableAudit:
        """What was dropped and why, with remarks for the user."""
        contract = reader.contract
        counted = self.engine.rows(
            "SELECT unusable AS reason, count(*) AS n "
            f"FROM {identifier(contract.name)} GROUP BY 1 ORDER BY 1"
        )
        counts = {str(row["reason"]): int(str(row["n"])) for row in counted if row["reason"]}
        total = sum(int(str(row["n"])) for row in counted)
        audit = TableAudit(contract.name, total, counts, reading.notes, reading.warnings)
        meant = (*MEANT, *(reason for reason in counts if reason.startswith(KEPT)))
        unusable = {reason: n for reason, n in counts.items() if reason not in meant}
        written = _written(unusable, unread)
        hints = [one.hint for one in unread if one.hint and _missing(one.column) in unusable]
        check_share(audit, written, limit=self.settings.bad_row_limit, hints=hints)
        dropped = reader.where.count(self.engine, counts, total)
        if erased:
            dropped = {ERASED: erased, **dropped}
        warnings = (
            *audit.warnings,
            *reader.where.warnings(counts, total),
            *self._lost(contract, _with_no_warning(contract, written), unread, total, meant),
            *_missing_values(unread, unusable),
        )
        return replace(audit, rows_read=total + erased, dropped=dropped, warnings=warnings)

    def _lost(
        self,
        contract: TableContract,
        unusable: Mapping[str, int],
        unread: tuple[Unread, ...],
        total: int,
        meant: tuple[str, ...],
    ) -> tuple[str, ...]:
        """A warning that counts the unusable rows and names the groups that are lost with them."""
        if not unusable:
            return ()
        amounts = [size for one in unread if one.column.name == "amount" for size in one.sizes]
        lost = Lost(self.engine, contract.name, meant, amounts)
        kinds = lost_kinds(lost, limit=self.settings.bad_row_limit)
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in unusable.items())
        counts = (
            f"{sum(unusable.values()):,} of {total:,} rows are unusable and left out ({reasons})"
        )
        together = f"; among them are {', '.join(kinds)}" if kinds else ""
        return (counts + together,)


def _limits_as_text(reader: TableReader) -> list[str]:
    """The text of limiting numbers, next to them: shows where they are not numbers."""
    return [
        f"CAST({identifier(theirs) if theirs in reader.types else 'NULL'} AS VARCHAR) "
        f"AS {identifier(RAW_AS + ours)}"
        for ours in RAW.get(reader.contract.name, ())
        if (theirs := reader.mapped.get(ours))
    ]


def _with_no_warning(contract: TableContract, unusable: Mapping[str, int]) -> Mapping[str, int]:
    """The reasons except for orders later than the clock, which the calendar warns about."""
    if contract.name != "orders":
        return unusable
    return {reason: n for reason, n in unusable.items() if LATER_THAN_CLOCK not in reason}


def _written(unusable: Mapping[str, int], unread: tuple[Unread, ...]) -> dict[str, int]:
    """The reasons, with the shapes of unreadable values."""
    shapes = {_missing(one.column): one.written for one in unread}
    return {
        f"{reason}, {shapes[reason]}" if reason in shapes else reason: n
        for reason, n in unusable.items()
    }


def _missing_values(unread: tuple[Unread, ...], unusable: Collection[str]) -> tuple[str, ...]:
    """A warning for each optional column with values that could not be read."""
    return tuple(
        f"{one.rows:,} values of {one.column.name} could not be read and count as missing, "
        f"{one.written}"
        for one in unread
        if _missing(one.column) not in unusable
    )


def _absurd_sql(name: str) -> str:
    """Not a number, infinite, or beyond any plausible amount or count."""
    return f"NOT isfinite({name}) OR abs({name}) > 1e15"


def local_day_sql(instant: str, day_timezone: str) -> str:
    """The SQL for the date of an instant in that zone, as whole days since 1970-01-01."""
    if day_timezone == "UTC":  # without the calendar of zones, which takes longer than the rest
        return f"CAST(floor(epoch_us({instant}) / 86400e6) AS INTEGER)"
    local = f"CAST(timezone({literal(day_timezone)}, {instant}) AS DATE)"
    return f"CAST(date_diff('day', DATE '1970-01-01', {local}) AS INTEGER)"


def day_begins_sql(local_day: str, day_timezone: str) -> str:
    """The SQL for the instant at which a date in that zone begins; both are day numbers."""
    midnight = f"CAST(DATE '1970-01-01' + {local_day} AS TIMESTAMP)"
    return f"epoch_us(timezone({literal(day_timezone)}, {midnight})) / 86400e6"


def _missing(column: Column) -> str:
    what = "" if column.kind in ("id", "code", "text") else "readable "
    return f"without a {what}{column.name}"
