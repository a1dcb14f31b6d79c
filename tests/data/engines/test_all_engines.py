"""Every engine keeps one contract, reads a shop's files alike, and gives the same features.

All that needs Spark is in this file, so that it starts once.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from churn.data.cutoffs import Cutoffs
from churn.data.engines.base import identifier, literal
from churn.data.engines.choice import open_engine
from churn.data.labels import outcomes, renewals
from churn.data.product_days import product_days, product_facts
from churn.data.settings import DataSettings, OrdersSource, TableSource
from churn.data.sources import PIECE_ROWS
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError
from churn.features.builder import build_features
from churn.features.clock import FeatureClock
from churn.scoring.score import score
from churn.storage.erasures import Erased, hashed

HOSTILE = """x"; DROP TABLE t; -- '\\n`$"""
CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
CUTOFFS = [date(2024, 2, 1), date(2024, 4, 1)]


def test_a_query_makes_a_table_and_takes_the_place_of_an_earlier_one(engine):
    engine.create("t", "SELECT 1 AS a, 'x' AS b")
    engine.create("t", "SELECT a + 1 AS a, b FROM t")
    assert engine.rows("SELECT * FROM t") == [{"a": 2, "b": "x"}]
    assert engine.query("SELECT * FROM t").to_pylist() == [{"a": 2, "b": "x"}]
    assert engine.columns("t") == ["a", "b"]


def test_a_table_can_lose_a_column_and_still_be_read_and_replaced(engine):
    engine.create("t", "SELECT 1 AS a, 2 AS b")
    engine.drop_column("t", "b")
    assert engine.collect(engine.lazy("t")).to_pylist() == [{"a": 1}]
    engine.create("t", "SELECT a, 3 AS c FROM t")
    engine.drop_column("t", "a")
    assert engine.rows("SELECT * FROM t") == [{"c": 3}]


def test_names_and_constants_may_hold_any_sign(engine):
    engine.create(HOSTILE, f"SELECT {literal(HOSTILE)} AS {identifier(HOSTILE)}, 1 AS b")
    engine.drop_column(HOSTILE, "b")
    assert engine.columns(HOSTILE) == [HOSTILE]
    assert engine.rows(f"SELECT * FROM {identifier(HOSTILE)}") == [{HOSTILE: HOSTILE}]
    assert engine.collect(engine.lazy(HOSTILE)).to_pylist() == [{HOSTILE: HOSTILE}]
    engine.store(engine.lazy(HOSTILE), HOSTILE + "2")
    assert engine.columns(HOSTILE + "2") == [HOSTILE]


def test_a_stored_frame_is_a_table_for_frames_and_for_queries(engine):
    engine.store(engine.values({"b": [2, 3]}), "t")
    engine.store(engine.lazy("t").with_columns(c=nw.col("b") * 2), "t")
    assert engine.rows("SELECT sum(c) AS s FROM t")[0]["s"] == 10
    assert sorted(engine.collect(engine.lazy("t"))["c"].to_pylist()) == [4, 6]


def test_constants_and_frames_come_back_as_they_were(engine):
    columns = {"a": [1, 2], "b": [None, "x"], "d": [0.5, None], "e": [True, False]}
    assert engine.collect(engine.values(columns)).to_pydict() == columns
    for frame in (pa.table(columns), pd.DataFrame({"a": [1, 2]})):
        name = engine.accept(frame)
        assert engine.collect(engine.lazy(name)).num_rows == 2
    assert engine.accept(pa.table({"a": [1]})) != engine.accept(pa.table({"a": [1]}))


def test_results_come_in_batches_of_the_size_that_was_asked_for(engine):
    lazy = engine.lazy(engine.accept(pa.table({"n": range(10_000)})))
    batches = list(engine.batches(lazy, rows=2_048))
    assert len(batches) > 1
    assert all(isinstance(batch, pa.RecordBatch) and batch.num_rows <= 2_048 for batch in batches)
    assert sorted(n for batch in batches for n in batch["n"].to_pylist()) == list(range(10_000))


def test_no_rows_are_no_rows_but_keep_their_columns(engine):
    lazy = engine.values({"n": [1], "t": ["x"]}).filter(nw.col("n") > 1)
    assert engine.collect(lazy).column_names == ["n", "t"]
    assert sum(batch.num_rows for batch in engine.batches(lazy)) == 0


PAIRS = pa.schema([("id", pa.string()), ("n", pa.int64())])


def whole_ids(batches):
    """Blocks of rows: each ends where an id ends."""
    rows = pa.Table.from_batches(batches, schema=PAIRS) if (batches := list(batches)) else None
    return iter([] if rows is None else [rows])


def with_doubled(blocks):
    for rows in blocks:
        columns = [rows["id"], pc.multiply(rows["n"], 2)]
        yield from pa.table(columns, schema=PAIRS).to_batches()


def test_sorted_rows_are_swept_in_order_as_often_as_asked(engine):
    """All rows of one id come to the same block; the result is in order throughout."""
    ids = [f"\u00e9{n % 977:03}" for n in range(20_000)]
    frame = engine.lazy(engine.accept(pa.table({"id": ids, "n": range(20_000)})))
    kept = engine.sorted(frame, ["id", "n"], whole_ids)
    pairs = sorted((name, 2 * n) for name, n in zip(ids, range(20_000), strict=True))
    for _ in range(2):
        rows = pa.Table.from_batches(kept.batches(with_doubled, PAIRS), schema=PAIRS).to_pylist()
        assert [(row["id"], row["n"]) for row in rows] == pairs
    stored = kept.stored(with_doubled, PAIRS, "doubled")
    assert engine.collect(stored.filter(nw.col("n") < 4).sort("n")).to_pydict() == {
        "id": ["\u00e9000", "\u00e9001"],
        "n": [0, 2],
    }


@pytest.mark.parametrize("local", ["duckdb", "polars"])
def test_an_error_in_a_sweep_keeps_its_cause(local):
    def failing(blocks):
        for _ in blocks:
            raise ConfigError("a rule that is broken", fix="Fix it.")
        yield

    engine = open_engine(local)
    kept = engine.sorted(engine.values({"id": ["a"], "n": [1]}), ["id"], whole_ids)
    with pytest.raises(ConfigError, match="a rule that is broken"):
        kept.stored(failing, PAIRS, "failed")
    engine.close()


def test_rows_that_agree_in_some_columns_are_noticed(engine):
    rows = {"a": ["x", "x", "y", None], "b": [1.0, 2.0, 1.0, None]}
    engine.store(engine.values(rows), "t")
    assert engine.all_differ("t", ["a", "b"])
    assert not engine.all_differ("t", ["a"])
    assert engine.may_agree("t", ["a"])
    engine.store(engine.values({"a": ["x", None, None]}), "t")
    assert not engine.all_differ("t", ["a"])
    assert engine.may_agree("t", ["a"])


def test_two_engines_of_one_kind_keep_their_tables_apart(engine, name):
    second = open_engine(name)
    engine.create("t", "SELECT 1 AS a")
    second.create("t", "SELECT 2 AS a")
    second.close()
    assert engine.rows("SELECT * FROM t") == [{"a": 1}]


def test_queries_may_run_while_a_result_streams(engine):
    engine.create("t", "SELECT 1 AS a")
    lazy = engine.lazy(engine.accept(pa.table({"n": range(50_000)})))
    seen = 0
    for batch in engine.batches(lazy, rows=10_000):
        assert engine.rows("SELECT a FROM t") == [{"a": 1}]
        seen += batch.num_rows
    assert seen == 50_000


def test_memory_limit_is_refused_where_it_cannot_be_kept(other):
    with pytest.raises(ConfigError, match="memory_limit") as raised:
        open_engine(other, memory_limit="2GB")
    assert raised.value.got == "2GB"


# Import: the same rows, and the same count of unusable ones, from dirty files.

DIRTY = pa.table(
    {
        "who": ["a", "", None, "7", "007", "x\0y", "ü" * 300, "b", "c", "d", "e", "f", "g", "h"],
        "when": [
            *("2024-03-10 02:30:00", "2024-01-01", "2024-01-02", "2024-03-31 23:59:59.999999"),
            *("2024-01-01T00:30:00+05:30", "2024-01-01", "2024-01-05", "31.12.2023", "2031-01-01"),
            *("0001-01-01", "infinity", "2024-02-29", "2024-02-28 24:00:00", "2024-01-01"),
        ],
        "total": [
            *("1.234,50", "1", "2", "-3,25", "0", "5", "1e3", "7", "8", "9", "10", "abc"),
            *("1.23,4", None),
        ],
        "id": [str(2**70 + number) for number in range(14)],
    }
)


def columns_of_dirty() -> dict[str, str]:
    return {"customer_id": "who", "ordered_at": "when", "amount": "total", "order_id": "id"}


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Tables]:
    """The tables of files in the test's folder, on one engine."""

    def build(
        engine: str, orders: OrdersSource, *, erased: Erased | None = None, **others: Any
    ) -> Tables:
        settings = DataSettings(orders=orders, engine=engine, bad_row_limit=1.0, **others)
        return Tables.from_settings(settings, folder=tmp_path, clock=CLOCK, erased=erased)

    return build


def contents(tables: Tables, table: str = "orders") -> list[tuple]:
    columns = sorted(tables.engine.columns(table))
    found = tables.engine.query(f"SELECT {', '.join(columns)} FROM {table}")
    return sorted((tuple(row.items()) for row in found.to_pylist()), key=repr)


def assert_same(build: Callable[..., Tables], other: str, *args: Any, **options: Any) -> Tables:
    expected, found = build("duckdb", *args, **options), build(other, *args, **options)
    assert found.audits == expected.audits
    for table in (*expected.audits, *(["order_lines"] if expected.has("order_lines") else [])):
        assert contents(found, table) == contents(expected, table)
    assert found.connected() == expected.connected()
    if contents(expected):
        assert found.span() == expected.span()
        assert (found.end(), found.arrival_lag_days()) == (
            expected.end(),
            expected.arrival_lag_days(),
        )
    expected.engine.close()
    return found


def test_dirty_text_reads_the_same(other, opened, tmp_path):
    DIRTY.to_pandas().to_csv(tmp_path / "orders.csv", sep=";", index=False)
    source = OrdersSource(source="orders.csv", columns=columns_of_dirty(), decimal=",")
    zones = {"timezone": "Europe/Berlin", "day_timezone": "America/New_York"}
    tables = assert_same(opened, other, source, **zones)
    assert tables.count("orders") == 5  # one amount is 1e3, one date is German
    tables.engine.close()


def test_dirty_frames_read_the_same(other):
    def build(engine: str) -> Tables:
        columns = columns_of_dirty()
        return Tables.from_frames(
            DIRTY, engine=engine, columns=columns, clock=CLOCK, bad_row_limit=1.0
        )

    assert_same(build, other).engine.close()


def test_parquet_of_several_types_columns_and_row_groups_reads_the_same(
    other, opened, tmp_path, monkeypatch
):
    monkeypatch.setattr("churn.data.sources.PIECE_ROWS", 1_000)
    assert PIECE_ROWS > 1_000
    rows, rng = 5_000, np.random.default_rng(3)
    amounts = rng.normal(20, 30, rows).round(2)
    amounts[:4] = [math.nan, math.inf, -math.inf, 1e300]
    instants = pa.array(rng.integers(1.6e9, 1.71e9, rows) * 1_000_000, pa.timestamp("us"))
    first = pa.table(
        {
            "customer_id": pa.array(rng.integers(0, 2**62, rows)),
            "ordered_at": instants,
            "amount": amounts,
            "store": pa.array(rng.integers(0, 9, rows), pa.uint8()),
        }
    )
    second = pa.table(
        {
            "Amount": pa.array(np.arange(100), pa.int32()),
            "customer_id": [f"c{n}" for n in range(100)],
            "ordered_at": pa.array([date(2024, 1, 1)] * 100).cast(pa.timestamp("ns")),
            "channel": pa.array(["web"] * 100).dictionary_encode(),
        }
    )
    pq.write_table(first, tmp_path / "a.parquet", row_group_size=700)
    pq.write_table(second, tmp_path / "b.parquet")
    mine, theirs = (opened(e, OrdersSource(source="*.parquet")) for e in ("duckdb", other))
    assert theirs.audits == mine.audits
    assert mine.audits["orders"].dropped == {"with a non-finite amount": 4}
    kept = "SELECT * EXCEPT (order_id)" if other == "spark" else "SELECT * EXCLUDE (order_id)"
    expected = mine.engine.query("SELECT * EXCLUDE (order_id) FROM orders").to_pandas()
    found = theirs.engine.query(f"{kept} FROM orders").to_pandas()
    by = ["customer_id", "day", "amount"]
    pd.testing.assert_frame_equal(
        found[expected.columns].sort_values(by, ignore_index=True),
        expected.sort_values(by, ignore_index=True),
        check_dtype=False,
        check_exact=True,
    )
    ids = theirs.engine.rows("SELECT count(DISTINCT order_id) AS n FROM orders")[0]["n"]
    assert ids == theirs.count("orders") == rows - 4 + 100
    theirs.engine.close()


def shop(seed: int, *, lines: bool = False) -> dict[str, pa.Table]:
    """A random shop: late arrivals, corrections, returns, exact copies, events, contacts."""
    rng, orders = np.random.default_rng(seed), 3_000
    hours = rng.integers(0, 24 * 150, orders)
    begin = np.datetime64("2023-12-20T00:00:00", "us")
    at = begin + hours * np.timedelta64(3_600_000_000, "us")
    late = rng.choice([0, 0, 0, 1, 9, 40], orders) * np.timedelta64(86_400_000_000, "us")
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in rng.integers(0, 250, orders)],
            "order_id": [f"o{n}" for n in range(orders)],
            "ordered_at": at,
            "amount": rng.choice([19.9, 5.01, 0.0, -19.9, 120.0, 0.1 + 0.2], orders)
            * rng.integers(1, 5, orders),
            "discount": rng.choice([0.0, 1.5, np.nan], orders),
            "channel": rng.choice(["web", "shop"], orders),
            "loaded_at": at + late,
        }
    )
    frame["ordered_at"] = frame["ordered_at"].dt.tz_localize("UTC")
    frame["loaded_at"] = frame["loaded_at"].dt.tz_localize("UTC")
    again = frame.sample(300, random_state=seed)
    corrected = again.assign(
        amount=again["amount"] * 0.5, loaded_at=again["loaded_at"] + pd.Timedelta(days=3)
    )
    frame = pd.concat([frame, corrected, again.head(50)], ignore_index=True)
    if lines:
        frame["product_id"] = [f"p{n}" for n in rng.integers(0, 30, len(frame))]
        frame["category"] = [f"k{n}" for n in rng.integers(0, 5, len(frame))]
        frame["quantity"] = rng.integers(1, 4, len(frame)).astype(float)
    events = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in rng.integers(0, 260, 2_000)],
            "occurred_at": frame["ordered_at"].head(2_000) + pd.Timedelta(minutes=7),
            "event_type": rng.choice(["email_sent", "email_open", "visit", "ticket_opened"], 2_000),
            "value": rng.normal(size=2_000),
            "ref": [f"r{n}" for n in rng.integers(0, 500, 2_000)],
        }
    )
    customers = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in range(270)],
            "signed_up_at": pd.Timestamp("2023-11-01", tz="UTC")
            + pd.to_timedelta(rng.integers(0, 170, 270), unit="D"),
            "acquisition_source": rng.choice(["ads", "friend"], 270),
        }
    )
    begins = pd.Timestamp("2023-11-01", tz="UTC") + pd.to_timedelta(
        rng.integers(0, 24 * 170, 600), unit="h"
    )
    length = pd.to_timedelta(rng.choice([30, 90, 365], 600), unit="D")
    subscriptions = pd.DataFrame(
        {
            "customer_id": [f"c{n}" for n in rng.integers(0, 260, 600)],
            "started_at": begins,
            "expires_at": begins + length,
            "cancelled_at": (begins + length / 3).where(rng.random(600) < 0.3),
            "loaded_at": begins + pd.to_timedelta(rng.choice([0, 0, 2], 600), unit="D"),
        }
    )
    others = {"events": events, "customers": customers, "subscriptions": subscriptions}
    return {"orders": frame, **others}


@pytest.fixture(params=[False, True], ids=["orders", "lines"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """A random shop in files, with late arrivals and corrections; its sources."""
    for table, frame in shop(5, lines=request.param).items():
        frame.to_parquet(tmp_path / f"{table}.parquet", index=False)
    grain = "line" if request.param else "order"
    named = ("events", "customers", "subscriptions")
    others = {table: TableSource(source=f"{table}.parquet") for table in named}
    return {"orders": OrdersSource(source="orders.parquet", grain=grain), **others}


def test_versions_lines_and_features_are_the_same(other, opened, written):
    tables = assert_same(opened, other, **written)
    mine = opened("duckdb", **written)
    clock = FeatureClock(horizon_days=28, lookback_days=56)
    panel = Cutoffs(tuple(CUTOFFS), horizon_days=28, until=date(2024, 5, 18))
    contract = replace(clock, mode="contractual")
    for make in (
        lambda t: build_features(t, CUTOFFS, clock),
        lambda t: outcomes(t, panel),
        lambda t: build_features(t, CUTOFFS, contract, names=["days_to_expiry"]),
        lambda t: renewals(t, panel),
    ):
        expected, found = (t.engine.collect(make(t)).to_pandas() for t in (mine, tables))
        assert_close(found, expected)
    mine.engine.close()
    tables.engine.close()


def test_scores_and_those_at_risk_are_the_same_even_where_nine_of_ten_tie(other):
    """Workers of Spark predict and explain; ranking and ties are the driver's."""
    # Workers import this module without the tests' path.
    from simulated_shop import AS_OF, shop_model, simulated_orders

    orders = simulated_orders(40)
    twin = orders[orders["customer_id"] == "c0003"]
    twins = [twin.assign(customer_id=f"t{number:03}") for number in range(400)]
    both = pd.concat([orders, *twins], ignore_index=True)
    tables = [Tables.from_frames(both, currency="EUR", engine=e) for e in ("duckdb", other)]
    expected, found = (
        score(shop_model(), one.as_of(AS_OF), capacity=0.5, explain="all").to_pandas()
        for one in tables
    )
    eligible = expected[expected["status"] == "eligible"]
    assert eligible["churn_probability"].value_counts().max() >= 0.9 * len(eligible)
    assert found["at_risk"].sum() == round(0.5 * len(eligible))
    assert found["reasons"].map(len).gt(0).mean() > 0.9
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9, atol=1e-9)
    for one in tables:
        one.engine.close()


def test_what_was_bought_on_which_day_is_the_same(other, opened, tmp_path):
    shop(5, lines=True)["orders"].to_parquet(tmp_path / "orders.parquet", index=False)
    source = {"orders": OrdersSource(source="orders.parquet", grain="line")}
    found = []
    for engine in ("duckdb", other):
        tables = opened(engine, **source)
        snapshot = tables.as_of(CUTOFFS[1])
        made = (product_days(snapshot), product_facts(snapshot))
        rows = [tables.engine.collect(frame).to_pandas() for frame in made]
        found.append([one.sort_values(list(one.columns), ignore_index=True) for one in rows])
        tables.engine.close()
    for expected, seen in zip(*found, strict=True):
        assert len(expected)
        pd.testing.assert_frame_equal(seen, expected, check_dtype=False)


def assert_close(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.columns) == list(expected.columns)
    keys = [name for name in ("customer_id", "cutoff") if name in expected.columns]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True),
        expected.sort_values(keys, ignore_index=True),
        check_dtype=False,
        rtol=1e-9,
        atol=1e-9,
    )


def test_two_orders_of_one_id_are_told_apart_by_customer(other):
    at = ["2024-01-01", "2024-01-02"]
    twice = pa.table(
        {"customer_id": ["a", "b"], "order_id": ["1", "1"], "ordered_at": at, "amount": [1, 2]}
    )
    for grain in ("order", "line"):
        tables = Tables.from_frames(twice, engine=other, clock=CLOCK, grain=grain)
        rows = tables.engine.rows("SELECT customer_id, amount FROM orders ORDER BY customer_id")
        assert [tuple(row.values()) for row in rows] == [("a", 1.0), ("b", 2.0)]
        (warning,) = tables.audits["orders"].warnings
        assert "1 order ids are shared by several orders" in warning
        tables.close()


def test_a_damaged_file_is_named(other, opened, tmp_path):
    good = pa.table({"customer_id": ["a"], "ordered_at": ["2024-01-01"], "amount": [1.0]})
    pq.write_table(good, tmp_path / "orders.parquet")
    data = (tmp_path / "orders.parquet").read_bytes()
    (tmp_path / "orders.parquet").write_bytes(data[:4] + b"\xff" * 60 + data[64:])
    with pytest.raises(DataError, match="table 'orders' must be a complete, readable file"):
        opened(other, OrdersSource(source="orders.parquet"))


def test_every_engine_reads_the_tables_of_a_database_alike(name, postgres):
    postgres.sql(
        "CREATE TABLE lines AS SELECT 'c' || n % 90 % 7 AS customer_id, 'o' || n % 90 AS order_id, "
        "'p' || n % 3 AS product_id, 1 AS quantity, n * 0.01 AS price, "
        "'2024-01-01'::timestamptz + n % 90 * interval '1 day' AS ordered_at "
        "FROM generate_series(1, 630) AS n"
    )
    source = OrdersSource(
        source=postgres.address("lines"), grain="line", columns={"amount": "quantity * price"}
    )
    people = TableSource(source=postgres.address("people"))
    postgres.sql("CREATE TABLE people AS SELECT DISTINCT customer_id FROM lines")
    data = DataSettings(orders=source, customers=people, engine=name)
    tables = Tables.from_settings(data, folder=Path(), clock=CLOCK)
    try:
        assert (tables.count("orders"), tables.count("customers")) == (90, 7)
        (row,) = tables.engine.rows("SELECT sum(amount) AS s, max(amount) AS m FROM orders")
        assert (row["s"], row["m"]) == (pytest.approx(1987.65), pytest.approx(25.2))
    finally:
        tables.close()


def test_the_erased_and_the_lines_of_their_orders_are_left_out_alike(other, opened, tmp_path):
    key = b"0123456789abcdef0123456789abcdef"
    erased = Erased(key, {hashed(key, name): date(2024, 5, 1) for name in ("c1", "c3", "it's")})
    names = ["c1", "c2", "c3", "it's", "\\c1"]
    orders = pd.DataFrame({"customer_id": names, "order_id": [f"o{n}" for n in range(5)]})
    orders = orders.assign(ordered_at=pd.Timestamp("2024-03-01", tz="UTC"), amount=10.0)
    orders.to_parquet(tmp_path / "orders.parquet", index=False)
    lines = orders[["order_id"]].assign(product_id="x", quantity=1.0, amount=1.0)
    lines.to_parquet(tmp_path / "lines.parquet", index=False)
    source = OrdersSource(source="orders.parquet")
    tables = assert_same(
        partial(opened, erased=erased),
        other,
        source,
        order_lines=TableSource(source="lines.parquet"),
    )
    assert {name: dict(audit.dropped) for name, audit in tables.audits.items()} == {
        "orders": {"erased": 3},
        "order_lines": {"erased": 3},
    }


def test_an_invoice_and_its_cancellation_of_the_same_day_go_together(name):
    moments = pd.to_datetime(["2024-03-01 10:00", "2024-03-01 11:00", "2024-03-02 10:00"])
    orders = pd.DataFrame(
        {
            "customer_id": ["ann"] * 3,
            "order_id": ["1", "C2", "3"],
            "ordered_at": moments,
            "amount": [50.0, -50.0, 8.0],
        }
    )
    tables = Tables.from_frames(orders, engine=name)
    assert tables.engine.rows("SELECT order_id FROM orders") == [{"order_id": "3"}]
    assert tables.audits["orders"].rows_kept == 1
    tables.close()
