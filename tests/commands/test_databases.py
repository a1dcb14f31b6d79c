"""Commands read tables from a database and write results into it, and reveal no secret."""

import json
from urllib.parse import quote

import pandas as pd
import pytest
from simulated_shop import (
    AS_OF,
    MEMORYLESS_AS_OF,
    copied_shop,
    open_shop,
    simulated_orders,
    trained_shop,
)
from typer.testing import CliRunner

from churn.cli.options import app
from churn.commands.check import check
from churn.commands.export import export
from churn.commands.features import features
from churn.commands.measure import measure
from churn.commands.plan import plan
from churn.commands.score import score
from churn.commands.train import train
from churn.errors import ConfigError, DataError
from churn.storage.ledger import Ledger

NIGHT = str(AS_OF)
PASSWORD = "p@ss/w#rd? 100%"


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")


def told(*words):
    done = CliRunner().invoke(app, list(map(str, words)))
    return done.exit_code, f"{done.output} {done.exception}"


def test_a_shop_is_scored_planned_exported_and_measured_in_a_database(shop, postgres):
    place = postgres.address
    scored = score(shop, out=place("scores"), as_of="2023-12-01", run_id="night-1")
    assert list(scored.files) == [str_of(postgres, "scores")]
    planned = plan(shop, scores=place("scores"), out=place("plans"), as_of="2023-12-01")
    listed = export(shop, plan=place("plans"), out=place("spring_list"), on="2023-12-01")
    measured = measure(shop, plan=place("plans"), scores=place("scores"), as_of=NIGHT)
    assert measured.metrics["plan_run_id"] == planned.run_id
    counts = {
        "scores_latest": scored.rows["scores"],
        "plans_latest": planned.rows["plan"],
        "spring_list": listed.rows["exported"],
    }
    for table, count in counts.items():
        assert postgres.sql(f"SELECT count(*) FROM {table}") == [(count,)]
    assert counts["spring_list"] > 0


def str_of(postgres, table):
    return f"postgresql://127.0.0.1:{postgres.port}/{postgres.database}#{table}"


def test_scores_are_the_same_in_a_file_and_in_a_database(shop, postgres, tmp_path):
    score(shop, out=tmp_path / "scores.parquet", as_of=NIGHT, run_id="night-1", explain="all")
    score(shop, out=postgres.address("scores"), as_of=NIGHT, run_id="night-1", explain="all")
    plan(shop, scores=tmp_path / "scores.parquet", out=tmp_path / "a.parquet", run_id="plan-1")
    plan(shop, scores=postgres.address("scores"), out=tmp_path / "b.parquet", run_id="plan-1")
    a, b = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in "ab")
    by = ["customer_id"]
    pd.testing.assert_frame_equal(
        a.sort_values(by, ignore_index=True), b.sort_values(by, ignore_index=True)
    )


def test_a_rerun_of_a_run_replaces_its_rows_and_another_run_adds_its_own(shop, postgres):
    for run_id in ("night-1", "night-1", "night-2"):
        score(shop, out=postgres.address("scores"), as_of=NIGHT, run_id=run_id)
    counted = postgres.sql("SELECT run_id, count(*) FROM scores GROUP BY 1 ORDER BY 1")
    assert counted == [("night-1", 600), ("night-2", 600)]
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert {run.run_id for run in ledger.runs("score")} == {"night-1", "night-2"}


def test_changes_are_relative_to_the_previous_run_in_the_table(shop, postgres):
    score(shop, out=postgres.address("scores"), as_of="2023-12-01")
    later = score(shop, out=postgres.address("scores"), as_of=NIGHT)
    again = score(shop, out=postgres.address("scores"), as_of=NIGHT)
    assert sum(later.metrics["changes"].values()) == later.rows["scores"]
    assert again.metrics["changes"] == later.metrics["changes"]


def test_a_list_replaces_the_previous_one(shop, postgres):
    plan(shop, out=postgres.address("plans"), as_of=NIGHT, budget=20)
    first = export(shop, plan=postgres.address("plans"), out=postgres.address("lists"))
    plan(shop, out=postgres.address("plans"), as_of=NIGHT, budget=5)
    plans, lists = postgres.address("plans"), postgres.address("lists")
    second = export(shop, plan=plans, out=lists, replace=True)
    assert second.rows["exported"] < first.rows["exported"]
    assert postgres.sql("SELECT count(*) FROM lists") == [(second.rows["exported"],)]


def test_a_plan_changed_in_its_table_is_not_exported(shop, postgres, tmp_path):
    plan(shop, out=postgres.address("plans"), as_of=NIGHT)
    postgres.sql("UPDATE plans SET offer_id = 'coupon' WHERE offer_id = 'none'")
    with pytest.raises(DataError, match="must hold the rows that run"):
        export(shop, plan=postgres.address("plans"), out=tmp_path / "list.csv")


def test_a_training_reveals_no_password(postgres, tmp_path, monkeypatch):
    """It is not on the terminal, in the ledger, the bundle, MLflow or a plan."""
    orders = simulated_orders(150, days=300, memoryless=True)
    config = open_shop(tmp_path / "shop", orders, tracking="sqlite:///mlflow.db")
    postgres.holding("orders", orders)
    quoted = PASSWORD.replace("'", "''")
    postgres.sql(f"CREATE ROLE ann LOGIN PASSWORD '{quoted}' IN ROLE pg_read_all_data")
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    address = postgres.address("public.orders", user="ann", password="${SHOP_PASSWORD}")
    config.write_text(config.read_text().replace('"orders.parquet"', json.dumps(address)))
    try:
        result = train(config, as_of=MEMORYLESS_AS_OF)
        shown = str(result.to_dict()) + told("check", "--config", config)[1]
    finally:
        postgres.sql("DROP ROLE ann")
    manifest = json.loads(
        (config.parent / "models" / result.model_id / "manifest.json").read_text()
    )
    assert list(manifest["data"]["files"]["orders"]) == [f"{postgres.database}#public.orders"]
    assert f"read from {str_of(postgres, 'public.orders')}" in " ".join(shown.split())
    assert not files_with(PASSWORD, config.parent)
    assert PASSWORD not in shown


def files_with(secret, folder):
    wanted = (secret.encode(), quote(secret, safe="").encode())
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in wanted)
    ]


@pytest.mark.parametrize("message", ["wr0ng-secret", "s3/cret"])
def test_an_invalid_address_is_one_line_without_its_password(shop, postgres, message):
    address = postgres.address("scores", password=message)
    for words in (("--json",), ("--debug",), ()):
        code, output = told("score", "--config", shop, "--out", address, *words)
        assert message not in output
        assert code in (2, 7) or "--debug" in words


def test_options_that_must_be_files_reject_tables(shop, postgres):
    place = postgres.address("lists")
    plan(shop, out=postgres.address("plans"), as_of=NIGHT)
    with pytest.raises(ConfigError, match="--out of this result must be a file"):
        features(shop, out=place)
    with pytest.raises(ConfigError, match="--out of this result must be a file"):
        measure(shop, out=place)
    with pytest.raises(ConfigError, match="--to of this result must be a file"):
        export(shop, plan=postgres.address("plans"), out=place, audience_name="meta")


def test_a_source_cannot_be_an_output(shop, postgres):
    address = postgres.holding("orders", simulated_orders(3))
    text = shop.read_text()
    shop.write_text(text.replace('"orders.parquet"', json.dumps(address)))
    with pytest.raises(ConfigError, match="must not be a table that the command reads"):
        score(shop, out=address)
    assert check(shop).rows["orders"] > 0
