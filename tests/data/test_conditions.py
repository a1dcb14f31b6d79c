"""`where`: what it can say means what it says, and nothing else comes through."""

import sqlite3
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.data.conditions import MOST_SIGNS, names_in, parse_condition
from churn.data.tables import Tables
from churn.errors import ConfigError, DataError

ROWS = [
    {"who": "a", "status": "completed", "total": 10.0, "test": "no", "day": "2024-01-10"},
    {"who": "b", "status": " Completed ", "total": 0.0, "test": "yes", "day": "2024-02-10"},
    {"who": "c", "status": "cancelled", "total": 5.0, "test": "0", "day": "2024-03-10"},
    {"who": "d", "status": None, "total": 7.0, "test": "false", "day": "2024-04-10"},
    {"who": "e", "status": "on-hold", "total": 3.0, "test": "", "day": "2024-05-10"},
]
COLUMNS = {"customer_id": "who", "ordered_at": "day", "amount": "total"}


def opened(where: str, **more: object) -> Tables:
    clock = datetime(2024, 6, 1, tzinfo=UTC)
    frame = pa.Table.from_pylist(ROWS)
    return Tables.from_frames(frame, columns=COLUMNS, where={"orders": where}, clock=clock, **more)


def kept(where: str) -> str:
    rows = opened(where).engine.rows("SELECT customer_id FROM orders ORDER BY 1")
    return "".join(str(row["customer_id"]) for row in rows)


@pytest.mark.parametrize(
    ("where", "customers"),
    [
        ("status in ('completed', 'paid')", "ab"),
        ("STATUS = 'COMPLETED'", "ab"),
        ("status <> 'cancelled'", "abe"),
        ("status != 'cancelled' or status is null", "abde"),
        ("not status in ('cancelled', 'on-hold')", "ab"),
        ("status not in ('cancelled') and total > 0", "ae"),
        ("status like '%ed'", "abc"),
        ("status not like 'c%'", "e"),
        ("status is null", "d"),
        ("status is not null", "abce"),
        ("total between 3 and 7", "cde"),
        ("total in (10, 7)", "ad"),
        ("5 <= total", "acd"),
        ("not test", "acd"),
        ("test = true or total = 3", "be"),
        ("day >= '2024-03-10'", "cde"),
        ("day < date '2024-03-10'", "ab"),
        ("(status = 'completed' or status = 'cancelled') and not (total = 0)", "ac"),
        ("\"status\" = 'completed' and \"total\" <> total or who = 'e'", "e"),
    ],
)
def test_a_condition_keeps_the_rows_that_meet_it(where, customers):
    assert kept(where) == customers


@pytest.mark.parametrize(
    "where",
    [
        "",
        "1 = 1",
        "lower(status) = 'x'",
        "status = (select 1)",
        "status = 'x'; drop table orders",
        "status = 'x' -- comment",
        "status = 'x' /* comment */",
        "status = 'x",
        'status = "x',
        "status = $$x$$",
        "status = e'x\\n'",
        "total + 1 > 0",
        "total::text = '1'",
        "exists (select 1)",
        "status in ()",
        "status in (total)",
        "status in (select 1)",
        "status = null",
        "case when total > 0 then true end",
        "status like total",
        "status is 3",
        "status not",
        "total > 1e400",
        "status = 'a\0b'",
        "date 'yesterday' < day",
        "(" * 60 + "total > 0" + ")" * 60,
        "total > " + "9" * 400,
        " or ".join(["total > 0"] * 501),
        "status = '" + "x" * MOST_SIGNS + "'",
    ],
)
def test_whatever_else_is_refused_with_the_rule(where):
    with pytest.raises(ConfigError, match=r"\[data\.orders\] where must be a condition over"):
        parse_condition(where, table="orders")


def test_quotes_in_names_and_texts_stay_names_and_texts():
    frame = pa.Table.from_pylist([{**ROWS[0], 'a"b; drop table orders': "it's"}])
    where = "\"a\"\"b; drop table orders\" = 'IT''S'"
    clock = datetime(2024, 6, 1, tzinfo=UTC)
    tables = Tables.from_frames(frame, columns=COLUMNS, where={"orders": where}, clock=clock)
    assert tables.audits["orders"].rows_kept == 1


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"where names only columns of its source, got state\."):
        opened("state = 'paid'")


def test_rows_left_out_are_counted_by_their_value_and_the_undecided_by_themselves():
    audit = opened("status in ('completed')").audits["orders"]
    assert audit.dropped == {
        "left out by where: cancelled": 1,
        "left out by where: on-hold": 1,
        "left out by where, which needs a value that is empty": 1,
    }
    assert "1 rows are left out because where uses a value that is empty" in audit.warnings[0]


def test_of_columns_that_may_hold_a_person_no_value_is_shown():
    audit = opened("who not like 'a%'").audits["orders"]
    assert audit.dropped == {"left out by where": 1}


def test_a_condition_that_leaves_no_order_says_what_the_values_are():
    with pytest.raises(DataError, match=r"must keep at least one row, got .*1 cancelled.* of 5"):
        opened("status = 'payed'")


def test_rows_left_out_do_not_count_as_unusable():
    assert opened("status in ('completed')", bad_row_limit=0.0).audits["orders"].rows_kept == 2


def test_a_refusal_for_which_the_condition_is_unknown_still_refuses():
    said = {"channel": "email", "purpose": "marketing", "changed_at": "2024-01-01"}
    consents = [
        {"customer_id": "a", "granted": "no", "source": None, **said},
        {"customer_id": "b", "granted": "yes", "source": None, **said},
        {"customer_id": "c", "granted": "yes", "source": "web", **said},
    ]
    tables = Tables.from_frames(
        pa.Table.from_pylist(ROWS),
        columns=COLUMNS,
        consents=pa.Table.from_pylist(consents),
        where={"consents": "source = 'web'"},
        clock=datetime(2024, 6, 1, tzinfo=UTC),
    )
    rows = tables.engine.rows("SELECT customer_id, granted FROM consents ORDER BY 1")
    assert rows == [
        {"customer_id": "a", "granted": False},
        {"customer_id": "c", "granted": True},
    ]


texts = st.sampled_from(["paid", "Paid ", "open", "", None])
numbers = st.one_of(st.none(), st.integers(-3, 3))
simple = st.sampled_from(
    [
        "status = 'paid'",
        "status in ('paid', 'open')",
        "status is null",
        "status like 'p%'",
        "n > 0",
        "n between -1 and 1",
        "n is not null",
        "n <> 2",
    ]
)
conditions = st.recursive(
    simple,
    lambda inner: st.one_of(
        inner.map(lambda one: f"not ({one})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda three: f"({three[0]}) {three[1]} ({three[2]})"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=30)
@given(condition=conditions, rows=st.lists(st.tuples(texts, numbers), min_size=1, max_size=8))
def test_conditions_mean_what_sql_means_by_them(condition, rows):
    """The oracle is SQLite, on texts that were trimmed, lowered and emptied beforehand."""
    plain = [((t or "").strip().lower() or None, n) for t, n in rows]
    with sqlite3.connect(":memory:") as oracle:
        oracle.execute("CREATE TABLE t (i, status, n)")
        oracle.executemany("INSERT INTO t VALUES (?, ?, ?)", [(i, *r) for i, r in enumerate(plain)])
        met = {i for (i,) in oracle.execute(f"SELECT i FROM t WHERE {condition}")}
    oracle.close()
    listed = [
        {"customer_id": f"c{i}", "ordered_at": "2024-01-01", "amount": 1.0, "status": t, "n": n}
        for i, (t, n) in enumerate(rows)
    ]
    schema = pa.schema(
        [
            ("customer_id", "string"),
            ("ordered_at", "string"),
            ("amount", "float64"),
            ("status", "string"),
            ("n", "float64"),
        ]
    )
    frame = pa.Table.from_pylist(listed, schema=schema)
    try:
        tables = Tables.from_frames(frame, where={"orders": condition})
    except DataError:
        assert not met
        return
    ids = tables.engine.rows("SELECT customer_id AS c FROM orders")
    tables.close()
    assert {str(row["c"]) for row in ids} == {f"c{i}" for i in met}


def test_the_columns_that_a_condition_names_are_listed_once():
    condition = parse_condition("a = 'x' and (b < c or not a)", table="orders")
    assert names_in(condition) == ["a", "b", "c"]
