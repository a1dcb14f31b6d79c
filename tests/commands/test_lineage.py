"""The fingerprint depends on the tables' files, not on their folder."""

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_shop import open_shop, simulated_orders

from churn.config import load_settings
from churn.data.lineage import lineage_of
from churn.storage.files import sha256_of

ORDERS = simulated_orders(3)


def lineage(folder, orders=ORDERS):
    return lineage_at(open_shop(folder, orders))


def lineage_at(config):
    settings = load_settings(config)
    return lineage_of(settings.data, settings.folder)


def test_every_file_of_every_table_is_named_with_its_hash(tmp_path):
    described = lineage(tmp_path)
    assert described["files"] == {
        "orders": {"orders.parquet": sha256_of(tmp_path / "orders.parquet")}
    }
    assert len(described["fingerprint"]) == 64


def test_the_same_files_elsewhere_have_the_same_fingerprint(tmp_path):
    assert lineage(tmp_path / "a") == lineage(tmp_path / "b")


@settings(max_examples=8)
@given(row=st.integers(0, len(ORDERS) - 1))
def test_another_amount_in_any_row_is_another_fingerprint(tmp_path_factory, row):
    folder = tmp_path_factory.mktemp("shop")
    changed = ORDERS.copy()
    changed.loc[row, "amount"] += 0.01
    assert isinstance(changed, pd.DataFrame)
    assert lineage(folder / "a") != lineage(folder / "b", changed)


def test_files_of_one_name_in_several_folders_all_count(tmp_path):
    config = open_shop(tmp_path, ORDERS)
    for number, part in enumerate((ORDERS[:100], ORDERS[100:])):
        (tmp_path / f"part{number}").mkdir()
        part.to_parquet(tmp_path / f"part{number}" / "orders.parquet", index=False)
    text = config.read_text()
    assert 'source = "orders.parquet"' in text
    config.write_text(text.replace('"orders.parquet"', '"part*/orders.parquet"'))
    files = lineage_at(config)["files"]["orders"]
    assert files == {
        "orders.parquet": sha256_of(tmp_path / "part0" / "orders.parquet"),
        "orders.parquet#2": sha256_of(tmp_path / "part1" / "orders.parquet"),
    }
