"""The simulated shop satisfies its contracts, its arithmetic and its truth."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.commands.simulate import simulate
from churn.config import load_tables
from churn.errors import ConfigError, StorageError


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "shop"
    simulate(folder, customers=400, seed=5)
    return folder


def read(folder: Path, table: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{table}.parquet")


def test_every_table_is_read_without_a_dropped_row(shop):
    tables = load_tables(shop / "churn.toml")
    assert set(tables.audits) == {"orders", "order_lines", "customers", "events", "consents"}
    assert not [audit.dropped for audit in tables.audits.values() if audit.dropped]


def test_lines_add_up_to_their_order_to_the_cent(shop):
    orders = read(shop, "orders").set_index("order_id")["amount"]
    lines = read(shop, "order_lines").groupby("order_id")["amount"].sum()
    bought = orders[orders > 0]
    assert set(bought.index) <= set(lines.index)
    cents = (lines.reindex(bought.index) * 100).round() - (bought * 100).round()
    assert (cents == 0).all()


def test_nobody_buys_after_dropping_out(shop):
    truth = read(shop, "truth/customers").set_index("customer_id")["dropped_out_at"]
    orders = read(shop, "orders").query("amount > 0")
    last = orders.groupby("customer_id")["ordered_at"].max()
    gone = truth.reindex(last.index)
    assert gone.notna().any()
    assert (gone.isna() | (last <= gone)).all()


def test_the_truth_counts_the_purchases(shop):
    truth = read(shop, "truth/customers").set_index("customer_id")["purchases"]
    counted = read(shop, "orders").query("amount > 0").groupby("customer_id").size()
    assert counted.reindex(truth.index, fill_value=0).equals(truth.astype(counted.dtype))


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(shop, tmp_path):
    again = simulate(tmp_path / "again", customers=400, seed=5)
    other = simulate(tmp_path / "other", customers=400, seed=6)
    tables = [path for path in again.files if path.suffix == ".parquet"]
    assert tables
    for path in tables:
        assert path.read_bytes() == (shop / path.relative_to(tmp_path / "again")).read_bytes()
    assert set(again.files.values()).isdisjoint(
        sha for path, sha in other.files.items() if path.name != "churn.toml"
    )


def test_orders_are_about_as_many_as_promised(shop):
    """A mean of 8.5 in two years, within five standard errors of 400 such customers."""
    orders = read(shop, "orders").query("amount > 0")
    per_customer = orders.groupby("customer_id").size()
    error = per_customer.std() / np.sqrt(len(per_customer))
    assert abs(len(orders) / 400 - 8.5) < 5 * error


def test_late_orders_arrive_after_they_were_placed(tmp_path):
    simulate(tmp_path / "late", customers=100, seed=1, lines=False, late_share=0.3)
    orders = read(tmp_path / "late", "orders")
    delay = orders["loaded_at"] - orders["ordered_at"]
    assert (delay >= pd.Timedelta(0)).all()
    late = (delay > pd.Timedelta(days=1)).mean()
    assert 0.1 < late < 0.5
    assert not (tmp_path / "late" / "order_lines.parquet").exists()


def test_impossible_numbers_and_an_existing_folder_are_rejected(shop, tmp_path):
    with pytest.raises(ConfigError, match="customers must be"):
        simulate(tmp_path / "none", customers=0, seed=1)
    with pytest.raises(StorageError, match="Choose another name"):
        simulate(shop, customers=10, seed=1)
