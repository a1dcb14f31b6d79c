"""Functions for `forked.py`: the package's commands, and one write of many rows."""

from datetime import date
from pathlib import Path
from typing import Any

import lightgbm  # noqa: F401 - loaded once, for all that are forked
import numpy as np
import pandas as pd
import pyarrow as pa

import churn.data.engines.duck
import churn.scoring.explain  # noqa: F401
from churn.commands.export import export
from churn.commands.plan import plan
from churn.commands.previous_results import PLANS
from churn.commands.score import score
from churn.errors import ChurnError
from churn.storage.postgres.address import table_address
from churn.storage.postgres.target import writing_rows

__all__ = ["RUNS", "ChurnError", "many_rows"]


def many_rows(run_id: str, rows: int) -> pa.Table:
    """A plan of so many rows, in all columns; those of a run are alike."""
    same: dict[str, Any] = {
        "run_id": run_id,
        "campaign_id": "spring",
        "as_of": date(2024, 3, 1),
        "offer_id": "none",
        "arm": "treatment",
        "propensity": 1.0,
    }
    names = [name for name in PLANS.schema.names if name not in ("customer_id", *same)]
    frame = pd.DataFrame({"customer_id": np.arange(rows).astype(str)}).assign(**same)
    frame[names] = None
    return pa.Table.from_pandas(frame[PLANS.schema.names], PLANS.schema, preserve_index=False)


def write_rows(address: str, run_id: str, rows: int) -> None:
    """Writes such a plan into a table."""
    with writing_rows(table_address(address), PLANS) as writer:
        writer.write(many_rows(run_id, rows), {"run_id": run_id})


RUNS = {
    "score": lambda config, **options: score(Path(config), **options),
    "plan": lambda config, **options: plan(Path(config), **options),
    "export": lambda config, **options: export(Path(config), **options),
    "write_rows": write_rows,
}
