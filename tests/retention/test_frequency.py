"""Nobody is contacted more often than the cap allows, in any window of its days."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.retention.frequency import FrequencyCap, contacted_enough

contacts = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from(["coupon", "gift", "none", None]), st.integers(0, 9)
    )
)


def table(rows):
    names, offers, days = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "customer_id": pa.array(names, pa.string()),
            "offer_id": pa.array(offers, pa.string()),
            "days_since": pa.array(days, pa.float64()),
        }
    )


@given(contacts, contacts, st.integers(1, 3), st.integers(1, 9))
def test_who_has_as_many_contacts_in_the_window_of_one_source_gets_no_more(shop, plans, most, days):
    def full(rows, name):
        return sum(n == name and o != "none" and d < days for n, o, d in rows) >= most

    expected = {name for name in "abc" if full(shop, name) or full(plans, name)}
    assert contacted_enough(FrequencyCap(most, days), table(shop), table(plans)) == expected


def test_a_source_that_is_not_there_counts_nothing():
    assert contacted_enough(FrequencyCap(1, 7), None, None) == set()


def test_a_cap_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="max_contacts and cap_days must be >= 1, got 0 and 7"):
        FrequencyCap(0, 7)
