"""The demo runs all its steps, and its figures match the files that it writes."""

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
    """A finished demo: its folder, its result, and its narration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: list[str] = []
        self.result = demo(folder, customers=CUSTOMERS, say=self._say)
        self.narration = "\n".join(self.texts)

    def _say(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        self.texts.append(text)

    def read(self, name: str) -> pd.DataFrame:
        return pq.read_table(self.folder / f"{name}.parquet").to_pandas()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A small demo, with MLflow unreachable. Tests must not change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CHURN__TRACKING__URI", "http://127.0.0.1:9")
        return Run(tmp_path_factory.mktemp("demo") / "demo")


def test_all_steps_are_narrated_in_order(run):
    assert [int(number) for number in STEP.findall(run.narration)] == list(range(1, STEPS + 1))


def test_every_command_shown_is_valid(run):
    """Each is parsed like on the command line; those of the shell and curl are skipped."""
    narration = run.narration.replace("\\\n", "")
    commands = [line for line in COMMAND.findall(narration) if line.startswith("churn ")]
    known = typer.main.get_command(app)
    names = []
    for line in commands:
        _, name, *words = line.removesuffix(" &").split()
        names.append(name)
        known.commands[name].make_context(name, words)
    wanted = "simulate train effects score plan export send serve export live-on measure"
    assert names == wanted.split()


def test_every_planned_message_is_sent_and_received(run):
    counts = run.result.rows
    assert counts["planned"] >= counts["exported"] == counts["sent"] == counts["received"] > 100
    assert counts["exported"] == len(run.read("list"))
    contacts = run.read("contacts").query("campaign_id == 'january' and offer_id != 'none'")
    assert set(contacts["customer_id"]) == set(run.read("list")["customer_id"])


def test_the_next_list_excludes_the_customer_who_unsubscribed(run):
    message = message_from_bytes((run.folder / "one-mail.eml").read_bytes(), policy=policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    reader = message["To"].split("@")[0]
    before, after = (set(run.read(name)["customer_id"]) for name in ("list", "list-after"))
    assert before - after == {reader}
    assert after < before
    with Ledger(run.folder / "ledger.db") as ledger:
        assert [row.customer_id for row in withdrawals(ledger)] == [reader]


def test_the_money_equals_the_sum_of_the_rows_to_the_cent(run):
    rows = run.read("measured")
    compared = rows[rows["compared"]]
    treated, control = compared[~compared["kept"]], compared[compared["kept"]]
    scale = Decimal(len(treated)) / len(control)

    def difference(column):
        with_offer, without = (sum(group[column], Decimal(0)) for group in (treated, control))
        return with_offer - without * scale

    cost = sum(rows["contact_cost"], Decimal(0)) + sum(rows["redemption_cost"], Decimal(0))
    earned = run.result.metrics["earned"]
    margin = difference("margin").quantize(CENT)
    assert Decimal(earned["extra_margin"]["measured"]) == margin
    assert Decimal(earned["cost"]["measured"]) == cost.quantize(CENT)
    assert Decimal(earned["net_gain"]["measured"]) == (
        difference("margin").quantize(CENT) - cost
    ).quantize(CENT)
    assert Decimal(earned["margin_per_cost"]["measured"]) == (margin / cost).quantize(CENT)
    for name, column in (("customers_kept", "retained"), ("extra_orders", "orders")):
        expected = difference(column).quantize(CENT).quantize(Decimal(1))
        assert Decimal(earned[name]["measured"]) == expected


def test_the_truth_comes_from_the_simulator(run):
    """Recipients with and without their offer; costs are known anyway."""
    sent = run.read("truth/sent-2024-01-01")
    earned = run.result.metrics["earned"]
    truth = {name: Decimal(line["truth"]) for name, line in earned.items()}
    assert truth["customers_kept"] == int(sent["bought"].sum() - sent["bought_without"].sum())
    assert truth["extra_orders"] == int(sent["orders"].sum() - sent["orders_without"].sum())
    spend = Decimal(str(round(sent["net_spend"].sum() - sent["net_spend_without"].sum(), 2)))
    rate = Decimal(str(run.result.metrics["margin_rate"]))
    assert truth["extra_margin"] == (rate * spend).quantize(CENT)
    assert truth["net_gain"] == truth["extra_margin"] - truth["cost"]
    assert truth["cost"] == Decimal(earned["cost"]["measured"])


def test_it_states_that_it_is_simulated_first_in_the_table_and_last(run):
    assert run.texts[0].startswith("SIMULATED")
    assert run.result.tables[0][0].startswith("SIMULATED: result of the offers after 28 days")
    assert run.result.warnings[-1] == CAUTION


def test_output_fits_80_columns(run, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with progress_on_terminal(quiet=False) as reporter:
        for text in run.texts:
            reporter.say(text, indent=7)
    show(run.result, quiet=False)
    lines = capfd.readouterr().err.splitlines()
    long = [line for line in lines if len(line) > 80]
    assert all("/" in line for line in long)  # addresses and paths are not wrapped
    assert any(line.startswith(" customers retained") for line in lines)


def test_an_existing_folder_is_not_changed(tmp_path):
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
        ((1, 9), (1, 9), "the offers retained customers; they pay off"),
        ((1, 9), (-9, -1), "the offers retained customers; they lose money"),
        ((-9, -1), (-1, 9), "the offers drove customers away; the net result is too small to show"),
        (
            (-1, 9),
            (1, 9),
            "the effect on retention is too small to show with so few customers; they pay",
        ),
        (
            (-1, 9),
            (-1, 9),
            "inconclusive: too few customers to show an effect on retention or profit",
        ),
        ((None, None), (None, None), "inconclusive: too few customers"),
    ],
)
def test_the_verdict_states_only_what_the_intervals_support(kept, net, words):
    lines = (line("customers_kept", *kept), line("net_gain", *net))
    assert verdict(lines).startswith(words)


def test_undefined_figures_are_question_marks():
    lines = tuple(line(name, None, None, None) for name in LABELS)
    _, header, rows = money_table(lines, days=28, currency="EUR")
    assert header == ("", "measured", "95 % interval", "truth")
    assert {row[1:3] for row in rows} == {("?", "")}
    assert rows[-1][0] == "incremental margin per EUR"
