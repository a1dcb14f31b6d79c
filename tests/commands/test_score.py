"""The file of scores is complete, has the documented columns, and is reproducible."""

import json
import shutil
from datetime import date, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest
from simulated_shop import AS_OF, FIRST_DAY, copied_shop, simulated_orders, trained_shop

from churn.commands.forget import forget
from churn.commands.score import score
from churn.errors import BusyError, ConfigError, ModelError, StorageError
from churn.results.output import read_table, writing_table
from churn.scoring.score import SCORE_SCHEMA
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file

NIGHT = str(AS_OF)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A trained shop with a sign-up list and one objector, whose settings no test changes."""
    base = tmp_path_factory.getbasetemp()
    config = copied_shop(trained_shop(base), tmp_path_factory.mktemp("score") / "shop")
    pd.DataFrame(
        {
            "customer_id": ["c0007"],
            "channel": "email",
            "purpose": "profiling",
            "granted": False,
            "changed_at": pd.Timestamp("2023-05-01"),
        }
    ).to_parquet(config.parent / "consents.parquet")
    pd.DataFrame({"customer_id": ["visitor", "c0007"]}).to_parquet(
        config.parent / "customers.parquet"
    )
    tables = '[data.consents]\nsource = "consents.parquet"\n'
    tables += '[data.customers]\nsource = "customers.parquet"\n'
    config.write_text(config.read_text() + tables)
    return config


@pytest.fixture(scope="module")
def night(shop, tmp_path_factory):
    """One night's scores: the result and the file."""
    out = tmp_path_factory.mktemp("night") / "scores.parquet"
    return score(shop, out=out, as_of=NIGHT), out


@pytest.fixture
def own_shop(tmp_path, tmp_path_factory):
    """A trained shop that tests may change."""
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")


def test_the_file_has_exactly_the_columns_of_the_design(night):
    assert pq.read_schema(night[1]).equals(SCORE_SCHEMA)


def test_one_row_for_each_known_customer_and_none_for_objectors(night):
    result, out = night
    ids = pd.read_parquet(out)["customer_id"].tolist()
    known = {*simulated_orders()["customer_id"], "visitor"} - {"c0007"}
    assert ids == sorted(known)
    assert result.rows == {"scores": len(known)}
    assert result.dropped["customers"] == {"objected to profiling": 1}


def test_objectors_and_erased_customers_are_both_counted(shop, tmp_path):
    folder = tmp_path / "shop"
    shutil.copytree(shop.parent, folder, ignore=shutil.ignore_patterns("ledger.*"))
    config = folder / "churn.toml"
    everybody = sorted({*simulated_orders()["customer_id"], "visitor"})
    pd.DataFrame({"customer_id": everybody}).to_parquet(folder / "customers.parquet")
    forget(config, customers=["c0001", "c0002"])
    result = score(config, out=tmp_path / "s.parquet", as_of=NIGHT, explain="none")
    left_out = result.dropped["customers"]
    assert left_out == {"erased": 2, "objected to profiling": 1}
    assert result.rows["scores"] + sum(left_out.values()) == len(everybody)


def test_the_manifest_has_the_files_hash_and_counts_excluded_customers(night):
    result, out = night
    facts = verify_file(out)
    assert facts["dropped"] == {"objected to profiling": 1}
    assert (facts["rows"], facts["as_of"]) == (result.rows["scores"], NIGHT)
    assert (facts["model_id"], facts["run_id"]) == (result.model_id, result.run_id)
    assert facts["at_risk_from"] == result.resolved["at_risk_from"] > 0


def test_a_tenth_of_the_eligible_is_at_risk_unless_set_otherwise(
    night, shop, tmp_path, monkeypatch
):
    frame = pd.read_parquet(night[1])
    eligible = (frame["status"] == "eligible").sum()
    assert frame["at_risk"].sum() == round(0.1 * eligible)
    monkeypatch.setenv("CHURN__SCORING__CAPACITY", "17")
    score(shop, out=tmp_path / "s.parquet", as_of=NIGHT)
    assert pd.read_parquet(tmp_path / "s.parquet")["at_risk"].sum() == 17


def test_scores_before_the_end_of_training_are_noted_as_contaminated(night, shop, tmp_path):
    early = score(shop, out=tmp_path / "early.parquet", as_of=str(AS_OF - timedelta(days=1)))
    (warning,) = [
        note for note in early.to_dict()["warnings"] if "contaminated by the future" in note
    ]
    assert warning.startswith(f"the model was trained on data after {early.as_of}, up to before")
    assert not any("contaminated by the future" in note for note in night[0].warnings)


def test_every_row_carries_the_run_and_the_model(night):
    result, out = night
    frame = pd.read_parquet(out)
    assert set(frame["run_id"]) == {result.run_id}
    assert set(frame["model_id"]) == {result.model_id}
    assert set(frame["currency"]) == {"EUR"}


def test_the_run_is_on_record(night, shop):
    with Ledger(shop.parent / "ledger.db") as ledger:
        run = next(run for run in ledger.runs("score") if run.run_id == night[0].run_id)
    assert (run.status, run.model_id, run.as_of) == ("done", night[0].model_id, AS_OF)


def test_the_same_run_twice_gives_the_same_scores(night, shop, tmp_path):
    again = tmp_path / "again.parquet"
    score(shop, out=again, as_of=NIGHT)
    frames = [pd.read_parquet(path).drop(columns="run_id") for path in (night[1], again)]
    pd.testing.assert_frame_equal(*frames, check_exact=True)


def test_without_a_date_the_end_of_the_data_is_taken(shop, tmp_path):
    last = simulated_orders()["ordered_at"].max().date()
    result = score(shop, out=tmp_path / "s.parquet")
    assert result.as_of == date.fromordinal(last.toordinal() + 1)


def test_an_earlier_date_scores_the_customers_known_by_then(shop, tmp_path):
    when = "2022-06-01"
    result = score(shop, out=tmp_path / "s.parquet", as_of=when)
    orders = simulated_orders()
    early = orders.loc[orders["ordered_at"] < pd.Timestamp(when), "customer_id"].nunique()
    frame = pd.read_parquet(tmp_path / "s.parquet")
    # c0007 had not objected yet; the sign-ups have no date and so are always known
    assert result.rows["scores"] == len({*frame["customer_id"]})
    assert early <= len(frame) <= early + 2
    assert set(frame["as_of"]) == {date(2022, 6, 1)}


def test_a_date_after_the_data_is_rejected_with_its_end(shop, tmp_path):
    with pytest.raises(ConfigError, match=rf"at or before the end of the data, {AS_OF}, got 2030"):
        score(shop, out=tmp_path / "s.parquet", as_of="2030-01-01")
    assert list(tmp_path.iterdir()) == []


def test_a_leap_day_is_a_date(own_shop, tmp_path):
    """Fault 52."""
    orders = simulated_orders()
    orders["ordered_at"] += pd.Timedelta(days=59)
    orders.to_parquet(own_shop.parent / "orders.parquet")
    result = score(own_shop, out=tmp_path / "s.parquet", as_of="2024-02-29")
    assert result.as_of == date(2024, 2, 29)
    assert set(pd.read_parquet(tmp_path / "s.parquet")["as_of"]) == {date(2024, 2, 29)}


def test_a_spreadsheet_finds_no_formula_in_a_csv_file_and_parquet_keeps_the_name(
    own_shop, tmp_path
):
    """Fault 47."""
    evil = '=HYPERLINK("http://evil.example","click")'
    orders = simulated_orders().replace({"customer_id": {"c0003": evil, "c0004": "@cmd"}})
    orders.to_parquet(own_shop.parent / "orders.parquet")
    score(own_shop, out=tmp_path / "s.csv", as_of=NIGHT)
    score(own_shop, out=tmp_path / "s.parquet", as_of=NIGHT)
    written = pd.read_csv(tmp_path / "s.csv", dtype={"customer_id": str})
    kept = pd.read_parquet(tmp_path / "s.parquet")
    assert {f"'{evil}", "'@cmd"} <= set(written["customer_id"])
    assert {evil, "@cmd"} <= set(kept["customer_id"])
    assert list(written.columns) == SCORE_SCHEMA.names
    assert (written["churn_probability"] - kept["churn_probability"]).abs().max() < 1e-9
    listed = written.loc[written["at_risk"], "reasons"]
    assert listed.str.endswith(".").all()


@pytest.mark.parametrize("as_of", [None, NIGHT])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_no_customers_give_an_empty_file_with_its_manifest(own_shop, tmp_path, ending, as_of):
    """Fault 20: a header and nothing else."""
    simulated_orders().head(0).to_parquet(own_shop.parent / "orders.parquet")
    out = tmp_path / f"s.{ending}"
    result = score(own_shop, out=out, as_of=as_of)
    assert result.exit_code == 0
    assert result.rows == {"scores": 0}
    assert any(note.endswith(": the scores are empty") for note in result.warnings)
    frame = pd.read_parquet(out) if ending == "parquet" else pd.read_csv(out)
    assert list(frame.columns) == SCORE_SCHEMA.names
    assert frame.empty
    assert verify_file(out)["rows"] == 0
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["rows"] == {"scores": 0}


def test_before_the_first_order_there_is_nobody_to_score(shop, tmp_path):
    result = score(shop, out=tmp_path / "s.parquet", as_of=str(FIRST_DAY))
    assert result.rows["scores"] <= 2


def test_an_unwritable_output_is_rejected_before_computing(shop, tmp_path):
    """Fault 5: the output is checked before the model is read."""
    (tmp_path / "file").write_text("in the way")
    steps = []
    with pytest.raises(StorageError, match=r"cannot use .*file: it already exists"):
        score(shop, out=tmp_path / "file" / "s.parquet", as_of=NIGHT, progress=steps.append)
    assert "scoring" not in steps
    (tmp_path / "s.parquet").mkdir()
    with pytest.raises(StorageError, match=r"must be a file to be replaced.*another name"):
        score(shop, out=tmp_path / "s.parquet", as_of=NIGHT, progress=steps.append)
    assert "scoring" not in steps


def test_an_unknown_suffix_is_rejected(shop, tmp_path):
    with pytest.raises(ConfigError, match=r"--out must end in .*\.csv.*, got s\.txt"):
        score(shop, out=tmp_path / "s.txt", as_of=NIGHT)


def test_a_second_run_with_the_same_output_is_busy(shop, tmp_path):
    """Fault 35."""
    out = tmp_path / "s.parquet"
    with writing_table(out) as other:
        with pytest.raises(BusyError, match="must be done by one run at a time"):
            score(shop, out=out, as_of=NIGHT)
        other.write(SCORE_SCHEMA.empty_table(), {"by": "the first"})
    assert verify_file(out)["by"] == "the first"


def test_a_failed_run_leaves_the_previous_scores(own_shop, tmp_path):
    out = tmp_path / "s.parquet"
    score(own_shop, out=out, as_of=NIGHT)
    before = out.read_bytes()
    (own_shop.parent / "models" / "champion").write_text("gone\n")
    with pytest.raises(ModelError, match="names a model that does not exist"):
        score(own_shop, out=out, as_of=NIGHT)
    assert out.read_bytes() == before
    assert verify_file(out)["rows"] > 0
    assert not list(tmp_path.glob(".*.tmp"))
    with Ledger(own_shop.parent / "ledger.db") as ledger:
        assert [run.status for run in ledger.runs("score")] == ["failed", "done"]


def test_without_a_champion_the_next_step_is_suggested(own_shop, tmp_path):
    (own_shop.parent / "models" / "champion").unlink()
    with pytest.raises(ModelError, match=r"no model at 'champion' in 'models'.*`churn train`"):
        score(own_shop, out=tmp_path / "s.parquet", as_of=NIGHT)


def test_a_bundle_can_be_given_by_its_folder(own_shop, tmp_path):
    models = own_shop.parent / "models"
    name = (models / "champion").read_text().strip()
    result = score(own_shop, out=tmp_path / "s.parquet", as_of=NIGHT, model=str(models / name))
    assert result.model_id == name


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("CHURN__HORIZON_DAYS", "56", r"\[churn\] horizon_days must be 28, .*got 56"),
        ("CHURN__LOOKBACK_DAYS", "90", r"\[churn\] lookback_days must be 56, .*got 90"),
        ("VALUE__MARGIN_RATE", "0.5", r"\[value\] margin_rate must be 0\.3, .*got 0\.5"),
        ("DATA__DAY_TIMEZONE", "Asia/Tokyo", r"\[data\] day_timezone must be 'UTC', .*got"),
    ],
)
def test_settings_that_differ_from_the_training_are_rejected(
    shop, tmp_path, monkeypatch, key, value, message
):
    monkeypatch.setenv(f"CHURN__{key}", value)
    with pytest.raises(ConfigError, match=rf"{message}.*Change it back, or train again"):
        score(shop, out=tmp_path / "s.parquet", as_of="2023-12-01")


def test_a_score_file_reads_back_and_an_edited_one_does_not(night, tmp_path):
    assert read_table(night[1]).schema == SCORE_SCHEMA
    with pytest.raises(ConfigError, match=r"there is no file 'none\.parquet'.*`churn score`"):
        read_table(tmp_path / "none.parquet")
