"""Random purchases of few customers and products, some known late or replaced, for hypothesis."""

import pyarrow as pa
from hypothesis import strategies as st

from churn.recommendations.purchases import Purchases

PRODUCTS = ("a", "b", "c")
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cid"]),
        st.sampled_from([*PRODUCTS, "left out"]),
        st.integers(-400, 30),
        st.integers(0, 25),
        st.integers(0, 30),
    ),
    max_size=40,
)


def purchases_of(rows: list[tuple]) -> Purchases:
    """customer, product, day, days until it is known, days for which that version holds."""
    rows = sorted(rows)
    known = [float(day + late) for _, _, day, late, _ in rows]
    table = pa.table(
        {
            "customer_id": pa.array([row[0] for row in rows], pa.string()),
            "product": pa.array([row[1] for row in rows], pa.string()),
            "local_day": pa.array([row[2] for row in rows], pa.int64()),
            "known_from": pa.array(known, pa.float64()),
            "known_until": pa.array(
                [at + row[4] for at, row in zip(known, rows, strict=True)], pa.float64()
            ),
        }
    )
    return Purchases.of(table, pa.array(PRODUCTS))
