import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.errors import BusyError, StorageError
from churn.storage.locks import Process
from churn.storage.publish import publish_directory, publish_file, read_pointer, swap_pointer

Publish = Callable[[Path], AbstractContextManager[Path]]
BOTH = pytest.mark.parametrize("publish", [publish_file, publish_directory])


def fill(path: Path) -> None:
    target = path / "heads" / "lapse.txt" if path.is_dir() else path
    target.parent.mkdir(exist_ok=True)
    target.write_text("new")


def fail(publish: Publish, target: Path, error: BaseException) -> None:
    """Publishes, but for an error at the end of the block."""
    with publish(target) as temporary:
        fill(temporary)
        raise error


def never(publish: Publish, target: Path) -> None:
    """Publishes where the block must not even begin."""
    with publish(target):
        pytest.fail("the block began")


@BOTH
def test_the_target_appears_only_when_the_block_ends(tmp_path, publish):
    target = tmp_path / "deep" / "er" / "out"
    with publish(target) as temporary:
        fill(temporary)
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
    assert target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["out"]


@BOTH
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing_behind(tmp_path, publish, failure):
    with pytest.raises(failure):
        fail(publish, tmp_path / "out", failure())
    assert list(tmp_path.iterdir()) == []


def test_an_exception_leaves_the_old_file_as_it_was(tmp_path):
    target = tmp_path / "out"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="boom"):
        fail(publish_file, target, RuntimeError("boom"))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@settings(deadline=None)  # a disk takes the time it takes
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4))
def test_the_last_content_published_is_the_one_that_is_there(contents):
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory, "out")
        for content in contents:
            with publish_file(target) as temporary:
                temporary.write_bytes(content)
        assert target.read_bytes() == contents[-1]


def test_a_full_disk_is_told_and_the_old_file_stays(tmp_path):
    target = tmp_path / "out"
    target.write_text("old")
    message = r"cannot write .*/out: there is no space left.*Free some space"
    with pytest.raises(StorageError, match=message):
        fail(publish_file, target, OSError(errno.ENOSPC, "No space left on device"))
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@BOTH
def test_a_place_without_permission_fails_before_the_block(read_only_directory, publish):
    message = r"cannot write .*/out: permission is denied.*change its permissions"
    with pytest.raises(StorageError, match=message):
        never(publish, read_only_directory / "out")


@BOTH
def test_a_parent_that_is_a_file_fails_before_the_block(tmp_path, publish):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"/file.*Check the path|/file.*another location"):
        never(publish, tmp_path / "file" / "out")


@pytest.mark.parametrize("target", [Path("/dev/null"), Path(tempfile.gettempdir())])
def test_a_device_or_directory_is_not_replaced_by_a_file(target):
    with pytest.raises(StorageError, match=r"directory or device.*another name"):
        never(publish_file, target)


@BOTH
def test_what_a_dead_writer_left_is_removed_and_nothing_else(tmp_path, publish, dead_process):
    living = f"{os.getpid()}-0"
    keep = {f".out.{living}-00000000.tmp", f".other.{dead_process}-00000000.tmp", ".out.lock"}
    for name in keep:
        (tmp_path / name).touch()
    (tmp_path / f".out.{dead_process}-00000000.tmp").touch()
    leftover = tmp_path / f".out.{dead_process}-11111111.tmp"
    (leftover / "heads").mkdir(parents=True)
    with publish(tmp_path / "out") as temporary:
        fill(temporary)
    assert {path.name for path in tmp_path.iterdir()} == keep | {"out"}


def test_an_existing_directory_is_never_overwritten(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match=r"must not exist yet.*another name"):
        never(publish_directory, tmp_path / "out")


def test_a_directory_that_came_first_wins(tmp_path):
    def race() -> None:
        with publish_directory(tmp_path / "out"), publish_directory(tmp_path / "out") as early:
            (early / "who").write_text("early")

    with pytest.raises(StorageError, match=r"must not exist yet.*another name"):
        race()
    assert (tmp_path / "out" / "who").read_text() == "early"
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_a_pointer_that_is_not_there_reads_as_none(tmp_path):
    assert read_pointer(tmp_path / "champion") is None


def test_a_pointer_says_what_it_was_last_told(tmp_path):
    pointer = tmp_path / "models" / "champion"
    swap_pointer(pointer, "m1")
    swap_pointer(pointer, "m2", expected="m1")
    assert read_pointer(pointer) == "m2"


@pytest.mark.parametrize("expected", ["m0", None])
def test_who_expected_another_value_is_told_which_one_won(tmp_path, expected):
    pointer = tmp_path / "champion"
    swap_pointer(pointer, "m1", expected=None)
    with pytest.raises(BusyError, match=r"moved to 'm2', got 'm1'.*Another run has moved it"):
        swap_pointer(pointer, "m2", expected=expected)
    assert read_pointer(pointer) == "m1"


def test_of_many_concurrent_swaps_from_one_value_exactly_one_wins(tmp_path):
    pointer, lost = tmp_path / "champion", []
    swap_pointer(pointer, "old")

    def swap(value: str) -> None:
        try:
            swap_pointer(pointer, value, expected="old")
        except BusyError:
            lost.append(value)

    values = {f"m{number}" for number in range(6)}
    threads = [threading.Thread(target=swap, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values - set(lost) == {read_pointer(pointer)}


def test_an_unreadable_pointer_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match=r"it is a directory.*Name a file"):
        read_pointer(tmp_path)


def test_directories_that_killed_writers_left_under_other_names_are_removed(tmp_path):
    """Bundles have a name each, so no later writer would look for theirs; the living are left."""
    dead = tmp_path / ".churn-1.4194304-1-0123abcd.tmp"
    dead.mkdir()
    (dead / "model.txt").write_text("half")
    writer = Process.current()
    alive = tmp_path / f".churn-2.{writer.pid}-{writer.started}-0123abcd.tmp"
    alive.mkdir()
    file = tmp_path / ".scores.parquet.4194304-1-0123abcd.tmp"
    file.write_text("another target's")
    with publish_directory(tmp_path / "churn-3") as folder:
        (folder / "model.txt").write_text("whole")
    assert not dead.exists()
    assert alive.exists()
    assert file.exists()


WATCHED = """
import os, sys
from pathlib import Path
from churn.storage.publish import publish_directory

target = Path(sys.argv[1])
told = []
fsync = os.fsync

def synced(descriptor):
    told.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
    fsync(descriptor)

def heard(event, arguments):
    writing = os.O_WRONLY | os.O_RDWR
    if event == "open" and isinstance(arguments[0], str) and arguments[2] & writing:
        told.append(("write", os.path.abspath(arguments[0])))
    elif event == "os.rename":
        told.append(("rename", os.fspath(arguments[0]), os.fspath(arguments[1])))

os.fsync = synced
sys.addaudithook(heard)
with publish_directory(target) as folder:
    (folder / "heads").mkdir()
    for name in ("model.txt", "heads/lapse.txt"):
        (folder / name).write_text(name)
for line in told:
    print(*line)
"""


def test_a_directory_is_on_the_disk_before_it_gets_its_name_in_one_step(tmp_path):
    """A real process is watched: each file and folder is synced before the one rename, the folder
    above after it, and nothing is ever written under the name that readers know.
    """
    target = tmp_path / "churn-1"
    command = [sys.executable, "-c", WATCHED, str(target)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told = [line.split() for line in said.splitlines()]
    (at,) = [number for number, line in enumerate(told) if line[0] == "rename"]
    _, temporary, named = told[at]
    assert named == str(target)
    assert not [line for line in told if line[0] == "write" and line[1].startswith(str(target))]
    built = {temporary, f"{temporary}/heads", f"{temporary}/heads/lapse.txt"}
    before = {line[1] for line in told[:at] if line[0] == "sync"}
    assert built | {f"{temporary}/model.txt"} <= before
    assert ["sync", str(tmp_path)] in told[at:]


KILLED = """
import os, sys
from pathlib import Path
import commit_points
from churn.storage.publish import publish_directory

target = Path(sys.argv[1])
for moment in range(1000):
    pid = os.fork()
    if pid == 0:
        commit_points.arm(moment)
        with publish_directory(target.with_name(f"churn-{moment}")) as folder:
            for name in ("model.txt", "manifest.json"):
                (folder / name).write_text(name)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = target.with_name(f"churn-{moment}")
    assert not found.exists() or len(list(found.iterdir())) == 2, moment
    if ended == 0:
        break
print(moment, [path.name for path in target.parent.iterdir() if path.name.startswith(".")])
"""


def test_directories_killed_at_every_commit_point_are_whole_or_absent_and_leave_nothing(tmp_path):
    """Fault 3: the kills fall within the publishing of a bundle."""
    shop = str(Path(__file__).parents[1] / "shop")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "churn")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": shop},
    )
    kills, left = ended.stdout.split(maxsplit=1)
    assert int(kills) >= 10
    assert left.strip() == "[]"
