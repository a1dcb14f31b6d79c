"""Of an address a message shows where it leads, and never what lets one in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import harmless, shown_address, without_addresses

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql+psycopg://u:hunter2@h/db#t", "postgresql+psycopg://h"),
        ("jdbc:postgresql://h:5432/db?password=hunter2", "jdbc:postgresql://h:5432"),
        (" mysql://u:hunter2@h/db", "mysql://h"),
        ("http://h/?token=hunter2", "http://h"),
        ("http://u:hunter2/er2@h", "http://…"),
        ("http://h/?token=hunter2@x", "http://…"),
        ("http://u:p@hunter2@h", "http://…"),
        ("http://u:hunter2", "http://…"),
        ("http://[::1]:80/hunter2", "http://[::1]:80"),
        ("postgresql:u:hunter2@h", "…"),
        ("orders 2024.csv", "orders 2024.csv"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("sqlite:///m.db?key=hunter2", "sqlite://…"),
    ],
)
def test_an_address_is_cut_down_to_scheme_and_host(text, shown):
    assert shown_address(text) == shown


@given(
    st.sampled_from(["http", "postgresql+psycopg", "jdbc:mysql", "s3"]),
    st.text("abc:@/?#\\", max_size=6),
    st.text("abc:@/?#\\.", max_size=6),
)
def test_a_password_is_never_shown_wherever_it_stands(scheme, before, after):
    """Before an @, in the path, the query or the fragment; nobody can tell a host from it else."""
    for text in (f"{scheme}://{before}:{SECRET}@{after}", f"{scheme}://host/{before}{SECRET}"):
        assert SECRET not in shown_address(text)
        assert SECRET not in without_addresses(f"no answer from {text} today")


@pytest.mark.parametrize(
    "control", ["\x1b", "\x07", "\x9b", "\r", "\x08", "\u202e", "\u2066", "\ud800"]
)
def test_what_a_terminal_would_obey_is_spelt_out(control):
    assert harmless(f"Nord{control}und") == f"Nord{ascii(control)[1:-1]}und"


@pytest.mark.parametrize("text", ["Süd\tund\nNord", "日本", "… ± €", "👩\u200d👧"])
def test_all_else_stays_as_it_is(text):
    assert harmless(text) == text
