"""Outputs that cannot be written, are written concurrently, or contain formulas."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from simulated_shop import MEMORYLESS_AS_OF, copied_shop, shop_with_models
from typer.testing import CliRunner

from churn.cli.options import app
from churn.commands.plan import plan
from churn.commands.previous_results import SCORES
from churn.storage.locks import exclusive, lock_beside
from churn.storage.manifests import verify_file
from churn.storage.postgres.address import table_address
from churn.storage.postgres.target import writing_rows

HOSTILE = ["=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", "\uff1d1", "0007", "\u202e1"]
COMMANDS = ("score", "plan", "export")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A small shop with a champion and a plan on record. Tests must not change its files."""
    folder = tmp_path_factory.mktemp("outputs") / "shop"
    copied = shop_with_models(tmp_path_factory.getbasetemp(), folder)
    plan(copied, out=folder / "plan.parquet", as_of=MEMORYLESS_AS_OF)
    return copied


def words(command, config, out, *more):
    given = {
        "score": ["score", "--out", out, "--as-of", MEMORYLESS_AS_OF],
        "plan": ["plan", "--dry-run", "--out", out, "--as-of", MEMORYLESS_AS_OF],
        "export": ["export", config.parent / "plan.parquet", "--to", out],
    }[command]
    dated = ["--date", MEMORYLESS_AS_OF] if command == "export" else []
    return [str(word) for word in (*given, *dated, "--config", config, *more)]


def run(command, config, out, *more):
    return CliRunner().invoke(app, words(command, config, out, *more))


@contextmanager
def small_disk(folder):
    """A separate 20 MB file system in the folder, with 100 kB free."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, *, but_bytes):
    status = os.statvfs(folder)
    with (folder / "filler").open("wb") as file:
        file.write(bytes(status.f_bavail * status.f_frsize - but_bytes))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_reported_and_the_old_output_stays(shop, tmp_path, command):
    """Row 4."""
    with small_disk(tmp_path / "disk") as disk:
        out = disk / "out.parquet"
        assert run(command, shop, out).exit_code == 0
        before = out.read_bytes()
        fill(disk, but_bytes=4096)
        done = run(command, shop, out)
        assert done.exit_code == 7
        assert "no space left on the disk" in done.output
        assert out.read_bytes() == before
        assert verify_file(out)["rows"] == pq.read_metadata(out).num_rows
        assert not list(disk.glob(".*.tmp"))


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unwritable_folder_is_reported_before_anything_is_read(public_shop, command):
    """Row 5, as an unprivileged user, because root may write everywhere."""
    out = public_shop.parent / "locked" / "out.parquet"
    out.parent.mkdir(mode=0o555, exist_ok=True)
    done = as_nobody(words(command, public_shop, out))
    assert done.returncode == 7, done.stderr
    assert "permission is denied" in done.stderr
    assert "reading the tables" not in done.stderr
    assert not list(out.parent.iterdir())


@pytest.fixture
def public_shop(shop):
    """The same in a folder readable by everyone, unlike those of the tests."""
    place = Path(tempfile.mkdtemp(prefix="churn-public-", dir="/tmp"))
    config = copied_shop(shop, place / "shop")
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    yield config
    shutil.rmtree(place)


# Python itself may lie where only root can read: everything is imported before the rights go.
AS_NOBODY = """
import encodings.utf_8_sig, os
import churn.commands.export, churn.commands.plan, churn.commands.score, churn.cli.terminal
from churn.cli import main
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
main()
"""


def as_nobody(arguments):
    """The command, run by an unprivileged user in a separate process."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody else")
    return subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_second_run_at_the_same_file_is_busy_and_the_file_is_of_one_run(shop, tmp_path, command):
    """Row 35."""
    out = tmp_path / "out.parquet"
    assert run(command, shop, out).exit_code == 0
    before = out.read_bytes()
    with exclusive(lock_beside(out), what="a first run"):
        done = run(command, shop, out)
    assert done.exit_code == 6
    assert "must be done by one run at a time" in done.output
    assert out.read_bytes() == before


def test_of_two_simultaneous_scorings_into_one_file_one_is_rejected(shop, tmp_path):
    """Row 35, with two processes."""
    out = tmp_path / "scores.parquet"
    both = [started(words("score", shop, out, "--run-id", name)) for name in ("one", "two")]
    codes = [process.wait() for process in both]
    assert sorted(codes) in ([0, 6], [0, 0])
    runs = set(pd.read_parquet(out)["run_id"])
    assert runs == {verify_file(out)["run_id"]}


def test_a_scoring_into_a_table_that_another_run_writes_is_busy(shop, postgres):
    """Row 35, for a table: it contains nothing of the second run."""
    address = postgres.address("scores")
    with writing_rows(table_address(address), SCORES):
        done = run("score", shop, address)
    assert done.exit_code == 6
    assert "must be done by one run at a time" in done.output
    assert postgres.sql("SELECT count(*) FROM pg_class WHERE relname = 'scores'") == [(0,)]


def started(arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "churn", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def hostile_shop(shop, tmp_path_factory):
    """The same, with customer ids that a spreadsheet would execute."""
    folder = tmp_path_factory.mktemp("hostile") / "shop"
    config = copied_shop(shop, folder)
    orders = pd.read_parquet(folder / "orders.parquet")
    names = dict(zip(sorted(orders["customer_id"].unique()), HOSTILE, strict=False))
    orders["customer_id"] = orders["customer_id"].map(names).fillna(orders["customer_id"])
    orders.to_parquet(folder / "orders.parquet", index=False)
    offers = (folder / "offers.toml").read_text()
    (folder / "offers.toml").write_text(offers.replace("effect_low = 0.01", "effect_low = 0.0"))
    text = config.read_text().replace("budget = 20.0", "budget = 1e6\nholdout = 0.0")
    config.write_text(text)
    plan(config, out=folder / "plan.parquet", as_of=MEMORYLESS_AS_OF)
    return config


@pytest.mark.parametrize("command", COMMANDS)
def test_no_cell_of_a_csv_begins_a_formula_and_parquet_keeps_every_name(
    hostile_shop, tmp_path, command
):
    """Row 47, through the command."""
    for name in ("out.csv", "out.parquet"):
        assert run(command, hostile_shop, tmp_path / name).exit_code == 0
    kept = pd.read_parquet(tmp_path / "out.parquet")["customer_id"]
    hostile = set(HOSTILE) & set(kept)  # an export leaves out who gets no offer
    assert len(hostile) >= (3 if command == "export" else len(HOSTILE))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        shown = [row["customer_id"] for row in csv.DictReader(file)]
    guarded = {f"'{name}" if name[0] in "=+-@\t\uff1d" else name for name in hostile}
    assert guarded <= set(shown)
    assert not [name for name in shown if name.startswith(("=", "+", "-", "@", "\t", "\uff1d"))]
