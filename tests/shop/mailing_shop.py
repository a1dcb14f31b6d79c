"""A shop with a plan on record, ready to send: made once per process, copied for each test."""

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from simulated_shop import AS_OF, OFFERS, open_shop, simulated_orders

from churn.commands.plan import plan
from churn.storage.ledger import Ledger
from churn.storage.messages import messages_of

CUSTOMERS = [f"c{number:04d}" for number in range(40)]
SMS = OFFERS.split("[[offers]]")[1].replace("coupon", "text").replace('"email"', '"sms"')
SHOP_TABLES = """
[data.consents]
source = "consents.parquet"
[data.customers]
source = "customers.parquet"
"""
EMAIL = """
[delivery.email]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "Corner Shop <news@shop.example>"
unsubscribe_url = "https://shop.example/unsubscribe"
shop = "Corner Shop"
address = "1 High Street, Anytown"
shop_url = "https://shop.example/"
"""


def consents(granted=True, *, customers=CUSTOMERS, channel="email", at="2022-01-01"):
    """One word on marketing of each customer."""
    return pd.DataFrame(
        {
            "customer_id": customers,
            "channel": channel,
            "purpose": "marketing",
            "granted": granted,
            "changed_at": pd.Timestamp(at),
        }
    )


def add_consents(config: Path, *frames: pd.DataFrame) -> None:
    path = config.parent / "consents.parquet"
    pd.concat([pd.read_parquet(path), *frames]).to_parquet(path, index=False)


def mailing_shop(base: Path, folder: Path, *, port: int, more: str = "") -> Path:
    """The churn.toml of a copy in `folder`, whose mail server is on that port of this machine."""
    shutil.copytree(_planned_shop(base / "mailing-shop"), folder)
    config = folder / "churn.toml"
    config.write_text(config.read_text() + EMAIL.format(port=port) + more)
    return config


@cache
def _planned_shop(folder: Path) -> Path:
    """Everybody agreed to e-mail and has an address; the plan offers nearly everybody a coupon."""
    config = open_shop(
        folder, simulated_orders(40), consent="required", budget=1e6, more=SHOP_TABLES
    )
    consents().to_parquet(folder / "consents.parquet", index=False)
    emails = [f"Name.{customer}@Mail.example" for customer in CUSTOMERS]
    people = pd.DataFrame({"customer_id": CUSTOMERS, "email": emails})
    people.to_parquet(folder / "customers.parquet", index=False)
    planned(config)
    return folder


def planned(config: Path, name="plan.parquet", *, customers=CUSTOMERS, **options) -> Path:
    """A plan from scores that make an offer worth its cost for each of the customers."""
    scores = pd.DataFrame({"customer_id": customers, "status": "eligible", "currency": "EUR"})
    scores["churn_probability"] = np.linspace(0.2, 0.7, len(scores))
    scores.assign(value_at_risk=500.0, as_of=AS_OF).to_parquet(config.parent / "scores.parquet")
    out = config.parent / name
    plan(config, out=out, scores=config.parent / "scores.parquet", as_of=str(AS_OF), **options)
    return out


def offered(path: Path) -> set[str]:
    """Who gets an offer in a plan."""
    frame = pd.read_parquet(path)
    served = frame["arm"].isin(["treatment", "explore"]) & (frame["offer_id"] != "none")
    return set(frame.loc[served, "customer_id"])


def states(config: Path) -> dict[str, str]:
    """What the ledger knows of each customer's message."""
    with Ledger(config.parent / "ledger.db") as ledger:
        return {one.customer_id: one.state for one in messages_of(ledger, "spring", AS_OF)}


def addresses_of(customers) -> list[str]:
    return sorted(f"Name.{customer}@mail.example" for customer in customers)
