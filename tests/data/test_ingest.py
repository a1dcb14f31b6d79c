"""Tables come in by their contract: what lacks is listed, what is unusable is counted."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest

from churn.data.audit import TableAudit
from churn.data.contracts import TABLES
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
BEFORE = datetime(2024, 5, 1, tzinfo=UTC)


def order(**changes: object) -> dict:
    return {"customer_id": "anna", "ordered_at": BEFORE, "amount": 1.0} | changes


def test_all_missing_columns_are_listed_beside_those_that_are_there(as_table):
    frame = as_table([{"customer_id": "a", "date": "2024-01-01", "total": "1"}])
    listed = (
        r"lacks column\(s\) \['amount', 'ordered_at'\]; it has \['customer_id', 'date', 'total'\]"
    )
    with pytest.raises(DataError, match=listed + r".*Map it in \[data\.orders\.columns\]"):
        Tables.from_frames(frame)


def test_a_renamed_column_is_found_by_the_mapping(as_table):
    frame = as_table([{"who": "a", "date": "2024-01-01", "total": "1"}])
    columns = {"customer_id": "who", "ordered_at": "date", "amount": "total"}
    tables = Tables.from_frames(frame, columns=columns)
    (row,) = tables.engine.rows("SELECT customer_id, amount FROM orders")
    assert row == {"customer_id": "a", "amount": 1.0}
    with pytest.raises(DataError, match=r"lacks column\(s\) \['amount', 'ordered_at'\]"):
        Tables.from_frames(frame.rename_columns(["who", "day", "sum"]), columns=columns)


def test_a_mapped_optional_column_that_is_missing_is_missed(as_table):
    with pytest.raises(DataError, match=r"lacks column\(s\) \['discount'\]"):
        Tables.from_frames(as_table([order()]), columns={"discount": "rebate"})


def test_names_may_be_swapped(as_table):
    frame = as_table([order(customer_id="o1", order_id="anna")])
    swapped = {"customer_id": "order_id", "order_id": "customer_id"}
    (row,) = Tables.from_frames(frame, columns=swapped).engine.rows("SELECT * FROM orders")
    assert (row["customer_id"], row["order_id"]) == ("anna", "o1")


def test_a_name_of_a_column_is_quoted(as_table):
    hostile = 't"; DROP TABLE orders; --'
    frame = as_table([order(), order(customer_id="ben")])
    frame = frame.rename_columns([hostile, "ordered_at", "amount"])
    tables = Tables.from_frames(frame, columns={"customer_id": hostile})
    assert tables.audits["orders"].rows_kept == 2


def test_a_mapping_to_a_column_that_the_contract_does_not_know_is_refused(as_table):
    with pytest.raises(DataError, match=r"maps only columns of the contract.*\['custmer_id'\]"):
        Tables.from_frames(as_table([order()]), columns={"custmer_id": "customer_id"})


def test_extra_columns_are_ignored_and_noted_once(open_shop):
    tables = open_shop([order(note="x", colour="y")] * 3)
    assert tables.audits["orders"].notes == ("ignored columns: note, colour",)
    assert not {"note", "colour"} & set(tables.columns("orders"))


def test_a_share_of_unusable_rows_above_the_limit_stops_with_the_counts(open_shop):
    rows = [order()] * 97 + [order(amount=float("nan"))] * 2 + [order(ordered_at=None)]
    counts = r"3 of 100 \(2 with a non-finite amount, 1 without a readable ordered_at\)"
    with pytest.raises(DataError, match=rf"at most 1\.0%.*{counts}.*bad_row_limit"):
        open_shop(rows)
    audit = open_shop(rows, bad_row_limit=0.03).audits["orders"]
    assert (audit.rows_read, audit.rows_kept) == (100, 97)
    assert audit.dropped == {"with a non-finite amount": 2, "without a readable ordered_at": 1}


def test_rows_without_a_customer_are_dropped_and_counted_but_are_no_fault(open_shop):
    tables = open_shop([order(), *[order(customer_id=None)] * 9, order(customer_id="")])
    assert tables.audits["orders"].dropped == {"without a customer_id": 10}
    assert tables.audits["orders"].rows_kept == 1


def test_rows_later_than_the_clock_are_excluded_and_counted(open_shop):
    tick = timedelta(microseconds=1)
    rows = [order(ordered_at=at) for at in (CLOCK - tick, CLOCK, CLOCK + tick)]
    tables = open_shop(rows, clock=CLOCK, bad_row_limit=0.5)
    assert tables.audits["orders"].dropped == {"with ordered_at later than the clock": 1}
    with pytest.raises(DataError, match="1 with ordered_at later than the clock"):
        open_shop(rows, clock=CLOCK)


def test_the_clock_may_be_of_any_zone(open_shop):
    there = datetime.fromisoformat("2024-05-01T02:00+02:00")
    tables = open_shop([order(ordered_at=BEFORE)], clock=there)
    assert tables.audits["orders"].rows_kept == 1


@pytest.mark.parametrize("column", ["order_id", "loaded_at"])
def test_a_row_without_its_order_or_its_arrival_is_counted_where_others_have_one(open_shop, column):
    """It would be lumped together with others, or never seen by any cutoff."""
    rows = [
        order(order_id="1", loaded_at=BEFORE),
        order(order_id="2", loaded_at=BEFORE) | {column: None},
    ]
    tables = open_shop(rows, bad_row_limit=0.5)
    ((reason, count),) = tables.audits["orders"].dropped.items()
    assert (reason.split()[-1], count) == (column, 1)


def test_an_order_at_three_in_the_morning_utc_was_the_day_before_in_new_york(open_shop):
    night = [order(ordered_at=datetime(2024, 1, 15, 3, tzinfo=UTC))]
    days = [
        open_shop(night, day_timezone=zone).span()[0].isoformat()
        for zone in ("UTC", "America/New_York")
    ]
    assert days == ["2024-01-15", "2024-01-14"]


@pytest.mark.parametrize("key", ["timezone", "day_timezone"])
def test_an_unknown_zone_is_refused_by_its_key(open_shop, key):
    with pytest.raises(ConfigError, match=rf"^{key} must be an IANA time zone"):
        open_shop([order()], **{key: "Mars/Olympus"})


def test_other_tables_come_in_by_their_own_contracts(open_shop, as_table):
    events = as_table([{"customer_id": "a", "occurred_at": "2024-01-01", "event_type": "visit"}])
    tables = open_shop([order()], events=events)
    assert tables.has("events")
    assert tables.columns("events") == ["customer_id", "day", "local_day", "event_type"]
    with pytest.raises(DataError, match=r"'contacts' is not connected.*\[data\.contacts\]"):
        tables.frame("contacts")
    with pytest.raises(DataError, match=r"'events' lacks column\(s\) \['event_type'\]"):
        open_shop([order()], events=events.drop_columns("event_type"))


def test_a_table_that_no_contract_knows_is_refused(open_shop, as_table):
    with pytest.raises(ConfigError, match="tables must be among"):
        open_shop([order()], wishes=as_table([order()]))


def test_every_contract_has_distinct_columns_and_may_say_when_rows_arrived():
    for name, contract in TABLES.items():
        names = [column.name for column in contract.columns]
        assert all(a != b for a, b in pairwise(sorted(names)))
        assert (contract.name, names[-1]) == (name, "loaded_at")
        assert contract.happened is None or contract.happened in contract.required


def test_an_audit_keeps_what_was_read_less_what_was_dropped():
    assert TableAudit("orders", 10, {"a": 2, "b": 3}).rows_kept == 5


def test_a_date_that_stands_for_no_date_is_counted_and_left_out():
    """Systems write year 1 where they know none; it is no purchase and overflows arithmetic."""
    orders = pd.DataFrame(
        {
            "customer_id": ["a", "b"],
            "ordered_at": ["0001-01-01", "2024-01-05"],
            "amount": [5.0, 6.0],
        }
    )
    tables = Tables.from_frames(orders, bad_row_limit=0.5, clock=datetime(2024, 6, 1, tzinfo=UTC))
    assert tables.audits["orders"].dropped == {"with ordered_at before 1900": 1}
    assert tables.span()[0] == date(2024, 1, 5)


def test_expiry_and_cancellation_have_a_date_of_the_day_time_zone_beside_their_instant(as_table):
    """At 03:00 UTC it is still the day before in New York."""
    at = datetime(2024, 5, 10, 3, tzinfo=UTC)
    moments = {name: at.isoformat() for name in ("started_at", "expires_at", "cancelled_at")}
    terms = as_table([{"customer_id": "anna", **moments}])
    tables = Tables.from_frames(
        as_table([order()]), clock=CLOCK, day_timezone="America/New_York", subscriptions=terms
    )
    (row,) = tables.engine.rows("SELECT * FROM subscriptions")
    days = {row[name] for name in ("local_day", "expires_local_day", "cancelled_local_day")}
    assert days == {(date(2024, 5, 9) - date(1970, 1, 1)).days}
    assert {row[name] for name in ("day", "expires_day", "cancelled_day")} == {19853.125}


def test_an_expiry_that_is_far_away_is_read_as_it_is(as_table):
    far = {"started_at": "2024-01-01T00:00:00+00:00", "expires_at": "9999-12-31T00:00:00+00:00"}
    terms = as_table([{"customer_id": "anna", **far}])
    tables = Tables.from_frames(as_table([order()]), clock=CLOCK, subscriptions=terms)
    (row,) = tables.engine.rows("SELECT expires_local_day AS day FROM subscriptions")
    assert row["day"] == (date(9999, 12, 31) - date(1970, 1, 1)).days
