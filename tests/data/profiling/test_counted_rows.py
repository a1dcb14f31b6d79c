"""`init` proposes which rows count, whose refunds are taken off, when ids are the same, who is
nobody.
"""

from pathlib import Path

import pytest

from churn.data.profiling.guess import OrdersGuess, profile_orders


def guessed(folder: Path, head: str, rows: list[str]) -> OrdersGuess:
    path = folder / "orders.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return profile_orders(path)


def orders(values: list[str], customers: list[str] | None = None) -> list[str]:
    names = customers or [f"{n % 9 + 11}" for n in range(len(values))]
    return [
        f"{n},{name},2024-01-{n % 28 + 1:02},{n + 5}.50,{value}"
        for n, (value, name) in enumerate(zip(values, names, strict=True))
    ]


@pytest.mark.parametrize(
    ("column", "values", "where"),
    [
        (
            "status",
            ["completed", "cancelled", "wc-processing"],
            "status in ('completed', 'wc-processing')",
        ),
        (
            "Financial Status",
            ["paid", "", "voided"],
            '("Financial Status" in (\'paid\') or "Financial Status" is null)',
        ),
        ("order_status", ["delivered", "unavailable", "canceled"], "order_status in ('delivered')"),
        ("Cancelled at", ["", "", "2024-03-01"], '"Cancelled at" is null'),
        ("is_cancel", ["0", "0", "1"], "not is_cancel"),
        ("test", ["false", "", "true"], "(not test or test is null)"),
        ("status", ["completed", "shipped", "paid"], None),
        ("state", ["Bavaria", "Texas", "Ohio"], None),
    ],
)
def test_a_column_that_says_what_is_a_purchase_is_proposed(tmp_path, column, values, where):
    rows = orders([value for value in values for _ in range(9)])
    assert (
        guessed(tmp_path, f"order_id,customer_id,date,total,{column}", rows).counted.where == where
    )


def test_a_status_that_nobody_knows_is_kept_and_asked_about(tmp_path):
    rows = orders(["paid", "cancelled", "layaway"] * 9)
    guess = guessed(tmp_path, "order_id,customer_id,date,total,status", rows)
    assert guess.counted.where == "status in ('layaway', 'paid')"
    assert "They are counted: 9 layaway" in guess.warnings[-1]
    assert "'status' leaves out 9 cancelled" in guess.seen["where"]


def test_a_refund_column_is_mapped(tmp_path):
    rows = orders(["0", "0", "3.50"] * 9)
    guess = guessed(tmp_path, "order_id,customer_id,date,total,Total Refunded", rows)
    assert guess.columns["refund"] == "Total Refunded"
    assert guess.columns["amount"] == "total"


def test_of_two_currencies_the_one_of_most_rows_is_kept_and_told(tmp_path):
    rows = orders(["EUR", "EUR", "SEK"] * 9)
    guess = guessed(tmp_path, "order_id,customer_id,date,total,currency", rows)
    assert (guess.counted.where, guess.currency) == ("currency = 'EUR'", "EUR")
    assert "9 SEK are left out" in guess.warnings[-1]


@pytest.mark.parametrize(
    ("names", "rule", "guests"),
    [
        (["13085.0", "13086.0", "13087.0"], "number", ()),
        (["a@x.de", "B@x.de", "c@x.de"], "email", ()),
        (["17", "18", "19"], "exact", ()),
        (["007", "008", "7"], "number", ()),
        (["C17", "C18", "C19"], "exact", ()),
        (["0"] * 8 + ["11", "12", "13"], "exact", ("0",)),
        (["0.0"] * 8 + ["11.0", "12.0", "13.0"], "number", ("0",)),
    ],
)
def test_the_rule_of_ids_and_the_guests_are_guessed(tmp_path, names, rule, guests):
    customers = [name for name in names for _ in range(9)]
    rows = orders(["x"] * len(customers), customers)
    guess = guessed(tmp_path, "order_id,customer_id,date,total,note", rows)
    assert (guess.counted.customer_id, guess.counted.guests) == (rule, guests)
