"""A signed manifest is the key holder's own, to the last bit; without a key nothing is asked."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kept_models import keep_model

from churn.errors import ConfigError, ModelError
from churn.modeling.bundle import load_bundle
from churn.modeling.manifest import check_signature, read_manifest, signed
from churn.storage.files import sha256_of

KEY = "0123456789abcdef0123456789abcdef"
OTHER = KEY[::-1]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
manifests = st.dictionaries(st.text(max_size=8), json_values, max_size=5)


@given(manifest=manifests)
def test_a_signed_manifest_passes_after_a_journey_through_json(manifest):
    written = json.loads(json.dumps(signed(manifest, KEY)))
    assert check_signature(written, KEY, name="m") is None
    assert check_signature(written, None, name="m") is None


@given(manifest=manifests, key=st.text(max_size=8), value=json_values)
def test_any_other_manifest_with_that_signature_is_refused(manifest, key, value):
    written = signed(manifest, KEY)
    if key == "signature" or (key in written and json.dumps(written[key]) == json.dumps(value)):
        return
    with pytest.raises(ModelError, match="'m' must be signed with the current key"):
        check_signature({**written, key: value}, KEY, name="m")


def test_signing_again_replaces_the_signature():
    twice = signed(signed({"a": 1}, KEY), OTHER)
    assert twice == signed({"a": 1}, OTHER)
    assert signed(twice, None) == {"a": 1}


@pytest.mark.parametrize(
    "signature", [None, "x", 3, {}, {"value": "x"}, {"algorithm": "none", "value": ""}]
)
def test_what_is_no_signature_is_refused(signature):
    with pytest.raises(ModelError, match=r"'m' must be signed, got no signature\. Train again"):
        check_signature({"a": 1, "signature": signature}, KEY, name="m")


def test_a_short_key_is_refused_without_being_shown():
    with pytest.raises(ConfigError, match="at least 32 characters, got 6") as refused:
        signed({}, "secret")
    assert "secret" not in str(refused.value)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    return keep_model(tmp_path_factory.mktemp("models"), "m-1", signing_key=KEY)


@pytest.fixture
def bundle(untouched, tmp_path):
    return shutil.copytree(untouched, tmp_path / "m-1")


def rehash(bundle, **changes):
    """What an attacker does who can write: the manifest agrees with the files again."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    manifest["files"] = {name: sha256_of(bundle / name) for name in manifest["files"]}
    path.write_text(json.dumps(manifest))


def test_a_signed_bundle_loads_with_its_key_and_without_one(untouched):
    assert load_bundle(untouched, signing_key=KEY).manifest_["model_id"] == "m-1"
    assert load_bundle(untouched).manifest_["model_id"] == "m-1"


def test_another_key_is_refused(untouched):
    with pytest.raises(ModelError, match=r"must be signed with the current key.*restore it"):
        load_bundle(untouched, signing_key=OTHER)


@pytest.mark.parametrize("name", ["heads/lapse.txt", "calibration.json", "card.md"])
def test_a_recomputed_hash_is_refused_where_a_signature_is_asked_for(bundle, name):
    """Fault 26: without the key, the same folder passes, which is why there is one."""
    path = bundle / name
    path.write_text(path.read_text() + "\n")
    rehash(bundle)
    assert read_manifest(bundle)["model_id"] == "m-1"
    with pytest.raises(ModelError, match="must be signed with the current key") as refused:
        load_bundle(bundle, signing_key=KEY)
    assert refused.value.exit_code == 5


def test_a_judgement_touched_up_is_refused(bundle):
    rehash(bundle, gate={"open": True, "reasons": ["trust me"]})
    with pytest.raises(ModelError, match="must be signed with the current key"):
        read_manifest(bundle, signing_key=KEY)


def test_a_signature_taken_out_is_refused(bundle):
    rehash(bundle, signature=None)
    with pytest.raises(ModelError, match="must be signed, got no signature"):
        read_manifest(bundle, signing_key=KEY)


def test_numbers_that_json_does_not_have_are_refused(bundle):
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"schema":', '"extra": NaN, "schema":'))
    with pytest.raises(ModelError, match=r"must have a complete manifest\.json"):
        read_manifest(bundle, signing_key=KEY)
