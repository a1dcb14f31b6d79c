"""What a plan knows of customers besides their scores: birthdays, groups, service that is owed."""

from datetime import date

import pandas as pd
import pytest

from churn.data.people import owed_service, people
from churn.data.tables import Tables
from churn.errors import ConfigError

AS_OF = "2024-06-01"
ORDERS = pd.DataFrame(
    {
        "customer_id": ["ann", "bob", "closed", "open", "reopened", "forgotten"],
        "ordered_at": pd.to_datetime(["2024-01-01", "2024-07-01", *["2024-01-01"] * 4]),
        "amount": 1.0,
    }
)
EVENTS = [
    ("closed", "2024-05-20", "ticket_opened", "t1"),
    ("closed", "2024-05-21", "ticket_closed", "t1"),
    ("open", "2024-05-20", "ticket_opened", "t2"),
    ("reopened", "2024-04-01", "ticket_opened", "t3"),
    ("reopened", "2024-04-02", "ticket_closed", "t3"),
    ("reopened", "2024-05-20", "ticket_opened", "t3"),
    ("forgotten", "2023-12-01", "ticket_opened", "t4"),
    ("closed later", "2024-05-30", "ticket_opened", "t5"),
    ("closed later", "2024-06-02", "ticket_closed", "t5"),
    ("complained", "2024-05-25", "complaint", None),
    ("long ago", "2024-05-01", "complaint", None),
    ("future", "2024-06-01", "complaint", None),
]


def snapshot(engine="duckdb", **others):
    return Tables.from_frames(ORDERS, engine=engine, **others).as_of(AS_OF)


def events():
    frame = pd.DataFrame(EVENTS, columns=["customer_id", "occurred_at", "event_type", "ref"])
    return frame.assign(occurred_at=pd.to_datetime(frame["occurred_at"]))


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_service_is_owed_for_fresh_complaints_and_tickets_that_are_open(engine):
    found = owed_service(snapshot(engine, events=events()))
    assert found == {"open", "reopened", "closed later", "complained"}


def test_without_events_nothing_is_owed():
    assert owed_service(snapshot()) == set()
    assert people(snapshot()) is None


def test_birthdays_and_groups_come_from_the_customer_list():
    customers = pd.DataFrame(
        {
            "customer_id": ["ann", "open"],
            "birth_date": pd.to_datetime(["1980-02-29", None]),
            "region": ["north", None],
        }
    )
    table = people(snapshot(customers=customers, events=events()), group_by="region")
    rows = {row.pop("customer_id"): row for row in table.to_pylist()}
    assert rows["ann"] == {"owed_service": False, "group": "north", "birth_date": date(1980, 2, 29)}
    assert rows["open"] == {"owed_service": True, "group": None, "birth_date": None}
    assert rows["complained"]["owed_service"]


@pytest.mark.parametrize("day", ["1980-02-29", "2001-01-01", "1935-07-15"])
@pytest.mark.parametrize(
    "zone", ["America/New_York", "Asia/Tokyo", "UTC", "Pacific/Auckland", "Pacific/Kiritimati"]
)
def test_a_birthday_keeps_its_date_whatever_the_zone(zone, day):
    customers = pd.DataFrame({"customer_id": ["ann"], "birth_date": pd.to_datetime([day])})
    tables = Tables.from_frames(ORDERS, timezone=zone, customers=customers)
    found = people(tables.as_of(AS_OF))
    assert found["birth_date"].to_pylist() == [date.fromisoformat(day)]


@pytest.mark.parametrize(
    ("by", "message"),
    [("age", r"must be 'segment', 'status' or one of"), ("region", r"needs that column")],
)
def test_a_group_that_cannot_be_looked_up_is_refused(by, message):
    customers = pd.DataFrame({"customer_id": ["ann"]})
    with pytest.raises(ConfigError, match=message):
        people(snapshot(customers=customers), group_by=by)
