"""Subscriptions at a cutoff: features, statuses and labels against plain arithmetic, two clocks."""

import importlib.util
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.data.days import day_number
from churn.data.labels import renewals
from churn.data.tables import Tables
from churn.errors import ConfigError, ModelError
from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE, feature_names
from churn.features.clock import FeatureClock
from churn.modeling.dataset import build_dataset

ORACLE = importlib.util.spec_from_file_location(
    "oracle_subscriptions", Path(__file__).with_name("oracle_subscriptions.py")
)
oracle = importlib.util.module_from_spec(ORACLE)
ORACLE.loader.exec_module(oracle)

CUTOFF = date(2024, 3, 11)
ZONES = ("UTC", "America/New_York")
CLOCK = FeatureClock(horizon_days=28, lookback_days=56, mode="contractual")
Row = dict[str, Any]

generous = settings(
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
    phases=[phase for phase in Phase if phase is not Phase.explain],
)


def midnight(when: date, zone: str = "UTC") -> datetime:
    return datetime.combine(when, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def away(days: float) -> datetime:
    return midnight(CUTOFF) + timedelta(days=days)


def term(start: float, end: float | None, cancelled: float | None = None, **more: Any) -> Row:
    at, expires = (None if days is None else away(days) for days in (cancelled, end))
    dates = {"started_at": away(start), "expires_at": expires, "cancelled_at": at}
    return {"customer_id": "anna", **dates, **more}


@pytest.fixture(scope="session")
def opened(open_shop, as_table):
    """Tables of one old order of anna and of subscriptions given as rows."""

    def build(rows: list[Row], columns: Any = None, **options: Any) -> Tables:
        order = {"customer_id": "anna", "ordered_at": away(-300), "amount": 10.0}
        names = columns or ("customer_id", "started_at", "expires_at", "cancelled_at")
        texts = [{k: _text(k, v) for k, v in row.items()} for row in rows]
        extra = ("loaded_at",) if any("loaded_at" in row for row in rows) else ()
        subscriptions = as_table(texts, dict.fromkeys((*names, *extra)))
        return open_shop([order], subscriptions=subscriptions, **options)

    return build


def _text(name: str, value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) and name != "loaded_at" else value


def built(tables: Tables, clock: FeatureClock = CLOCK, cutoff: date = CUTOFF) -> dict[str, Row]:
    names = [n for n in feature_names(tables.connected()) if CATALOGUE[n].family == "subscription"]
    rows = tables.engine.collect(build_features(tables, [cutoff], clock, names=names)).to_pylist()
    return {row.pop("customer_id"): row for row in rows}


def test_a_yearly_plan_renewed_once_and_cancelled_is_told_in_days(opened):
    tables = opened([term(-400, -35), term(-35, 330, -10)])
    assert built(tables)["anna"] == {
        "cutoff": day_number(CUTOFF),
        "status": "covered",
        "days_to_expiry": 330,
        "subscription_tenure_days": 400,
        "renewals_so_far": 1,
        "plan_days": 365,
        "is_cancelled": 1,
        "last_cancellation_days": 10,
    }


def test_a_subscription_without_an_end_is_covered_until_it_is_cancelled(opened):
    running = built(opened([term(-400, -35), term(-35, None)]))["anna"]
    assert running["status"] == "covered"
    assert (running["days_to_expiry"], running["plan_days"]) == (None, None)
    ended = built(opened([term(-35, None, -5)]))["anna"]
    assert ended["status"] == "lapsed"
    assert (ended["days_to_expiry"], ended["plan_days"]) == (-5, 30)
    assert built(opened([term(-35, None, 5)]))["anna"]["status"] == "covered"


def test_a_cancellation_on_the_day_of_the_cutoff_or_later_is_not_known_yet(opened):
    for moment, cancelled in ((-0.001, 1), (0, 0), (5, 0)):
        found = built(opened([term(-20, 10, moment)]))["anna"]
        assert found["is_cancelled"] == cancelled
        assert (found["last_cancellation_days"] is None) == (not cancelled)


def test_an_earlier_plan_that_was_cancelled_leaves_the_running_one_uncancelled(opened):
    found = built(opened([term(-90, -30, -40), term(-30, 20)]))["anna"]
    assert (found["is_cancelled"], found["last_cancellation_days"]) == (0, 40)


@pytest.mark.parametrize(
    ("expires", "status"),
    [(-1, "lapsed"), (0, "eligible"), (27, "eligible"), (28, "covered"), (400, "covered")],
)
def test_whose_subscription_expires_in_the_horizon_is_eligible(opened, expires, status):
    assert built(opened([term(-50, expires)]))["anna"]["status"] == status


def test_with_a_lead_whoever_expires_before_the_window_is_covered_and_not_asked(opened):
    clock = FeatureClock(horizon_days=28, lookback_days=56, lead_days=3, mode="contractual")
    for expires, status in ((2, "covered"), (3, "eligible"), (30, "eligible"), (31, "covered")):
        assert built(opened([term(-50, expires)]), clock)["anna"]["status"] == status


def test_who_never_subscribed_is_new_and_a_subscriber_without_an_order_is_known(opened):
    found = built(opened([term(-50, 5, customer_id="ben")]))
    assert {name: row["status"] for name, row in found.items()} == {
        "anna": "new",
        "ben": "eligible",
    }
    assert found["anna"]["days_to_expiry"] is None
    assert found["anna"]["renewals_so_far"] == 0


def test_in_the_mode_of_purchases_subscriptions_make_features_and_nothing_else(opened):
    clock = FeatureClock(horizon_days=28, lookback_days=365)
    found = built(opened([term(-50, 5), term(-50, 5, customer_id="ben")]), clock)
    assert set(found) == {"anna"}
    assert (found["anna"]["status"], found["anna"]["days_to_expiry"]) == ("eligible", 5)


def test_the_contractual_mode_asks_for_the_table(open_shop):
    tables = open_shop([{"customer_id": "anna", "ordered_at": away(-30), "amount": 10.0}])
    with pytest.raises(ModelError, match=r"nothing for \['subscriptions'\]\. Connect it"):
        build_features(tables, [CUTOFF], CLOCK)


def test_a_mode_that_nobody_knows_is_refused():
    with pytest.raises(ConfigError, match=r"got 'yearly'\. Pass \"purchases\" or \"contractual\""):
        FeatureClock(horizon_days=28, lookback_days=56, mode="yearly")


def lapses(tables: Tables, *, grace: int = 7, lead: int = 0) -> dict[str, float]:
    cutoffs = Cutoffs((CUTOFF,), 28, CUTOFF + timedelta(days=60), lead, grace_days=grace)
    clock = FeatureClock(horizon_days=28, lookback_days=56, lead_days=lead, mode="contractual")
    rows = build_dataset(tables, cutoffs, clock).rows
    return dict(zip(rows["customer_id"], rows["lapse"], strict=True))


@pytest.mark.parametrize(("begins", "lapse"), [(5, 0), (10, 0), (17, 0), (17.9, 0), (18, 1)])
def test_a_renewal_begins_at_the_latest_on_the_last_day_of_grace(opened, begins, lapse):
    assert lapses(opened([term(-20, 10), term(begins, begins + 30)]))["anna"] == lapse


def test_what_does_not_outlast_the_old_subscription_is_no_renewal(opened):
    assert lapses(opened([term(-20, 10), term(2, 9), term(3, 10)]))["anna"] == 1


def test_orders_do_not_renew_a_subscription(open_shop, as_table):
    orders = [{"customer_id": "anna", "ordered_at": away(d), "amount": 5.0} for d in (-30, 3, 12)]
    texts = [{k: _text(k, v) for k, v in term(-20, 10).items()}]
    assert lapses(open_shop(orders, subscriptions=as_table(texts)))["anna"] == 1


def test_the_covered_cannot_lapse_and_the_lapsed_come_back_by_subscribing(opened):
    rows = [
        term(-20, 200, customer_id="covered"),
        term(-90, -60, customer_id="gone"),
        term(-90, -60, customer_id="back"),
        term(27, 60, customer_id="back"),
        term(-90, -60, customer_id="late"),
        term(28, 60, customer_id="late"),
        term(3, 60, customer_id="anna"),
    ]
    assert lapses(opened(rows)) == {"covered": 0, "gone": 1, "back": 0, "late": 1, "anna": 0}


def test_an_expiry_that_was_moved_counts_once_it_has_arrived(opened):
    """The same term in two versions: at the cutoff the old expiry is known, later the new one."""
    versions = [term(-20, 10, loaded_at=away(-20)), term(-20, 40, loaded_at=away(9))]
    assert built(opened(versions))["anna"]["days_to_expiry"] == 10
    assert lapses(opened(versions))["anna"] == 0
    assert lapses(opened(versions[:1]))["anna"] == 1


def test_labels_need_the_horizon_and_the_grace_to_mature():
    panel = Cutoffs.every(14, until=CUTOFF, horizon_days=28, grace_days=7, count=1)
    assert panel.dates[0] == CUTOFF - timedelta(days=35)
    assert panel.label_end(panel.dates[0]) == CUTOFF
    assert panel.before(CUTOFF) == panel
    assert not panel.before(CUTOFF - timedelta(days=1)).dates
    with pytest.raises(ConfigError, match="so that its label window closes"):
        Cutoffs((CUTOFF - timedelta(days=34),), 28, CUTOFF, grace_days=7)


def test_a_clock_of_another_lead_than_the_panels_is_refused(opened):
    cutoffs = Cutoffs((CUTOFF,), 28, CUTOFF + timedelta(days=60), lead_days=3)
    with pytest.raises(ConfigError, match=r"must have the same lead_days, 3, got 0"):
        build_dataset(opened([term(-20, 10)]), cutoffs, CLOCK)


@st.composite
def some_terms(draw: st.DrawFn) -> tuple[str, list[Row]]:
    """Overlapping, adjoining, cancelled and late terms of two customers around the cutoff."""
    zone = draw(st.sampled_from(ZONES))
    late, cancels = draw(st.booleans()), draw(st.booleans())
    begin = midnight(CUTOFF, zone)
    hours = st.one_of(
        st.sampled_from([-30, -1, 0, 1, 10, 27, 28, 35]).map(lambda days: 24 * days),
        st.integers(-60 * 24, 50 * 24),
    )
    moments = hours.map(lambda h: begin + timedelta(hours=h))
    row = {"customer_id": st.sampled_from("aab"), "started_at": moments}
    row["length"] = st.sampled_from([1, 7, 30, 30, 365, None])
    if cancels:
        row["cancelled_at"] = st.one_of(st.none(), moments)
    if late:
        row["loaded_at"] = moments
    rows = draw(st.lists(st.fixed_dictionaries(row), max_size=14))
    for one in rows:
        length = one.pop("length")
        one["expires_at"] = one["started_at"] + timedelta(days=length) if length else None
    return zone, rows


@generous
@given(some_terms(), st.integers(1, 40), st.sampled_from([0, 3]), st.sampled_from([0, 20]))
def test_features_statuses_and_labels_equal_plain_arithmetic(
    opened, shop, horizon, lead, min_tenure
):
    zone, rows = shop
    columns = ["customer_id", "started_at", "expires_at"]
    columns += ["cancelled_at"] if any("cancelled_at" in row for row in rows) else []
    tables = opened(rows, columns, day_timezone=zone)
    lengths = {"horizon_days": horizon, "lookback_days": 56, "min_tenure_days": min_tenure}
    clock = FeatureClock(**lengths, lead_days=lead, mode="contractual")
    expected = oracle.features_of(rows, CUTOFF, zone=zone)
    found = built(tables, clock)
    assert set(found) == {"anna", *expected}
    for name, row in found.items():
        values = expected.get(name)
        assert row["status"] == oracle.status_of(values, horizon, lead, min_tenure)
        for feature, value in (values or {}).items():
            assert row[feature] == value, feature
    cutoffs = Cutoffs((CUTOFF,), horizon, CUTOFF + timedelta(days=60), lead, grace_days=5)
    outcomes = tables.engine.collect(renewals(tables, cutoffs)).to_pylist()
    for row in outcomes:
        wanted = oracle.outcome_of(rows, row["customer_id"], CUTOFF, cutoffs, zone=zone)
        assert (row["renewed"], row["begun"]) == wanted
    tables.engine.close()


@generous
@given(some_terms(), some_terms())
def test_features_are_blind_to_what_begins_or_is_cancelled_from_the_cutoff_on(opened, shop, other):
    """Other future terms, and other future cancellations, change nothing."""
    zone, rows = shop
    begin = midnight(CUTOFF, zone)
    columns = ["customer_id", "started_at", "expires_at", "cancelled_at"]
    plain = [{k: v for k, v in row.items() if k != "loaded_at"} for row in rows]
    past = [row for row in plain if row["started_at"] < begin]
    future = [row for row in other[1] if row["started_at"] >= begin]
    future = [{k: v for k, v in row.items() if k != "loaded_at"} for row in future]
    forgotten = [
        row | {"cancelled_at": None} if (row.get("cancelled_at") or begin) >= begin else row
        for row in past
    ]
    one = opened(plain, columns, day_timezone=zone)
    two = opened([*forgotten, *future], columns, day_timezone=zone)
    assert built(one) == built(two)
    one.engine.close()
    two.engine.close()
