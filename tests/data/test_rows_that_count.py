"""What is no purchase: refunds are taken off, statuses that nobody looks at are told, guests are
nobody, and the erased stay erased under any rule of ids.
"""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from churn.data.tables import Tables
from churn.errors import DataError
from churn.storage.erasures import Erased, hashed

CLOCK = datetime(2024, 6, 1, tzinfo=UTC)
KEY = b"k" * 32


def order(customer: str = "a", **more: object) -> dict:
    return {"customer_id": customer, "ordered_at": "2024-01-01 10:00", "amount": 40.0, **more}


def opened(rows: list[dict], **more: object) -> Tables:
    return Tables.from_frames(pa.Table.from_pylist(rows), clock=CLOCK, **more)


def amounts(tables: Tables) -> list[float]:
    return [row["amount"] for row in tables.engine.rows("SELECT amount FROM orders ORDER BY 1")]


def test_a_refund_is_taken_off_and_an_empty_one_is_none():
    refunds = ["10.5", "", None, "-40", " ", "0"]
    tables = opened([order(refund=refund) for refund in refunds])
    assert amounts(tables) == [0.0, 29.5, 40.0, 40.0, 40.0, 40.0]
    audit = tables.audits["orders"]
    assert audit.notes == ("2 rows with a refund, 1 of them refunded in full",)
    assert not audit.dropped
    assert "refund" not in tables.columns("orders")


def test_a_refund_that_cannot_be_read_makes_the_row_unusable():
    with pytest.raises(DataError, match="1 without a readable refund"):
        opened([order(refund="ten"), order(refund="1")])


def test_a_refund_above_its_amount_is_told():
    audit = opened([order(refund=50.0), order(refund=1.0), order()]).audits["orders"]
    assert audit.warnings == ("1 refunds are larger than their amount, and count as returns",)


def test_a_refund_column_that_nobody_mapped_is_told():
    (warning,) = (
        opened([order(refunded_total="5"), order(refunded_total="0")]).audits["orders"].warnings
    )
    assert 'subtract them with [data.orders.columns] refund = "refunded_total"' in warning
    assert "1 rows" in warning


def test_a_status_that_nobody_looks_at_is_told_with_the_words_that_count():
    rows = [order(status=word) for word in ("completed", "wc-processing", "Cancelled", "on-hold")]
    (warning,) = opened(rows).audits["orders"].warnings
    assert "2 rows as not purchases (1 cancelled, 1 on-hold)" in warning
    assert "where = \"status in ('completed', 'wc-processing')\"" in warning
    kept = opened(rows, where={"orders": "status in ('completed', 'wc-processing')"})
    assert (len(amounts(kept)), kept.audits["orders"].warnings) == (2, ())


def test_a_status_whose_every_word_is_a_purchase_is_not_told():
    rows = [order(status="paid"), order(status="shipped")]
    assert opened(rows).audits["orders"].warnings == ()


@pytest.mark.parametrize(
    ("column", "value", "where"),
    [
        ("Cancelled at", "2024-02-01", '"Cancelled at" is null'),
        ("is_cancel", "1", "not is_cancel"),
        ("test", True, "not test"),
        ("is_paid", "no", "is_paid"),
    ],
)
def test_a_column_that_speaks_against_orders_is_told_with_the_condition(column, value, where):
    rows = [order(**{column: value}), order("b", **{column: None})]
    (warning,) = opened(rows).audits["orders"].warnings
    assert f"{column!r} marks 1 rows as not purchases" in warning
    assert f"where = '{where}'" in warning
    kept = opened(rows, where={"orders": f"{where} or ({column_in(where)} is null)"})
    assert kept.audits["orders"].rows_kept == 1


def column_in(where: str) -> str:
    return where.removeprefix("not ").removesuffix(" is null")


@pytest.mark.parametrize("word", ["NULL", "None", "nan", " guest ", "N/A", "  ", ""])
def test_words_that_mean_nobody_are_no_customers(word):
    tables = opened([order(word), order("b")])
    assert sum(tables.audits["orders"].dropped.values()) == 1
    assert amounts(tables) == [40.0]


def test_customer_zero_with_many_times_the_orders_is_a_guest_and_told():
    rows = [order("0")] * 8 + [order(f"c{n}") for n in range(6)]
    events = [{"customer_id": "0", "occurred_at": "2024-01-01 10:00", "event_type": "visit"}]
    tables = opened(rows, events=pa.Table.from_pylist(events * 2))
    audit = tables.audits["orders"]
    assert audit.dropped == {"of guests": 8}
    assert 'set [data] guests = ["0"]' in audit.warnings[0]
    assert tables.audits["events"].rows_kept == 0
    assert opened(rows, guests=()).audits["orders"].rows_kept == 14
    assert opened(rows, guests=("0",)).audits["orders"].warnings == ()


def test_customer_zero_with_as_many_orders_as_others_is_a_customer():
    assert opened([order(str(n)) for n in range(8)] * 2).audits["orders"].rows_kept == 16


@pytest.mark.parametrize(
    ("rule", "spellings", "ids"),
    [
        ("exact", ["7", "7.0", "07", " 7"], [" 7", "07", "7", "7.0"]),
        ("number", ["7", "7.0", "07", " 7", "A7", "7.5"], ["7", "7.5", "A7"]),
        ("email", ["Anna@x.de", " anna@X.DE ", "anna@x.de"], ["anna@x.de"]),
    ],
)
def test_one_rule_says_when_two_ids_are_the_same(rule, spellings, ids):
    tables = opened([order(name) for name in spellings], customer_id=rule)
    found = tables.engine.rows("SELECT DISTINCT customer_id AS c FROM orders ORDER BY 1")
    assert [row["c"] for row in found] == ids


@pytest.mark.parametrize("erased", ["0007", "7"])
def test_an_erasure_holds_under_another_rule_of_ids(erased):
    """Who was erased as 0007 when ids were exact is 7 now, and so are all their other rows."""
    known = Erased(KEY, {hashed(KEY, erased): date(2024, 5, 1)}, lambda name: name.lstrip("0"))
    rows = [order("0007"), order("7.0"), order("8")]
    contacts = [{"customer_id": "7", "contacted_at": "2024-01-01", "campaign_id": "x"}]
    tables = opened(
        rows, customer_id="number", erased=known, contacts=pa.Table.from_pylist(contacts)
    )
    assert tables.audits["orders"].dropped == {"erased": 2}
    assert tables.audits["contacts"].rows_kept == 0
    assert "customer_id_as_written" not in tables.columns("orders")
