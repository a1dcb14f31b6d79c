"""A small shop with known mechanics: gamma-Poisson purchases with drop-out, or memoryless ones.

A library for the tests of several rooms, on the `pythonpath` of pytest; what is
expensive is made once in a process, and trainings once for all of pytest's workers.
"""

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from churn.commands.train import train
from churn.data.tables import Tables
from churn.modeling.dataset import Dataset, build_dataset
from churn.modeling.evaluate import Evaluation, evaluate
from churn.modeling.model import ChurnModel
from churn.modeling.panel import Panel, resolve_panel
from churn.results.job_result import JobResult

# Tests run side by side on few cores, where OpenMP's waiting threads cost more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")

FIRST_DAY = date(2022, 1, 1)
DAYS = 730
AS_OF = FIRST_DAY + timedelta(days=DAYS)
HORIZON_DAYS = 28
CUTOFFS = 8
MEMORYLESS_AS_OF = str(FIRST_DAY + timedelta(days=300))
NO_SERVER = "http://127.0.0.1:9"

CONFIG = """
[data]
currency = "EUR"

[data.orders]
source = "orders.parquet"

[churn]
horizon_days = 28

[panel]
cutoffs = 8

[tracking]
uri = "{tracking}"

[offers]
catalogue = "offers.toml"
budget = {budget}
consent = "{consent}"
"""
OFFERS = """
[campaign]
id = "spring"

[[offers]]
offer_id = "coupon"
name = "5 % off"
kind = "discount"
channel = "email"
margin_cost = 1.0
contact_cost = 0.05
redemption_rate = 0.2
effect = 0.05
effect_low = 0.01
effect_high = 0.09
cooldown_days = 28
expires_after_days = 14
"""


def simulated_orders(
    customers: int = 600, *, seed: int = 11, days: int = DAYS, memoryless: bool = False
) -> pd.DataFrame:
    """customer_id, ordered_at, amount.

    Rates are gamma, gaps exponential, and every purchase may be the last. Customers with a middle
    basket pause for weeks now and then, which no rule that is monotone in recency, frequency or
    money can tell. `memoryless` gives everyone the same rate and no end: nothing can be learnt.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(customers):
        at, level = (_memoryless if memoryless else _life)(rng, days)
        amount = np.round(level * rng.lognormal(0, 0.2, size=len(at)) + 0.01, 2)
        parts.append(pd.DataFrame({"customer_id": f"c{number:04d}", "day": at, "amount": amount}))
    rows = pd.concat(parts, ignore_index=True)
    rows["ordered_at"] = pd.Timestamp(FIRST_DAY) + pd.to_timedelta(rows.pop("day"), unit="D")
    return rows[["customer_id", "ordered_at", "amount"]]


def _memoryless(rng: np.random.Generator, days: int) -> tuple[np.ndarray, float]:
    at = np.unique(rng.integers(0, days, size=rng.poisson(days / 25) + 1))
    return at, 20.0


def _life(rng: np.random.Generator, days: int) -> tuple[np.ndarray, float]:
    """Purchase days from the first on, and the size of a basket."""
    middle = rng.random() < 0.5
    level = 20.0 if middle else rng.choice([6.0, 60.0])
    purchases = rng.geometric(0.02)
    gaps = rng.exponential(1 / rng.gamma(6.0, 1 / 80), size=purchases)
    if middle:
        pauses = rng.random(purchases) < 0.25
        gaps = np.where(pauses, rng.uniform(45, 80, purchases), rng.uniform(3, 8, purchases))
    at = rng.uniform(0, 0.98 * days) + np.concatenate([[0.0], np.cumsum(gaps)])
    return np.unique(at[at < days].astype(int)), level


@cache
def shop_tables() -> Tables:
    """The tables of the shop that can be learnt."""
    return Tables.from_frames(simulated_orders(), currency="EUR")


@cache
def shop_panel() -> Panel:
    """Its panel, short enough to be quick."""
    return resolve_panel(shop_tables(), AS_OF, horizon_days=HORIZON_DAYS, count=CUTOFFS)


@cache
def shop_dataset() -> Dataset:
    """Its rows at all mature cutoffs. Not to be changed by a test."""
    return build_dataset(shop_tables(), shop_panel().cutoffs, shop_panel().clock)


@cache
def shop_model() -> ChurnModel:
    """A model fitted on the past of the test cutoffs. Not to be changed by a test."""
    return ChurnModel(seed=7, rounds=40, threads=1).fit(
        shop_dataset().before(shop_panel().blocks.test.dates[0])
    )


@cache
def shop_evaluation() -> Evaluation:
    """The judgement of that model on the test cutoffs."""
    return evaluate(shop_model(), shop_dataset().only(shop_panel().blocks.test), replicates=50)


def open_shop(
    folder: Path,
    orders: pd.DataFrame | None = None,
    *,
    tracking: str = NO_SERVER,
    consent: str = "assumed",
    budget: float = 20.0,
    more: str = "",
) -> Path:
    """A project folder with orders, offers and a churn.toml, whose path comes back."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = simulated_orders() if orders is None else orders
    rows.to_parquet(folder / "orders.parquet", index=False)
    (folder / "offers.toml").write_text(OFFERS)
    text = CONFIG.format(tracking=tracking, consent=consent, budget=budget)
    (folder / "churn.toml").write_text(text + more)
    return folder / "churn.toml"


def trained_shop(base: Path) -> Path:
    """The churn.toml of a shop with a champion, trained once below `base` and recorded beside it.

    Not to be changed by a test: `copied_shop` is.
    """
    return first_training(base / "trained-shop")[0]


@cache
def first_training(folder: Path) -> tuple[Path, JobResult]:
    """The churn.toml of the shop called like `folder` and what the training there said."""

    def trained(shared: Path) -> tuple[Path, JobResult]:
        config = open_shop(shared, tracking="sqlite:///mlflow.db")
        return config, train(config)

    return _once(folder, trained)


@cache
def stand_in_trainings(folder: Path) -> tuple[Path, JobResult, JobResult]:
    """A shop in which nothing can be learnt, trained twice while MLflow cannot be reached.

    Its models are kept in `bundles` and not in the configured `models`.
    """

    def trained(shared: Path) -> tuple[Path, JobResult, JobResult]:
        config = open_shop(shared, simulated_orders(150, days=300, memoryless=True))
        first, second = (
            train(config, as_of=MEMORYLESS_AS_OF, models=shared / "bundles") for _ in range(2)
        )
        return config, first, second

    return _once(folder, trained)


Made = TypeVar("Made")


def _once(folder: Path, make: Callable[[Path], Made]) -> Made:
    """What the first of pytest's workers makes; each has its own folder beside a common one."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    own = worker is not None and folder.parent.name == f"popen-{worker}"
    shared = folder.parent.parent / folder.name if own else folder
    kept = shared.with_name(f"{shared.name}.pickle")
    shared.parent.mkdir(parents=True, exist_ok=True)
    with shared.with_name(f"{shared.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make(shared)))
        made: Made = pickle.loads(kept.read_bytes())
    return made


def shop_with_models(base: Path, folder: Path) -> Path:
    """The churn.toml of a copy of that shop in `folder`, whose champion is in `models`."""
    config, *_ = stand_in_trainings(base / "stand-in-shop")
    copied = copied_shop(config, folder)
    (folder / "bundles").rename(folder / "models")
    return copied


def copied_shop(config: Path, folder: Path, *, tracking: str = NO_SERVER) -> Path:
    """A copy of a trained shop's orders, offers, settings and models, with a ledger of its own."""
    source = config.parent
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("ml*", ".*", "ledger*"))
    text = config.read_text().replace("sqlite:///mlflow.db", tracking)
    (folder / config.name).write_text(text)
    return folder / config.name
