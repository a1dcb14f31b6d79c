import json
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import BusyError, DataError, ModelError, StorageError
from churn.storage.files import sha256_of
from churn.storage.manifests import (
    Facts,
    hash_files,
    publish_with_manifest,
    sidecar_of,
    verify_file,
    verify_files,
)

# Publishes version after version; each file holds nothing but its number, many times.
LOOP = """
import sys
from itertools import count
from pathlib import Path
from churn.storage.manifests import publish_with_manifest
target = Path(sys.argv[1])
for version in count(int(sys.argv[2])):
    with publish_with_manifest(target, {"version": version}) as temporary:
        temporary.write_text(f"{version}\\n" * 20_000)
    print(version, flush=True)
"""

# Publishes version 2 and kills itself just before its n-th call of the operating system.
DIE_AT = """
import os, signal, sys
from pathlib import Path
from churn.storage.manifests import publish_with_manifest
target, remaining = Path(sys.argv[1]), int(sys.argv[2])
def hook(event, arguments):
    global remaining
    if event in {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir"}:
        remaining -= 1
        if remaining < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
with publish_with_manifest(target, {"version": 2}) as temporary:
    temporary.write_text("2")
"""


def publish(target: Path, version: int | Callable[[], Facts]) -> None:
    facts = version if callable(version) else {"version": version}
    with publish_with_manifest(target, facts) as temporary:
        temporary.write_text(str(version))


def visible(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir() if not path.name.endswith(".lock")}


def versions(target: Path) -> list[dict[str, object]]:
    return json.loads(sidecar_of(target).read_text())["versions"]


@settings(deadline=None)  # a disk takes the time it takes
@given(st.binary(max_size=200), st.dictionaries(st.text("abc"), st.integers()))
def test_a_published_file_verifies_with_its_facts(content, facts):
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "out")
        with publish_with_manifest(target, facts) as temporary:
            temporary.write_bytes(content)
        assert verify_file(target) == facts
        entry = {"sha256": sha256_of(target), "bytes": len(content)}
        assert versions(target) == [facts | entry]


@settings(deadline=None)  # a disk takes the time it takes
@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_flipped_bit_is_noticed_wherever_it_is(content, data):
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "scores.parquet")
        with publish_with_manifest(target, {}) as temporary:
            temporary.write_bytes(content)
        flipped = bytearray(content)
        flipped[data.draw(st.integers(0, len(content) - 1))] ^= 1
        target.write_bytes(flipped)
        with pytest.raises(DataError, match=r"scores\.parquet must match .*write it again"):
            verify_file(target)


def test_facts_are_asked_for_when_the_file_is_written(tmp_path):
    counted = {}
    with publish_with_manifest(tmp_path / "out", lambda: counted) as temporary:
        temporary.write_text("x")
        counted["rows"] = 1
    assert verify_file(tmp_path / "out") == {"rows": 1}


def test_a_file_without_a_manifest_says_nothing(tmp_path):
    (tmp_path / "orders.csv").write_text("theirs")
    assert verify_file(tmp_path / "orders.csv") is None


def test_a_missing_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match=r"gone: there is no such file.*Check the path"):
        verify_file(tmp_path / "gone")


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"schema": 1, "versions": [1]}', '{"schema": 2, "versions": []}', "[" * 9999],
)
def test_an_unreadable_manifest_is_named_and_mended_by_writing_again(tmp_path, manifest):
    target = tmp_path / "out"
    publish(target, 1)
    sidecar_of(target).write_text(manifest)
    with pytest.raises(DataError, match=r"out\.manifest\.json must .*Write out again"):
        verify_file(target)
    publish(target, 2)
    assert verify_file(target) == {"version": 2}


def test_a_replaced_file_keeps_no_trace_of_the_old_one(tmp_path):
    for version in (1, 2):
        publish(tmp_path / "out", version)
    assert [entry["version"] for entry in versions(tmp_path / "out")] == [2]
    assert visible(tmp_path) == {"out", "out.manifest.json"}


def test_a_failed_block_leaves_the_old_file_verified(tmp_path):
    publish(tmp_path / "out", 1)

    def facts():
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        publish(tmp_path / "out", facts)
    assert verify_file(tmp_path / "out") == {"version": 1}
    assert visible(tmp_path) == {"out", "out.manifest.json"}


def test_two_writers_of_one_target_do_not_mix(tmp_path):
    with publish_with_manifest(tmp_path / "out", {"version": 1}) as temporary:
        message = r"writing .*out must be .*Wait until it has ended"
        with pytest.raises(BusyError, match=message):
            publish(tmp_path / "out", 2)
        temporary.write_text("1")
    assert verify_file(tmp_path / "out") == {"version": 1}


@pytest.mark.parametrize("with_manifest", [True, False])
def test_killed_before_any_step_the_file_is_whole_and_verifies(tmp_path, child, with_manifest):
    """Before every single opening, renaming and removing that a replacement consists of."""
    killed, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        target = tmp_path / f"run-{killed}" / "out"
        target.parent.mkdir()
        if with_manifest:
            publish(target, 1)
        else:
            target.write_text("1")
        code = child(DIE_AT, target, killed).wait()
        facts = verify_file(target)
        assert target.read_text() == str((facts or {}).get("version", 1))
        killed += 1
        publish(target, 3)
        assert verify_file(target) == {"version": 3}
        assert visible(target.parent) == {"out", "out.manifest.json"}
    assert code == 0
    assert killed > 10


def test_killed_at_random_moments_the_file_always_verifies(tmp_path, child):
    target, random_delay = tmp_path / "out", random.Random(20)  # delays vary anyway
    version = 1
    for _ in range(15):
        process = child(LOOP, target, version)
        process.stdout.readline()
        time.sleep(random_delay.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.wait()
        facts = verify_file(target)
        assert target.read_text() == f"{facts['version']}\n" * 20_000
        assert len(versions(target)) <= 2
        version = facts["version"] + 1
    publish(target, version)
    assert visible(tmp_path) == {"out", "out.manifest.json"}


def test_a_reader_never_meets_a_file_that_does_not_verify(tmp_path):
    target, stop = tmp_path / "out", threading.Event()
    publish(target, 0)

    def write() -> None:
        version = 0
        while not stop.is_set():
            version += 1
            publish(target, version)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = [verify_file(target)["version"] for _ in range(50)]
    finally:
        stop.set()
        writer.join()
    assert seen == sorted(seen)


@pytest.fixture
def bundle(tmp_path):
    root = tmp_path / "m1"
    (root / "heads").mkdir(parents=True)
    for name in ("manifest.json", "card.md", "heads/lapse.txt", "heads/manifest.json"):
        (root / name).write_text(name)
    return root


def test_every_file_but_the_manifest_itself_is_hashed(bundle):
    hashes = hash_files(bundle)
    assert list(hashes) == ["card.md", "heads/lapse.txt", "heads/manifest.json"]
    assert hashes["card.md"] == sha256_of(bundle / "card.md")
    verify_files(bundle, hashes)


def test_a_manifest_is_not_needed_for_verifying_the_rest(bundle):
    hashes = hash_files(bundle)
    (bundle / "manifest.json").unlink()
    verify_files(bundle, hashes)
    (bundle / "card.md").write_text("edited")
    with pytest.raises(ModelError, match=r"'card\.md' was altered"):
        verify_files(bundle, hashes)


def test_everything_that_is_wrong_in_a_directory_is_named(bundle):
    hashes = hash_files(bundle)
    (bundle / "card.md").unlink()
    (bundle / "extra.pkl").touch()
    (bundle / "heads" / "lapse.txt").write_text("edited")
    message = r"'card.md' is missing, 'extra.pkl' is extra, 'heads/lapse.txt' was altered.*Restore"
    with pytest.raises(ModelError, match=message) as caught:
        verify_files(bundle, hashes)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("name", ["heads/lapse.txt", "heads", "manifest.json"])
def test_a_symbolic_link_is_refused_even_to_the_same_bytes(bundle, name):
    hashes = hash_files(bundle)
    moved = (bundle / name).rename(bundle.parent / "moved")
    (bundle / name).symlink_to(moved)
    with pytest.raises(ModelError, match=rf"'{name}' is a symbolic link.*Restore it"):
        verify_files(bundle, hashes)
    with pytest.raises(ModelError, match=rf"'{name}' is a symbolic link.*Restore it"):
        hash_files(bundle)


def test_a_pipe_is_refused_and_not_waited_for(bundle):
    os.mkfifo(bundle / "pipe")
    with pytest.raises(ModelError, match=r"'pipe' is a symbolic link or a device.*Restore it"):
        verify_files(bundle, hash_files_without_pipe(bundle))


def hash_files_without_pipe(bundle: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in bundle.glob("*.md")} | {"pipe": "0" * 64}


def test_names_of_the_manifest_that_lead_out_are_just_missing(bundle):
    hashes = hash_files(bundle) | {"../../etc/passwd": "0" * 64}
    with pytest.raises(ModelError, match=r"'../../etc/passwd' is missing\. Restore it"):
        verify_files(bundle, hashes)


def test_a_long_list_of_problems_is_cut(bundle):
    for number in range(1000):
        (bundle / f"{number}.tmp").touch()
    with pytest.raises(ModelError, match=r"'101.tmp' is extra, 998 more. Restore"):
        verify_files(bundle, {})


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone must be .*train a model first"):
        verify_files(tmp_path / "gone", {})
