import os
import threading
import time
from pathlib import Path

import pytest

from churn.errors import BusyError, StorageError
from churn.storage.locks import exclusive, lock_beside

HOLD = """
import sys, time
from pathlib import Path
from churn.storage.locks import exclusive
with exclusive(Path(sys.argv[1]), what="training"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_can_be_taken_again_after_its_block(tmp_path):
    path = tmp_path / "new" / "lock"
    for _ in range(2):
        with exclusive(path, what="training"):
            assert path.exists()
    assert path.exists()


def test_a_lock_is_free_after_an_exception(tmp_path):
    with pytest.raises(RuntimeError, match="boom"), exclusive(tmp_path / "lock", what="training"):
        raise RuntimeError("boom")
    with exclusive(tmp_path / "lock", what="training"):
        pass


def test_a_taken_lock_names_the_work_and_the_process_that_does_it(tmp_path, child):
    process = child(HOLD, tmp_path / "lock")
    assert process.stdout.readline() == "held\n"
    message = rf"training must .*process {process.pid}\).*Wait until it has ended"
    with (
        pytest.raises(BusyError, match=message) as caught,
        exclusive(tmp_path / "lock", what="training"),
    ):
        pass
    assert caught.value.exit_code == 6


def test_a_lock_is_free_when_its_holder_is_killed(tmp_path, child):
    process = child(HOLD, tmp_path / "lock")
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    with exclusive(tmp_path / "lock", what="training"):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_who_waits_gets_the_lock_when_it_comes_free(tmp_path):
    held, seen = threading.Event(), []

    def hold() -> None:
        with exclusive(tmp_path / "lock", what="training"):
            held.set()
            time.sleep(0.1)
            seen.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with exclusive(tmp_path / "lock", what="training", wait_seconds=30):
        seen.append("second")
    thread.join()
    assert seen == ["first", "second"]


def test_a_place_without_permission_is_a_storage_error(read_only_directory):
    with (
        pytest.raises(StorageError, match=r"permission is denied.*change its permissions"),
        exclusive(read_only_directory / "lock", what="training"),
    ):
        pass


def test_the_lock_of_a_target_is_hidden_beside_it():
    assert lock_beside(Path("models/champion")) == Path("models/.champion.lock")


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "directory"])
def test_a_lock_that_is_no_file_of_its_own_is_refused_and_what_it_leads_to_is_kept(tmp_path, kind):
    victim, lock = tmp_path / "victim.txt", tmp_path / ".out.lock"
    victim.write_text("precious")
    if kind in ("link", "dangling"):
        lock.symlink_to(victim if kind == "link" else tmp_path / "nothing")
    elif kind == "pipe":
        os.mkfifo(lock)
    else:
        lock.mkdir()
    with pytest.raises(StorageError, match=r"\.out\.lock"), exclusive(lock, what="writing"):
        pytest.fail("it was let in")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()
