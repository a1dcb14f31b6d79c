"""What was found in a table at import, what was dropped, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from churn.errors import DataError


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
