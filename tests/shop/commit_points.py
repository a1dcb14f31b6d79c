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

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            run = functools.partial(super().execute, sql, *rest)
            alone = _is_schema(sql) and not self.connection.in_transaction
            return points.around(run)() if alone else run()

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *rest: Any) -> sqlite3.Cursor:
            run = functools.partial(super().execute, sql, *rest)
            return points.around(run)() if sql in ("COMMIT", "VACUUM") else run()

        def commit(self) -> None:
            run = super().commit
            points.around(run)() if self.in_transaction else run()

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    for module in (sqlite3, sqlite3.dbapi2):  # SQLAlchemy takes the second
        module.connect = functools.partial(module.connect, factory=Connection)


def _is_schema(sql: str) -> bool:
    """Whether a statement changes tables, which outside a transaction is one of its own."""
    return sql.lstrip().upper().startswith(("CREATE", "DROP", "ALTER"))


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
