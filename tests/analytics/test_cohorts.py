"""Cohorts and survival: exact values of real shops, and numbers by hand."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from churn.analytics.cohorts import cohort_customers, cohorts
from churn.data.tables import Tables
from churn.errors import ConfigError

SHARED = Path(__file__).parents[2].parent / "shared/data"
RETAIL = SHARED / "online_retail_ii/online_retail_ii.parquet"
CDNOW = SHARED / "cdnow_sample/cdnow_sample.parquet"
START = datetime(2024, 1, 1, 12, tzinfo=UTC)

INVOICES = (
    "SELECT CAST(CustomerID AS VARCHAR) AS customer_id, min(InvoiceDate) AS ordered_at, {amount} "
    "AS amount FROM '{file}' WHERE CustomerID IS NOT NULL AND {rule} GROUP BY 1, InvoiceNo"
)
END = "UNION ALL SELECT 'nobody', TIMESTAMP '2011-12-31', 0.0"
"""No purchase; the data reaches the end of the month, so that it closes."""


@pytest.fixture(scope="module")
def invoices():
    """The invoices of Online Retail II by a rule; ours counts those with an amount above zero."""
    if not RETAIL.exists():
        pytest.skip("needs ../shared/data/online_retail_ii")

    def read(rule: str, amount: str = "sum(Quantity * UnitPrice)") -> Tables:
        sql = INVOICES.format(amount=amount, rule=rule, file=RETAIL)
        return Tables.from_frames(duckdb.sql(f"{sql} {END}").to_arrow_table(), currency="GBP")

    return read


def customers_of(tables, cohort):
    found = cohorts(tables, active_days=90, as_of="2012-01-01", period="month").table().to_pylist()
    return [row["customers"] for row in found if row["cohort"] == cohort][:13]


def test_the_cohort_of_december_2010_by_every_row_and_by_ours(invoices):
    newer = "InvoiceDate >= TIMESTAMP '2010-12-01'"
    assert customers_of(invoices(newer, "1.0"), "2010-12") == [
        *(948, 362, 317, 367, 341, 376, 360, 336, 336, 374, 354, 474, 260)
    ]
    assert customers_of(invoices(f"{newer} AND Quantity > 0 AND UnitPrice > 0"), "2010-12") == [
        *(885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235)
    ]


def test_the_first_cohort_of_online_retail(invoices):
    assert customers_of(invoices("true"), "2009-12") == [
        *(955, 337, 319, 406, 363, 343, 360, 327, 321, 346, 403, 473, 359)
    ]


@pytest.fixture(scope="module")
def cdnow():
    """The sample of CDNOW where amounts meet a condition."""
    if not CDNOW.exists():
        pytest.skip("needs ../shared/data/cdnow_sample")

    def read(condition: str, value: str) -> Tables:
        rows = f"SELECT customer_id c, date d, amount AS spent FROM '{CDNOW}'"
        last = "UNION ALL SELECT 'nobody', DATE '1998-06-30', 0.0"
        orders = (
            f"SELECT CAST(c AS VARCHAR) AS customer_id, d AS ordered_at, {value} AS amount "
            f"FROM ({rows}) WHERE {condition} {last}"
        )
        return Tables.from_frames(duckdb.sql(orders).to_arrow_table())

    return read


def test_the_time_to_the_second_purchase_of_cdnow(cdnow):
    found = cohorts(cdnow("spent > 0", "spent"), active_days=90, as_of="1998-07-01")
    curve = found.table("second_purchase").to_pylist()
    assert curve[0]["at_risk"] == 2349
    assert sum(row["events"] for row in curve) == 1139
    expected = {30: (0.8255, 0.0078), 90: (0.7075, 0.0094), 180: (0.6224, 0.0100)}
    for days, values in (expected | {365: (0.5428, 0.0103)}).items():
        row = [row for row in curve if row["days"] <= days][-1]
        assert (round(row["survival"], 4), round(row["survival_std_error"], 4)) == values


def test_the_repeat_purchase_days_of_cdnow(cdnow):
    tables = cdnow("d <= DATE '1997-09-30'", "spent + 0.01")  # those of amount zero count, too
    found = cohorts(tables, active_days=90).table("frequency")
    assert found["customers"].to_pylist() == [1411, 439, 214, 100, 62, 38, 29, 64]


def order(name, day, amount=10.0):
    return {"customer_id": name, "ordered_at": START + timedelta(days=day), "amount": amount}


@pytest.fixture(scope="module")
def shop(open_shop):
    """Ann buys on days 0, 12 and 31, bob on day 3 and returns, cyd on day 25; until day 45."""
    rows = [order("ann", day) for day in (0, 12, 31)]
    rows += [order("bob", 3, 40.0), order("bob", 15, -10.0), order("cyd", 25), order("d", 44, 0.0)]
    return open_shop(rows)


def test_a_triangle_by_hand(shop):
    found = cohorts(shop, active_days=15, as_of="2024-02-11", period="month", margin_rate=0.5)
    rows = {(row["cohort"], row["age"]): row for row in found.table().to_pylist()}
    january = rows["2024-01", 0]
    assert (january["cohort_size"], january["customers"], january["net_revenue"]) == (3, 3, 60.0)
    assert january["cumulative_margin_per_customer"] == 10.0
    assert january["closes_on"] is None
    february = rows["2024-01", 1]
    assert february["is_open"]
    assert february["closes_on"] == date(2024, 3, 1)
    assert february["customers"] is None
    assert february["cumulative_margin"] is None
    assert len(rows) == 2


def test_curves_by_hand(shop):
    found = cohorts(shop, active_days=15, as_of="2024-02-11")
    second = found.table("second_purchase").to_pylist()
    assert [(row["days"], row["at_risk"], row["events"]) for row in second] == [
        *((12, 3, 1), (16, 2, 0), (38, 1, 0))
    ]
    lapse = found.table("lapse").to_pylist()  # bob on day 18, cyd on day 40, ann on day 27
    assert [(row["days"], row["events"]) for row in lapse] == [(15, 2), (27, 1)]
    assert found.table("frequency")["customers"].to_pylist() == [2, 0, 1, 0, 0, 0, 0, 0]


def test_periods_of_days_hold_every_customer(shop):
    found = cohorts(shop, active_days=15, as_of="2024-02-11", period="28").table().to_pylist()
    assert sum(row["customers"] for row in found if row["age"] == 0) == 3


def test_the_customers_of_a_cell_are_those_that_were_counted(shop):
    options = {"active_days": 15, "as_of": "2024-02-11", "period": "10"}
    rows = cohorts(shop, **options).table().to_pylist()
    for row in rows:
        cell = f"customers,cohort={row['cohort']},age={row['age']}"
        assert cohort_customers(shop, cell, **options).num_rows == row["customers"]
    with pytest.raises(ConfigError, match=r"a cohort must be one of 2024-01"):
        cohort_customers(shop, "customers,cohort=2031", active_days=15, period="month")
    with pytest.raises(ConfigError, match=r"age of this cohort must be 0 to 1"):
        cohort_customers(shop, "customers,cohort=2024-01,age=9", active_days=15, period="month")


def test_open_cells_are_blank_on_the_terminal_and_say_when_they_close(shop):
    found = cohorts(shop, active_days=15, as_of="2024-02-11", period="month")
    (line,) = found.displays[0].rows
    assert line == ("2024-01*", "3", "100", "", "2024-03-01")
