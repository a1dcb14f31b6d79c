"""The published file behind the pages: a newer one is shown once it is prepared, and not before."""

import threading

import pytest
from published_shop import write_page

from churn.errors import DataError
from churn.serving.dashboard.reader import Reader

SECONDS = 60


class Preparing:
    """Prepares nothing, but not before it is allowed to."""

    def __init__(self):
        self.begun, self.allowed, self.seen = threading.Semaphore(0), threading.Semaphore(0), []

    def __call__(self, edition):
        self.seen.append(customers(edition))
        self.begun.release()
        assert self.allowed.acquire(timeout=SECONDS)


def customers(edition):
    return edition.rows("SELECT count(*) AS n FROM customers")[0]["n"]


@pytest.fixture
def preparing():
    return Preparing()


@pytest.fixture
def reader(tmp_path, preparing):
    """A reader of a file of 40 customers that has been prepared."""
    found = Reader(tmp_path / "page.duckdb", prepare=preparing)
    assert found.newest() is None
    write_page(tmp_path / "page.duckdb", customers=40)
    assert customers(found.newest()) == 40  # at once: there is nothing else to show
    preparing.allowed.release()
    found.newest(wait=True)
    assert preparing.begun.acquire(timeout=SECONDS)
    return found


def test_the_older_file_is_shown_until_the_newer_one_is_prepared(reader, preparing):
    write_page(reader.path, customers=60)
    assert customers(reader.newest()) == 40
    assert preparing.begun.acquire(timeout=SECONDS)
    assert customers(reader.newest()) == 40
    preparing.allowed.release()
    assert customers(reader.newest(wait=True)) == 60
    assert preparing.seen == [40, 60]


def test_what_replaces_a_file_that_is_being_prepared_comes_next(reader, preparing):
    write_page(reader.path, customers=60)
    reader.newest()
    assert preparing.begun.acquire(timeout=SECONDS)
    write_page(reader.path, customers=80)
    reader.newest()
    preparing.allowed.release(2)
    assert customers(reader.newest(wait=True)) == 60
    assert customers(reader.newest(wait=True)) == 80


def test_a_file_that_cannot_be_read_is_an_error_until_the_next_one(reader, preparing):
    reader.path.unlink()
    reader.path.write_bytes(b"no database")
    for _ in range(2):
        with pytest.raises(DataError, match="Publish again"):
            reader.newest(wait=True)
    reader.path.unlink()
    write_page(reader.path, customers=60)
    preparing.allowed.release()
    assert customers(reader.newest(wait=True)) == 60


def test_a_file_that_is_removed_stays_in_view(reader):
    reader.path.unlink()
    assert customers(reader.newest()) == 40
