"""Which process wrote something, and whether it still lives."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Process"]

_UNKNOWN = ("?", 0)


@dataclass(frozen=True)
class Process:
    """A process by its number and its start, for numbers are given again.

    `started` counts clock ticks from boot to the start; 0 where the system does not tell.
    """

    pid: int
    started: int = 0

    @classmethod
    def current(cls) -> "Process":
        """The process that runs this line."""
        pid = os.getpid()
        return cls(pid, _state_and_start(pid)[1])

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; one that only waits for its parent does not."""
        if not _exists(self.pid):
            return False
        state, started = _state_and_start(self.pid)
        return state != "Z" and 0 in {started, self.started, started - self.started}


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _state_and_start(pid: int) -> tuple[str, int]:
    """Fields 3 and 22 of /proc/PID/stat, where there is one (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _UNKNOWN
    fields = stat.rpartition(")")[2].split()
    return fields[0], int(fields[19])
