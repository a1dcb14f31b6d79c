"""A file of coupon codes is read in order, each code once, and what is no code is told."""

import pytest

from churn.errors import ConfigError, DataError
from churn.offers.rules import read_codes


@pytest.mark.parametrize(
    "text",
    [
        "A1\nB2\nC3\n",
        "\ufeffcode\r\nA1\r\nB2\r\n\r\nC3",
        "id,Code \n1, A1 \n2,B2\n3,C3\n",
        "A1\nB2\na1\nC3\nB2\n",
    ],
    ids=["lines", "header", "column", "twice"],
)
def test_codes_are_the_lines_or_the_column_each_once_in_their_order(tmp_path, text):
    path = tmp_path / "codes.csv"
    path.write_bytes(text.encode())
    assert read_codes(path) == ("A1", "B2", "C3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A 1\nB2\n", r"no white space, got 1 invalid"),
        ("A1,x\nB2,y\n", r"one named code, got 2 columns"),
        ("code,x\n,1\n", r"got 1 invalid"),
    ],
)
def test_what_is_no_code_is_told_without_showing_it(tmp_path, text, message):
    path = tmp_path / "codes.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_codes(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"must be a readable text file, codes\.csv"):
        read_codes(tmp_path / "codes.csv")
