"""A bundle is read whole, unaltered and without running anything, or not at all."""

import json
import os
import pickle
import shutil

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_model

from churn.errors import ConfigError, ModelError
from churn.modeling.bundle import check_canaries, load_bundle, write_bundle
from churn.modeling.dataset import canary_rows, reference_rows
from churn.modeling.manifest import read_manifest, read_unverified, resolve_bundle
from churn.storage.files import sha256_of

FILES = {
    "amounts.json",
    "baselines.json",
    "blend.json",
    "calibration.json",
    "canaries.parquet",
    "card.md",
    "fallback.json",
    "heads/decline.txt",
    "heads/lapse.txt",
    "heads/orders.txt",
    "heads/spend.txt",
    "population.json",
    "reference.parquet",
    "win_back.json",
}
KEY = "0123456789abcdef" * 4
BAD_NAMES = ["../../etc", "a/b", "a:b", "a\0b", "", "Champion", ".hidden", "x" * 65]


def write(directory, model_id="m-1"):
    return write_bundle(
        shop_model(),
        directory,
        model_id=model_id,
        facts={"as_of": "2023-11-20"},
        population={"population_gap_days": 12.5},
        canaries=canary_rows(shop_dataset(), rows=10),
        reference=reference_rows(shop_dataset(), rows=50),
        card="# A card\n",
    )


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    return write(tmp_path_factory.mktemp("models"))


@pytest.fixture
def bundle(untouched, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(untouched, tmp_path / "models" / "m-1")


def edit_manifest(bundle, **changes):
    path = bundle / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rehash(bundle):
    """What an attacker does who can write: the manifest agrees with the files again."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    files = {name: sha256_of(bundle / name) for name in manifest["files"]}
    edit_manifest(bundle, files=files)


def test_a_loaded_model_says_what_the_written_one_said(untouched):
    loaded = load_bundle(untouched)
    rows = shop_dataset().rows[["status", *shop_model().feature_names_]]
    said = shop_model().predict_frame(rows)
    pd.testing.assert_frame_equal(loaded.predict_frame(rows), said, check_exact=True)
    assert loaded.spec() == shop_model().spec()
    assert (loaded.clock_, loaded.cutoffs_) == (shop_model().clock_, shop_model().cutoffs_)
    assert loaded.get_params() == {**shop_model().get_params(), "threads": 0}
    assert load_bundle(str(untouched), threads=1).threads == 1


def test_the_manifest_tells_what_the_model_is_and_the_hash_of_every_file(untouched):
    manifest = read_manifest(untouched)
    assert manifest["files"].keys() == FILES
    assert {path.relative_to(untouched).as_posix() for path in untouched.rglob("*.*")} == {
        *FILES,
        "manifest.json",
    }
    assert (manifest["model_id"], manifest["as_of"], manifest["schema"]) == ("m-1", "2023-11-20", 3)
    assert [f["name"] for f in manifest["features"]] == shop_model().feature_names_
    assert set(manifest["features"][0]) == {"name", "type", "family", "unit"}
    assert load_bundle(untouched).manifest_ == manifest


def test_canaries_and_reference_name_nobody(untouched):
    for name in ("canaries", "reference"):
        assert "customer_id" not in pd.read_parquet(untouched / f"{name}.parquet")


def test_a_written_bundle_is_never_overwritten(untouched):
    with pytest.raises(
        Exception, match="must not exist yet, because published results are never overwritten"
    ):
        write(untouched.parent)
    assert [path.name for path in untouched.parent.iterdir()] == ["m-1"]


@pytest.mark.parametrize("name", sorted(FILES))
def test_an_edited_file_is_refused_by_its_hash_and_named(bundle, name):
    path = bundle / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"'{name}' was altered\. Restore it from a copy"):
        load_bundle(bundle)


@pytest.mark.parametrize("kept", [0, 100, -1])
@pytest.mark.parametrize("head", ["lapse", "spend"])
def test_a_truncated_head_is_refused_before_lightgbm_sees_it(bundle, head, kept):
    """Fault 25: LightGBM's text reader may end or hang the process on such a file."""
    path = bundle / "heads" / f"{head}.txt"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=rf"'heads/{head}.txt' was altered"):
        load_bundle(bundle)


def test_a_missing_file_is_refused_and_named(bundle):
    (bundle / "heads" / "decline.txt").unlink()
    with pytest.raises(ModelError, match=r"'heads/decline\.txt' is missing"):
        load_bundle(bundle)


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, sentinel):
        self.sentinel = str(sentinel)

    def __reduce__(self):
        return os.mkdir, (self.sentinel,)


@pytest.mark.parametrize("name", ["model.pkl", "python_model.pkl", "heads/lapse.joblib"])
def test_a_pickle_in_the_folder_is_refused_and_never_opened(bundle, tmp_path, name):
    """Fault 27."""
    sentinel = tmp_path / "sentinel"
    (bundle / name).write_bytes(pickle.dumps(Bomb(sentinel)))
    with pytest.raises(ModelError, match=f"'{name}' is extra"):
        load_bundle(bundle)
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("population.json", load_bundle),
        ("heads/lapse.txt", load_bundle),
        ("canaries.parquet", check_canaries),
    ],
)
def test_a_pickle_in_the_place_of_a_file_is_not_unpickled_even_with_its_hash(
    bundle, tmp_path, name, read
):
    sentinel = tmp_path / "sentinel"
    (bundle / name).write_bytes(pickle.dumps(Bomb(sentinel)))
    with pytest.raises(ModelError, match=f"'{name}' was altered"):
        load_bundle(bundle)
    rehash(bundle)
    with pytest.raises(ModelError, match=r"must have a complete manifest|must load the model"):
        read(bundle)
    assert not sentinel.exists()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_model_name_is_refused_before_anything_is_written(tmp_path, name):
    """Fault 29."""
    with pytest.raises(ConfigError, match=r"model_id must be 1 to 64 of a-z.*Write e.g."):
        write(tmp_path / "models", model_id=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_pointer_that_says_a_bad_name_is_not_followed(bundle, name):
    pointer = bundle.parent / "champion"
    pointer.write_text(name)
    with pytest.raises(ModelError, match=r"the pointer 'champion' must name a model\. Train again"):
        load_bundle(pointer)


def test_a_path_with_nul_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="there is no model at"):
        load_bundle(tmp_path / "a\0b")


def test_a_symbolic_link_inside_is_refused_though_its_target_is_right(bundle, tmp_path):
    """Fault 30."""
    outside = tmp_path / "lapse.txt"
    (bundle / "heads" / "lapse.txt").rename(outside)
    (bundle / "heads" / "lapse.txt").symlink_to(outside)
    with pytest.raises(ModelError, match=r"'heads/lapse\.txt' is a symbolic link or a device"):
        load_bundle(bundle)


def test_a_linked_folder_inside_is_refused(bundle, tmp_path):
    (bundle / "heads").rename(tmp_path / "heads")
    (bundle / "heads").symlink_to(tmp_path / "heads")
    with pytest.raises(ModelError, match="'heads' is a symbolic link or a device"):
        load_bundle(bundle)


def test_a_linked_manifest_is_refused(bundle, tmp_path):
    (bundle / "manifest.json").rename(tmp_path / "manifest.json")
    (bundle / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(ModelError, match="must not be reached through a symbolic link"):
        load_bundle(bundle)


def test_a_linked_bundle_is_refused_by_its_path_and_by_a_pointer(bundle):
    link = bundle.parent / "m-2"
    link.symlink_to(bundle)
    with pytest.raises(ModelError, match=r"'m-2' must not be a symbolic link\. Pass the folder"):
        load_bundle(link)
    (bundle.parent / "champion").write_text("m-2\n")
    with pytest.raises(ModelError, match="must not be reached through a symbolic link"):
        load_bundle(bundle.parent / "champion")


def test_a_bundle_without_its_manifest_is_refused(bundle):
    (bundle / "manifest.json").unlink()
    with pytest.raises(ModelError, match=r"'m-1' must have a complete manifest\.json\. Restore"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", "{}", '{"schema": 2}', '{"schema": 2, "files": 3}', "\0"]
)
def test_a_garbled_manifest_is_refused(bundle, text):
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=r"must have a complete manifest\.json"):
        load_bundle(bundle)


def test_a_bundle_of_the_release_before_the_blend_predicts_by_its_trees(bundle):
    (bundle / "blend.json").unlink()
    files = read_unverified(bundle)["files"]
    edit_manifest(
        bundle, schema=2, files={name: sha for name, sha in files.items() if name != "blend.json"}
    )
    model = load_bundle(bundle)
    rows = shop_dataset().eligible.head(50)[["status", *model.feature_names_]]
    trees = model.portable().head("lapse", model.portable().matrix(rows))
    np.testing.assert_array_equal(model.predict_proba(rows)[:, 1], trees)


@pytest.mark.parametrize("key", ["parameters", "clock", "cutoffs", "features", "base_rate"])
@pytest.mark.parametrize("value", [None, {"strange": 1}])
def test_a_manifest_that_lacks_what_a_model_is_made_of_is_refused(bundle, key, value):
    edit_manifest(bundle, **{key: value})
    with pytest.raises(ModelError, match=r"manifest\.json"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", ["../../lapse", "nobody"])
def test_a_head_that_is_no_verified_file_is_refused(bundle, name):
    text = (bundle / "heads" / "lapse.txt").read_text()
    (bundle.parent / "lapse.txt").write_text(text)  # where ../../ leads to
    edit_manifest(bundle, heads=["lapse", "decline", "orders", "spend", name])
    with pytest.raises(ModelError, match=r"must have a complete manifest\.json"):
        load_bundle(bundle)


def test_a_bundle_of_another_release_says_so(bundle):
    edit_manifest(bundle, schema=99)
    with pytest.raises(ModelError, match=r"reads bundles of schema 2 and 3, got 99\. Train again"):
        load_bundle(bundle)


def test_a_pointer_leads_to_the_bundle_that_it_names(bundle):
    pointer = bundle.parent / "champion"
    pointer.write_text("m-1\n")
    assert resolve_bundle(pointer) == bundle.resolve()
    assert load_bundle(pointer).manifest_["model_id"] == "m-1"


def test_a_pointer_to_a_model_that_is_gone_says_so(bundle):
    (bundle.parent / "champion").write_text("m-9\n")
    with pytest.raises(
        ModelError, match=r"names a model that does not exist, got m-9\. Promote one of"
    ):
        load_bundle(bundle.parent / "champion")


def test_where_there_is_no_model_the_way_to_one_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"no model at 'champion' in 'models'.*`churn train`"):
        load_bundle(tmp_path / "models" / "champion")


def test_canaries_are_heard_in_a_process_of_their_own(untouched):
    assert check_canaries(untouched) is None


def test_canaries_that_sing_otherwise_are_reported(bundle):
    """The hashes are right, yet the model does not say what it said when it was written."""
    rows = pd.read_parquet(bundle / "canaries.parquet")
    rows["said_churn_probability"] += 1e-6
    rows.to_parquet(bundle / "canaries.parquet", index=False)
    rehash(bundle)
    with pytest.raises(
        ModelError, match="a new process must load the model and reproduce its scores"
    ):
        check_canaries(bundle)


def test_a_model_fitted_in_python_is_saved_and_loaded_like_any_other(tmp_path):
    place = shop_model().save(tmp_path / "mine")
    loaded = load_bundle(place)
    rows = shop_dataset().rows[["status", *shop_model().feature_names_]]
    pd.testing.assert_frame_equal(loaded.predict_frame(rows), shop_model().predict_frame(rows))
    assert loaded.manifest_["model_id"] == "mine"
    check_canaries(place)
    with pytest.raises(ConfigError, match="must be saved to a new folder, got mine"):
        shop_model().save(place)


def test_a_loaded_model_is_saved_with_all_that_its_bundle_says_of_it(bundle, tmp_path):
    first = load_bundle(bundle)
    again = load_bundle(first.save(str(tmp_path / "again"), signing_key=KEY), signing_key=KEY)
    same = {"parameters", "clock", "cutoffs", "features", "base_rate", "heads", "created_at"}
    for name in same & set(first.manifest_):
        assert again.manifest_[name] == first.manifest_[name]
    assert again.manifest_["model_id"] == "again"
    for file in ("card.md", "population.json", "reference.parquet", "heads/lapse.txt"):
        assert (tmp_path / "again" / file).read_bytes() == (bundle / file).read_bytes()


def test_the_same_model_saved_twice_is_the_same_to_the_byte(tmp_path):
    one, other = (shop_model().save(tmp_path / name / "mine") for name in ("a", "b"))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes()
