"""The demo goes the whole way, and its figures are those of the files that it leaves."""

import re
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import typer

from churn.cli.options import app
from churn.cli.terminal import progress_on_terminal, show
from churn.commands.demo.money import LABELS, Earned, money_table, verdict
from churn.commands.demo.run import CAUTION, demo
from churn.commands.demo.steps import STEPS
from churn.errors import StorageError
from churn.storage.ledger import Ledger
from churn.storage.withdrawals import withdrawals

CUSTOMERS = 1_200
CENT = Decimal("0.01")
STEP = re.compile(r"(?m)^ *(\d+)/10  ")
COMMAND = re.compile(r"(?m)^\$ (.*)$")


class Run:
    """A demo that is over: its folder, its result, and the text that it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.result = demo(folder, customers=CUSTOMERS, say=self._say)
        self.story = "\n".join(self.said)

    def _say(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        self.said.append(text)

    def read(self, name: str) -> pd.DataFrame:
        return pq.read_table(self.folder / f"{name}.parquet").to_pandas()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A small demo, MLflow out of reach. Not to be changed by a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CHURN__TRACKING__URI", "http://127.0.0.1:9")
        return Run(tmp_path_factory.mktemp("demo") / "demo")


def test_all_steps_are_told_in_order(run):
    assert [int(number) for number in STEP.findall(run.story)] == list(range(1, STEPS + 1))


def test_every_command_that_is_told_can_be_typed(run):
    """Each is parsed as the command line would; the shell's own and curl are not ours."""
    story = run.story.replace("\\\n", "")
    commands = [line for line in COMMAND.findall(story) if line.startswith("churn ")]
    known = typer.main.get_command(app)
    names = []
    for line in commands:
        _, name, *words = line.removesuffix(" &").split()
        names.append(name)
        known.commands[name].make_context(name, words)
    wanted = "simulate train effects score plan export send serve export live-on measure"
    assert names == wanted.split()


def test_what_was_planned_went_out_and_arrived(run):
    counts = run.result.rows
    assert counts["planned"] >= counts["exported"] == counts["sent"] == counts["received"] > 100
    assert counts["exported"] == len(run.read("list"))
    contacts = run.read("contacts").query("campaign_id == 'january'")
    assert set(contacts.dropna(subset=["offer_id"])["customer_id"]) == set(
        run.read("list")["customer_id"]
    )


def test_who_unsubscribed_is_left_out_of_the_next_list(run):
    message = message_from_bytes((run.folder / "one-mail.eml").read_bytes(), policy=policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    reader = message["To"].split("@")[0]
    before, after = (set(run.read(name)["customer_id"]) for name in ("list", "list-after"))
    assert before - after == {reader}
    assert after < before
    with Ledger(run.folder / "ledger.db") as ledger:
        assert [one.customer_id for one in withdrawals(ledger)] == [reader]


def test_the_money_is_that_of_the_rows_to_the_cent(run):
    rows = run.read("measured")
    compared = rows[rows["compared"]]
    treated, kept = compared[~compared["kept"]], compared[compared["kept"]]
    share = Decimal(len(treated)) / len(kept)

    def more(column):
        ours, theirs = (sum(group[column], Decimal(0)) for group in (treated, kept))
        return ours - theirs * share

    cost = sum(rows["contact_cost"], Decimal(0)) + sum(rows["redemption_cost"], Decimal(0))
    found = run.result.metrics["earned"]
    margin = more("margin").quantize(CENT)
    assert Decimal(found["extra_margin"]["measured"]) == margin
    assert Decimal(found["cost"]["measured"]) == cost.quantize(CENT)
    assert Decimal(found["net_gain"]["measured"]) == (
        more("margin").quantize(CENT) - cost
    ).quantize(CENT)
    assert Decimal(found["margin_per_cost"]["measured"]) == (margin / cost).quantize(CENT)
    for name, column in (("customers_kept", "retained"), ("extra_orders", "orders")):
        expected = more(column).quantize(CENT).quantize(Decimal(1))
        assert Decimal(found[name]["measured"]) == expected


def test_the_truth_is_that_of_the_simulator(run):
    """Both worlds of those who were sent an offer; the costs are known anyway."""
    told = run.read("truth/sent-2024-01-01")
    found = run.result.metrics["earned"]
    truth = {name: Decimal(line["truth"]) for name, line in found.items()}
    assert truth["customers_kept"] == int(told["bought"].sum() - told["bought_without"].sum())
    assert truth["extra_orders"] == int(told["orders"].sum() - told["orders_without"].sum())
    more = Decimal(str(round(told["net_spend"].sum() - told["net_spend_without"].sum(), 2)))
    rate = Decimal(str(run.result.metrics["margin_rate"]))
    assert truth["extra_margin"] == (rate * more).quantize(CENT)
    assert truth["net_gain"] == truth["extra_margin"] - truth["cost"]
    assert truth["cost"] == Decimal(found["cost"]["measured"])


def test_it_says_first_in_the_table_and_last_that_it_is_simulated(run):
    assert run.said[0].startswith("SIMULATED")
    assert run.result.tables[0][0].startswith("SIMULATED: what the offers earned in 28 days")
    assert run.result.warnings[-1] == CAUTION


def test_it_reads_well_at_80_columns(run, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with progress_on_terminal(quiet=False) as teller:
        for text in run.said:
            teller.say(text, indent=7)
    show(run.result, quiet=False)
    lines = capfd.readouterr().err.splitlines()
    long = [line for line in lines if len(line) > 80]
    assert all("/" in line for line in long)  # addresses and paths are left whole
    assert any(line.startswith(" customers kept from leaving") for line in lines)


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(StorageError, match="must not exist yet"):
        demo(tmp_path, customers=50)
    assert list(tmp_path.iterdir()) == []


def line(name, low, high, value=5):
    bounds = (None if bound is None else Decimal(bound) for bound in (value, low, high))
    measured, low, high = bounds
    return Earned(name, measured, low, high, Decimal(4))


@pytest.mark.parametrize(
    ("kept", "net", "words"),
    [
        ((1, 9), (1, 9), "customers were kept; it pays"),
        ((1, 9), (-9, -1), "customers were kept; it loses money"),
        ((-9, -1), (-1, 9), "customers were driven away; whether it pays is too small to tell"),
        ((-1, 9), (1, 9), "whether customers were kept is too small to tell; it pays"),
        ((-1, 9), (-1, 9), "too few customers to tell whether any were kept, or whether it pays"),
        ((None, None), (None, None), "too few customers to tell anything"),
    ],
)
def test_the_verdict_says_no_more_than_the_intervals(kept, net, words):
    lines = (line("customers_kept", *kept), line("net_gain", *net))
    assert verdict(lines).startswith(words)


def test_what_cannot_be_told_is_a_question_mark():
    lines = tuple(line(name, None, None, None) for name in LABELS)
    _, header, rows = money_table(lines, days=28, currency="EUR")
    assert header == ("", "measured", "interval of 95 %", "the truth")
    assert {row[1:3] for row in rows} == {("?", "")}
    assert rows[-1][0] == "extra margin for each EUR spent"
