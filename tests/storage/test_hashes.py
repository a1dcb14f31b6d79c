import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import StorageError
from churn.storage.files import canonical_json, sha256_of

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_the_hash_is_that_of_the_bytes(tmp_path, size):
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert sha256_of(path) == hashlib.sha256(b"x" * size).hexdigest()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*gone: there is no such file.*Check"):
        sha256_of(tmp_path / "gone")


@given(JSON_VALUES)
def test_canonical_json_reads_back_as_the_same_value(value):
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(st.text("abcd"), st.integers(), min_size=2))
def test_the_order_of_keys_leaves_no_trace(values):
    backwards = dict(reversed(values.items()))
    assert canonical_json(values) == canonical_json(backwards)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused(value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"auc": value})
