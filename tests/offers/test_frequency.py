"""Nobody is contacted more often than the cap allows, in any window of its days."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.offers.frequency import FrequencyCap, contacted_enough, contacts_made

contacts = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["coupon", "gift", "none", None]),
        st.integers(0, 9),
        st.sampled_from(["spring", "sale", None]),
    ),
    max_size=8,
)


def table(rows):
    names, offers, days, campaigns = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "customer_id": pa.array(names, pa.string()),
            "offer_id": pa.array(offers, pa.string()),
            "days_since": pa.array(days, pa.float64()),
            "campaign_id": pa.array(campaigns, pa.string()),
        }
    )


def counted(rows, plans):
    """The plain way: each plan, the latest first, takes a contact of its campaign not before it."""
    left, count = sorted(rows, key=lambda row: row[2]), len(rows)
    for _, _, day, campaign in sorted(plans, key=lambda row: row[2]):
        found = next(
            (one for one in left if one[3] == campaign is not None and one[2] <= day), None
        )
        if found is None:
            count += 1
        else:
            left.remove(found)
    return count


@given(contacts, contacts, st.integers(1, 3), st.integers(1, 9))
def test_contacts_and_plans_add_up_but_a_contact_of_a_plan_is_that_plan(shop, plans, most, days):
    def of(name, rows):
        return [row for row in rows if row[0] == name and row[1] != "none" and row[2] < days]

    expected = {name for name in "abc" if counted(of(name, shop), of(name, plans)) >= most}
    made = contacts_made(table(shop), table(plans))
    assert contacted_enough(FrequencyCap(most, days), made) == expected


def test_two_by_another_tool_and_two_by_plans_are_four():
    shop = table([("a", "x", 20, "other"), ("a", "y", 9, "other")])
    plans = table([("a", "coupon", 15, "spring"), ("a", "coupon", 4, "sale")])
    made = contacts_made(shop, plans)
    assert contacted_enough(FrequencyCap(4, 28), made) == {"a"}
    assert contacted_enough(FrequencyCap(5, 28), made) == set()


def test_plans_that_came_back_as_contacts_count_once():
    plans = table([("a", "coupon", 15, "spring"), ("a", "coupon", 4, "spring")])
    shop = table([("a", "coupon", 14, "spring"), ("a", "coupon", 3, "spring")])
    assert contacted_enough(FrequencyCap(3, 28), contacts_made(shop, plans)) == set()
    assert contacted_enough(FrequencyCap(2, 28), contacts_made(shop, plans)) == {"a"}


def test_a_plan_is_no_contact_that_came_before_it():
    plans, shop = table([("a", "coupon", 4, "spring")]), table([("a", "coupon", 9, "spring")])
    assert contacted_enough(FrequencyCap(2, 28), contacts_made(shop, plans)) == {"a"}


def test_plans_without_a_campaign_count_beside_all_contacts():
    plans = table([("a", "coupon", 4, None)]).drop_columns(["campaign_id"])
    made = contacts_made(table([("a", "coupon", 3, "spring")]), plans)
    assert contacted_enough(FrequencyCap(2, 28), made) == {"a"}


def test_sources_that_are_not_there_count_nothing():
    assert contacts_made(None, None) is None
    assert contacted_enough(FrequencyCap(1, 7), None) == set()
    assert contacted_enough(FrequencyCap(1, 7), contacts_made(table([]), None)) == set()


def test_a_cap_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="max_contacts and cap_days must be >= 1, got 0 and 7"):
        FrequencyCap(0, 7)
