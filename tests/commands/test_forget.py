"""Erased customers are in nothing that churn stores, and in no later import."""

import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from datetime import date
from io import StringIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from known_customers import (
    CUSTOMERS,
    NIGHT,
    address,
    files_of,
    known_shop,
    names_in,
    people,
    scored,
    written,
)

from churn.campaigns.delivery.audiences import AUDIENCES
from churn.commands import forget as forget_module
from churn.commands.access import access
from churn.commands.check import check
from churn.commands.customer_lists import named_customers
from churn.commands.export import export
from churn.commands.forget import forget
from churn.commands.plan import plan
from churn.data.engines.duck import new_spill_folder
from churn.errors import BusyError, ChurnError, ConfigError
from churn.results.output import writing_table
from churn.storage.erasures import compact, outputs, read_erased, tables_of_customers
from churn.storage.ledger import Ledger
from churn.storage.manifests import publish_with_manifest, sidecar_of, verify_file
from churn.storage.records import MIGRATIONS
from churn.storage.withdrawals import record_withdrawal

COMMANDS = Path(forget_module.__file__).parent
READING = [*COMMANDS.rglob("*.py"), *COMMANDS.with_name("privacy").glob("*.py")]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A shop with a plan and two exports. Tests must not change it, but `shop`."""
    folder = tmp_path_factory.mktemp("known") / "shop"
    config = known_shop(folder)
    written(config)
    return folder


@pytest.fixture
def shop(original, tmp_path):
    """A copy of it, with the copy's files in its ledger."""
    folder = tmp_path / "shop"
    shutil.copytree(original, folder)
    with Ledger(folder / "ledger.db") as ledger, ledger.changing() as connection:
        moved = "UPDATE outputs SET target = replace(target, ?, ?)"
        connection.execute(moved, (str(original), str(folder)))
    return folder / "churn.toml"


@pytest.fixture
def ours(shop):
    """The files that churn wrote in the shop."""
    return [shop.parent / "ledger.db", *files_of(shop.parent / "out")]


def offered(config, offer):
    """The first customer with this offer in the plan."""
    rows = pd.read_parquet(config.parent / "out" / "plan.parquet")
    return rows.query("offer_id == @offer and arm == 'treatment'")["customer_id"].iloc[0]


def test_no_written_byte_contains_the_customer_afterwards(shop, ours):
    """Fault 49."""
    name = offered(shop, "banner")
    with Ledger(shop.parent / "ledger.db") as ledger:
        record_withdrawal(ledger, name, "email", source="one-click")
    held = {place for place, _ in names_in(ours, [name])}
    assert held == {"ledger.db", "plan.parquet", "list.csv"}
    result = forget(shop, customers=[name])
    assert names_in([*ours, *files_of(shop.parent / "out")], [name]) == set()
    assert result.exit_code == 0
    assert result.metrics["ledger"] == {"holdout": 2, "plans": 1, "withdrawals": 1}
    assert sorted(Path(path).name for path in result.metrics["files"]) == [
        *("list.csv", "meta.parquet", "plan.parquet"),
    ]
    assert name not in json.dumps(result.to_dict()) + repr(result.tables)


def test_other_customers_rows_are_unchanged_and_files_match_their_manifests(shop):
    name, folder = offered(shop, "banner"), shop.parent / "out"
    before = {path: path.read_bytes() for path in folder.glob("*.csv")}
    plan_before = pq.read_table(folder / "plan.parquet")
    forget(shop, customers=[name])
    for path, held in before.items():
        lines = held.decode().splitlines(keepends=True)
        assert path.read_text() == "".join(line for line in lines if f'"{name}"' not in line)
    after = pq.read_table(folder / "plan.parquet")
    others = [row != name for row in plan_before["customer_id"].to_pylist()]
    assert after.equals(plan_before.filter(others))
    for path in (*folder.glob("*.csv"), *folder.glob("*.parquet")):
        assert verify_file(path)["erased"] == 1
    assert verify_file(folder / "plan.parquet")["rows"] == len(CUSTOMERS) - 1


def test_an_audience_loses_the_hashes_of_the_erased_and_of_nobody_else(shop):
    name, path = offered(shop, "banner"), shop.parent / "out" / "meta.parquet"
    theirs = AUDIENCES["meta"].hashed_email(address(name))
    before = set(pd.read_parquet(path)["email"])
    forget(shop, customers=[name])
    assert before - set(pd.read_parquet(path)["email"]) == {theirs}


@pytest.mark.parametrize("kind", sorted(AUDIENCES))
def test_audiences_in_csv_are_searched_too(shop, kind):
    name, form = offered(shop, "banner"), AUDIENCES[kind]
    path = shop.parent / "out" / f"{kind}.csv"
    export(shop, plan=shop.parent / "out" / "plan.parquet", out=path, audience_name=kind)
    theirs = form.hashed_email(address(name))
    assert theirs in path.read_text()
    before = len(pd.read_csv(path))
    forget(shop, customers=[name])
    assert theirs not in path.read_text()
    assert len(pd.read_csv(path)) == before - 1
    assert verify_file(path)["erased"] == 1


def test_exports_that_contained_the_customer_are_reported_for_follow_up(shop):
    asked = offered(shop, "banner"), offered(shop, "coupon")
    reported = [forget(shop, customers=[name], dry_run=True).metrics["take_off"] for name in asked]
    places = [[(row["audience"], row["offer_id"]) for row in rows] for rows in reported]
    assert places == [[("list", "banner"), ("meta", "banner")], [("list", "coupon")]]
    assert reported[0][0]["campaign_id"] == "spring"


def test_an_audience_that_can_no_longer_be_searched_is_reported_as_incomplete(shop):
    name = offered(shop, "banner")
    people([one for one in CUSTOMERS if one != name]).to_parquet(shop.parent / "customers.parquet")
    result = forget(shop, customers=[name])
    assert result.exit_code == 3
    assert result.failure.startswith("the erasure is incomplete: rows may be left")
    assert any("meta.parquet cannot be searched" in note for note in result.warnings)
    assert forget(shop, customers=[name]).exit_code == 0


def test_a_dry_run_changes_no_byte(shop):
    before = {path: path.read_bytes() for path in files_of(shop.parent / "out")}
    counted = forget(shop, customers=[CUSTOMERS[3]], dry_run=True)
    assert {path: path.read_bytes() for path in files_of(shop.parent / "out")} == before
    assert read_erased(shop.parent / "ledger.db", None) is None
    assert not (shop.parent / "erasure.key").exists()
    done = forget(shop, customers=[CUSTOMERS[3]])
    assert (counted.metrics["ledger"], counted.metrics["files"]) == (
        done.metrics["ledger"],
        done.metrics["files"],
    )


def test_repeating_an_erasure_changes_nothing(shop):
    forget(shop, customers=CUSTOMERS[:2])
    again = forget(shop, customers=CUSTOMERS[:2])
    assert (again.rows, again.metrics["new"]) == ({"ledger": 0, "files": 0}, 0)
    assert verify_file(shop.parent / "out" / "plan.parquet")["erased"] == 2


def test_a_run_killed_after_the_list_is_completed_by_the_next_for_any_customer(
    shop, ours, monkeypatch
):
    name, other = CUSTOMERS[4], CUSTOMERS[5]

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(forget_module, "_erase_results", killed)
        with pytest.raises(KeyboardInterrupt):
            forget(shop, customers=[name])
    assert {place for place, _ in names_in(ours, [name])} >= {"ledger.db", "plan.parquet"}
    assert check(shop).dropped["orders"]["erased"] > 0
    forget(shop, customers=[other])
    assert names_in(ours, [name, other]) == set()


def test_the_next_import_scores_no_erased_customer(shop):
    forget(shop, customers=[CUSTOMERS[7]])
    result = check(shop)
    assert result.dropped["customers"] == {"erased": 1}
    assert result.dropped["consents"] == {"erased": 2}
    out = shop.parent / "out" / "again.parquet"
    plan(shop, out=out, scores=scored(shop.parent), as_of=NIGHT)
    assert CUSTOMERS[7] not in set(pd.read_parquet(out)["customer_id"])


def test_a_plan_from_another_folder_is_exported_without_erased_customers(shop, tmp_path):
    name, folder = offered(shop, "coupon"), shop.parent / "out"
    written_there = folder / "plan.parquet", sidecar_of(folder / "plan.parquet")
    copies = [tmp_path / path.name for path in written_there]
    for path in copies:
        shutil.copy(folder / path.name, path)
    forget(shop, customers=[name])
    result = export(shop, plan=copies[0], out=tmp_path / "list.csv", replace=True)
    assert result.metrics["left_out"]["erased"] == 1
    assert name not in (tmp_path / "list.csv").read_text()


def test_a_plan_that_lost_a_row_is_still_the_plan_that_was_exported(shop):
    forget(shop, customers=[offered(shop, "coupon")])
    folder = shop.parent / "out"
    result = export(shop, plan=folder / "plan.parquet", out=folder / "list.csv")
    assert any("put this list in its place" in note for note in result.warnings)


def test_copies_in_given_folders_are_erased(shop, tmp_path):
    folder, name = tmp_path / "archive" / "2024", CUSTOMERS[9]
    folder.mkdir(parents=True)
    shutil.copy(shop.parent / "out" / "plan.parquet", folder)
    shutil.copy(sidecar_of(shop.parent / "out" / "plan.parquet"), folder)
    (folder / "foreign.csv").write_text(f"customer_id\n{name}\n")
    result = forget(shop, customers=[name], places=[tmp_path / "archive"])
    assert str(folder / "plan.parquet") in result.metrics["files"]
    assert names_in([folder / "plan.parquet"], [name]) == set()
    assert name in (folder / "foreign.csv").read_text()
    with pytest.raises(ConfigError, match="--in must be an existing folder or a table"):
        forget(shop, customers=[name], places=[folder / "plan.parquet"])


def test_the_shops_own_files_are_unchanged_and_reported(shop):
    with publish_with_manifest(shop.parent / "orders2.parquet", {}) as temporary:
        shutil.copy(shop.parent / "orders.parquet", temporary)
    shop.write_text(shop.read_text().replace("orders.parquet", "orders2.parquet"))
    held = (shop.parent / "orders2.parquet").read_bytes()
    result = forget(shop, customers=[CUSTOMERS[1]], places=[shop.parent])
    assert (shop.parent / "orders2.parquet").read_bytes() == held
    assert result.metrics["still_in_your_tables"] == {"orders": 1, "customers": 1, "consents": 1}
    (note,) = [note for note in result.warnings if "your table" in note]
    assert note.startswith("your tables still contain erased customers: orders (1), ")


def test_a_file_that_contradicts_its_manifest_is_reported_as_incomplete(shop):
    path = shop.parent / "out" / "plan.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    result = forget(shop, customers=[CUSTOMERS[1]])
    assert result.exit_code == 3
    assert any("plan.parquet must match its manifest" in w for w in result.warnings)
    read = {Path(path).name for path in result.metrics["files"]}
    assert read <= {"list.csv", "meta.parquet"}


def test_tables_that_cannot_be_read_do_not_stop_an_erasure(shop, ours):
    (shop.parent / "orders.parquet").write_bytes(b"PAR1 cut")
    name = offered(shop, "coupon")
    result = forget(shop, customers=[name])
    assert names_in(ours, [name]) == set()
    assert any("your tables could not be read" in note for note in result.warnings)


def test_a_list_of_customers_without_addresses_does_not_stop_an_erasure(shop, ours):
    path = shop.parent / "customers.parquet"
    pd.read_parquet(path)[["customer_id"]].to_parquet(path, index=False)
    forget(shop, customers=[CUSTOMERS[0]])
    assert names_in(ours, [CUSTOMERS[0]]) == set()


def test_a_misspelt_customer_is_noticed(shop):
    result = forget(shop, customers=["zqx-4711", CUSTOMERS[0]])
    assert any("1 of the customers named is in none of your tables" in w for w in result.warnings)


def test_missing_files_on_record_are_listed(shop):
    path = shop.parent / "out" / "list.csv"
    path.unlink()
    sidecar_of(path).unlink()
    result = forget(shop, customers=[CUSTOMERS[0]])
    assert result.metrics["outputs_not_there"] == 1
    (note,) = [note for note in result.warnings if "earlier runs" in note]
    assert note.startswith(f"no longer in the place where earlier runs wrote them: {path}; if you")


def test_outputs_of_rejected_commands_are_not_reported_as_missing(shop):
    folder, earlier = shop.parent, "2023-12-01"
    (folder / "a folder.parquet").mkdir()
    for name in ("a folder.parquet", "orders.parquet", "x.txt"):
        with pytest.raises(ChurnError):
            plan(shop, out=folder / name, scores=scored(folder), as_of=NIGHT)
    with pytest.raises(ChurnError, match="scores must be as of the plan's date"):
        plan(shop, out=folder / "new.parquet", scores=folder / "made-up.parquet", as_of=earlier)
    with pytest.raises(ConfigError, match="no data is held on a customer"):
        access(shop, customer="zqx-4711", out=folder / "nobody.json")
    result = forget(shop, customers=[CUSTOMERS[0]])
    assert result.metrics["missing_outputs"] == []


def test_a_file_on_record_stays_there_when_a_later_run_fails(shop):
    """It may have been moved, with its rows."""
    path = shop.parent / "out" / "plan.parquet"
    path.rename(path.with_name("moved.parquet"))
    with pytest.raises(ChurnError, match="scores must be as of the plan's date"):
        plan(shop, out=path, scores=shop.parent / "made-up.parquet", as_of="2023-12-01")
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert str(path) in outputs(ledger)


def test_leftovers_of_killed_processes_are_removed(shop, monkeypatch, tmp_path):
    folder = shop.parent / "out"
    dead = folder / ".plan.parquet.999999999-1-0123abcd.tmp"
    dead.write_text(CUSTOMERS[0])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spilled = tmp_path / "churn-spill-999999999-1-abc"
    spilled.mkdir()
    alive = Path(new_spill_folder())
    spilled.mkdir(exist_ok=True)
    forget(shop, customers=[CUSTOMERS[0]])
    assert (dead.exists(), spilled.exists(), alive.exists()) == (False, False, True)


KILLED = """
import os, signal, sys
from pathlib import Path
from churn.storage.ledger import Ledger
from churn.storage.erasures import remembered
from churn.results.output import writing_table
import pyarrow as pa

out = Path(sys.argv[2])
writing = writing_table(out)
with Ledger(Path(sys.argv[1])) as ledger, remembered(writing, ledger, out, command="x") as writer:
    writer.write(pa.table({"customer_id": [sys.argv[3]]}), {"run_id": "r"})
    os.replace = os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftovers_of_a_first_run_killed_before_its_file_existed_are_removed(shop):
    """The file was never written; its temporary file contains the customer's row."""
    out = shop.parent / "out2" / "scores.parquet"
    command = [sys.executable, "-c", KILLED, shop.parent / "ledger.db", out, CUSTOMERS[0]]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = (path for path in out.parent.glob(".*.tmp") if "manifest" not in path.name)
    assert CUSTOMERS[0].encode() in left.read_bytes()
    assert forget(shop, customers=[CUSTOMERS[1]], dry_run=True).exit_code == 0
    assert left.exists()
    forget(shop, customers=[CUSTOMERS[0]])
    assert [path.name for path in out.parent.iterdir() if path.suffix != ".lock"] == []


def test_erasing_in_a_copied_folder_changes_only_the_copy(original, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    before = {path: path.read_bytes() for path in files_of(original)}
    assert forget(copy / "churn.toml", customers=[CUSTOMERS[0]]).rows["files"]
    assert {path: path.read_bytes() for path in files_of(original)} == before
    ours = [copy / "ledger.db", *files_of(copy / "out")]
    assert names_in(ours, [CUSTOMERS[0]]) == set()


def test_while_another_run_is_active_only_the_list_is_written(shop):
    with Ledger(shop.parent / "ledger.db") as ledger:
        other = ledger.start_run("score")
        with pytest.raises(
            BusyError, match=r"began before it, got churn score\. .* repeat it then"
        ):
            forget(shop, customers=[CUSTOMERS[0]])
        ledger.finish_run(other, status="done")
    assert check(shop).dropped["orders"]["erased"] > 0
    with Ledger(shop.parent / "ledger.db") as ledger:
        ledger.start_run("serve")  # which looks into the ledger anew at each request
        assert forget(shop, customers=[CUSTOMERS[0]]).exit_code == 0


def test_every_table_of_the_ledger_with_customers_is_erased_from(shop):
    """Whoever adds a table with a customer_id need not think of it; one that hides the customer
    under another name fails here.
    """
    name = "zqx-9999"
    with Ledger(shop.parent / "ledger.db") as ledger, ledger.changing() as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            info = connection.execute(f'SELECT name FROM pragma_table_info("{table}")')
            columns = info.fetchall()
            strange = [c for (c,) in columns if "customer" in c and c != "customer_id"]
            assert strange == [], f"{table}: name the column customer_id, so that it is erased"
            if ("customer_id",) in columns:
                fill(connection, table, name)
    with Ledger(shop.parent / "ledger.db") as ledger:
        with_customers = tables_of_customers(ledger)
    assert {"plans", "holdout", "withdrawals"} <= set(with_customers)
    reported = forget(shop, customers=[name]).metrics["ledger"]
    assert reported == dict.fromkeys(with_customers, 1)
    assert name.encode() not in (shop.parent / "ledger.db").read_bytes()


def fill(connection, table, name):
    """One row of the customer, with a valid value in every other column."""
    made_by = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,))
    (made,) = made_by.fetchone()
    info = connection.execute(f'SELECT name, type FROM pragma_table_info("{table}")').fetchall()
    values = []
    for column, kind in info:
        allowed = made.partition(f"CHECK ({column} IN ('")[2].partition("'")[0]
        plain = 1 if kind in ("INTEGER", "REAL") else allowed or f"{table}-x"
        values.append(name if column == "customer_id" else plain)
    marks = ", ".join("?" * len(values))
    connection.execute(f'INSERT INTO "{table}" VALUES ({marks})', values)


def test_freed_pages_of_the_ledger_contain_no_customer(tmp_path):
    """Rows deleted earlier without being overwritten are removed, too."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        members = [(f"zqx-{n:06d}", False) for n in range(5_000)]
        ledger.remember_holdout("h", members, assigned_on=date(2024, 1, 1))
        with ledger.changing() as connection:
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute("DELETE FROM holdout")
    assert b"zqx-004999" in path.read_bytes()
    with Ledger(path) as ledger:
        compact(ledger)
    assert b"zqx-" not in path.read_bytes()


def test_an_older_ledger_gets_the_tables_for_erasures(tmp_path):
    path = tmp_path / "ledger.db"
    with sqlite3.connect(path) as connection:
        for statements in MIGRATIONS[:3]:
            for statement in statements:
                connection.execute(statement)
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with Ledger(path) as ledger:
        assert outputs(ledger) == {}


def test_customers_may_be_named_in_a_file_or_on_standard_input(tmp_path, monkeypatch):
    path = tmp_path / "ids.txt"
    path.write_text("anna\n007\n")
    monkeypatch.setattr("sys.stdin", StringIO("cleo\n\nanna\n"))
    assert named_customers(["ben", "-"], path) == ["ben", "cleo", "anna", "007"]
    with pytest.raises(ConfigError, match="at least one customer must be passed"):
        named_customers([])
    with pytest.raises(ConfigError, match="--file must be an existing file of customers"):
        named_customers(["ben"], tmp_path / "none.csv")


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_id_is_rejected_before_anything_is_recorded(tmp_path, name):
    """As from a shell variable that is not set."""
    config = tmp_path / "churn.toml"
    config.write_text("")
    words = [sys.executable, "-m", "churn", "forget", "anna", name, "--config", str(config)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "must have at least one character, got an empty id. Check the list" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["churn.toml"]


def test_csv_is_rewritten_by_record_whatever_a_cell_contains(shop):
    """An id with quotes, a comma, a new line or the start of a formula."""
    names = ['a "b"', "c,d", "e\nf", "=1+1", "", "plain"]
    path = shop.parent / "out" / "hostile.csv"
    table = pa.table({"n": range(6), "customer_id": names, "t": ['x\n"y'] * 6})
    with writing_table(path) as writer:
        writer.write(table, {})
    forget(shop, customers=["c,d", "e\nf", "=1+1"], places=[path.parent])
    left = pd.read_csv(path, keep_default_na=False)
    assert (left["n"].tolist(), left["customer_id"].tolist()) == ([0, 4, 5], ['a "b"', "", "plain"])
    assert set(left["t"]) == {'x\n"y'}


def test_every_command_writes_through_the_session_which_records_outputs():
    """Otherwise an erasure would not find the file."""
    direct = re.compile(r"(?<![.\w])writing_(table|result)\(")
    found = [path.name for path in READING if direct.search(path.read_text())]
    assert found == ["session.py"]


def test_the_key_is_readable_by_its_owner_alone(shop):
    forget(shop, customers=[CUSTOMERS[0]])
    assert (shop.parent / "erasure.key").stat().st_mode & 0o777 == 0o600


def test_database_rows_are_erased_and_the_rest_remains_the_plan_on_record(shop, postgres):
    table, name = postgres.address("plans"), offered(shop, "coupon")
    plan(shop, out=table, scores=scored(shop.parent), as_of=NIGHT)
    lists = postgres.address("lists")
    export(shop, plan=table, out=lists, replace=True)
    counted = forget(shop, customers=[name], places=[table, lists], dry_run=True)
    assert sorted(counted.metrics["files"].values())[-2:] == [1, 1]
    result = forget(shop, customers=[name], places=[table, lists])
    for there in ("plans", "lists"):
        assert postgres.sql(f"SELECT count(*) FROM {there} WHERE customer_id = '{name}'") == [(0,)]
    ((facts, rows),) = postgres.sql("SELECT facts, rows FROM plans_runs")
    assert (json.loads(facts)["erased"], rows) == (1, len(CUSTOMERS) - 1)
    assert name not in facts
    assert (result.exit_code, result.metrics["unread"]) == (0, [])
    again = export(shop, plan=table, out=lists)
    assert again.metrics["plan_rows"] == len(CUSTOMERS) - 1


def test_a_table_on_record_without_its_password_is_reported_as_incomplete(shop, postgres):
    plan(shop, out=postgres.address("plans"), scores=scored(shop.parent), as_of=NIGHT)
    result = forget(shop, customers=[CUSTOMERS[0]])
    assert result.exit_code == 3
    assert any(
        "#plans requires its user and password: pass it with --in" in w for w in result.warnings
    )


def test_every_command_reads_tables_without_erased_customers():
    """Except the erasure itself, which reports what the shop's tables still contain."""
    jobs = {path.name: path.read_text() for path in READING}
    opened = [name for name, text in jobs.items() if "Tables.from_settings(" in text]
    assert "still_held.py" in opened
    with_erased = [name for name in opened if "erased=" in jobs[name]]
    assert sorted(set(opened) - set(with_erased)) == ["still_held.py"]
