"""Runs to be killed: each a separate process, forked from a warm one to save time.

What a run holds (locks, connections, open files) ends with it, as with any process.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Reads one JSON object a line, forks, and answers how the child ended and after which time. It
# starts no thread of its own, so that a child can.
PARENT = """
import json, os, sys, time
import commit_points
import {module} as runs
getattr(runs, 'prepare', lambda: None)()
for line in sys.stdin:
    asked = json.loads(line)
    begun = time.perf_counter()
    if asked["here"]:
        runs.RUNS[asked["run"]](**asked["options"])
        print(json.dumps([0, time.perf_counter() - begun]), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        try:
            if asked["kill_at"] is not None:
                commit_points.arm(asked["kill_at"])
            runs.RUNS[asked["run"]](**asked["options"])
            os._exit(0)
        except runs.ChurnError as failure:
            os._exit(failure.exit_code)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    ended = 0
    while not ended:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended and asked["kill_after"] is not None:
            if time.perf_counter() - begun >= asked["kill_after"]:
                os.kill(pid, 9)
                ended, status = os.waitpid(pid, 0)
        time.sleep(0.001)
    code = os.waitstatus_to_exitcode(status)
    print(json.dumps([code, time.perf_counter() - begun]), flush=True)
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, -9 where it was killed, after how many seconds."""

    code: int
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.code == -signal.SIGKILL


class Forking:
    """A warm process that forks one run after another."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def warm_up(self, name: str, **options: Any) -> None:
        """Runs it in the warm process itself: all that are forked have what it loaded."""
        self._answer({"run": name, "here": True, "options": options})

    def run(
        self,
        name: str,
        *,
        kill_after: float | None = None,
        kill_at: int | None = None,
        **options: Any,
    ) -> Ended:
        """Forks a run; it is killed after so many seconds, or at that moment of its commit points,
        unless it has ended by then.
        """
        asked = {"run": name, "kill_after": kill_after, "kill_at": kill_at, "options": options}
        return self._answer({**asked, "here": False})

    def _answer(self, asked: dict[str, Any]) -> Ended:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@contextmanager
def forking(module: str, **variables: str) -> Iterator[Forking]:
    """A warm process that knows the `RUNS` of a module beside this one; `variables` are set in its
    environment.
    """
    place = str(Path(__file__).parent)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    path = os.pathsep.join([place, str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(module=module)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": path, **variables},
    )
    try:
        yield Forking(process)
    finally:
        process.kill()
        process.communicate()


def moments(seconds: float, *, seed: int) -> Iterator[float]:
    """Moments of a run that lasts so long, without end: by turns anywhere, and in its last third,
    where it writes.
    """
    chance = random.Random(seed)
    while True:
        yield seconds * chance.random()
        yield seconds * chance.uniform(0.67, 1.05)


def waited_for(true: Any, *, seconds: float = 30.0) -> None:
    """Returns once `true()` is."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
