"""The scores of the last batch: a verified file in memory, looked up by customer."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import ChurnError, DataError
from churn.modeling.portable import OUTPUTS
from churn.serving.api.champion import _identity
from churn.storage.manifests import verify_file

COLUMNS = ("status", *OUTPUTS, "at_risk", "risk_band", "segment", "reasons")


@dataclass(frozen=True)
class Batch:
    """The scores of one run, sorted by customer."""

    table: pa.Table
    ids: pa.Array
    facts: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Batch:
        """The scores at `path`; DataError unless a manifest vouches for them."""
        import pyarrow.parquet as pq

        facts = verify_file(path)
        if facts is None:
            rule = f"{path.name} must have its manifest"
            raise DataError(rule, fix="Write it with `churn score --out`.")
        try:
            table = pq.read_table(path, columns=["customer_id", *COLUMNS], memory_map=False)
        except (OSError, pa.ArrowException):
            fix = "Write them with `churn score --out FILE.parquet`."
            raise DataError(f"{path.name} must hold scores as Parquet", fix=fix) from None
        ids = table["customer_id"].combine_chunks()
        if len(ids) > 1 and not pc.all(pc.less(ids.slice(0, len(ids) - 1), ids.slice(1))).as_py():
            table = table.sort_by("customer_id")
            ids = table["customer_id"].combine_chunks()
        return cls(table.select(COLUMNS).combine_chunks(), ids, facts)

    @property
    def as_of(self) -> date:
        """The date of the scores."""
        return date.fromisoformat(str(self.facts["as_of"]))

    @property
    def model_id(self) -> str:
        """The model that made them."""
        return str(self.facts["model_id"])

    @property
    def population(self) -> dict[str, Any] | None:
        """The averages that features of its date refer to; None in scores of earlier releases."""
        found: dict[str, Any] | None = self.facts.get("population")
        return found

    def of(self, customer_id: str) -> dict[str, Any] | None:
        """The customer's score; None if there is none."""
        place = bisect_left(self.ids, customer_id, key=_text)
        if place == len(self.ids) or _text(self.ids[place]) != customer_id:
            return None
        (row,) = self.table.slice(place, 1).to_pylist()
        return dict(row)


@dataclass
class Batches:
    """The current batch; `check` replaces it if the file changed, and keeps it if the new one is
    damaged. A batch whose file was removed is dropped.
    """

    path: Path
    report: Callable[[str, str], None]
    current: Batch | None = None
    _seen: tuple[int, ...] | None = field(default=None, repr=False)

    def check(self) -> None:
        """Reads the file if it changed since the last call."""
        seen = _identity(self.path)
        if seen == self._seen:
            return
        self._seen = seen
        if seen is None:
            self.current = None
            return
        try:
            self.current = Batch.read(self.path)
        except (ChurnError, KeyError, ValueError) as failure:
            self.report("scores_refused", f"{failure}; the scores in memory stay in use")
            return
        self.report("scores_loaded", f"scores as of {self.current.as_of} are in use")


def _text(scalar: pa.Scalar) -> str:
    return str(scalar.as_py())
