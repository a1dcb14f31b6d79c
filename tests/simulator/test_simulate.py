"""A simulated shop keeps its books, tells the truth about itself, and behaves as documented.

Chances are tested against four standard deviations of what the process says, seeds fixed.
"""

import shutil
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.commands.simulate import simulate
from churn.commands.train import train
from churn.config import load_tables
from churn.data.contracts import TABLES
from churn.errors import ConfigError, StorageError
from churn.simulator.files import simulated_tables, write_shop
from churn.simulator.purchases import SPEND_SHAPE, dropout_after
from churn.simulator.seasons import MONDAY_TO_SUNDAY, Seasons
from churn.simulator.settings import SEGMENTS, ShopSettings

CUSTOMERS, SEED = 1_500, 7
SHOP = ShopSettings()
OPENS, CLOSES = (pd.Timestamp(day, tz="UTC") for day in (SHOP.start, SHOP.until))
NAMES = ("orders", "order_lines", "customers", "events", "consents")
GUIDE = Path(__file__).parents[2] / "docs/simulator.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A shop on disk. Not to be changed by a test."""
    target = tmp_path_factory.mktemp("simulated") / "shop"
    simulate(target, customers=CUSTOMERS, seed=SEED)
    return target


@pytest.fixture(scope="module")
def shop(folder) -> dict[str, pd.DataFrame]:
    """Its tables, and the truth as `truth`. Not to be changed by a test."""
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in NAMES}
    return {**tables, "truth": pd.read_parquet(folder / "truth/customers.parquet")}


@pytest.fixture(scope="module")
def bought(shop) -> pd.DataFrame:
    """Purchases with the truth about their customers."""
    orders = shop["orders"]
    return orders[orders["amount"] > 0].merge(shop["truth"], on="customer_id")


def written(target: Path, *, customers: int = 40, seed: int = SEED, **options) -> dict[str, bytes]:
    """The bytes of each file of a shop."""
    simulate(target, customers=customers, seed=seed, **options)
    files = (path for path in target.rglob("*") if path.is_file())
    return {str(path.relative_to(target)): path.read_bytes() for path in files}


def cents(amount: pd.Series) -> pd.Series:
    return (100 * amount).round().astype("int64")


def days_since_opening(times: pd.Series) -> np.ndarray:
    return ((times - OPENS) / pd.Timedelta(days=1)).to_numpy()


def assert_likely(found: float, expected: float, variance: float) -> None:
    assert abs(found - expected) <= 4 * np.sqrt(variance)


# The tables


@pytest.mark.parametrize("name", NAMES)
def test_every_table_has_the_columns_of_its_contract_and_no_others(shop, name):
    columns = set(shop[name].columns)
    assert set(TABLES[name].required) <= columns
    assert columns <= {column.name for column in TABLES[name].columns}


def test_every_table_is_read_without_a_dropped_row_or_an_ignored_column(folder, shop):
    tables = load_tables(folder / "churn.toml")
    assert set(tables.audits) == set(NAMES)
    for name, audit in tables.audits.items():
        assert (audit.rows_kept, audit.dropped, audit.notes) == (len(shop[name]), {}, ())
    assert tables.end() == SHOP.until


def test_nothing_happens_before_the_sign_up_or_after_the_end(shop):
    signed_up = shop["customers"].set_index("customer_id")["signed_up_at"]
    assert signed_up.between(OPENS, CLOSES, inclusive="left").all()
    for name in ("orders", "events", "consents"):
        times = shop[name][TABLES[name].happened]
        assert (times >= shop[name]["customer_id"].map(signed_up)).all()
        assert (times < CLOSES).all()


def test_rows_lie_shuffled_in_several_row_groups(folder):
    for name in NAMES:
        file = pq.ParquetFile(folder / f"{name}.parquet")
        assert file.num_row_groups >= 4
    orders = pd.read_parquet(folder / "orders.parquet")
    assert not orders["ordered_at"].is_monotonic_increasing
    assert not orders["customer_id"].is_monotonic_increasing


def test_customers_and_orders_are_named_once(shop):
    assert shop["orders"]["order_id"].is_unique
    assert shop["customers"]["customer_id"].is_unique
    assert set(shop["customers"]["customer_id"]) == set(shop["truth"]["customer_id"])
    assert len(shop["truth"]) == CUSTOMERS


# Money


def test_lines_sum_to_their_order_to_the_cent(shop):
    orders, lines = shop["orders"], shop["order_lines"]
    summed = cents(lines["amount"]).groupby(lines["order_id"]).sum()
    expected = cents(orders["amount"]).set_axis(orders["order_id"])
    pd.testing.assert_series_equal(
        summed.sort_index(), expected.sort_index(), check_names=False, check_index_type=False
    )


def test_every_line_is_worth_something_with_the_sign_of_its_order(shop):
    lines = shop["order_lines"].merge(shop["orders"], on="order_id", suffixes=("", "_of_order"))
    assert len(lines) == len(shop["order_lines"])
    assert (cents(lines["amount"]).abs() >= 1).all()
    assert (np.sign(lines["amount"]) == np.sign(lines["amount_of_order"])).all()
    assert (np.sign(lines["quantity"]) == np.sign(lines["amount_of_order"])).all()


def test_what_comes_back_is_lines_that_were_bought_by_the_same_customer_before(shop):
    orders, lines = shop["orders"], shop["order_lines"]
    lines = lines.merge(orders[["order_id", "customer_id", "ordered_at"]], on="order_id")
    back, there = lines[lines["amount"] < 0], lines[lines["amount"] > 0]
    back = back.assign(amount=-back["amount"], quantity=-back["quantity"])
    both = back.reset_index().merge(
        there, on=["customer_id", "product_id", "quantity", "amount"], suffixes=("", "_bought")
    )
    found = both[both["ordered_at"] > both["ordered_at_bought"]]["index"]
    assert set(found) == set(back.reset_index()["index"])
    assert (back["order_id"].value_counts() == 1).any()
    assert (back["order_id"].value_counts() > 1).any()


def test_a_product_has_one_category(shop):
    assert (shop["order_lines"].groupby("product_id")["category"].nunique() == 1).all()


def test_a_balance_of_points_is_never_overdrawn(shop):
    events = shop["events"].sort_values(["occurred_at", "event_type"])  # earned before spent
    sign = events["event_type"].map({"points_earned": 1, "points_spent": -1}).fillna(0)
    flow = sign * events["value"].fillna(0)
    assert (flow.groupby(events["customer_id"]).cumsum() >= 0).all()
    assert (events["event_type"] == "points_spent").any()


# The truth


def test_nobody_buys_after_dropping_out_and_who_dropped_out_did_so_at_the_last_purchase(bought):
    assert not (bought["ordered_at"] > bought["dropped_out_at"]).any()
    last = bought.groupby("customer_id").agg(
        last=("ordered_at", "max"), gone=("dropped_out_at", "first")
    )
    gone = last.dropna()
    assert len(gone) > 0
    assert (gone["last"] == gone["gone"]).all()


def test_the_truth_counts_purchases(shop, bought):
    counted = bought.groupby("customer_id").size()
    truth = shop["truth"].set_index("customer_id")["purchases"]
    assert truth.equals(counted.reindex(truth.index, fill_value=0))


def test_the_truth_knows_who_registered_only(shop):
    truth = shop["truth"].merge(shop["customers"], on="customer_id")
    never = truth[(truth["purchases"] == 0) & truth["dropped_out_at"].notna()]
    assert len(never) > 0
    assert (never["dropped_out_at"] == never["signed_up_at"]).all()


def test_the_shop_does_not_see_the_truth(folder):
    text = (folder / "churn.toml").read_text()
    assert 'source = "truth' not in text


# The process


def test_customers_buy_about_eight_and_a_half_times_in_two_years(shop):
    count = shop["orders"].groupby("customer_id").size().reindex(shop["truth"]["customer_id"])
    count = count.fillna(0)
    assert_likely(count.mean(), 8.5, count.var() / CUSTOMERS)


def test_while_alive_customers_buy_at_their_rate_in_the_time_of_the_shop(bought):
    """Repeats less rate times exposure is a martingale; its variance is the mean of the latter."""
    seasons = Seasons(SHOP)
    of = bought.groupby("customer_id").agg(
        first=("ordered_at", "min"),
        gone=("dropped_out_at", "first"),
        repeats=("ordered_at", lambda times: len(times) - 1),
        rate=("purchase_rate_per_day", "first"),
    )
    until = seasons.shop_time(days_since_opening(of["gone"].fillna(CLOSES)))
    exposure = until - seasons.shop_time(days_since_opening(of["first"]))
    expected = (of["rate"] * exposure).sum()
    assert_likely(of["repeats"].sum(), expected, expected)


def test_each_purchase_is_the_last_with_the_probability_of_the_customer(shop):
    """Drop-outs less the sum of their probabilities is a martingale over the purchases."""
    truth = shop["truth"][shop["truth"]["purchases"] > 0]
    p = truth["dropout_probability"].to_numpy()
    bad = truth["badly_served"].to_numpy()
    good = truth["purchases"].to_numpy() - bad
    worse = dropout_after(p, np.ones(p.size, np.bool_))
    expected = (good * p + bad * worse).sum()
    variance = (good * p * (1 - p) + bad * worse * (1 - worse)).sum()
    assert bad.sum() > 0
    assert_likely(truth["dropped_out_at"].notna().sum(), expected, variance)


def test_bad_service_makes_a_purchase_more_likely_to_be_the_last():
    p = np.array([0.01, 0.2, 0.9])
    assert (dropout_after(p, np.ones(3, np.bool_)) > p).all()
    assert dropout_after(p, np.zeros(3, np.bool_)) == pytest.approx(p)


def test_listed_amounts_are_gamma_around_the_mean_of_the_customer(bought):
    ratio = (bought["amount"] + bought["discount"]) / bought["mean_order"]
    assert_likely(ratio.mean(), 1.0, 1 / SPEND_SHAPE / len(ratio))
    # The variance of a sample variance of Gamma(k)/k is (2 + 6/k) / k² / n.
    spread = (2 + 6 / SPEND_SHAPE) / SPEND_SHAPE**2 / len(ratio)
    assert_likely(ratio.var(), 1 / SPEND_SHAPE, spread)


def test_weekdays_are_as_busy_as_the_week_says(bought):
    week = np.array(MONDAY_TO_SUNDAY) / sum(MONDAY_TO_SUNDAY)
    found = bought["ordered_at"].dt.day_of_week.value_counts(normalize=True)
    for day, expected in enumerate(week):
        assert_likely(found[day], expected, expected * (1 - expected) / len(bought))


def test_december_is_busier_than_june():
    days = [(date(2022, month, day) - SHOP.start).days for month in (6, 12) for day in (1, 29)]
    june, december = np.diff(Seasons(SHOP).shop_time(np.array(days, np.float64)))[::2]
    assert 1.5 < december / june < 1.25 / 0.75


@given(st.floats(0, SHOP.days - 1), st.integers(1, 1_461))
def test_shop_time_turns_back_into_the_same_second(day, days):
    seasons = Seasons(ShopSettings(days=days))
    inside = np.array([min(day, days - 1)])
    assert abs(seasons.calendar(seasons.shop_time(inside)) - inside)[0] <= 0.51 / 86_400
    assert seasons.shop_time(np.array([float(days)]))[0] == pytest.approx(seasons.span)


def test_orders_come_back_as_often_as_their_segment_says(shop, bought):
    """Among purchases 70 days old: 3 + Gamma(2, 5) days is longer once in 50,000."""
    orders = shop["orders"]
    settled = bought[bought["ordered_at"] < CLOSES - pd.Timedelta(days=70)]
    back = orders[orders["amount"] < 0]["order_id"].astype("int64") - 5_000
    share = settled["segment"].map({segment.name: segment.return_share for segment in SEGMENTS})
    found = settled["order_id"].astype("int64").isin(back).sum()
    assert_likely(found, share.sum(), (share * (1 - share)).sum())


def test_newsletters_go_only_to_who_granted_and_never_after_unsubscribing(shop):
    events, consents = shop["events"], shop["consents"]
    words = consents[consents["purpose"] == "marketing"]
    granted = words[words["granted"]].set_index("customer_id")["changed_at"]
    sent = events[events["event_type"] == "email_sent"]
    assert (sent["customer_id"].map(granted) < sent["occurred_at"]).all()
    left = events[events["event_type"] == "unsubscribe"].set_index("customer_id")["occurred_at"]
    assert len(left) > 0
    assert not (sent["customer_id"].map(left) < sent["occurred_at"]).any()
    refused = words[~words["granted"]].merge(granted.rename("before"), on="customer_id")
    assert refused.set_index("customer_id")["changed_at"].to_dict() == left.to_dict()


def test_opens_and_clicks_follow_a_newsletter_of_the_same_campaign(shop):
    events = shop["events"]
    key = ["customer_id", "campaign_id"]
    chain = ("email_sent", "email_open", "email_click")
    at = [events[events["event_type"] == kind].set_index(key)["occurred_at"] for kind in chain]
    for before, after in pairwise(at):
        assert len(after) > 0
        assert after.index.is_unique
        assert (after > before.reindex(after.index)).all()


def test_a_ticket_is_about_an_order_of_the_customer_and_is_closed_after_it_was_opened(shop):
    events = shop["events"]
    of = {kind: events[events["event_type"] == kind].set_index("ref") for kind in TICKET}
    opened, closed = (of[kind] for kind in TICKET)
    assert opened.index.is_unique
    assert closed.index.isin(opened.index).all()
    assert (closed["occurred_at"] >= opened["occurred_at"].reindex(closed.index)).all()
    owner = shop["orders"].set_index("order_id")["customer_id"]
    assert (opened["customer_id"] == owner.reindex(opened.index)).all()


TICKET = ("ticket_opened", "ticket_closed")


def test_scores_stay_on_their_scales(shop):
    events = shop["events"]
    value = {kind: events[events["event_type"] == kind]["value"] for kind in ("review", "nps")}
    assert value["review"].between(1, 5).all()
    assert value["nps"].between(0, 10).all()


# Seeds, chunks and switches


def test_the_same_seed_makes_the_same_bytes_and_another_seed_another_shop(tmp_path):
    first = written(tmp_path / "a")
    assert written(tmp_path / "b") == first
    other = written(tmp_path / "c", seed=SEED + 1)
    assert other["orders.parquet"] != first["orders.parquet"]


def test_switching_lines_off_changes_no_other_table(tmp_path):
    full = written(tmp_path / "full")
    bare = written(tmp_path / "bare", lines=False)
    assert set(full) - set(bare) == {"order_lines.parquet"}
    assert all(bare[name] == full[name] for name in bare if name != "churn.toml")


def test_late_arrivals_change_no_purchase(tmp_path):
    written(tmp_path / "prompt")
    written(tmp_path / "late", late_share=0.5)
    prompt, late = (
        pd.read_parquet(tmp_path / name / "orders.parquet").set_index("order_id").sort_index()
        for name in ("prompt", "late")
    )
    pd.testing.assert_frame_equal(late.drop(columns="loaded_at"), prompt)


def test_a_share_of_orders_arrives_late_and_none_before_it_is_placed(tmp_path):
    """One in 72 of the late ones is so by less than an hour: Exp with a mean of three days."""
    written(tmp_path / "shop", customers=400, late_share=0.3)
    orders = pd.read_parquet(tmp_path / "shop/orders.parquet")
    delay = orders["loaded_at"] - orders["ordered_at"]
    assert (delay > pd.Timedelta(0)).all()
    late = 0.3 * np.exp(-1 / 72)
    found = (delay > pd.Timedelta(hours=1)).mean()
    assert_likely(found, late, late * (1 - late) / len(orders))
    tables = load_tables(tmp_path / "shop/churn.toml")
    assert tables.audits["orders"].dropped == {}
    assert tables.arrival_lag_days() > 3


def test_a_chunk_needs_only_its_own_seed(folder):
    """What lies in the third row group can be made without the others."""
    seeds = np.random.SeedSequence(SEED).spawn(4)
    numbers = np.array_split(np.arange(1, CUSTOMERS + 1), 4)
    alone = simulated_tables(SHOP, numbers[2], seeds[2])["orders"]
    assert alone.equals(pq.ParquetFile(folder / "orders.parquet").read_row_group(2))


@settings(max_examples=40)
@given(
    customers=st.integers(1, 30),
    seed=st.integers(0, 2**32),
    days=st.integers(1, 1_461),
    late_share=st.floats(0, 1),
)
def test_a_shop_of_any_size_and_age_keeps_its_books(customers, seed, days, late_share):
    shop = ShopSettings(days=days, late_share=late_share)
    numbers = np.arange(1, customers + 1)
    tables = simulated_tables(shop, numbers, np.random.SeedSequence(seed))
    orders, lines, truth = (
        tables[name].to_pandas() for name in ("orders", "order_lines", "truth/customers")
    )
    summed = cents(lines["amount"]).groupby(lines["order_id"]).sum().sort_index()
    assert summed.tolist() == cents(orders.sort_values("order_id")["amount"]).tolist()
    assert orders["order_id"].is_unique
    assert orders["ordered_at"].between(OPENS, pd.Timestamp(shop.until, tz="UTC"), "left").all()
    assert truth["purchases"].sum() == (orders["amount"] > 0).sum()
    assert len(truth) == len(tables["customers"]) == customers


# Use


def test_a_model_can_be_trained_on_a_simulated_shop(folder, tmp_path, monkeypatch):
    project = tmp_path / "project"
    shutil.copytree(folder, project)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("CHURN__TRACKING__URI", "http://127.0.0.1:9")
    monkeypatch.setenv("CHURN__CHURN__HORIZON_DAYS", "28")
    monkeypatch.setenv("CHURN__PANEL__CUTOFFS", "8")
    done = train(project / "churn.toml")
    assert str(done.as_of) == "2024-01-01"
    assert (project / "models/champion").read_text().strip() == done.model_id


def test_the_result_counts_the_rows_hashes_the_files_and_warns(tmp_path):
    told: list[str] = []
    done = simulate(tmp_path / "shop", customers=5, seed=1, progress=told.append)
    assert done.rows["customers"] == done.rows["truth/customers"] == 5
    assert {path.relative_to(tmp_path / "shop").as_posix() for path in done.files} == {
        "churn.toml",
        *(f"{name}.parquet" for name in (*NAMES, "truth/customers")),
    }
    assert all(path.is_file() for path in done.files)
    assert "not evidence about real customers" in done.warnings[0]
    assert len(told) == 4


def test_a_directory_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(StorageError, match="must not exist yet"):
        simulate(tmp_path, customers=5, seed=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"customers": 0}, "customers must be a whole number between 1 and .*, got 0"),
        ({"seed": -1}, "seed must be a whole number between 0 and .*, got -1"),
        ({"days": 0}, r"days must be between 1 and 1461, got 0\. Pass e\.g\. 730"),
        ({"late_share": 1.5}, r"late_share must be between 0 and 1, got 1\.5\. Pass e\.g\. 0\.05"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(ConfigError, match=message):
        simulate(tmp_path / "shop", **({"customers": 5, "seed": 1} | wrong))
    assert list(tmp_path.iterdir()) == []


def test_a_shop_cannot_reach_into_the_future():
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    with pytest.raises(ConfigError, match="Pass an earlier start or fewer days"):
        ShopSettings(start=tomorrow, days=1)


def test_a_shop_may_open_on_another_day_and_have_one_kind_of_customer(tmp_path):
    settings_ = ShopSettings(start=date(2020, 2, 28), days=60, segments=SEGMENTS[:1])
    done = write_shop(tmp_path / "shop", settings_, customers=50, seed=1, progress=str)
    truth = pd.read_parquet(tmp_path / "shop/truth/customers.parquet")
    assert set(truth["segment"]) == {"regular"}
    assert load_tables(done.files[0]).end() == date(2020, 4, 28)


def test_the_guide_shows_the_segments_as_they_are():
    rows = [line.split(" | ") for line in GUIDE.read_text(encoding="utf-8").splitlines()]
    shown = {cells[0].removeprefix("| "): cells[1:] for cells in rows if len(cells) == 10}
    for segment in SEGMENTS:
        share, gap, shape, dropout, order, growth, *shares = shown[segment.name]
        assert share == f"{100 * segment.share:.0f} %"
        assert [float(cell) for cell in (gap, shape, order, growth)] == [
            *(segment.mean_gap_days, segment.rate_shape),
            *(segment.mean_order, segment.growth),
        ]
        assert dropout == f"{segment.dropout_a:g}, {segment.dropout_b:g}"
        assert [cell.removesuffix(" |") for cell in shares] == [
            f"{100 * value:.0f} %"
            for value in (segment.web_share, segment.bargain_share, segment.return_share)
        ]
