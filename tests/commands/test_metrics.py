"""`churn metrics`: its files, its lists, its JSON."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.commands.metrics import metrics
from churn.errors import ConfigError


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Thirty customers in two channels, half of whom stop after 60 days."""
    folder = tmp_path_factory.mktemp("metrics")
    begin = datetime(2024, 1, 1, 12, tzinfo=UTC)
    rows = [
        {
            "customer_id": f"c{n}",
            "ordered_at": begin + timedelta(days=day + n % 5),
            "amount": 10.0 + n,
            "channel": "web" if n % 3 else "shop",
        }
        for n in range(30)
        for day in range(0, 60 if n % 2 else 180, 10)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "orders.parquet")
    path = folder / "churn.toml"
    path.write_text(
        '[data.orders]\nsource = "orders.parquet"\n[metrics]\nactive_days = 30\nperiod = "month"\n'
        "target_percent = [85, 90]\n"
    )
    return path


def test_the_rows_are_written_with_their_run(config):
    out = config.with_name("metrics.parquet")
    result = metrics(config, out=out, by=["channel"])
    rows = pq.read_table(out).to_pylist()
    assert {(row["split"], row["value"]) for row in rows} == {
        ("all", "all"),
        ("channel", "shop"),
        ("channel", "web"),
    }
    assert {row["run_id"] for row in rows} == {result.run_id}
    assert result.rows["periods"] == len(rows)
    printed = json.loads(json.dumps(result.to_dict(), default=str))["metrics"]
    assert printed["definitions"]["retention_rate_percent"]["meaning"].startswith("CRR = (E - N)")
    assert printed["resolved"]["active_days"] == 30


def test_the_balance_is_shown_with_the_target_that_was_set(config):
    (balance, *_) = metrics(config).tables
    assert balance.title == "Balance of customers (active: bought in the last 30 days)"
    assert any("below 85 %, your target" in row[-1] for row in balance.rows)


def test_the_customers_of_a_cell_are_written_as_a_list(config):
    out = config.with_name("lost.csv")
    result = metrics(config, out=out, customers="lost,period=2024-03,channel=web")
    text = out.read_text().splitlines()
    assert text[0].replace('"', "") == "run_id,as_of,customer_id,cell"
    assert result.rows == {"customers": len(text) - 1}
    assert result.rows["customers"] > 0


def test_a_list_needs_a_file(config):
    with pytest.raises(ConfigError, match=r"--customers writes a list and needs --out"):
        metrics(config, customers="lost")


def test_the_table_may_be_in_a_database(config, postgres):
    address = postgres.address("retention")
    metrics(config, out=address)
    metrics(config, out=address)
    assert postgres.sql("SELECT count(DISTINCT run_id) FROM retention") == [(2,)]
