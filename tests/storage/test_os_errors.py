import errno
import os
from pathlib import Path

import pytest

from churn.errors import StorageError
from churn.storage.files import storage_errors

TARGET = Path("out/scores.parquet")


def raised(number: int, *names: str, temporary: Path | None = None) -> StorageError:
    with (
        pytest.raises(StorageError) as caught,
        storage_errors(TARGET, doing="write", temporary=temporary),
    ):
        raise OSError(number, os.strerror(number), *names)
    return caught.value


@pytest.mark.parametrize(
    ("number", "cause", "fix"),
    [
        (errno.ENOSPC, "no space left", "Free some space"),
        (errno.EACCES, "permission is denied", "change its permissions"),
        (errno.EROFS, "read-only", "change its permissions"),
        (errno.ENOTDIR, "not a directory", "Check the path"),
        (errno.EDOM, os.strerror(errno.EDOM), "try again"),
    ],
)
def test_the_cause_is_told_in_plain_words_with_a_cure(number, cause, fix):
    error = raised(number)
    assert str(error).startswith("cannot write out/scores.parquet: ")
    assert cause in str(error)
    assert fix in error.fix
    assert error.exit_code == 7


def test_a_failure_elsewhere_names_that_place():
    assert str(raised(errno.ENOENT, "offers.toml")).startswith("cannot use offers.toml: ")


def test_a_failure_at_the_temporary_file_names_the_target():
    temporary = Path("out/.scores.parquet.1-1-00000000.tmp")
    error = raised(errno.ENOSPC, f"{temporary}/heads/lapse.txt", temporary=temporary)
    assert str(error).startswith("cannot write out/scores.parquet: ")


def test_an_error_without_a_number_keeps_its_words():
    with (
        pytest.raises(StorageError, match=r"out/scores\.parquet: the footer is short.*try again"),
        storage_errors(TARGET, doing="read"),
    ):
        raise OSError("the footer is short")
