"""What was found in a table at import, what was dropped, and how many ids match the orders'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from churn.data.engines.base import Engine, identifier, literal
from churn.data.ids import NUMBER
from churn.data.settings import DataSettings, IdRule
from churn.errors import DataError

KNOWN = "ids_of_orders"
THEIRS = "ids_compared"
ENOUGH_IDS = 5
GOOD_SHARE = 0.8
SAMPLE = 20_000
GIANT_SHARE = 0.05
GIANT_TIMES = 5
GIANT_CUSTOMERS = 10
ODD = {
    "number": "customer_id LIKE '0%' OR customer_id LIKE '%.0%' OR "
    "customer_id <> trim(customer_id)",
    "email": "customer_id <> lower(trim(customer_id))",
}
WHAT = {"number": "leading zeros, .0 or spaces", "email": "case or spaces"}
MOSTLY_STRANGERS = ("events",)
"""Tables in which unknown ids are usual: visitors who are not customers."""


@dataclass(frozen=True)
class IdMatch:
    """The numbers of ids in a table and in the orders, and of those found in the other."""

    table: str
    column: str
    ids: int
    known: int
    ids_of_orders: int
    found: int

    @property
    def share(self) -> float:
        """The larger of the two shares: either side may have many ids that the other never sees."""
        return max(self.known / max(self.ids, 1), self.found / max(self.ids_of_orders, 1))

    @property
    def described(self) -> str:
        """Both shares as text."""
        return (
            f"{self.known:,} of its {self.ids:,} found in the orders, {self.found:,} of the "
            f"orders' {self.ids_of_orders:,} found in it"
        )

    def to_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "column": self.column,
            "ids": self.ids,
            "known_in_orders": self.known,
            "ids_of_orders": self.ids_of_orders,
            "orders_found": self.found,
        }


@dataclass(frozen=True)
class TableAudit:
    """Row counts of one table: read, dropped by reason, and remarks for the user.

    `notes` are shown by `churn check`; `warnings` by every command that reads the table.
    `ids` is None for tables that are not compared with the orders; `shared_order_ids` counts the
    order ids that several orders shared.
    """

    table: str
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    ids: IdMatch | None = None
    shared_order_ids: int = 0

    @property
    def rows_kept(self) -> int:
        """Rows that were read and not dropped."""
        return self.rows_read - sum(self.dropped.values())


def check_share(
    audit: TableAudit, unusable: Mapping[str, int], *, limit: float, hints: Sequence[str] = ()
) -> None:
    """Raises DataError if the share of unusable rows is above `limit`."""
    bad = sum(unusable.values())
    if audit.rows_read == 0 or bad / audit.rows_read <= limit:
        return
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in unusable.items())
    fix = "Fix the export, map another column, or raise [data] bad_row_limit."
    raise DataError(
        f"at most {limit:.1%} of the rows of table {audit.table!r} may be unusable",
        got=f"{bad:,} of {audit.rows_read:,} ({reasons})",
        fix=" ".join([*hints, fix]),
    )


def compare_ids(
    engine: Engine, settings: DataSettings, audits: Mapping[str, TableAudit]
) -> dict[str, TableAudit]:
    """The audits with the result of comparing ids. DataError if a table and the orders share too
    few, suggesting the id rule that would fix it.
    """
    engine.create(KNOWN, "SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id")
    found = dict(audits)
    if audits["orders"].rows_kept:
        for table in audits:
            matcher = _Matcher(engine, settings, table)
            found[table] = matcher.audited(audits[table])
    engine.create(KNOWN, f"SELECT * FROM {KNOWN} WHERE n < 0")  # no longer needed
    engine.create(THEIRS, f"SELECT * FROM {KNOWN}")
    return found


@dataclass(frozen=True)
class _Matcher:
    """The ids of one table compared with those of the orders."""

    engine: Engine
    settings: DataSettings
    table: str

    def audited(self, audit: TableAudit) -> TableAudit:
        """The audit with its match and the resulting remarks."""
        columns = self.engine.columns(self.table)
        if self.table == "orders":
            notes = self._unread_numbers()
            warnings = (*audit.warnings, *self._giant(), *self._spelled_twice())
            return replace(audit, notes=(*audit.notes, *notes), warnings=warnings)
        if "customer_id" in columns:
            return self._compared(audit, self._customers(), self.settings.customer_id)
        if "order_id" in columns:
            return self._compared(audit, self._order_ids(), self.settings.order_id)
        return audit

    def _compared(self, audit: TableAudit, match: IdMatch, rule: IdRule) -> TableAudit:
        if not match.ids or not match.ids_of_orders:
            return audit
        gains = {other: n for other in _others(match, rule) if (n := self._would(match, other))}
        if match.share < self.settings.least_match and self._stops(match, gains):
            raise self._too_few(match, gains)
        warnings = [*audit.warnings, *_gained(match, gains)]
        if match.share < GOOD_SHARE and not gains:
            warnings.append(f"ids match poorly: only {match.described}")
        return replace(audit, ids=match, warnings=tuple(warnings))

    def _stops(self, match: IdMatch, gains: Mapping[IdRule, int]) -> bool:
        """A handful of unknown ids is not an error, unless another rule would match them."""
        if gains:
            return True
        if match.table in MOSTLY_STRANGERS and match.known:
            return False
        return match.ids >= ENOUGH_IDS

    def _too_few(self, match: IdMatch, gains: Mapping[IdRule, int]) -> DataError:
        rule = (
            f"{self.settings.least_match:.0%} of the {match.column}s of {match.table} must be "
            "found in the orders, or of those in the orders found in it"
        )
        fix = (
            f"Check that {match.column} is mapped to the same kind of id in both, or lower "
            "[data] least_match."
        )
        if gains:
            best = max(gains, key=lambda other: gains[other])
            known = match.known + gains[best]
            fix = f'Set [data] {match.column} = "{best}": {known:,} of {match.ids:,} would match.'
        return DataError(rule, got=match.described, fix=fix)

    def _customers(self) -> IdMatch:
        self.engine.create(THEIRS, f"SELECT DISTINCT customer_id FROM {identifier(self.table)}")
        (row,) = self.engine.rows(
            f"SELECT count(*) AS ids, count(ours.customer_id) AS known FROM {THEIRS} AS theirs "
            f"LEFT JOIN {KNOWN} AS ours ON ours.customer_id = theirs.customer_id"
        )
        ids, known = int(str(row["ids"])), int(str(row["known"]))
        return IdMatch(self.table, "customer_id", ids, known, self._count(KNOWN), known)

    def _order_ids(self) -> IdMatch:
        """Matches among the first order ids of the lines, and of the orders."""
        ids, known = self._known_among(self.table, "orders")
        of_orders, found = self._known_among("orders", self.table)
        return IdMatch(self.table, "order_id", ids, known, of_orders, found)

    def _known_among(self, table: str, other: str) -> tuple[int, int]:
        some = f"SELECT DISTINCT order_id FROM {identifier(table)} LIMIT {SAMPLE}"
        (row,) = self.engine.rows(
            "SELECT count(*) AS ids, count(theirs.order_id) AS known "
            f"FROM ({some}) AS ours LEFT JOIN (SELECT DISTINCT order_id FROM {identifier(other)}) "
            "AS theirs ON theirs.order_id = ours.order_id"
        )
        return int(str(row["ids"])), int(str(row["known"]))

    def _would(self, match: IdMatch, rule: IdRule) -> int:
        """How many more ids of the table another rule would match with the orders."""
        if match.known == match.ids:
            return 0
        column = match.column
        of_orders = column == "order_id"
        known, table = ("orders", identifier(self.table)) if of_orders else (KNOWN, THEIRS)
        some = f"SELECT DISTINCT {column} AS id FROM {table} LIMIT {SAMPLE * 50}"
        (row,) = self.engine.rows(
            f"WITH theirs AS ({some}), strange AS (SELECT {_plain('id', rule)} AS plain "
            f"FROM theirs WHERE NOT EXISTS "
            f"(SELECT 1 FROM {known} AS o WHERE o.{column} = theirs.id)), "
            f"ours AS (SELECT DISTINCT {_plain(column, rule)} AS plain FROM {known}) "
            "SELECT count(*) AS n FROM strange "
            "WHERE EXISTS (SELECT 1 FROM ours WHERE ours.plain = strange.plain)"
        )
        return int(str(row["n"]))

    def _spelled_twice(self) -> tuple[str, ...]:
        """A warning about customers of the orders whose ids differ only in spelling."""
        if self.settings.customer_id != "exact":
            return ()
        twice = {rule: self._twice(rule, odd) for rule, odd in ODD.items()}
        return tuple(
            f"{n:,} customers have ids that differ only in {WHAT[rule]}; customer_id = "
            f'"{rule}" merges them'
            for rule, n in twice.items()
            if n
        )

    def _twice(self, rule: str, odd: str) -> int:
        """How many customers occur in two spellings; `odd` selects possible variants."""
        if not self.engine.rows(f"SELECT 1 AS found FROM {KNOWN} WHERE {odd} LIMIT 1"):
            return 0
        plain = f"SELECT {_plain('customer_id', rule)} AS plain FROM {KNOWN}"
        return self._count(
            f"(SELECT plain FROM ({plain}) AS p GROUP BY 1 HAVING count(*) > 1) AS t"
        )

    def _unread_numbers(self) -> tuple[str, ...]:
        if self.settings.customer_id != "number":
            return ()
        odd = f"regexp_extract(customer_id, {literal('^[0-9]+$')}, 0) = ''"
        (row,) = self.engine.rows(f"SELECT count(*) AS n FROM {KNOWN} WHERE {odd}")
        n = int(str(row["n"]))
        return (f"{n:,} customer ids are not whole numbers and are kept as they are",) if n else ()

    def _giant(self) -> tuple[str, ...]:
        """A warning about a customer with an implausible share of the orders."""
        (row,) = self.engine.rows(
            f"SELECT max(n) AS most, sum(n) AS orders, count(*) AS customers FROM {KNOWN}"
        )
        most, orders, customers = (int(str(row[n])) for n in ("most", "orders", "customers"))
        if customers < GIANT_CUSTOMERS or most < GIANT_SHARE * orders:
            return ()
        if most < GIANT_TIMES * (orders - most) / (customers - 1):
            return ()
        return (
            f"one customer has {most:,} of {orders:,} orders ({most / orders:.0%}): if that is a "
            "till, a guest or the shop itself, list the id in [data] guests",
        )

    def _count(self, name: str) -> int:
        return int(str(self.engine.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"]))


def _others(match: IdMatch, rule: IdRule) -> tuple[IdRule, ...]:
    rules: tuple[IdRule, ...] = ("number",) if match.column == "order_id" else ("number", "email")
    return tuple(other for other in rules if other != rule)


def _plain(column: str, rule: str) -> str:
    """The form in which a rule compares ids, in SQL that every engine understands."""
    if rule == "email":
        return f"lower(trim({column}))"
    return f"coalesce(nullif(regexp_extract({column}, {literal(NUMBER)}, 1), ''), {column})"


def _gained(match: IdMatch, gains: Mapping[IdRule, int]) -> list[str]:
    return [
        f'{n:,} more {match.column}s would match the orders with {match.column} = "{rule}"'
        for rule, n in gains.items()
    ]
