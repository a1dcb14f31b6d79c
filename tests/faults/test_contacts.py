"""Row 51: a plan run twice, concurrently, or again after a kill is one contact."""

import random
import signal
import subprocess
import sys
import time
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from simulated_shop import OFFERS, open_shop

from churn.errors import BusyError
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file

CUSTOMERS = [f"c{number:04d}" for number in range(300)]
FIRST, SECOND, THIRD = "2023-12-01", "2023-12-10", "2023-12-29"


@pytest.fixture
def shop(tmp_path):
    """A shop with a cap of one contact in 21 days and an offer profitable for everyone."""
    orders = pd.DataFrame({"customer_id": CUSTOMERS, "ordered_at": pd.Timestamp(THIRD)})
    config = open_shop(tmp_path / "shop", orders.assign(amount=9.0), budget=15.0)
    cap = "[offers]\nmax_contacts = 1\ncap_days = 21"
    config.write_text(config.read_text().replace("[offers]", cap, 1))
    catalogue = OFFERS.replace("cooldown_days = 28", "cooldown_days = 1")
    (config.parent / "offers.toml").write_text(catalogue)
    for night in (FIRST, SECOND, THIRD):
        scores = pd.DataFrame({"customer_id": CUSTOMERS, "status": "eligible", "currency": "EUR"})
        scores["churn_probability"] = np.linspace(0.2, 0.7, len(scores))
        scores = scores.assign(value_at_risk=500.0, as_of=date.fromisoformat(night))
        scores.to_parquet(config.parent / f"scores-{night}.parquet", index=False)
    return config


def start(config, night, name="plan.parquet"):
    """`churn plan` as a separate process."""
    files = {"--config": config, "--out": config.parent / name, "--as-of": night}
    files["--scores"] = config.parent / f"scores-{night}.parquet"
    words = [str(word) for pair in files.items() for word in pair]
    command = [sys.executable, "-m", "churn", "plan", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finished(process):
    message = process.communicate(timeout=120)[1]
    return process.returncode, message


def offered(config, name="plan.parquet"):
    frame = pd.read_parquet(config.parent / name)
    return set(frame.loc[frame["offer_id"] != "none", "customer_id"])


def contacts(config, night):
    """Customer and number of plans of that date with an offer for them."""
    day = date.fromisoformat(night)
    with Ledger(config.parent / "ledger.db") as ledger:
        made = ledger.contacts_since(day, day + timedelta(days=1), excluding=("", date.min))
        ids = [contact.customer_id for contact in made]
    return {name: ids.count(name) for name in ids}


def test_the_same_plan_run_twice_contacts_nobody_twice_and_keeps_the_cap(shop):
    for _ in range(2):
        assert finished(start(shop, FIRST))[0] == 0
        first = offered(shop)
        assert len(first) > 20
        assert contacts(shop, FIRST) == dict.fromkeys(first, 1)
    assert finished(start(shop, SECOND))[0] == 0
    assert offered(shop)
    assert not offered(shop) & first
    assert finished(start(shop, THIRD))[0] == 0
    assert offered(shop) & first  # 28 days later


def test_of_two_simultaneous_plans_one_remains(shop):
    """With one output, the second run waits; with two, the ledger keeps one of the plans."""
    racers = [start(shop, FIRST, name) for name in ("a.parquet", "a.parquet", "b.parquet")]
    codes = [finished(racer)[0] for racer in racers]
    assert codes[2] == 0
    assert 0 in codes[:2]
    assert set(codes) <= {0, BusyError.exit_code}
    assert contacts(shop, FIRST) == dict.fromkeys(offered(shop, "a.parquet"), 1)
    assert offered(shop, "a.parquet") == offered(shop, "b.parquet")


def test_a_plan_that_is_run_again_after_it_was_killed_contacts_nobody_twice(shop):
    begun = time.perf_counter()
    assert finished(start(shop, FIRST))[0] == 0
    seconds = time.perf_counter() - begun
    early, chance = offered(shop), random.Random(7)
    for share in (chance.uniform(0.3, 1.0) for _ in range(2)):
        kill(start(shop, SECOND), after=share * seconds)
        assert verify_file(shop.parent / "plan.parquet")["customers"] == len(CUSTOMERS)
    kill_when_on_record(shop, start(shop, SECOND))
    assert finished(start(shop, SECOND))[0] == 0
    assert offered(shop)
    assert not offered(shop) & early
    assert contacts(shop, SECOND) == dict.fromkeys(offered(shop), 1)
    assert contacts(shop, FIRST) == dict.fromkeys(early, 1)


def kill(process, *, after):
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def kill_when_on_record(config, process):
    """Ends the process as soon as the ledger contains its plan, with or without the file."""
    while process.poll() is None and not contacts(config, SECOND):
        time.sleep(0.005)
    kill(process, after=0)
