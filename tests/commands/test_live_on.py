"""`churn live-on` applies a plan: recipients are affected, controls are recorded."""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from churn.commands.simulate import live_on, simulate
from churn.config import load_settings
from churn.errors import ConfigError
from churn.offers.plan_table import PLAN_SCHEMA
from churn.results.output import writing_table
from churn.storage.ledger import Ledger
from churn.storage.messages import Message, claim, enqueue

ENDS = date(2023, 12, 4)
ARMS = ("treatment", "explore", "holdout", "control", "treatment", "explore")
OFFERS = ("discount", "points", "none", "none", "none", "none")
PROPENSITIES = (0.9, 0.3, 0.1, 0.1, 1.0, 0.3)


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    """A shop with 28 days ahead. Tests must not change it."""
    folder = tmp_path_factory.mktemp("ended") / "shop"
    simulate(folder, customers=300, seed=5, days=702, lines=False, ahead_days=28)
    return folder


@pytest.fixture
def shop(ended, tmp_path) -> Path:
    return Path(shutil.copytree(ended, tmp_path / "shop"))


def planned(folder: Path, *, as_of: date = ENDS, name: str = "plan") -> Path:
    """A plan in which every sixth customer is treated the same."""
    customers = sorted(pd.read_parquet(folder / "customers.parquet")["customer_id"])
    rows = [
        {
            "customer_id": customer,
            "run_id": "run",
            "campaign_id": "spring",
            "as_of": as_of,
            "offer_id": OFFERS[number % 6],
            "channel": None if OFFERS[number % 6] == "none" else "email",
            "arm": ARMS[number % 6],
            "propensity": PROPENSITIES[number % 6],
            "lot": "all" if PROPENSITIES[number % 6] < 1 else None,
        }
        for number, customer in enumerate(customers)
    ]
    path = folder / f"{name}.parquet"
    with writing_table(path) as writer:
        writer.write(pa.Table.from_pylist(rows, PLAN_SCHEMA), {})
    return path


def contacts(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "contacts.parquet")


def test_offers_and_randomised_controls_become_contacts(shop):
    plan = planned(shop)
    done = live_on(shop, plan=plan)
    found = contacts(shop)
    given = pd.read_parquet(plan)
    offered = given[given["offer_id"] != "none"]
    assert set(found["customer_id"]) == set(given.loc[given["propensity"] < 1, "customer_id"])
    sent = found[found["offer_id"] != "none"]
    assert sorted(sent["customer_id"]) == sorted(offered["customer_id"])
    assert set(found.loc[found["offer_id"] == "none", "arm"]) == {"holdout", "control", "explore"}
    assert (found["contacted_at"] == pd.Timestamp(ENDS, tz="UTC")).all()
    assert set(found["lot"]) == {"all"}
    assert done.metrics["sent"] == len(offered)
    assert done.resolved == {"since": "2023-12-04", "until": "2024-01-01", "days": 28}
    assert load_settings(shop / "churn.toml").data.until == date(2024, 1, 1)


def test_a_list_determines_the_recipients(shop):
    plan = planned(shop)
    some = pd.read_parquet(plan).query("offer_id != 'none'")["customer_id"].tolist()[::3]
    reached = shop / "list.parquet"
    with writing_table(reached) as writer:
        writer.write(pa.table({"customer_id": some}), {})
    done = live_on(shop, plan=plan, sent=reached)
    assert done.metrics["sent"] == len(some)
    assert set(contacts(shop).query("offer_id != 'none'")["customer_id"]) == set(some)


def test_without_a_list_the_messages_on_record_determine_them(shop):
    """One was sent, one is waiting; nobody else was sent anything."""
    plan = planned(shop)
    first, second = pd.read_parquet(plan).query("offer_id != 'none'")["customer_id"][:2]
    ledger_path = load_settings(shop / "churn.toml").ledger_path
    with Ledger(ledger_path) as ledger:
        run_id = ledger.start_run("send")
        messages = [
            Message(
                campaign_id="spring",
                as_of=ENDS,
                customer_id=customer,
                through="email",
                offer_id="discount",
                channel="email",
                token=f"token-{customer}",
                parcel=f"parcel-{customer}",
                run_id=run_id,
            )
            for customer in (first, second)
        ]
        enqueue(ledger, messages)
        claim(ledger, messages[:1], since=0)
    assert live_on(shop, plan=plan).metrics["sent"] == 1
    assert list(contacts(shop).query("offer_id != 'none'")["customer_id"]) == [first]


def test_without_a_plan_days_pass_and_nothing_is_sent(shop):
    done = live_on(shop, days=7)
    assert done.metrics["sent"] == 0
    assert not (shop / "contacts.parquet").exists()
    assert done.rows["orders"] > 0
    assert "not evidence about real customers" in done.warnings[0]


def test_a_plan_of_another_day_is_refused(shop):
    plan = planned(shop, as_of=date(2023, 11, 1))
    with pytest.raises(ConfigError, match=r"must be as of 2023-12-04.*got 2023-11-01"):
        live_on(shop, plan=plan)


def test_a_folder_without_a_simulated_shop_is_rejected(tmp_path):
    with pytest.raises(ConfigError, match="churn simulate --ahead 28"):
        live_on(tmp_path)


def test_the_tables_show_the_truth_with_and_without_offers(shop):
    done = live_on(shop, plan=planned(shop))
    (_, _, grown), (title, header, rows) = done.tables
    assert dict(grown)["orders"] == f"{done.rows['orders']:,}"
    assert title == f"True effect on the {done.metrics['sent']:,} recipients of an offer"
    assert header == ("", "with offer", "without offer")
    assert rows[0] == (
        "customers who bought",
        f"{done.metrics['bought']:,}",
        f"{done.metrics['bought_without']:,}",
    )
