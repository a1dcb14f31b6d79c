"""An audience is hashes alone, in an order that tells nothing."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.audiences import AUDIENCES, hashed_audience
from churn.campaigns.delivery.deliverable import Deliverable

people = st.lists(
    st.tuples(
        st.none() | st.emails(), st.none() | st.from_regex(r"\+1650555[0-9]{4}", fullmatch=True)
    ),
    max_size=12,
)


@given(people, st.sampled_from(sorted(AUDIENCES)))
def test_nothing_but_hashes_is_in_an_audience_and_everyone_is_counted(people, name):
    ids = [f"customer {number}" for number in range(len(people))]
    sent = Deliverable(pa.table({"customer_id": pa.array(ids, pa.string())}), {"objected": 3})
    addresses = pa.table(
        {
            "customer_id": pa.array(ids, pa.string()),
            "email": pa.array([email for email, _ in people], pa.string()),
            "phone": pa.array([phone for _, phone in people], pa.string()),
        }
    )
    made = hashed_audience(sent, addresses, AUDIENCES[name], phone_region=None)
    cells = [cell for row in made.table.to_pylist() for cell in row.values() if cell is not None]
    raw = {word for person in people for word in person if word} | set(ids)
    assert all(len(cell) == 64 and set(cell) <= set("0123456789abcdef") for cell in cells)
    assert not raw & set(cells)
    assert made.table.num_rows + sum(made.left_out.values()) == len(people) + 3
    assert made.table.num_rows == len({tuple(row.values()) for row in made.table.to_pylist()})


def test_the_columns_are_those_that_each_platform_asks_for():
    sent = Deliverable(pa.table({"customer_id": ["a"]}), {})
    known = pa.table({"customer_id": ["a"], "email": ["a@x.org"], "phone": ["+16505551212"]})
    found = {
        name: hashed_audience(sent, known, kind, phone_region=None).table.column_names
        for name, kind in AUDIENCES.items()
    }
    assert found == {
        "google-ads": ["Email", "Phone"],
        "google-data-manager": ["email_address", "phone_number"],
        "meta": ["email", "phone"],
    }


def test_a_customer_who_is_not_listed_is_counted_as_without_identifier():
    sent = Deliverable(pa.table({"customer_id": ["a", "b"]}), {})
    known = pa.table(
        {"customer_id": ["a"], "email": ["a@x.org"], "phone": pa.nulls(1, pa.string())}
    )
    made = hashed_audience(sent, known, AUDIENCES["meta"], phone_region=None)
    assert made.table.num_rows == 1
    assert made.left_out == {"no_identifier": 1}
