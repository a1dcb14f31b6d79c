"""One builder for training and scoring: blind to the future, and equal to plain arithmetic."""

import importlib.util
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import narwhals as nw
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.settings import DataSettings, OrdersSource
from churn.data.tables import Tables
from churn.errors import ConfigError, ModelError
from churn.features.builder import build_features, newest_population
from churn.features.catalogue import feature_names
from churn.features.clock import FeatureClock
from churn.features.population import NUMBERS
from churn.features.status import STATUSES
from churn.modeling.dataset import build_dataset
from churn.modeling.model import ChurnModel
from churn.scoring.explain import model_features

ORACLE = importlib.util.spec_from_file_location("oracle", Path(__file__).with_name("oracle.py"))
oracle = importlib.util.module_from_spec(ORACLE)
ORACLE.loader.exec_module(oracle)

CUTOFF = date(2024, 3, 20)
CUTOFFS = (CUTOFF, date(2024, 3, 10), date(2024, 3, 11), date(2024, 4, 7), date(2024, 2, 29))
EARLIER = date(2024, 1, 24)
ZONES = ("UTC", "America/New_York", "Pacific/Auckland")
COLUMNS = ("customer_id", "order_id", "ordered_at", "amount")
WHOLE_NUMBERS = ("recency_days", "tenure_days", "purchase_days", "orders_count")
CLOCK = FeatureClock(horizon_days=28, lookback_days=56)

Row = dict[str, Any]
Found = dict[tuple[str, int], dict[str, Any]]

generous = settings(
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
    phases=[phase for phase in Phase if phase is not Phase.explain],  # a shop takes half a second
)


def midnight(zone: str, when: date = CUTOFF) -> datetime:
    return datetime.combine(when, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True)
class Shop:
    """Orders around a cutoff; with `loaded_at` each order may come in several versions.

    `extra` are the optional columns, discount and channel.
    """

    zone: str
    cutoff: date
    dated: bool
    extra: tuple[str, ...]
    rows: list[Row]

    @property
    def past(self) -> list[Row]:
        """What had happened, or where rows are dated had arrived, before the cutoff."""
        clock = "loaded_at" if self.dated else "ordered_at"
        return [row for row in self.rows if row[clock] < midnight(self.zone, self.cutoff)]

    @property
    def columns(self) -> tuple[str, ...]:
        return (*COLUMNS, *self.extra, *(("loaded_at",) if self.dated else ()))

    def opened(self, open_shop: Callable[..., Tables], rows: list[Row]) -> Tables:
        """Those of the rows as tables; the discount comes as text."""
        texts = [
            row | {name: str(row[name]) for name in ("discount",) if row.get(name) is not None}
            for row in rows
        ]
        return open_shop(texts, self.columns, day_timezone=self.zone)


@st.composite
def a_shop(draw: st.DrawFn) -> Shop:
    """Exact midnights, returns, zeros, a change to summer time, corrections, late arrivals."""
    extra = draw(st.sampled_from([(), ("discount", "channel")]))
    zone, cutoff = draw(st.sampled_from(ZONES)), draw(st.sampled_from(CUTOFFS))
    dated = draw(st.booleans())
    edges = st.sampled_from([-365, -364, -336, -90, -84, -28, -14, -1, 0, 1, 28])
    hours = st.one_of(edges.map(lambda day: 24 * day), st.integers(-450 * 24, 40 * 24))
    amounts = st.one_of(
        st.sampled_from([0.0, -12.25, 0.01]), st.integers(-8_00, 40_00).map(lambda c: c / 100)
    )
    details = {
        "discount": st.sampled_from([None, -1.0, 0.0, 0.01, 2.5, 7.25]),
        "channel": st.sampled_from([None, "web", "shop", "app"]),
    }
    version = {"ordered_at": hours, "amount": amounts, "loaded_at": hours}
    version |= {name: details[name] for name in extra}
    versions = st.lists(
        st.fixed_dictionaries(version),
        min_size=1,
        max_size=3 if dated else 1,
        unique_by=lambda one: one["loaded_at"],
    )
    orders = draw(st.lists(st.tuples(st.sampled_from("abcdef"), versions), max_size=40))
    begin = midnight(zone, cutoff)
    rows = [
        {
            "customer_id": customer,
            "order_id": str(number),
            "ordered_at": begin + timedelta(hours=one["ordered_at"]),
            "amount": one["amount"],
        }
        | {name: one[name] for name in extra}
        | ({"loaded_at": begin + timedelta(hours=one["loaded_at"])} if dated else {})
        for number, (customer, some) in enumerate(orders)
        for one in some
    ]
    return Shop(zone, cutoff, dated, extra, rows)


def built(tables: Tables, *cutoffs: date, clock: FeatureClock = CLOCK, **options: Any) -> Found:
    table = tables.engine.collect(build_features(tables, cutoffs, clock, **options))
    rows = table.to_pylist()
    found = {(row.pop("customer_id"), row.pop("cutoff")): row for row in rows}
    assert len(found) == table.num_rows
    return found


def assert_same(found: Found, expected: Found, *, relative: float, absolute: float) -> None:
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert row.keys() == expected[key].keys()
        for name, value in row.items():
            other = expected[key][name]
            if name == "status" or value is None or other is None:
                assert value == other, (key, name)
            else:
                close = math.isclose(value, other, rel_tol=relative, abs_tol=absolute)
                assert close, (key, name, value, other)


@generous
@given(a_shop())
def test_features_ignore_everything_at_or_after_the_cutoff(open_shop, shop):
    """Rows that happen, or arrive, later may be added, changed and deleted."""
    with_future = built(shop.opened(open_shop, shop.rows), shop.cutoff)
    without = built(shop.opened(open_shop, shop.past), shop.cutoff)
    assert_same(with_future, without, relative=1e-12, absolute=1e-11)
    for key, row in with_future.items():
        for name in WHOLE_NUMBERS:
            assert row[name] == without[key][name]


@generous
@given(a_shop(), st.sampled_from([1, 5, 28]), st.sampled_from([20, 56]), st.sampled_from([0, 30]))
def test_every_feature_equals_plain_arithmetic(open_shop, shop, horizon, lookback, min_tenure):
    """Against the oracle, cutoff by cutoff: one row per known customer, every number finite."""
    cutoffs = (shop.cutoff - timedelta(days=56), shop.cutoff)
    clock = FeatureClock(horizon_days=horizon, lookback_days=lookback, min_tenure_days=min_tenure)
    tables = shop.opened(open_shop, shop.rows)
    names = feature_names(tables.connected())
    found = built(tables, *cutoffs, clock=clock)
    expected: Found = {}
    for cutoff in cutoffs:
        lengths = {"horizon": horizon, "lookback": lookback, "min_tenure": min_tenure}
        customers = oracle.features_of(shop.rows, cutoff, zone=shop.zone, **lengths)
        for name, (status, values) in customers.items():
            assert set(values) == set(names), "the oracle must know every feature"
            expected[name, day_number(cutoff)] = {"status": status, **values}
    assert_same(found, expected, relative=1e-9, absolute=1e-9)
    for row in found.values():
        assert row.pop("status") in STATUSES
        assert tuple(row) == names
        assert all(value is None or math.isfinite(value) for value in row.values())


def test_cutoffs_built_together_equal_each_built_alone(open_shop, tiny_shop):
    tables = open_shop(tiny_shop)
    dates = [date(2024, 3, 1), date(2024, 4, 1), date(2024, 5, 1)]
    alone = [built(tables, cutoff) for cutoff in dates]
    together = built(tables, *dates)
    assert_same(together, alone[0] | alone[1] | alone[2], relative=1e-12, absolute=1e-11)


def test_the_order_of_the_rows_does_not_matter(open_shop, tiny_shop):
    forth, back = open_shop(tiny_shop), open_shop(tiny_shop[::-1])
    cutoff = date(2024, 5, 1)
    assert_same(built(forth, cutoff), built(back, cutoff), relative=1e-12, absolute=1e-11)


def test_without_features_there_is_a_row_of_everyone_known(open_shop, tiny_shop):
    """Cleo came later."""
    tables = open_shop(tiny_shop)
    rows = tables.engine.collect(build_features(tables, [date(2024, 4, 1)], CLOCK, names=()))
    assert sorted(rows["customer_id"].to_pylist()) == ["anna", "ben"]


def test_a_tiny_shop_by_hand(open_shop, tiny_shop):
    """Anna came every fortnight and is overdue; Ben's return leaves him nothing; Cleo is new."""
    clock = FeatureClock(horizon_days=28, lookback_days=56)
    found = built(open_shop(tiny_shop), date(2024, 5, 1), clock=clock)
    anna, ben, cleo = (
        found[name, day_number(date(2024, 5, 1))] for name in ("anna", "ben", "cleo")
    )
    assert (anna["status"], ben["status"], cleo["status"]) == ("eligible", "lapsed", "eligible")
    assert (anna["recency_days"], anna["tenure_days"], anna["purchase_days"]) == (30, 90, 5)
    assert (anna["mean_gap_days"], anna["expected_gap_days"]) == (15, 15)
    assert (anna["overdue_ratio"], anna["net_spend"], anna["average_basket"]) == (2, 100, 20)
    assert (ben["recency_days"], ben["net_spend"], ben["purchase_days"]) == (60, 0, 1)
    assert (ben["mean_gap_days"], ben["expected_gap_days"], ben["gap_variation"]) == (
        None,
        15,
        None,
    )
    assert (cleo["recency_days"], cleo["last_purchase_position"]) == (11, 0)


@pytest.mark.parametrize(
    ("lookback", "min_tenure", "status"),
    [
        (30, 0, "eligible"),
        (29, 0, "lapsed"),
        (30, 90, "eligible"),
        (30, 91, "new"),
        (29, 91, "new"),
    ],
)
def test_status_includes_the_last_day_of_the_lookback_and_the_first_of_tenure(
    open_shop, tiny_shop, lookback, min_tenure, status
):
    """Anna's last order is 30 days old, her first 90."""
    clock = FeatureClock(horizon_days=28, lookback_days=lookback, min_tenure_days=min_tenure)
    found = built(open_shop(tiny_shop), date(2024, 5, 1), clock=clock)
    assert found["anna", day_number(date(2024, 5, 1))]["status"] == status


def test_perfect_regularity_is_capped_and_shrunk_and_an_even_past_is_not_clumpy(open_shop):
    """Five purchases a week apart, the last a week ago: four gaps, five equal stretches."""
    days = (CUTOFF - timedelta(days=7 * week) for week in range(1, 6))
    rows = [{"customer_id": "a", "ordered_at": midnight("UTC", d), "amount": 1.0} for d in days]
    (row,) = built(open_shop(rows), CUTOFF).values()
    assert row["log_regularity"] == pytest.approx(4.0 * 4 / (4 + 3))
    assert row["clumpiness"] == pytest.approx(0.0, abs=1e-12)
    assert (row["gap_variation"], row["gap_deviation_days"]) == (0.0, 0.0)
    assert row["overdue_z"] == 0.0


def test_where_no_population_is_known_its_features_are_missing_and_the_rest_is_there(
    open_shop, tiny_shop
):
    nothing = dict.fromkeys(NUMBERS)
    found = built(open_shop(tiny_shop), date(2024, 5, 1), population=nothing)
    cleo = found["cleo", day_number(date(2024, 5, 1))]
    for name in ("expected_gap_days", "overdue_z", "spend_trend", "p_alive", "expected_day_spend"):
        assert cleo[name] is None
    assert (cleo["recency_days"], cleo["average_basket"]) == (11, 12.5)


def test_an_order_at_the_cutoffs_midnight_is_future_and_a_moment_earlier_is_not(open_shop):
    at = midnight("America/New_York")
    order = {"customer_id": "anna", "ordered_at": at, "amount": 1.0}
    zone = {"day_timezone": "America/New_York"}
    assert built(open_shop([order], **zone), CUTOFF) == {}
    just_before = order | {"ordered_at": at - timedelta(microseconds=1)}
    ((_, row),) = built(open_shop([just_before], **zone), CUTOFF).items()
    assert row["recency_days"] == 1


def test_a_version_counts_from_the_moment_after_it_arrived(open_shop):
    """Loaded exactly at the cutoff's midnight is too late; the version before it holds."""
    order = {"customer_id": "anna", "order_id": "1", "ordered_at": midnight("UTC", EARLIER)}
    versions = [
        order | {"amount": 10.0, "loaded_at": midnight("UTC") - timedelta(days=9)},
        order | {"amount": 99.0, "loaded_at": midnight("UTC")},
    ]
    tables = open_shop(versions)
    (first,) = built(tables, CUTOFF).values()
    (second,) = built(tables, CUTOFF + timedelta(days=1)).values()
    assert (first["net_spend"], second["net_spend"]) == (10.0, 99.0)


def test_a_customer_list_adds_those_who_signed_up_before_the_cutoff(open_shop, as_table, tiny_shop):
    people = as_table(
        {"customer_id": name, "signed_up_at": signed_up}
        for name, signed_up in (
            ("dora", "2024-04-30"),
            ("emil", "2024-05-01"),
            ("fay", None),
            ("anna", "2024-05-20"),
        )
    )
    tables = open_shop(tiny_shop, customers=people)
    names = {name for name, _ in built(tables, date(2024, 5, 1))}
    assert names == {"anna", "ben", "cleo", "dora"}
    undated = {name for name, _ in built(tables, date(2024, 5, 1), undated=True)}
    assert undated == names | {"fay"}
    dora = built(tables, date(2024, 5, 1))["dora", day_number(date(2024, 5, 1))]
    assert dora.pop("status") == "new"
    assert dora["recency_days"] is None


def test_a_customer_list_without_sign_ups_adds_everyone_or_nobody(open_shop, as_table, tiny_shop):
    people = as_table({"customer_id": name} for name in ("anna", "dora"))
    tables = open_shop(tiny_shop, customers=people)
    names = {name for name, _ in built(tables, date(2024, 5, 1))}
    undated = {name for name, _ in built(tables, date(2024, 5, 1), undated=True)}
    assert (names, undated - names) == ({"anna", "ben", "cleo"}, {"dora"})


def test_a_customer_who_arrived_in_the_list_after_the_cutoff_is_unknown(
    open_shop, as_table, tiny_shop
):
    people = as_table(
        [
            {"customer_id": "dora", "signed_up_at": "2024-04-01", "loaded_at": midnight("UTC")},
            {
                "customer_id": "emil",
                "signed_up_at": "2024-04-01",
                "loaded_at": midnight("UTC", date(2024, 5, 1)),
            },
        ]
    )
    names = {name for name, _ in built(open_shop(tiny_shop, customers=people), date(2024, 5, 1))}
    assert names == {"anna", "ben", "cleo", "dora"}


def test_features_of_an_empty_table_are_empty(open_shop):
    tables = open_shop([])
    table = tables.engine.collect(build_features(tables, [EARLIER, CUTOFF], CLOCK))
    assert table.num_rows == 0
    assert table.column_names == ["customer_id", "cutoff", "status", *feature_names()]


def test_a_stated_population_takes_the_place_of_what_the_shop_would_teach(open_shop, tiny_shop):
    """One customer's rows with the shop's numbers are the features the whole shop gives them."""
    cutoff = date(2024, 5, 1)
    channels = {"anna": "web", "ben": "app", "cleo": "web"}
    rows = [row | {"channel": channels[row["customer_id"]]} for row in tiny_shop]
    tables = open_shop(rows)
    names = feature_names(tables.connected())
    learnt = json.loads(json.dumps(newest_population(tables, cutoff, CLOCK, names)))
    whole = built(tables, cutoff)
    ben = [row for row in rows if row["customer_id"] == "ben"]
    alone = built(open_shop(ben), cutoff, population=learnt)
    key = ("ben", day_number(cutoff))
    assert alone[key]["first_channel_share"] == pytest.approx(1 / 3)
    assert_same(alone, {key: whole[key]}, relative=1e-12, absolute=1e-11)


def test_a_stated_population_without_one_of_its_numbers_is_refused(open_shop, tiny_shop):
    lacking = dict.fromkeys(NUMBERS[1:])
    with pytest.raises(ModelError, match=rf"{NUMBERS[0]}.*Train again"):
        built(open_shop(tiny_shop), CUTOFF, population=lacking)


def test_chosen_features_are_those_of_the_full_table(open_shop, tiny_shop):
    """Whichever are asked for, in the order asked for."""
    tables, names = open_shop(tiny_shop), ("weekday_entropy", "p_alive", "recency_days")
    whole, chosen = (built(tables, date(2024, 5, 1), names=which) for which in (None, names))
    assert all(tuple(row) == ("status", *names) for row in chosen.values())
    some = {key: {name: row[name] for name in ("status", *names)} for key, row in whole.items()}
    assert_same(chosen, some, relative=1e-12, absolute=1e-11)


def test_features_of_what_is_not_connected_are_refused(open_shop, tiny_shop):
    tables = open_shop(tiny_shop)
    with pytest.raises(ModelError, match=r"orders\.discount.*Connect it in \[data\]"):
        built(tables, CUTOFF, names=["recency_days", "discount_share"])
    with pytest.raises(ModelError, match=r"got .*luck.*Name the module, or train again"):
        built(tables, CUTOFF, names=["luck"])


@pytest.mark.parametrize(
    ("lengths", "fix"),
    [
        ({"horizon_days": 0, "lookback_days": 56}, r"horizon_days .* got 0\. Pass e\.g\. 28"),
        ({"horizon_days": 28, "lookback_days": 0}, r"lookback_days .* Pass e\.g\. 28"),
        ({"horizon_days": 28.0, "lookback_days": 56}, "whole number"),
        ({"horizon_days": 28, "lookback_days": 56, "min_tenure_days": -1}, "min_tenure_days"),
    ],
)
def test_lengths_of_time_are_whole_and_positive(lengths, fix):
    with pytest.raises(ConfigError, match=fix):
        FeatureClock(**lengths)


@pytest.fixture(scope="module")
def journey(complete_journey: Path) -> Iterator[Tables]:
    """The Complete Journey's orders, from its lines."""
    columns = {
        "customer_id": "household_id",
        "order_id": "basket_id",
        "ordered_at": "transaction_timestamp",
        "amount": "sales_value",
        "discount": "retail_disc",
    }
    source = OrdersSource(source="transactions.parquet", columns=columns, grain="line")
    tables = Tables.from_settings(DataSettings(orders=source), folder=complete_journey)
    yield tables
    tables.engine.close()


def of_orders(tables: Tables) -> tuple[str, ...]:
    """The names of the features that stand on orders alone."""
    return feature_names({one for one in tables.connected() if one.startswith("orders")})


def frame_of(tables: Tables, *cutoffs: date) -> pd.DataFrame:
    table = tables.engine.collect(build_features(tables, cutoffs, CLOCK))
    return table.to_pandas().sort_values(["cutoff", "customer_id"], ignore_index=True)


def test_on_real_purchases_two_cutoffs_together_equal_each_alone(journey):
    dates = (date(2017, 9, 17), date(2017, 12, 3))
    together = frame_of(journey, *dates)
    alone = pd.concat([frame_of(journey, when) for when in dates], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, check_exact=False, rtol=1e-12, atol=1e-9)


def test_on_real_purchases_training_and_scoring_see_the_same_features(journey):
    """All rows at two cutoffs: of the data set that trains, and of what the scorer looked at."""
    cutoffs = Cutoffs(
        (date(2017, 9, 17), date(2017, 10, 29)), horizon_days=28, until=date(2018, 1, 1)
    )
    dataset = build_dataset(journey, cutoffs, CLOCK)
    model = ChurnModel(rounds=3, num_leaves=3, threads=1).fit(dataset)
    wanted = ["customer_id", "cutoff", "status", *feature_names(journey.connected())]
    for cutoff in cutoffs:
        seen = model_features(model, journey.as_of(cutoff)).table().to_pandas()
        seen = seen.sort_values("customer_id", ignore_index=True)[wanted]
        trained = dataset.rows[dataset.rows["cutoff"] == day_number(cutoff)]
        trained = trained[wanted].reset_index(drop=True)
        assert len(seen) > 2_000
        pd.testing.assert_frame_equal(seen, trained, check_exact=False, rtol=1e-12, atol=1e-9)


def test_real_purchases_equal_plain_arithmetic(journey):
    """The oracle once more, on fifty households of the real data."""
    cutoff = date(2017, 12, 3)
    orders = journey.engine.query(
        "SELECT customer_id, order_id, amount, discount, "
        "  make_timestamptz(CAST(round(day * 86400e6) AS BIGINT)) AS ordered_at FROM orders"
    )
    expected = oracle.features_of(orders.to_pylist(), cutoff, horizon=28, lookback=56)
    lazy = build_features(journey, [cutoff], CLOCK, names=of_orders(journey))
    found = journey.engine.collect(lazy.filter(nw.col("customer_id") < "1100")).to_pylist()
    assert len(found) > 50
    for row in found:
        key = (row.pop("customer_id"), row.pop("cutoff"))
        status, values = expected[key[0]]
        assert_same({key: row}, {key: {"status": status, **values}}, relative=1e-9, absolute=1e-9)
