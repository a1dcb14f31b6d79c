"""What an analysis returns: named Arrow tables, the definition of every number, and notes.

An analysis builds an `Analysis`; its command hands it to `churn.commands.analyses`, which shows
`displays` on the terminal, puts `to_dict` into the JSON, and writes the `main` table to `--out`
(Parquet, CSV, a workbook or PostgreSQL).

    >>> import pyarrow as pa
    >>> from datetime import date
    >>> from churn.analytics.definitions import Definition
    >>> rows = pa.table({"period": ["2011-11"], "kept": [2230]})
    >>> kept = Definition("kept", "customers", "active at the start and at the end")
    >>> found = Analysis("metrics", date(2011, 12, 1), {"periods": rows}, {"kept": kept},
    ...     main="periods", key=("period",))
    >>> found.table("periods")["kept"].to_pylist()
    [2230]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa

from churn.analytics.definitions import Definition
from churn.errors import ConfigError
from churn.results.job_result import Table


@dataclass(frozen=True)
class Analysis:
    """The tables of an analysis.

    `main` names the table that `--out` writes, whose rows `key` identifies; columns of it are of
    types that PostgreSQL has (text, date, number, true or false). `resolved` are the settings that
    apply. `displays` are the tables for people. `left_out` counts rows by table and reason.
    """

    name: str
    as_of: date
    tables: Mapping[str, pa.Table]
    definitions: Mapping[str, Definition]
    main: str
    key: tuple[str, ...]
    resolved: Mapping[str, Any] = field(default_factory=dict)
    displays: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def table(self, name: str | None = None) -> pa.Table:
        """The table of that name, by default the main one; ConfigError if there is none."""
        if name is not None and name not in self.tables:
            rule = f"the tables of {self.name} are {sorted(self.tables)}"
            raise ConfigError(rule, got=repr(name), fix="Pass one of them.")
        return self.tables[name or self.main]

    def to_dict(self) -> dict[str, Any]:
        """JSON: every table as a list of rows, and the definition of every number."""
        return {
            "as_of": str(self.as_of),
            "resolved": dict(self.resolved),
            "definitions": {name: one.to_dict() for name, one in self.definitions.items()},
            **{name: table.to_pylist() for name, table in self.tables.items()},
        }
