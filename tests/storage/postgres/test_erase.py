"""Who is erased leaves a table of results, and what is left is still the run on record."""

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest

from churn.storage.erasures import Erased, hashed
from churn.storage.postgres.address import table_address
from churn.storage.postgres.erase import erase_from_table
from churn.storage.postgres.layout import Layout
from churn.storage.postgres.target import read_run, writing_rows

KEY = b"k" * 32
ANN = Erased(KEY, {hashed(KEY, "ann"): date(2024, 5, 1)})
SCHEMA = pa.schema([("customer_id", pa.string()), ("run_id", pa.string()), ("worth", pa.float64())])
RUNS = Layout(SCHEMA, ("run_id", "customer_id"), {"run_id": "run_id"}, keeps_runs=True)
NARROW = replace(RUNS, schema=pa.schema(list(SCHEMA)[:2]), keeps_runs=False)


@pytest.fixture
def target(postgres):
    """A table with two customers of two runs."""
    address = table_address(postgres.address("scores"))
    for run_id in ("r-1", "r-2"):
        rows = pa.table([["ann", "ben"], [run_id] * 2, [1.0, 2.0]], schema=SCHEMA)
        with writing_rows(address, RUNS) as writer:
            writer.write(rows, {"run_id": run_id})
    return address


def erase(address, **more):
    return erase_from_table(address, [NARROW, RUNS], ANN, follow=lambda *_: None, **more)


def test_a_table_with_columns_of_the_shop_s_own_is_still_proved_after_an_erasure(postgres, target):
    postgres.sql("ALTER TABLE scores ADD seen_by text DEFAULT 'nobody'")
    assert erase(target) == 2
    for run_id in ("r-1", "r-2"):
        rows, facts = read_run(replace(target, run_id=run_id), RUNS, command="score")
        assert rows["customer_id"].to_pylist() == ["ben"]
        assert (facts["rows"], facts["erased"]) == (1, 1)


def test_a_dry_run_counts_and_takes_nothing_out(postgres, target):
    assert erase(target, dry_run=True) == 2
    assert postgres.sql("SELECT count(*) FROM scores") == [(4,)]
