import json

import numpy as np
import pytest

from churn.errors import ConfigError, ModelError, StorageError
from churn.uplift.learnt import LearntEffects, current_effects, load_effects, save_effects


@pytest.fixture
def saved(tmp_path, studied):
    effects = LearntEffects.of_study(studied)
    folder = save_effects(effects, tmp_path, effects_id="one", facts={"as_of": "2024-01-01"})
    return effects, folder


def test_what_was_saved_says_the_same_when_loaded(saved, make_offer, known):
    effects, folder = saved
    again = current_effects(folder.parent)
    offers, risk = [make_offer("split"), make_offer("even")], np.full(len(known.data), 0.4)
    one, other = (e.of(known.data.rows, risk, offers, base_rate=0.4) for e in (effects, again))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(one.low, other.low)


def test_only_plain_texts_are_written(saved):
    _, folder = saved
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"manifest.json", "trees/split.txt"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["as_of"], manifest["horizon_days"]) == ("2024-01-01", 28)


def test_nothing_learnt_yet_is_none(tmp_path):
    assert current_effects(tmp_path) is None


def test_an_altered_tree_is_refused_before_it_is_read(saved):
    _, folder = saved
    tree = folder / "trees/split.txt"
    tree.write_text(tree.read_text()[:100])
    with pytest.raises(ModelError, match="was altered"):
        load_effects(folder)


def test_a_manifest_that_is_cut_short_or_of_another_schema_is_refused(saved):
    _, folder = saved
    path = folder / "manifest.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"schema": 99}))
    with pytest.raises(ModelError, match="schema 1, got 99"):
        load_effects(folder)
    path.write_text(json.dumps(told | {"offers": {"split": {}}}))
    with pytest.raises(ModelError, match="must have a complete manifest"):
        load_effects(folder)
    path.write_text("{")
    with pytest.raises(ModelError, match="Run `churn effects` again"):
        load_effects(folder)


def test_individual_effects_without_their_trees_are_refused(saved):
    _, folder = saved
    path, tree = folder / "manifest.json", folder / "trees/split.txt"
    tree.unlink()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": {}}))
    with pytest.raises(ModelError, match="must have a complete manifest"):
        load_effects(folder)


def test_nothing_is_overwritten_and_names_stay_inside(saved, studied):
    effects, folder = saved
    with pytest.raises(StorageError, match="must not exist yet"):
        save_effects(effects, folder.parent, effects_id="one", facts={})
    with pytest.raises(ConfigError, match="effects_id must be"):
        save_effects(effects, folder.parent, effects_id="../two", facts={})


def test_a_pointer_that_leads_elsewhere_is_refused(saved):
    _, folder = saved
    (folder.parent / "current").write_text("../elsewhere\n")
    with pytest.raises(ModelError, match="must name learnt effects"):
        current_effects(folder.parent)


KEY, OTHER = "k" * 32, "o" * 32


def altered(path):
    """The effects with doubled averages, and hashes that fit: what a stranger could write."""
    told = json.loads(path.read_text())
    for offer in told["offers"].values():
        offer["average"] = 2.0
    path.write_text(json.dumps(told))


def test_signed_effects_are_read_with_their_key_and_without_one(studied, tmp_path):
    effects = LearntEffects.of_study(studied)
    folder = save_effects(effects, tmp_path, effects_id="one", facts={"f": 0.1}, signing_key=KEY)
    assert current_effects(tmp_path, signing_key=KEY).known.keys() == effects.known.keys()
    assert load_effects(folder).known.keys() == effects.known.keys()
    with pytest.raises(
        ModelError, match=r"learnt effects 'one' must be signed with the current key"
    ):
        load_effects(folder, signing_key=OTHER)


def test_effects_that_somebody_altered_are_refused_though_their_hashes_fit(studied, tmp_path):
    """Fault 26."""
    effects = LearntEffects.of_study(studied)
    folder = save_effects(effects, tmp_path, effects_id="one", facts={}, signing_key=KEY)
    altered(folder / "manifest.json")
    with pytest.raises(ModelError, match="got another signature") as refused:
        current_effects(tmp_path, signing_key=KEY)
    assert refused.value.exit_code == 5


def test_effects_without_a_signature_are_refused_where_a_key_is_set(saved):
    _, folder = saved
    with pytest.raises(ModelError, match=r"got no signature\. Run `churn effects` again with the"):
        current_effects(folder.parent, signing_key=KEY)
