"""A column that says who agreed to e-mails is found by its name and by what stands in it."""

import pytest

from churn.data.profiling.columns import ConsentColumn, consent_column


@pytest.fixture
def found(tmp_path):
    def found(header, *cells):
        path = tmp_path / "orders.csv"
        rows = "".join(f"a{number},{cell}\n" for number, cell in enumerate(cells))
        path.write_text(f"customer,{header}\n{rows}")
        return consent_column([path])

    return found


@pytest.mark.parametrize(
    "header",
    [
        *("accepts_marketing", "Accepts Marketing", "newsletter", "opt_in", "Opt-In"),
        *("email_marketing_consent", "Customer Accepts Marketing"),
    ],
)
def test_the_names_that_shops_use_are_known(found, header):
    assert found(header, "yes", "no", "yes", "") == ConsentColumn(header, yes=2, no=1, unread=1)


@pytest.mark.parametrize(
    ("header", "cells"),
    [
        ("newsletter", ["weekly", "monthly", "yes"]),
        ("newsletter", ["", ""]),
        ("channel", ["yes", "no"]),
        ("sms_opt_in", ["yes", "no"]),
    ],
    ids=["no flags", "empty", "another name", "another channel"],
)
def test_what_says_something_else_is_no_consent(found, header, cells):
    assert found(header, *cells) is None
