"""Rows of a result are in a real PostgreSQL whole or not at all, by one writer at a time."""

from dataclasses import replace
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn.errors import BusyError, ConfigError, DataError, StorageError
from churn.storage.postgres.address import table_address
from churn.storage.postgres.layout import Layout
from churn.storage.postgres.target import check_target, has_run, read_run, writing_rows

SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("run_id", pa.string()),
        ("as_of", pa.date32()),
        ("worth", pa.float64()),
        ("days", pa.int32()),
        ("at_risk", pa.bool_()),
        ("reasons", pa.list_(pa.string())),
    ]
)
RUNS = Layout(SCHEMA, ("run_id", "customer_id"), {"run_id": "run_id"}, keeps_runs=True)
HOSTILE = 't"; drop table orders; --'
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def result(run_id="r-1", customers=("ann", "ben"), **columns):
    count = len(customers)
    filled = {
        "customer_id": list(customers),
        "run_id": [run_id] * count,
        "as_of": [date(2024, 3, 1)] * count,
        "worth": [1.5] * count,
        "days": [28] * count,
        "at_risk": [True] * count,
        "reasons": [["late", "less"]] * count,
    }
    return pa.table({**filled, **columns}, SCHEMA)


def written(address, rows, run_id="r-1", layout=RUNS):
    with writing_rows(address, layout) as writer:
        writer.write(rows, {"run_id": run_id})
    return writer


def write_and(then, address):
    with writing_rows(address, RUNS) as writer:
        writer.write(result(customers=["cleo"]), {"run_id": "r-1"})
        then()


def stumble():
    raise RuntimeError("midway")


@pytest.fixture
def target(postgres):
    return table_address(postgres.address("scores"))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(texts, unique=True, max_size=5),
    worth=st.none() | st.floats(allow_nan=False),
    reasons=st.none() | st.lists(texts, max_size=3),
)
def test_what_was_written_is_read_back_to_the_last_bit(target, names, worth, reasons):
    rows = result(
        customers=names, worth=[worth] * len(names), reasons=[reasons] * len(names)
    ).sort_by("customer_id")
    written(target, rows)
    again, facts = read_run(target, RUNS, command="score")
    assert again.sort_by("customer_id").equals(rows)
    assert facts == {"run_id": "r-1", "rows": len(names)}


def test_a_run_that_is_repeated_takes_its_own_place_and_no_other(postgres, target):
    """Fault 2: idempotent on (run_id, customer_id)."""
    written(target, result("r-1"))
    written(target, result("r-2", customers=["ann"]), "r-2")
    written(target, result("r-1", customers=["ann", "cleo"]))
    found = postgres.sql("SELECT run_id, customer_id FROM scores ORDER BY 1, 2")
    assert found == [("r-1", "ann"), ("r-1", "cleo"), ("r-2", "ann")]
    assert postgres.sql("SELECT run_id, rows FROM scores_runs ORDER BY 1") == [
        ("r-1", 2),
        ("r-2", 1),
    ]


def test_the_view_shows_the_run_that_was_written_last(postgres, target):
    written(target, result("r-2"), "r-2")
    written(target, result("r-1", customers=["cleo"]), "r-1")
    assert postgres.sql("SELECT customer_id FROM scores_latest") == [("cleo",)]


def test_a_run_without_rows_is_on_record(target):
    written(target, result(customers=[]))
    rows, facts = read_run(target, RUNS, command="score")
    assert (rows.num_rows, facts["rows"]) == (0, 0)


def test_the_newest_run_is_read_unless_one_is_named(postgres, target):
    written(target, result("r-1"))
    written(target, result("r-2", customers=["cleo"]), "r-2")
    named = table_address(postgres.address("scores?run_id=r-1"))
    assert read_run(target, RUNS, command="score")[0]["run_id"].to_pylist() == ["r-2"]
    assert read_run(named, RUNS, command="score")[0]["run_id"].to_pylist() == ["r-1", "r-1"]
    strange = table_address(postgres.address("scores?run_id=r-3"))
    with pytest.raises(ConfigError, match="must hold the run r-3"):
        read_run(strange, RUNS, command="score")


def test_rows_that_were_altered_are_refused(postgres, target):
    """Fault 8, for a table."""
    written(target, result())
    postgres.sql("UPDATE scores SET worth = 1.6 WHERE customer_id = 'ann'")
    with pytest.raises(DataError, match="must hold the rows that run r-1 wrote"):
        read_run(target, RUNS, command="score")


def test_an_exception_leaves_the_table_as_it_was(postgres, target):
    written(target, result())
    with pytest.raises(RuntimeError, match="midway"):
        write_and(stumble, target)
    assert postgres.sql("SELECT customer_id FROM scores ORDER BY 1") == [("ann",), ("ben",)]


def test_readers_see_the_old_rows_until_all_new_ones_are_there(postgres, target):
    written(target, result())
    with writing_rows(target, RUNS) as writer:
        writer.write(result(customers=["cleo"]), {"run_id": "r-1"})
        assert postgres.sql("SELECT customer_id FROM scores_latest ORDER BY 1") == [
            ("ann",),
            ("ben",),
        ]
    assert postgres.sql("SELECT customer_id FROM scores_latest") == [("cleo",)]


def test_a_second_writer_is_told_that_the_table_is_busy(target):
    """Fault 35: who holds the lock also keeps those out who name the schema."""
    named = replace(target, schema="public")
    told = r"#public.scores must be done by one run"
    with writing_rows(target, RUNS), pytest.raises(BusyError, match=told):
        written(named, result())
    written(named, result())


def test_hostile_names_of_tables_and_columns_are_only_names(postgres):
    """Fault 45."""
    postgres.sql("CREATE TABLE orders (a int)")
    quoted = '"t""; drop table orders; --"'
    schema = pa.schema([(HOSTILE, pa.string()), ("run_id", pa.string())])
    layout = Layout(schema, ("run_id", HOSTILE), {"run_id": "run_id"}, keeps_runs=True)
    rows = pa.table({HOSTILE: [HOSTILE], "run_id": ["r-1"]}, schema)
    address = table_address(postgres.address(quoted))
    for _ in range(2):
        written(address, rows, layout=layout)
    assert read_run(address, layout, command="score")[0].equals(rows)
    assert postgres.sql("SELECT count(*) FROM orders") == [(0,)]
    names = postgres.sql(
        "SELECT table_name FROM information_schema.tables WHERE table_schema='public'"
    )
    assert {name for (name,) in names} == {
        "orders",
        *(HOSTILE + e for e in ("", "_runs", "_latest")),
    }


def test_a_table_with_other_columns_is_refused_before_anything_is_computed(postgres, target):
    postgres.sql("CREATE TABLE scores (customer_id int, run_id text, as_of date, worth float8)")
    lacking = (
        r"got no days integer, no at_risk boolean, no reasons text\[\], customer_id integer instead"
    )
    with pytest.raises(DataError, match=lacking):
        check_target(target, RUNS)


def test_columns_that_a_table_has_besides_may_stay(postgres, target):
    written(target, result())
    postgres.sql("ALTER TABLE scores ADD written timestamptz DEFAULT now()")
    written(target, result("r-2"), "r-2")
    assert postgres.sql("SELECT count(written) FROM scores") == [(4,)]
    assert read_run(target, RUNS, command="score")[0].column_names == SCHEMA.names


def test_a_view_is_no_target(postgres, target):
    written(target, result())
    latest = table_address(postgres.address("scores_latest"))
    with pytest.raises(ConfigError, match="must be a writable table"):
        check_target(latest, RUNS)


def test_what_is_not_there_or_not_allowed_is_told_before_anything_is_computed(postgres, target):
    """Fault 5, for a table."""
    postgres.sql("CREATE ROLE guest LOGIN PASSWORD 'gu3st'")
    try:
        guest = table_address(postgres.address("scores", user="guest", password="gu3st"))
        with pytest.raises(StorageError, match="lacks the right to create a table there"):
            check_target(guest, RUNS)
        written(target, result())
        postgres.sql("GRANT SELECT, INSERT ON scores TO guest")
        with pytest.raises(StorageError, match=r"#public\.scores: the user lacks the right DELETE"):
            check_target(guest, RUNS)
        postgres.sql("GRANT DELETE ON scores TO guest")
        with pytest.raises(StorageError, match=r"#public\.scores_runs: the user lacks the right S"):
            check_target(guest, RUNS)
        postgres.sql("GRANT SELECT, INSERT, DELETE ON scores_runs TO guest")
        written(guest, result("r-2"), "r-2")
    finally:
        postgres.sql("DROP OWNED BY guest")
        postgres.sql("DROP ROLE guest")
    nowhere = table_address(postgres.address("nowhere.scores"))
    with pytest.raises(StorageError, match="there is no schema of that name"):
        check_target(nowhere, RUNS)
    reading = f"{target.uri}?options=-c%20default_transaction_read_only%3Don#scores"
    with pytest.raises(StorageError, match="the database is read-only"):
        check_target(table_address(reading), RUNS)


def test_names_that_leave_no_room_for_what_lies_beside_are_refused(postgres):
    with pytest.raises(ConfigError, match="must have at most 56 bytes"):
        check_target(table_address(postgres.address("s" * 57)), RUNS)


def test_a_key_that_stands_twice_is_no_customer_s_matter_to_show(target):
    with pytest.raises(StorageError, match="cannot use") as refused:
        written(target, result(customers=["secret-ann", "secret-ann"]))
    assert "secret" not in str(refused.value)
    assert not has_run(target)


def test_a_server_that_ends_the_connection_is_told(postgres, target):
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'churn' AND datname = current_database()"
    )
    with pytest.raises(StorageError, match="cannot use"):
        write_and(lambda: postgres.sql(ended), target)
    assert not has_run(target)
