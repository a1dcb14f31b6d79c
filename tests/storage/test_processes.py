import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from churn.storage.locks import Process


def test_the_current_process_is_alive():
    assert Process.current().is_alive
    assert Process.current().pid == os.getpid()


def test_a_process_that_has_ended_is_dead(dead_process):
    pid, started = map(int, dead_process.split("-"))
    assert not Process(pid, started).is_alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process started")
def test_another_process_with_the_same_number_is_not_the_same():
    current = Process.current()
    assert not replace(current, started=current.started - 1).is_alive


def test_a_process_of_unknown_start_is_told_by_its_number_alone():
    assert Process(os.getpid()).is_alive
    assert not Process(10**12).is_alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the state of a process")
def test_a_process_whose_end_nobody_noticed_is_dead():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = Process(ended.pid)
    deadline = time.monotonic() + 10
    while process.is_alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not process.is_alive
    ended.wait()
