"""What was found in a table at the door, what was dropped, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from churn.errors import DataError


@dataclass(frozen=True)
class IdMatch:
    """The ids of a table and those of the orders: how many there are, and how many of each are
    known in the other.
    """

    table: str
    column: str
    ids: int
    known: int
    ids_of_orders: int
    found: int

    @property
    def share(self) -> float:
        """The larger of both shares: either side may hold many whom the other never sees."""
        return max(self.known / max(self.ids, 1), self.found / max(self.ids_of_orders, 1))

    @property
    def described(self) -> str:
        """Both shares in words."""
        return (
            f"{self.known:,} of its {self.ids:,} in the orders and {self.found:,} of the orders' "
            f"{self.ids_of_orders:,} in it"
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
    """Row counts of one table: read, dropped by reason, and what a person should know of it.

    `notes` are shown by `churn check`; `warnings` by every command that reads the table.
    `ids` is None of tables that are not compared with the orders; `shared_order_ids` counts those
    that several orders had.
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
    """Nothing, or DataError when the share of unusable rows is above `limit`."""
    bad = sum(unusable.values())
    if audit.rows_read == 0 or bad / audit.rows_read <= limit:
        return
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in unusable.items())
    fix = "Mend the export, map another column, or raise [data] bad_row_limit."
    raise DataError(
        f"at most {limit:.1%} of the rows of table {audit.table!r} may be unusable",
        got=f"{bad:,} of {audit.rows_read:,} ({reasons})",
        fix=" ".join([*hints, fix]),
    )
