"""What was found in a table at the door, what was dropped, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from churn.errors import DataError

__all__ = ["TableAudit", "check_share"]


@dataclass(frozen=True)
class TableAudit:
    """Row counts of one table: read, dropped by reason, and what a person should know of it.

    `notes` are shown by `churn check`; `warnings` by every command that reads the table.
    """

    table: str
    rows_read: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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
