"""Private folders for copies of a shop's rows; what a killed process left, the next one removes."""

import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from churn.files.causes import storage_errors
from churn.files.processes import Process

__all__ = ["private_folder"]


def private_folder(prefix: str) -> Path:
    """A new folder that nobody else can look into, whose name tells which process owns it."""
    _remove_leftovers(prefix)
    me = Process.current()
    place = Path(tempfile.gettempdir())
    with storage_errors(place, doing="write"):
        return Path(tempfile.mkdtemp(prefix=f"{prefix}{me.pid}-{me.started}-", dir=place))


def _remove_leftovers(prefix: str) -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        match = re.match(rf"{prefix}(\d+)-(\d+)-", left.name)
        if match is not None and not Process(int(match[1]), int(match[2])).is_alive:
            with suppress(OSError):
                shutil.rmtree(left)
