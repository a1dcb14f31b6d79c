"""Child processes that die, and a user without rights."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python with a script and arguments; what still runs is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def dead_process(child: Callable[..., subprocess.Popen[str]]) -> str:
    """The `pid-started` of a process that is gone."""
    script = "from churn.storage.locks import Process as P; p = P.current(); "
    process = child(script + "print(p.pid, p.started, sep='-')")
    token = process.stdout.readline().strip()
    process.wait()
    return token


@pytest.fixture
def read_only_directory() -> Iterator[Path]:
    """A directory that may be entered but not written to, seen by a user who is not root."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    closed = root / "closed"
    closed.mkdir(mode=0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield closed
    finally:
        os.seteuid(before)
        shutil.rmtree(root)
