"""A process that kills itself at its n-th commit point: just before or just after a rename, a sync
to the disk, or the end of a transaction of SQLite.

These are the moments at which what lies on the disk changes for others.
"""

import functools
import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

__all__ = ["arm"]


def arm(moment: int) -> None:
    """From now on, the process dies at its commit point `moment // 2`, from 0: before it where the
    moment is even, after it where it is odd.
    """
    points = _Points(moment)
    for name in ("replace", "rename", "fsync", "link"):
        setattr(os, name, points.around(getattr(os, name)))

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            run = functools.partial(super().execute, sql, *rest)
            return points.around(run)() if sql in ("COMMIT", "VACUUM") else run()

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Connection)


class _Points:
    def __init__(self, moment: int) -> None:
        self.left = moment

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def committed(*args: Any, **options: Any) -> Any:
            self._tick()
            result = call(*args, **options)
            self._tick()
            return result

        return committed

    def _tick(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
