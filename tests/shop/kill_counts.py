"""Successive kills, each in a fresh copy of a shop, and their results."""

import itertools
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forked import Forking

__all__ = ["Count", "Kills"]

MOST_POINTS = 4_000


@dataclass
class Count:
    """What came of the kills."""

    kills: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        by = ", ".join(f"{command} {number}" for command, number in self.kills.items())
        found = [f"{len(getattr(self, name))} {name}" for name in ("lost", "doubled", "litter")]
        return f"{sum(self.kills.values())} kills ({by}): {', '.join(found)}"


class Kills:
    """Kills of commands; a subclass has a method `_COMMAND` for each, which copies its shop, kills
    at a moment, looks at what is there, runs the command again, and tells whether it was killed.
    """

    def __init__(self, warm: Forking, folder: Path, count: Count) -> None:
        self.warm, self.folder, self.count = warm, folder, count
        self._copies = itertools.count()

    def all_of(self, command: str, *, every: int = 1) -> None:
        """Kills the command at every, or each so-manieth, moment of its commit points."""
        kill = getattr(self, f"_{command}")
        for moment in range(0, MOST_POINTS, every):
            if not kill(moment):
                return
            self.count.kills[command] += 1
        raise AssertionError(f"{command} has more than {MOST_POINTS} commit points")

    def _place(self) -> Path:
        """A folder that is not there yet, for a copy of a shop."""
        return self.folder / f"shop{next(self._copies)}"

    def _killed(self, command: str, moment: int | None, config: Path, **options: Any) -> bool:
        ended = self.warm.run(command, kill_at=moment, config=str(config), **options)
        assert ended.killed or ended.code == 0, (command, moment, ended)
        return ended.killed

    def _check(self, config: Path, at: str, whole: Callable[[], bool]) -> None:
        with closing(sqlite3.connect(config.parent / "ledger.db")) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                self.count.lost.append(f"{at}: the ledger")
        if not whole():
            self.count.lost.append(f"{at}: what was there before")

    def _look_for_litter(self, config: Path, at: str) -> None:
        left = [path.name for path in config.parent.rglob(".*.tmp*")]
        self.count.litter += [f"{at}: {name}" for name in left]
        shutil.rmtree(config.parent)
