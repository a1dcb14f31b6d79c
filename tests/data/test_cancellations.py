from collections import Counter
from datetime import date

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from churn.data.refunds import CANCELLED
from churn.data.tables import Tables
from churn.features.builder import build_features
from churn.features.clock import FeatureClock

CLOCK = FeatureClock(horizon_days=28, lookback_days=56)
FIELDS = ("customer_id", "order_id", "ordered_at", "amount")


def opened(*rows: tuple[str, str, str, float], **settings: object) -> Tables:
    frame = pd.DataFrame(rows, columns=[*FIELDS, *settings.pop("more", ())])
    frame["ordered_at"] = pd.to_datetime(frame["ordered_at"], format="ISO8601")
    return Tables.from_frames(frame, **settings)


def left(tables: Tables) -> list[str]:
    rows = tables.engine.rows("SELECT order_id FROM orders ORDER BY order_id")
    return [str(row["order_id"]) for row in rows]


def test_an_invoice_that_is_cancelled_on_its_day_was_never_a_purchase():
    tables = opened(
        ("12346", "541431", "2011-01-18 10:01", 77183.6),
        ("12346", "C541433", "2011-01-18 10:17", -77183.6),
        ("12346", "541500", "2011-01-20 09:00", 12.0),
    )
    assert left(tables) == ["541500"]
    assert tables.audits["orders"].dropped == {CANCELLED: 2}


def test_a_cancellation_of_a_later_day_is_a_return_of_that_day():
    tables = opened(
        ("ann", "541431", "2011-01-18 10:01", 50.0),
        ("ann", "C541433", "2011-01-19 10:17", -50.0),
    )
    assert left(tables) == ["541431", "C541433"]
    assert tables.audits["orders"].dropped == {}
    assert any("returns on their own day" in note for note in tables.audits["orders"].notes)


def test_what_only_looks_like_a_cancellation_stays():
    tables = opened(
        ("ann", "1", "2011-01-18 10:00", 50.0),
        ("bob", "C2", "2011-01-18 11:00", -50.0),  # another customer's
        ("cid", "3", "2011-01-18 10:00", 50.0),
        ("cid", "C4", "2011-01-18 11:00", -20.0),  # a part
        ("dan", "C5", "2011-01-18 09:00", -50.0),  # before the purchase
        ("dan", "6", "2011-01-18 10:00", 50.0),
        ("eve", "7", "2011-01-18 10:00", 50.0),
        ("eve", "8", "2011-01-18 11:00", -50.0),  # a refund, no cancelled invoice
        ("fay", "CHAIR", "2011-01-18 11:00", -50.0),
    )
    assert len(left(tables)) == 9


def test_lines_of_a_cancelled_invoice_go_with_it():
    tables = opened(
        ("ann", "1", "2011-01-18 10:00", 30.0, "mug", 3),
        ("ann", "1", "2011-01-18 10:00", 20.0, "cup", 1),
        ("ann", "C2", "2011-01-18 11:00", -20.0, "cup", -1),
        ("ann", "C2", "2011-01-18 11:00", -30.0, "mug", -3),
        ("ann", "3", "2011-01-18 12:00", 9.0, "mug", 1),
        more=("product_id", "quantity"),
        grain="line",
    )
    assert left(tables) == ["3"]
    assert tables.count("order_lines") == 1
    assert tables.audits["orders"].dropped == {CANCELLED: 4}


orders_of_a_day = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 3), st.integers(1, 3), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(orders_of_a_day)
def test_each_cancellation_takes_one_order_and_the_days_keep_their_net_spend(drawn):
    rows = [
        (
            who,
            f"C{n:03d}" if back else f"{n:03d}",
            f"2024-03-0{day}",
            -5.0 * size if back else 5.0 * size,
        )
        for n, (who, day, size, back) in enumerate(drawn)
    ]
    tables = opened(*rows)
    mine = Counter((who, day, size) for who, day, size, back in drawn if not back)
    theirs = Counter((who, day, size) for who, day, size, back in drawn if back)
    assert tables.count("orders") == len(drawn) - 2 * (mine & theirs).total()
    kept = tables.engine.rows("SELECT coalesce(sum(amount), 0) AS total FROM orders")
    assert kept == [{"total": sum(row[3] for row in rows)}]


def test_no_cutoff_has_seen_the_order_without_its_cancellation():
    bought = [("ann", "1", "2024-02-01", 20.0), ("ann", "2", "2024-03-01", 30.0)]
    cancelled = [("ann", "3", "2024-03-05 10:00", 99.0), ("ann", "C4", "2024-03-05 11:00", -99.0)]
    cutoffs = [date(2024, 3, day) for day in (5, 6, 20)]
    names = ["recency_days", "orders_count", "net_spend"]
    rows = [
        tables.engine.collect(
            build_features(tables, cutoffs, CLOCK, names=names).sort("cutoff")
        ).to_pylist()
        for tables in (opened(*bought), opened(*bought, *cancelled))
    ]
    assert rows[0] == rows[1]
