"""Errors of the operating system in plain words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from churn.errors import StorageError

_NO_SPACE = "Free some space, or write to another disk."
_NO_RIGHT = "Choose a writable location, or change its permissions."
_OTHER_LOCATION = "Choose another location."

_CAUSES = {
    errno.ENOSPC: ("there is no space left on the disk", _NO_SPACE),
    errno.EDQUOT: ("the disk quota is used up", _NO_SPACE),
    errno.EFBIG: ("the file exceeds the maximum size allowed here", _NO_SPACE),
    errno.EACCES: ("permission is denied", _NO_RIGHT),
    errno.EPERM: ("permission is denied", _NO_RIGHT),
    errno.EROFS: ("the file system is read-only", _NO_RIGHT),
    errno.ENOENT: ("there is no such file or directory", "Check the path."),
    errno.ENOTDIR: ("a part of the path is not a directory", "Check the path."),
    errno.EISDIR: ("it is a directory", "Name a file."),
    errno.EEXIST: ("it already exists", _OTHER_LOCATION),
    errno.ENOTEMPTY: ("it already exists", _OTHER_LOCATION),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
    errno.ELOOP: ("symbolic links form a loop", "Check the path."),
    errno.EIO: ("the disk reports an error", "Check the disk."),
    errno.EMFILE: ("too many files are open", "Raise the limit (ulimit -n)."),
}


@contextmanager
def storage_errors(
    path: Path, *, doing: Literal["read", "write"], temporary: Path | None = None
) -> Iterator[None]:
    """A block whose OSErrors become StorageErrors naming the file that failed and why.

    Errors at `temporary` are reported for `path`, the only name that the user knows.
    """
    try:
        yield
    except OSError as error:
        failed = _failed_path(error, path, temporary)
        cause, fix = _CAUSES.get(
            error.errno or 0, (error.strerror or str(error), "Then try again.")
        )
        verb = doing if failed == path else "use"
        raise StorageError(f"cannot {verb} {failed}: {cause}", fix=fix) from error


def _failed_path(error: OSError, path: Path, temporary: Path | None) -> Path:
    if not isinstance(error.filename, str | bytes):
        return path
    failed = Path(os.fsdecode(error.filename))
    ours = temporary is not None and failed.is_relative_to(temporary)
    return path if ours else failed
