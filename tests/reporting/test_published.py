"""The published file: read by several at once, replaced under its readers, checked by version."""

from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
import pytest
from small_documents import DOCUMENTS, ROW, written_page

from churn.errors import DataError
from churn.reporting.page_tables import Page, erase_from_page, write_page
from churn.reporting.published import Published
from churn.reporting.views import VIEWS, views_sql


@pytest.fixture
def path(tmp_path):
    return written_page(tmp_path / "page.duckdb")


def test_many_threads_read_through_cursors_of_their_own(path):
    with Published(path) as page, ThreadPoolExecutor(8) as threads:

        def count(_):
            return page.cursor().sql("SELECT count(*) FROM customers").fetchall()

        assert set(map(str, threads.map(count, range(64)))) == {"[(2,)]"}


def test_a_reader_can_neither_write_nor_open_other_files(path, tmp_path):
    (tmp_path / "other.csv").write_text("a\n1\n")
    with Published(path) as page:
        with pytest.raises(duckdb.Error):
            page.connection.execute("DELETE FROM customers")
        with pytest.raises(duckdb.Error):
            page.connection.execute(f"SELECT * FROM '{tmp_path}/other.csv'").fetchall()


def test_a_file_of_another_version_is_refused(path):
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE published SET version = 2")
    with pytest.raises(DataError, match="Run `churn publish` of this release"):
        Published(path)


def test_every_view_answers_and_stands_in_the_file_of_views(path):
    with Published(path) as page:
        for name in VIEWS:
            page.connection.sql(f"SELECT * FROM {name}").fetchall()
            assert f"CREATE OR REPLACE VIEW {name} AS" in views_sql()


def test_without_scores_everyone_is_there_without_a_probability(tmp_path):
    known = pa.table(
        {
            "customer_id": ["a", "b"],
            "status": ["eligible", "lapsed"],
            "recency_days": [3.0, 300.0],
            "frequency": [4.0, 1.0],
            "monetary": [90.0, 5.0],
        }
    )
    write_page(tmp_path / "page.duckdb", Page(row=ROW, documents={}, base=known))
    with Published(tmp_path / "page.duckdb") as page:
        columns = "position, customer_id, recency_days, churn_probability, offer_outcome"
        rows = page.connection.sql(f"SELECT {columns} FROM customers").fetchall()
        assert rows == [(0, "a", 3.0, None, None), (1, "b", 300.0, None, None)]
        assert page.connection.sql("SELECT * FROM scores_history").fetchall() == []


def test_a_refusal_of_every_channel_holds_where_no_other_word_stands(tmp_path):
    consents = pa.table(
        {
            "customer_id": ["a", "a", "b"],
            "channel": ["", "email", "sms"],
            "purpose": ["marketing", "marketing", "profiling"],
            "granted": [False, True, True],
        }
    )
    base = pa.table({"customer_id": ["a", "b"]})
    page = Page(row=ROW, documents={}, base=base, consents=consents)
    write_page(tmp_path / "page.duckdb", page)
    with Published(tmp_path / "page.duckdb") as opened:
        sql = "SELECT consent_email, consent_sms FROM customers ORDER BY customer_id"
        assert opened.connection.sql(sql).fetchall() == [(True, False), (None, None)]


def test_who_is_only_in_a_document_is_erased_too(tmp_path):
    worklist = {"worklist": [{"customer_id": "only", "value": 3.0}, {"customer_id": "b"}]}
    source = written_page(tmp_path / "page.duckdb", feedback=worklist)
    gone = {"only", "c0004711"}
    target = tmp_path / "copy.duckdb"

    def erased(table):
        return [one in gone for one in table["customer_id"].to_pylist()]

    assert erase_from_page(source, None, erased) == erase_from_page(source, target, erased) > 2
    with Published(target) as page:
        assert [one["customer_id"] for one in page.document("feedback")["worklist"]] == ["b"]
        rows = page.document("overview")["blocks"]["leaving"]["rows"]
        assert [one["customer_id"] for one in rows] == ["c0000815"]
        assert page.connection.sql("SELECT position FROM customers").fetchall() == [(0,)]
        assert page.document("plan") == DOCUMENTS["plan"]
    assert b"c0004711" not in target.read_bytes()
