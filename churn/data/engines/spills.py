"""Folders into which an engine spills rows; what a killed process left, the next one removes."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from churn.files.processes import Process

__all__ = ["new_spill_folder", "remove_dead_spills"]

NAME = re.compile(r"churn-spill-(\d+)-(\d+)-\w+")


def new_spill_folder() -> str:
    """A new private folder, whose name tells which process owns it."""
    remove_dead_spills()
    owner = Process.current()
    return tempfile.mkdtemp(prefix=f"churn-spill-{owner.pid}-{owner.started}-")


def remove_dead_spills() -> int:
    """How many folders of processes that are gone were found: their rows are removed."""
    found = [(path, NAME.fullmatch(path.name)) for path in Path(tempfile.gettempdir()).iterdir()]
    dead = [
        path
        for path, match in found
        if match and not Process(pid=int(match[1]), started=int(match[2])).is_alive
    ]
    for path in dead:
        shutil.rmtree(path, ignore_errors=True)
    return len(dead)
