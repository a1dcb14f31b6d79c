"""Scores are not replaced by implausible ones, unless that is accepted."""

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest
from simulated_shop import copied_shop, simulated_orders, trained_shop

from churn.commands.previous_results import Figures, changes_between
from churn.commands.score import score
from churn.errors import DataError
from churn.storage.manifests import sidecar_of, verify_file

THEN = Figures(
    as_of="2024-03-01",
    customers=1_000,
    eligible=400,
    orders=9_000,
    median_order=25.0,
    mean_risk=0.2,
    horizon_days=28,
    last_order="2024-02-29",
    late_days=1,
)
YEAR = timedelta(days=365)
NEXT_DAY = replace(THEN, as_of="2024-03-02", last_order="2024-03-01")


def changed(now, then=THEN, *, asked=False, gone=0.0, quiet_days=14):
    return changes_between(now, then, gone=gone, asked=asked, quiet_days=quiet_days)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"customers": 500}, "1,000 customers before, 500 now"),
        (
            {"customers": 0, "orders": 0, "eligible": 0, "last_order": None},
            "1,000 customers before",
        ),
        ({"orders": 6_000}, "9,000 orders before, 6,000 now"),
        ({"median_order": 2_500.0}, "median order 25.00 before, 2,500.00 now"),
        ({"median_order": 0.25}, "median order 25.00 before, 0.25 now"),
        ({"last_order": "2024-01-15"}, "last order on 2024-02-29 before, on 2024-01-15 now"),
        ({"late_days": 40}, "last order 1 days before the previous run, 40 days before this one"),
        ({"eligible": 150}, "400 eligible customers before, 150 now"),
        (
            {"mean_risk": 0.5},
            "mean churn probability of eligible customers 20.0% before, 50.0% now",
        ),
    ],
)
def test_each_change_beyond_its_bound_is_reported_with_both_figures(change, message):
    assert message in (changed(replace(NEXT_DAY, **change)) or "")


@pytest.mark.parametrize(
    "change",
    [
        {"customers": 760},
        {"customers": 5_000, "orders": 90_000, "eligible": 3_000},
        {"median_order": 40.0},
        {"median_order": None},
        {"last_order": "2024-02-28"},
        {"late_days": 15},
        {"mean_risk": 0.24},
        {"mean_risk": None},
    ],
)
def test_plausible_changes_are_not_reported(change):
    assert changed(replace(NEXT_DAY, **change)) is None


def test_other_customers_in_the_same_number_are_reported():
    assert changed(NEXT_DAY, gone=0.9) == "90% of the previous 1,000 customers are missing now"


def test_a_given_earlier_date_may_have_fewer_customers_and_an_earlier_end():
    earlier = replace(THEN, as_of="2023-06-01", customers=300, orders=900, last_order="2023-05-31")
    assert changed(earlier, asked=True) is None
    assert "last order on" in (changed(earlier) or "")


def test_amounts_are_compared_at_any_date():
    earlier = replace(THEN, as_of="2023-06-01", customers=300, median_order=2_500.0)
    assert changed(earlier, asked=True) == "median order 25.00 before, 2,500.00 now"


def test_risk_is_not_compared_across_horizons_or_seasons():
    doubled = replace(NEXT_DAY, mean_risk=0.5, eligible=100)
    assert changed(replace(doubled, horizon_days=56)) is None
    assert changed(replace(doubled, as_of="2024-09-01", last_order="2024-08-31")) is None


def test_historic_data_and_seasonal_shops_are_not_reported_as_late():
    history = replace(THEN, late_days=900)
    assert changed(replace(NEXT_DAY, late_days=1_400), history) is None
    assert changed(replace(NEXT_DAY, late_days=200), quiet_days=600) is None


def test_figures_of_another_release_are_ignored():
    assert Figures.read(None) is None
    assert Figures.read({"rows": 9}) is None
    assert Figures.read({"figures": {"customers": 9}}) is None
    assert Figures.read({"figures": THEN.to_dict()}) == THEN


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")


@pytest.fixture
def out(shop):
    """Last night's scores of the whole shop."""
    path = shop.parent / "scores.parquet"
    score(shop, out=path, explain="none")
    return path


def bring(shop, orders):
    orders.to_parquet(shop.parent / "orders.parquet")


def test_implausible_scores_replace_nothing_until_accepted(shop, out):
    orders = simulated_orders()
    names = sorted(orders["customer_id"].unique())
    before, manifest = out.read_bytes(), sidecar_of(out).read_bytes()
    bring(shop, orders[orders["customer_id"].isin(names[::2])])
    with pytest.raises(DataError, match=r"customers before, .* --accept-change") as refused:
        score(shop, out=out, explain="none")
    assert refused.value.exit_code == 3
    assert (out.read_bytes(), sidecar_of(out).read_bytes()) == (before, manifest)
    accepted = score(shop, out=out, explain="none", accept_change=True)
    assert accepted.rows["scores"] == len(names[::2])
    assert accepted.warnings[0].startswith("large changes since the last run (2024-01-01): ")
    again = score(shop, out=out, explain="none")
    assert not any("large changes" in warning for warning in again.warnings)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda orders: orders.head(0), "customers before, 0 now"),
        (lambda orders: orders.assign(amount=orders["amount"] * 100), "median order "),
        (lambda orders: orders.assign(customer_id="x" + orders["customer_id"]), "missing now"),
        (
            lambda orders: orders[orders["ordered_at"] < orders["ordered_at"].max() - YEAR],
            "last order on",
        ),
    ],
)
def test_a_damaged_input_replaces_nothing(shop, out, spoil, message):
    before = out.read_bytes()
    bring(shop, spoil(simulated_orders()))
    with pytest.raises(DataError, match=message):
        score(shop, out=out, explain="none")
    assert out.read_bytes() == before


def test_scores_in_another_file_are_compared_with_the_last_on_record_as_a_note(shop, out):
    orders = simulated_orders()
    bring(shop, orders.assign(amount=orders["amount"] * 100))
    result = score(shop, out=out.with_name("tonight.csv"), explain="none")
    assert "written elsewhere): median order " in result.warnings[0]


def test_a_given_earlier_date_replaces_the_scores(shop, out):
    night = date(2023, 9, 1)
    score(shop, out=out, as_of=str(night), explain="none")
    assert (verify_file(out) or {})["as_of"] == str(night)


def test_scores_of_an_older_release_are_replaced(shop, out):
    manifest = json.loads(sidecar_of(out).read_text())
    for version in manifest["versions"]:
        del version["figures"]
    sidecar_of(out).write_text(json.dumps(manifest))
    bring(shop, simulated_orders().head(3_000))
    assert score(shop, out=out, explain="none").exit_code == 0


def test_scores_in_a_database_are_guarded_by_their_last_run(shop, postgres):
    scores = postgres.address("scores")
    score(shop, out=scores, explain="none", run_id="night-1")
    bring(shop, simulated_orders().assign(customer_id=lambda orders: "x" + orders["customer_id"]))
    with pytest.raises(DataError, match=r"100% of the previous [\d,]+ customers are missing now"):
        score(shop, out=scores, explain="none", run_id="night-2")
    assert postgres.sql("SELECT DISTINCT run_id FROM scores") == [("night-1",)]
    score(shop, out=scores, explain="none", run_id="night-2", accept_change=True)
    assert len(postgres.sql("SELECT DISTINCT run_id FROM scores")) == 2
