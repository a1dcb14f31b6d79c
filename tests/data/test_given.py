"""A mapping may say a constant or a condition in the place of a column."""

import csv
from datetime import UTC, datetime

import pytest

from churn.data.settings import DataSettings, OrdersSource, TableSource
from churn.data.tables import Tables
from churn.errors import ChurnError

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
ROWS = [
    ("ann", "2024-01-05", 10, "no"),
    ("ann", "2024-03-05", 12, "yes"),
    ("bob", "2024-01-06", 20, " YES "),
    ("bob", "2024-04-06", 20, "no"),
    ("cid", "2024-02-01", 5, ""),
]
COLUMNS = {
    "changed_at": "ordered_at",
    "channel": "'email'",
    "purpose": "'marketing'",
    "granted": "\"Accepts Marketing\" == 'yes'",
}


@pytest.fixture
def opened(tmp_path):
    """The tables of a shop whose consents are read out of its orders."""
    with (tmp_path / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer_id", "ordered_at", "amount", "Accepts Marketing"])
        writer.writerows(ROWS)

    def opened(**columns):
        consents = TableSource(source="orders.csv", columns=COLUMNS | columns)
        orders = OrdersSource(source="orders.csv")
        settings = DataSettings(orders=orders, consents=consents, bad_row_limit=0.5)
        return Tables.from_settings(settings, folder=tmp_path, clock=CLOCK)

    return opened


def granted(tables):
    rows = tables.engine.rows("SELECT * FROM consents ORDER BY customer_id, day")
    return [(row["customer_id"], row["channel"], row["purpose"], row["granted"]) for row in rows]


@pytest.mark.parametrize(
    "condition",
    ["\"Accepts Marketing\" == 'yes'", "\"Accepts Marketing\" in ('yes', 'true')"],
)
def test_consents_are_read_out_of_a_column_of_the_orders(opened, condition):
    found = granted(opened(granted=condition))
    assert [(name, said) for name, *_, said in found if name != "cid"] == [
        ("ann", False),
        ("ann", True),
        ("bob", True),
        ("bob", False),
    ]
    assert {(channel, purpose) for _, channel, purpose, _ in found} == {("email", "marketing")}


def test_a_column_that_says_yes_and_no_needs_no_condition(opened):
    found = granted(opened(granted="Accepts Marketing"))
    assert [said for name, *_, said in found if name == "bob"] == [True, False]


def test_a_flag_may_be_a_constant(opened):
    assert {said for *_, said in granted(opened(granted="'yes'"))} == {True}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"granted": "Accepts = 'yes'"}, "lacks column"),
        ({"granted": '"Accepts Marketing" = '}, "must be a condition or a constant"),
        ({"granted": "Opt in"}, "lacks column"),
        ({"changed_at": "'2024-01-01'"}, "changed_at must be a column of the source"),
        ({"channel": "\"Accepts Marketing\" = 'yes'"}, "channel must be a column of the source"),
    ],
)
def test_what_cannot_stand_for_a_column_is_told(opened, columns, message):
    with pytest.raises(ChurnError, match=message):
        opened(**columns)
