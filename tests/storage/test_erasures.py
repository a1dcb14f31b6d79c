"""The erased are known again by their keyed hash alone, and under no other key."""

import hashlib
import hmac
import stat
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import ConfigError
from churn.storage.erasures import Erased, hashed, read_erased, record_erased
from churn.storage.ledger import Ledger
from churn.storage.ledger_file import key_beside, made_key, stored_key

KEY = b"0123456789abcdef0123456789abcdef"
OTHER = "another key of thirty-two letters."
DAY = date(2026, 11, 24)


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as ledger:
        yield ledger


def test_the_hash_is_hmac_sha256_of_the_exact_utf_8_of_the_id():
    expected = hmac.new(KEY, "Zoë ".encode(), hashlib.sha256).digest()
    assert hashed(KEY, "Zoë ") == expected
    assert len({hashed(KEY, name) for name in ("007", "7", "7 ", "Zoë", "Zoe\u0308")}) == 5


@given(st.lists(st.text(), unique=True), st.data())
def test_exactly_those_on_the_list_are_among_the_erased(names, data):
    chosen = [name for name in names if data.draw(st.booleans())]
    erased = Erased(KEY, {hashed(KEY, name): DAY for name in chosen})
    assert erased.among(names) == chosen
    assert [erased.date_of(name) for name in chosen] == [DAY] * len(chosen)


def test_who_is_erased_twice_is_on_the_list_once_with_the_first_date(ledger):
    first, new = record_erased(ledger, KEY, ["anna", "ben"], on=DAY)
    assert (new, len(first)) == (2, 2)
    second, new = record_erased(ledger, KEY, ["anna", "cleo"], on=date(2027, 1, 1))
    assert (new, second.date_of("anna"), second.date_of("cleo")) == (1, DAY, date(2027, 1, 1))
    assert read_erased(ledger.path, KEY.decode()) == second


def test_neither_the_list_nor_its_value_shows_whom_it_holds(ledger):
    erased, _ = record_erased(ledger, KEY, ["anna-4711"], on=DAY)
    assert b"anna-4711" not in ledger.path.read_bytes()
    assert "4711" not in repr(erased)
    assert KEY.decode() not in repr(erased)


def test_where_nobody_was_erased_no_key_is_asked_for_or_made(tmp_path):
    path = tmp_path / "ledger.db"
    assert read_erased(path, None) is None
    assert not path.exists()
    with Ledger(path):
        assert read_erased(path, None) is None
    assert not key_beside(path).exists()


def test_a_key_is_made_once_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "ledger.db"
    made = made_key(path, None)
    assert (len(made), made_key(path, None), stored_key(path, None)) == (64, made, made)
    assert stat.S_IMODE(key_beside(path).stat().st_mode) == 0o600
    assert made_key(path, OTHER) == OTHER.encode()


def test_a_lost_or_another_key_is_noticed_and_not_shown(ledger):
    record_erased(ledger, KEY, ["anna"], on=DAY)
    with pytest.raises(ConfigError, match=r"missing\. Restore erasure\.key .* CHURN_PRIVACY_KEY"):
        read_erased(ledger.path, None)
    for read in (
        lambda: read_erased(ledger.path, OTHER),
        lambda: record_erased(ledger, OTHER.encode(), ["ben"], on=DAY),
    ):
        with pytest.raises(ConfigError, match=r"must be the one .* got another") as refused:
            read()
        assert OTHER not in str(refused.value)
    assert len(read_erased(ledger.path, KEY.decode())) == 1


def test_a_short_key_is_refused_wherever_it_stands(tmp_path):
    with pytest.raises(ConfigError, match=r"\[privacy\] key must have at least 32 .* got 5"):
        stored_key(tmp_path / "ledger.db", "short")
    (tmp_path / "erasure.key").write_text("cut\n")
    with pytest.raises(ConfigError, match=r"the key in erasure\.key must have at least 32"):
        stored_key(tmp_path / "ledger.db", None)
