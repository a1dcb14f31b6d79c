"""Rows 1 and 2: after kill -9 at any moment, the result is completely old or completely new."""

import itertools
import random
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from forked import forking, moments, waited_for
from simulated_shop import MEMORYLESS_AS_OF, shop_with_models

from churn.commands.plan import plan
from churn.commands.previous_results import PLANS
from churn.storage.files import sha256_of
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file
from churn.storage.postgres.address import table_address
from churn.storage.postgres.target import read_run

ROWS = 60_000
NOW = f"{MEMORYLESS_AS_OF}T02:14:00+00:00"
FILES = ("scores.parquet", "plan.parquet", "list.csv", "monitor.json")


@pytest.fixture(scope="module")
def warm():
    """A process that has loaded all libraries; its runs are forked."""
    with forking("forked_runs") as parent:
        yield parent


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    """A small shop with a champion."""
    return shop_with_models(tmp_path_factory.getbasetemp(), tmp_path / "shop")


def whole(out):
    """The run whose result readers find, complete according to its manifest."""
    facts, rows = verify_file(out), pd.read_parquet(out)
    assert len(rows) == facts["rows"]
    return facts["run_id"]


def kill(warm, count, name, look, **options):
    """Kills this many runs at moments of their usual duration, and checks the files after each."""
    usual = min(warm.run(name, **options).seconds for _ in range(2))
    ends = []
    for moment in itertools.islice(moments(usual, seed=7), 3 * count):
        ended = warm.run(name, kill_after=moment, **options)
        assert ended.killed or ended.code == 0
        ends.append(ended.killed)
        look()
        if sum(ends) == count:
            return
    pytest.fail(f"only {sum(ends)} of {len(ends)} runs were killed")


def check_kills(warm, count, name, out, **options):
    """Readers find a complete result after each kill, and only the new one after a final run."""
    seen = []
    kill(warm, count, name, lambda: seen.append(whole(out)), out=str(out), **options)
    assert warm.run(name, out=str(out), **options).code == 0
    assert whole(out) not in seen
    assert not list(out.parent.glob(".*.tmp"))


def statuses(config, command):
    with Ledger(config.parent / "ledger.db") as ledger:
        return [run.status for run in ledger.runs(command)]


def test_scorings_killed_at_forty_moments_leave_whole_scores_and_no_litter(warm, shop, tmp_path):
    out = tmp_path / "out" / "scores.parquet"
    options = {"config": str(shop), "as_of": MEMORYLESS_AS_OF}
    check_kills(warm, 40, "score", out, **options)
    assert set(statuses(shop, "score")) == {"done", "failed"}


def test_exports_killed_at_ten_moments_leave_a_whole_list_and_no_litter(warm, shop, tmp_path):
    made = tmp_path / "plan.parquet"
    plan(shop, out=made, as_of=MEMORYLESS_AS_OF)
    options = {"config": str(shop), "plan": str(made), "on": MEMORYLESS_AS_OF}
    out = tmp_path / "out" / "list.parquet"
    check_kills(warm, 10, "export", out, **options)


def run_in(address):
    """The run of the newest rows, after checking that all exist."""
    return read_run(table_address(address), PLANS, command="plan")[1]["run_id"]


def test_writes_into_a_database_killed_at_any_moment_leave_the_old_rows_or_the_new(warm, postgres):
    """Row 2. The next run completes what a killed one left, and nothing else remains."""
    options = {"address": postgres.address("plans"), "rows": ROWS}
    assert warm.run("write_rows", run_id="first", **options).code == 0

    def look():
        assert run_in(postgres.address("plans")) in ("first", "second")
        counts = dict(postgres.sql("SELECT run_id, count(*) FROM plans GROUP BY 1"))
        assert counts in ({"first": ROWS}, {"first": ROWS, "second": ROWS})

    kill(warm, 10, "write_rows", look, run_id="second", **options)
    assert warm.run("write_rows", run_id="first", **options).code == 0
    assert run_in(postgres.address("plans")) == "first"
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    names = {name for (name,) in postgres.sql(tables + " AND relkind IN ('r', 'v')")}
    assert names == {"plans", "plans_runs", "plans_latest"}


def test_a_scoring_killed_while_writing_can_be_repeated(shop, postgres):
    """Row 2: the command itself, killed while the server blocks its write."""
    words = ["--config", str(shop), "--out", postgres.address("scores"), "--run-id", "night-1"]
    command = [sys.executable, "-m", "churn", "score", "--as-of", MEMORYLESS_AS_OF, *words]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    before = postgres.sql("SELECT * FROM scores ORDER BY customer_id")
    with postgres.cursor() as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE scores IN SHARE MODE")
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        waited_for(lambda: postgres.sql(waiting), seconds=60)
        process.kill()
        assert process.wait() == -9
        holder.execute("COMMIT")
    assert postgres.sql("SELECT * FROM scores ORDER BY customer_id") == before
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert postgres.sql("SELECT run_id, count(*) FROM scores GROUP BY 1") == [
        ("night-1", len(before))
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A shop before its night, the warm process, and the hashes after a night without a kill."""
    folder = tmp_path_factory.mktemp("nights") / "shop"
    fresh = shop_with_models(tmp_path_factory.getbasetemp(), folder)
    fresh.write_text(fresh.read_text() + '[run]\ndeliver = "export"\n')
    with forking("killed_nights") as warm:
        done = tmp_path_factory.mktemp("undisturbed") / "shop"
        shutil.copytree(fresh.parent, done)
        assert warm.run("night", config=str(done / "churn.toml"), now=NOW).code == 0
        yield fresh, warm, hashes(done)


def hashes(shop):
    return {name: sha256_of(shop / "out" / name) for name in FILES}


def killed_then_repeated(undisturbed, folder, moment):
    """Whether the run was killed at that commit point, after checking what the next one left."""
    fresh, warm, expected = undisturbed
    shutil.copytree(fresh.parent, folder)
    options = {"config": str(folder / "churn.toml"), "now": NOW}
    first = warm.run("night", kill_at=moment, **options)
    assert first.killed or first.code == 0
    assert warm.run("night", **options).code == 0
    assert hashes(folder) == expected
    assert not list(folder.rglob(".*.tmp"))
    with Ledger(folder / "ledger.db") as ledger:
        assert {run.status for run in ledger.runs("run")} <= {"done", "failed"}
        contacts = list(ledger.last_contacts(ledger.runs("plan")[0].as_of.replace(year=2030)))
    assert len({contact.customer_id for contact in contacts}) == len(contacts)
    shutil.rmtree(folder)
    return first.killed


def test_a_night_killed_and_started_again_ends_as_undisturbed(undisturbed, tmp_path):
    """Row 1 for `churn run`, at a commit point between scores and plan."""
    assert killed_then_repeated(undisturbed, tmp_path / "shop", 60)


@pytest.mark.faults
@pytest.mark.parametrize("seed", [7, 8])
def test_nights_killed_at_forty_moments_end_as_undisturbed(undisturbed, tmp_path, seed):
    """Twenty for each seed, at any commit point of the night."""
    chance = random.Random(seed)
    killed, reach = 0, 400
    for _ in range(60):
        if killed == 20:
            break
        moment = chance.randrange(reach)
        if killed_then_repeated(undisturbed, tmp_path / "shop", moment):
            killed += 1
        else:
            reach = min(reach, moment)
    assert killed == 20
