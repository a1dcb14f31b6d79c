"""Features of events against plain arithmetic: two clocks, any table may be missing or late."""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from churn.data.days import day_number
from churn.data.tables import Tables
from churn.data.words import EVENT_TYPES
from churn.errors import ModelError
from churn.features.builder import build_features
from churn.features.catalogue import CATALOGUE, feature_names
from churn.features.clock import FeatureClock

ORACLE = importlib.util.spec_from_file_location(
    "oracle_events", Path(__file__).with_name("oracle_events.py")
)
oracle = importlib.util.module_from_spec(ORACLE)
ORACLE.loader.exec_module(oracle)

Row = dict[str, Any]
Found = dict[tuple[str, int], dict[str, Any]]

FAMILIES = ("engagement", "service", "loyalty", "acquisition")
CUTOFFS = (date(2024, 3, 10), date(2024, 3, 11), date(2024, 4, 7))
ZONES = ("UTC", "America/New_York", "Pacific/Auckland")
WHEN = {"events": "occurred_at", "contacts": "contacted_at", "redemptions": "redeemed_at"}
ORDERS = ("customer_id", "ordered_at", "amount")

generous = settings(
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
    phases=[phase for phase in Phase if phase is not Phase.explain],
)


def midnight(zone: str, when: date) -> datetime:
    return datetime.combine(when, time(), tzinfo=ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True)
class Shop:
    """Rows by table, around a cutoff; the tables of `late` carry loaded_at."""

    zone: str
    cutoff: date
    late: tuple[str, ...]
    tables: dict[str, list[Row]]
    columns: dict[str, tuple[str, ...]]

    def opened(self, open_shop: Callable[..., Tables], as_table: Callable[..., Any]) -> Tables:
        """The shop as tables; of nothing but orders where there are no others."""
        others = {
            name: as_table(map(_as_text, rows), self.columns[name])
            for name, rows in self.tables.items()
            if name != "orders"
        }
        return open_shop(self.tables["orders"], ORDERS, day_timezone=self.zone, **others)

    def changed(self, change: Callable[[Row], list[Row]]) -> "Shop":
        """The same with other rows in the place of the future ones."""
        begin = midnight(self.zone, self.cutoff)
        tables = {}
        for name, rows in self.tables.items():
            when = WHEN.get(name, "ordered_at")
            future = [row for row in rows if _seen_at(row, when) >= begin] if name in WHEN else []
            past = [row for row in rows if row not in future]
            tables[name] = past + [new for row in future for new in change(row)]
        return Shop(self.zone, self.cutoff, self.late, tables, self.columns)


def _seen_at(row: Row, when: str) -> datetime:
    return max(row[when], row.get("loaded_at", row[when]))


def _as_text(row: Row) -> Row:
    kept = ("loaded_at",)
    return {k: v if k in kept or v is None else _text(v) for k, v in row.items()}


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


DETAILS = {
    "events": {
        "event_type": st.one_of(
            st.sampled_from(["ticket_opened", "ticket_closed", "review", "nps"]),
            st.sampled_from([*EVENT_TYPES, "wishlist"]),
        ),
        "value": st.sampled_from([None, 0.0, 1.0, 4.0, 7.5, 120.0]),
        "ref": st.sampled_from(["r1", "r1", "r2", None]),
    },
    "contacts": {
        "campaign_id": st.just("spring"),
        "arm": st.sampled_from([None, "treatment", "explore", "control", "holdout"]),
        "offer_id": st.sampled_from([None, "points", "none"]),
    },
    "redemptions": {},
}
EDGES = st.sampled_from([-180, -91, -90, -30, -28, -7, -1, 0, 1]).map(lambda day: 24 * day)
HOURS = st.one_of(EDGES, st.integers(-200 * 24, 20 * 24), st.integers(-5 * 24, 24))
OPTIONAL = {"events": ("value", "ref"), "contacts": ("arm", "offer_id"), "redemptions": ()}


@st.composite
def a_shop(draw: st.DrawFn) -> Shop:
    """Any of the tables missing, empty or late; optional columns or not; rows on the midnights."""
    zone, cutoff = draw(st.sampled_from(ZONES)), draw(st.sampled_from(CUTOFFS))
    names = draw(st.lists(st.sampled_from(sorted(WHEN)), unique=True))
    late = tuple(name for name in names if draw(st.booleans()))
    begin = midnight(zone, cutoff)
    customers = st.sampled_from("aab")
    moments = HOURS.map(lambda hours: begin + timedelta(hours=hours))
    order = {"customer_id": customers, "ordered_at": moments}
    order["amount"] = st.sampled_from([10.0, 2.5, -5.0])
    tables = {"orders": draw(st.lists(st.fixed_dictionaries(order), max_size=12))}
    columns = {}
    for name in names:
        has = {one: draw(st.booleans()) for one in OPTIONAL[name]}
        details = {k: v for k, v in DETAILS[name].items() if has.get(k, True)}
        row = {"customer_id": customers, WHEN[name]: moments} | details
        row |= {"loaded_at": moments} if name in late else {}
        columns[name] = tuple(row)
        rows = st.lists(st.fixed_dictionaries(row), max_size=60, unique_by=_but_arrival)
        tables[name] = draw(rows)  # equal rows are copies, which the import drops
    if draw(st.booleans()):
        tables["customers"] = _people(draw, moments)
        columns["customers"] = ("customer_id", "signed_up_at", "acquisition_source")
    return Shop(zone, cutoff, late, tables, columns)


def _but_arrival(row: Row) -> str:
    return repr([value for name, value in row.items() if name != "loaded_at"])


def _people(draw: st.DrawFn, moments: st.SearchStrategy[datetime]) -> list[Row]:
    person = st.fixed_dictionaries(
        {
            "customer_id": st.sampled_from("abc"),
            "signed_up_at": st.one_of(st.none(), moments),
            "acquisition_source": st.sampled_from([None, "search", "friend"]),
        }
    )
    return draw(st.lists(person, unique_by=lambda one: one["customer_id"], max_size=4))


def built(tables: Tables, *cutoffs: date, horizon: int = 28, names: Any = None) -> Found:
    """The features of these families that the tables can give, by customer and cutoff."""
    clock = FeatureClock(horizon_days=horizon, lookback_days=56)
    names = of_these_families(tables) if names is None else names
    rows = tables.engine.collect(build_features(tables, cutoffs, clock, names=names)).to_pylist()
    return {
        (row["customer_id"], row["cutoff"]): {name: row[name] for name in names} for row in rows
    }


def of_these_families(tables: Tables) -> tuple[str, ...]:
    names = feature_names(tables.connected())
    return tuple(name for name in names if CATALOGUE[name].family in FAMILIES)


def assert_same(found: Found, expected: Found) -> None:
    assert found.keys() == expected.keys()
    for key, row in found.items():
        for name, value in row.items():
            other = expected[key][name]
            if value is None or other is None:
                assert value == other, (key, name)
            else:
                close = math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)
                assert close, (key, name, value, other)


@generous
@given(a_shop(), st.sampled_from([1, 5, 28]))
def test_every_feature_of_events_equals_plain_arithmetic(open_shop, as_table, shop, horizon):
    """Against the oracle, at two cutoffs at once."""
    cutoffs = (shop.cutoff - timedelta(days=28), shop.cutoff)
    found = built(shop.opened(open_shop, as_table), *cutoffs, horizon=horizon)
    expected = {
        (name, day_number(cutoff)): values
        for cutoff in cutoffs
        for name, values in oracle.features_of(
            shop.tables, cutoff, horizon=horizon, zone=shop.zone
        ).items()
    }
    assert_same(found, expected)


@generous
@given(a_shop(), st.integers(0, 30))
def test_events_at_or_after_the_cutoff_and_late_arrivals_change_nothing(
    open_shop, as_table, shop, shift_days
):
    """They may be deleted, doubled, moved on or said of somebody else."""

    def other(row: Row) -> list[Row]:
        name = next(name for name, when in WHEN.items() if when in row)
        moved = {
            **row,
            WHEN[name]: row[WHEN[name]] + timedelta(days=shift_days),
            "customer_id": "c",
        }
        return [row, moved]

    opened = shop.opened(open_shop, as_table)
    names = of_these_families(opened)
    found = built(opened, shop.cutoff, names=names)
    for change in (other, lambda _: []):
        again = shop.changed(change).opened(open_shop, as_table)
        assert_same(built(again, shop.cutoff, names=names), found)


def test_the_oracle_and_the_catalogue_know_the_same_features():
    """Nobody can add a feature of these families without its twin."""
    order = {"customer_id": "a", "ordered_at": datetime(2024, 1, 1, tzinfo=UTC), "amount": 1.0}
    ((_, values),) = oracle.features_of({"orders": [order]}, CUTOFFS[0], horizon=28).items()
    declared = {
        name for name, one in CATALOGUE.items() if one.family in FAMILIES and not one.hidden
    }
    assert set(values) == declared
    assert len(declared) >= 35


def test_without_a_table_there_is_no_feature_of_it_and_asking_for_one_says_so(open_shop):
    order = {"customer_id": "a", "ordered_at": datetime(2024, 1, 1, tzinfo=UTC), "amount": 1.0}
    tables = open_shop([order])
    assert of_these_families(tables) == ()
    with pytest.raises(ModelError, match="Connect it in"):
        built(tables, CUTOFFS[0], names=("contacts_90d",))


def test_a_type_that_has_not_happened_yet_counts_as_never(open_shop, as_table):
    """A model that learnt from visits goes on where the new file has none."""
    order = {"customer_id": "a", "ordered_at": datetime(2024, 1, 1, tzinfo=UTC), "amount": 1.0}
    columns = ("customer_id", "occurred_at", "event_type")
    tables = open_shop([order], events=as_table([], columns))
    (row,) = built(tables, CUTOFFS[0], names=("visits_30d", "last_visit_days")).values()
    assert row == {"visits_30d": 0.0, "last_visit_days": None}
