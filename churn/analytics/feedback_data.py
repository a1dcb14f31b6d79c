"""The responses in the tables of surveys and reviews, as known at a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from churn.analytics.feedback import check_range, guessed_scale, scale_of, unhappy
from churn.arrays import Bools
from churn.data.consent import current_objectors, known_before
from churn.data.tables import Snapshot

if TYPE_CHECKING:
    import pandas as pd

FEEDBACK_TABLES = ("surveys", "reviews")
UNHAPPY = pa.schema([("customer_id", pa.string()), ("local_day", pa.int64())])


def responses(snapshot: Snapshot) -> pd.DataFrame:
    """table, customer_id, day, local_day, score, scale, wave, answered, unhappy of all rows of both
    tables that had happened and arrived; objectors to profiling are left out.

    `score` is NaN without a response, `wave` "" without one, `answered` missing if unknown. Raises
    DataError if a score does not fit its scale, or the scale is not given and not unmistakable.
    """
    import pandas as pd

    parts = [_of_table(snapshot, table) for table in FEEDBACK_TABLES if snapshot.tables.has(table)]
    if not parts:
        return _nothing()
    rows = pd.concat(parts, ignore_index=True)
    objecting = current_objectors(snapshot.tables)
    return rows[~rows["customer_id"].isin(objecting)].reset_index(drop=True)


def _nothing() -> pd.DataFrame:
    import pandas as pd

    names = ("table", "customer_id", "day", "local_day", "score", "scale", "wave", "answered")
    return pd.DataFrame({**{name: [] for name in names}, "unhappy": np.zeros(0, dtype=bool)})


def _of_table(snapshot: Snapshot, table: str) -> pd.DataFrame:
    columns = snapshot.tables.columns(table)
    read = ["customer_id", "day", "local_day", "score"]
    optional = {"scale": "VARCHAR", "wave": "VARCHAR", "answered": "BOOLEAN"}
    shown = [name if name in columns else _missing(name, snapshot) for name in (*read, *optional)]
    sql = f"SELECT {', '.join(shown)} FROM {table} WHERE {known_before(snapshot, table)}"  # noqa: S608 - names of ours
    rows = snapshot.tables.engine.query(sql).to_pandas()
    rows["score"] = rows["score"].astype(np.float64)
    rows["wave"] = rows["wave"].fillna("").astype(object)
    return _scaled(rows, table).assign(table=table)


def _missing(name: str, snapshot: Snapshot) -> str:
    """A column that the table lacks."""
    kind = {"score": "DOUBLE", "answered": "BOOLEAN"}.get(name, "STRING")
    return f"CAST(NULL AS {kind}) AS {name}"


def _scaled(rows: pd.DataFrame, table: str) -> pd.DataFrame:
    """The rows with the name of each one's scale, and whether its score is unhappy."""
    written = rows["scale"].fillna("").str.strip()
    given = {text: scale_of(text) for text in written.unique() if text}
    without = (written == "").to_numpy()
    if without.any():
        given[""] = guessed_scale(rows["score"].to_numpy()[without], table=table)
    low: Bools = np.zeros(len(rows), dtype=bool)
    for text, scale in given.items():
        own = (written == text).to_numpy()
        scores = rows["score"].to_numpy()[own]
        check_range(scores, scale, table=table)
        low[own] = unhappy(scores, scale)
    names = written.map({text: scale.name for text, scale in given.items()})
    return rows.assign(scale=names.astype(object), unhappy=low)


def unhappy_days(snapshot: Snapshot) -> pa.Table:
    """customer_id and local_day of unhappy responses: `UNHAPPY`."""
    rows = responses(snapshot)
    some = rows[rows["unhappy"].astype(bool)]
    return pa.table(
        {
            "customer_id": pa.array(some["customer_id"], pa.string()),
            "local_day": pa.array(some["local_day"].astype(np.int64), pa.int64()),
        }
    )
