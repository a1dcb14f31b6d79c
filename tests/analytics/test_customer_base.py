"""The balance of customers, periods, and the cells that become lists."""

from datetime import UTC, date, datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.analytics.balance import STATES, Activity
from churn.analytics.cells import Cell, listed
from churn.analytics.customer_base import OBJECTED, CustomerBase, added_up
from churn.analytics.periods import bounds_of, periods_of
from churn.errors import ConfigError

START = date(2024, 1, 1)
STATE_ROWS = pa.schema([("customer_id", pa.string()), ("state", pa.int64())])


def orders(days_by_customer):
    return [
        {
            "customer_id": name,
            "ordered_at": datetime(2024, 1, 1, 12, tzinfo=UTC) + timedelta(days=day),
            "amount": amount,
        }
        for name, days in days_by_customer.items()
        for day, amount in days
    ]


def states(bounds, active_days, pasts):
    for past in pasts:
        balance = Activity(past, bounds, active_days).balance(0, 1)
        ids, codes = past.block.customer_ids, pa.array(balance.states)
        yield pa.record_batch([ids, codes], schema=STATE_ROWS)


def by_hand(days, start, end, active_days):
    bought = [day for day, amount in days if amount > 0]
    at_start = any(start - active_days <= day < start for day in bought)
    at_end = any(end - active_days <= day < end for day in bought)
    if at_start:
        return "kept" if at_end else "lost"
    if at_end:
        return "won_back" if any(day < start for day in bought) else "new"
    return "inactive"


HISTORIES = st.dictionaries(
    st.sampled_from(["ann", "bob", "cyd", "dan", "eve"]),
    st.lists(st.tuples(st.integers(0, 120), st.sampled_from([9.0, 5.0, 0.0, -4.0])), min_size=1),
    min_size=1,
)


@settings(max_examples=20)
@given(HISTORIES, st.integers(1, 60), st.integers(5, 90), st.integers(1, 30))
def test_every_customer_has_the_state_that_counting_by_hand_gives(
    open_shop, histories, active_days, start, length
):
    tables = open_shop(orders(histories))
    base = CustomerBase.of(tables, as_of=tables.limit(), active_days=active_days)
    first = (START - date(1970, 1, 1)).days
    bounds = [first + start, first + start + length]
    found = base.sweep(partial(states, bounds, active_days), STATE_ROWS)
    limit = (tables.limit() - START).days
    expected = {
        name: by_hand([d for d in days if d[0] < limit], start, start + length, active_days)
        for name, days in histories.items()
    }
    ids = found["customer_id"].to_pylist()
    assert dict(zip(ids, [STATES[code] for code in found["state"].to_pylist()], strict=True)) == (
        expected
    )


def test_a_balance_holds_for_the_base(open_shop):
    rng = np.random.default_rng(3)
    histories = {f"c{n}": [(int(d), 5.0) for d in rng.integers(0, 120, 4)] for n in range(200)}
    tables = open_shop(orders(histories))

    def sums(pasts):
        for past in pasts:
            b = Activity(past, [19_750, 19_780], 30).balance(0, 1)
            counts = [x.sum() for x in (b.start, b.end, b.kept, b.lost, b.new, b.won_back)]
            yield pa.record_batch([pa.array([int(c)]) for c in counts], names=list("SEklnw"))

    schema = pa.schema([(name, pa.int64()) for name in "SEklnw"])
    base = CustomerBase.of(tables, active_days=30)
    one = base.sweep(sums, schema).append_column("all", pa.array(["x"]))
    (row,) = added_up(one, ["all"]).to_pylist()
    assert row["S"] == row["k"] + row["l"] > 0
    assert row["E"] == row["k"] + row["n"] + row["w"] > 0


def test_objectors_are_left_out_and_counted(open_shop, as_table):
    consents = pa.table(
        {
            "customer_id": ["bob"],
            "channel": [""],
            "purpose": ["profiling"],
            "granted": [False],
            "changed_at": [datetime(2024, 2, 1, tzinfo=UTC)],
        }
    )
    histories = {"ann": [(1, 5.0)], "bob": [(2, 5.0)]}
    tables = open_shop(orders(histories), consents=consents)
    base = CustomerBase.of(tables, as_of=tables.limit(), active_days=30)
    found = base.sweep(partial(states, [19_723, 19_730], 30), STATE_ROWS)
    assert found["customer_id"].to_pylist() == ["ann"]
    assert base.left_out == {OBJECTED: 1}


def test_periods_of_days_end_at_as_of_and_refer_to_the_same_weeks_of_last_year():
    found = periods_of("28", first=date(2022, 1, 10), as_of=date(2024, 1, 1), active_days=60)
    assert found[-1].end == date(2024, 1, 1)
    assert found[0].start >= date(2022, 1, 10)
    assert not any(one.is_partial for one in found)
    assert [one.is_truncated for one in found[:3]] == [True, True, False]
    assert found[-1].last_year == "2022-12-05"
    assert found[2].before == ""
    assert bounds_of(found)[-1] - bounds_of(found)[-2] == 28


def test_a_calendar_period_that_the_data_cuts_off_is_partial_and_compared_with_nothing():
    found = periods_of("month", first=date(2022, 1, 10), as_of=date(2023, 3, 15), active_days=30)
    by_label = {one.label: one for one in found}
    assert [one.label for one in found if one.is_partial] == ["2022-01", "2023-03"]
    assert by_label["2022-02"].is_truncated
    assert by_label["2023-03"].last_year == ""
    assert by_label["2023-03"].before == ""
    assert by_label["2023-02"].last_year == ""
    assert by_label["2023-02"].before == "2023-01"


def test_the_length_of_a_period_is_checked():
    with pytest.raises(ConfigError, match=r"month, quarter, year or a number of days.*e\.g\. 28"):
        periods_of("fortnight", first=START, as_of=date(2024, 6, 1), active_days=30)


def test_a_cell_is_read_and_written():
    cell = Cell.parse('kept,period=2011-11,"region=Bonn, Rhein"')
    assert cell == Cell("kept", {"period": "2011-11", "region": "Bonn, Rhein"})
    with pytest.raises(ConfigError, match=r"keys of a cell are period"):
        cell.check(names=["kept"], keys=["period"])
    with pytest.raises(ConfigError, match=r"NAME,KEY=VALUE"):
        Cell.parse("period=2011-11")
    rows = listed(cell, pa.table({"customer_id": ["b", "a"]}))
    assert rows["customer_id"].to_pylist() == ["a", "b"]
