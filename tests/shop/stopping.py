"""A command in a separate process that stops at a function, continues, or is killed there.

So what happens meanwhile happens there every time, and no test waits for luck.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = """
import functools, importlib, os, signal, sys
place, when = sys.argv[1:3]
module, _, name = place.partition(":")
*path, name = name.split(".")
owner = functools.reduce(getattr, path, importlib.import_module(module))
real = getattr(owner, name)

@functools.wraps(real)
def stopping(*args, **options):
    setattr(owner, name, real)
    if when == "before":
        os.kill(os.getpid(), signal.SIGSTOP)
        return real(*args, **options)
    result = real(*args, **options)
    os.kill(os.getpid(), signal.SIGSTOP)
    return result

setattr(owner, name, stopping)
from churn.cli import main
sys.argv = ["churn", *sys.argv[3:]]
main()
"""


class Stopped:
    """A command that has stopped itself."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def go_on(self) -> tuple[int, str]:
        """Its exit code, and what it said on standard error."""
        self.process.send_signal(signal.SIGCONT)
        _, message = self.process.communicate(timeout=240)
        return self.process.returncode, message

    def kill(self) -> None:
        """Ends it where it stands."""
        self.process.kill()
        self.process.wait()


@contextmanager
def stopped(place: str, *words: object, when: str = "before") -> Iterator[Stopped]:
    """`churn WORDS` in a process, stopped at the first call of `module:function`."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPING, place, when, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it ended with {status}: {process.stderr.read()}"
        yield Stopped(process)
    finally:
        process.kill()
        process.communicate()
