"""The days after a cutoff on which a customer bought, as plain arithmetic says."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.modeling.audit import purchases_ahead

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
CUTOFFS = Cutoffs((date(2024, 3, 5), date(2024, 3, 9)), 5, date(2024, 3, 14))


@hypothesis_settings(max_examples=15)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 20), st.sampled_from([-5.0, 9.0]))))
def test_only_purchases_of_the_asked_from_the_cutoff_to_the_end_count(open_shop, bought):
    rows = [
        {"customer_id": who, "ordered_at": NOON + timedelta(days=day), "amount": amount}
        for who, day, amount in bought
    ]
    tables = open_shop(rows)
    found = tables.engine.collect(purchases_ahead(tables, CUTOFFS, ["a", "nobody"], days=7))
    expected = {
        (who, cutoff, (NOON.date() + timedelta(days=day) - cutoff).days)
        for who, day, amount in bought
        for cutoff in CUTOFFS
        if who == "a" and amount > 0 and NOON.date() + timedelta(days=day) < CUTOFFS.until
    }
    ahead = {(who, cutoff, days) for who, cutoff, days in expected if 0 <= days < 7}
    told = {
        (row["customer_id"], date(1970, 1, 1) + timedelta(days=row["cutoff"]), row["days_ahead"])
        for row in found.to_pylist()
    }
    assert told == ahead
    assert found.num_rows == len(ahead)
    tables.engine.close()


def test_of_several_versions_of_an_order_the_newest_counts(open_shop):
    at = datetime(2024, 3, 6, 12, tzinfo=UTC)
    rows = [
        {"customer_id": "a", "order_id": "1", "ordered_at": at, "amount": amount, "loaded_at": seen}
        for amount, seen in ((9.0, at), (-9.0, at + timedelta(days=1)))
    ]
    tables = open_shop(rows)
    found = tables.engine.collect(purchases_ahead(tables, CUTOFFS, ["a"], days=7))
    assert found.num_rows == 0
    tables.engine.close()
