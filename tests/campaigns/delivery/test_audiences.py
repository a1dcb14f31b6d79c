"""An audience contains only hashes, in an order that reveals nothing."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from churn.campaigns.delivery.audiences import AUDIENCES, hashed_audience
from churn.campaigns.delivery.deliverable import Deliverable

customers = st.lists(
    st.tuples(
        st.none() | st.emails(), st.none() | st.from_regex(r"\+1650555[0-9]{4}", fullmatch=True)
    ),
    max_size=12,
)


@given(customers, st.sampled_from(sorted(AUDIENCES)))
def test_an_audience_has_only_hashes_and_everyone_is_counted(customers, name):
    ids = [f"customer {number}" for number in range(len(customers))]
    sent = Deliverable(pa.table({"customer_id": pa.array(ids, pa.string())}), {"objected": 3})
    addresses = pa.table(
        {
            "customer_id": pa.array(ids, pa.string()),
            "email": pa.array([email for email, _ in customers], pa.string()),
            "phone": pa.array([phone for _, phone in customers], pa.string()),
        }
    )
    hashed = hashed_audience(sent, addresses, AUDIENCES[name], phone_region=None)
    rows = hashed.table.to_pylist()
    cells = [cell for row in rows for cell in row.values() if cell is not None]
    raw = {value for customer in customers for value in customer if value} | set(ids)
    assert all(len(cell) == 64 and set(cell) <= set("0123456789abcdef") for cell in cells)
    assert not raw & set(cells)
    assert len(rows) + sum(hashed.left_out.values()) == len(customers) + 3
    assert len(rows) == len({tuple(row.values()) for row in rows})


def test_the_columns_are_those_of_each_platform():
    sent = Deliverable(pa.table({"customer_id": ["a"]}), {})
    addresses = pa.table({"customer_id": ["a"], "email": ["a@x.org"], "phone": ["+16505551212"]})
    columns = {
        name: hashed_audience(sent, addresses, kind, phone_region=None).table.column_names
        for name, kind in AUDIENCES.items()
    }
    assert columns == {
        "google-ads": ["Email", "Phone"],
        "google-data-manager": ["email_address", "phone_number"],
        "meta": ["email", "phone"],
    }


def test_a_customer_without_addresses_is_counted_as_without_identifier():
    sent = Deliverable(pa.table({"customer_id": ["a", "b"]}), {})
    addresses = pa.table(
        {"customer_id": ["a"], "email": ["a@x.org"], "phone": pa.nulls(1, pa.string())}
    )
    hashed = hashed_audience(sent, addresses, AUDIENCES["meta"], phone_region=None)
    assert hashed.table.num_rows == 1
    assert hashed.left_out == {"no_identifier": 1}
