"""Forty customers with unmistakable names, and the search for them in every byte.

A library for the tests of several rooms, on the `pythonpath` of pytest.
"""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from simulated_shop import AS_OF, OFFERS, open_shop, simulated_orders

from churn.commands.export import export
from churn.commands.plan import plan

NIGHT = str(AS_OF)
CUSTOMERS = [f"zqx-{number:04d}" for number in range(40)]
ADS = OFFERS.split("[[offers]]")[1].replace("coupon", "banner").replace('"email"', '"ads"')
CAMPAIGN, COUPON = OFFERS.split("[[offers]]")
CHEAP = ADS.replace("margin_cost = 1.0", "margin_cost = 0.5")
CATALOGUE = f"{CAMPAIGN}[[offers]]{COUPON}[[offers]]{CHEAP}"
TABLES = """
[data.consents]
source = "consents.parquet"

[data.customers]
source = "customers.parquet"
"""


def named(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of customers c0000, c0001, … under recognisable names."""
    return frame.assign(customer_id="zqx-" + frame["customer_id"].str.removeprefix("c"))


def address(name: str) -> str:
    """The customer's e-mail address as the shop writes it."""
    return f"Mail.{name}@Example.com"


def people(customers: list[str]) -> pd.DataFrame:
    """The shop's list of customers, with an address and a phone number each."""
    phones = [f"+1650555{number:04d}" for number in range(len(customers))]
    emails = [address(name) for name in customers]
    return pd.DataFrame({"customer_id": customers, "email": emails, "phone": phones})


def known_shop(folder: Path) -> Path:
    """The churn.toml of a shop whose customers agreed to e-mail, and the first half to ads."""
    config = open_shop(
        folder, named(simulated_orders(40)), consent="required", budget=1e6, more=TABLES
    )
    people(CUSTOMERS).to_parquet(folder / "customers.parquet", index=False)
    words = [
        {"customer_id": name, "channel": channel, "purpose": "marketing", "granted": True}
        for name in CUSTOMERS
        for channel in (("email", "ads") if name < CUSTOMERS[20] else ("email",))
    ]
    consents = pd.DataFrame(words).assign(changed_at=pd.Timestamp("2022-01-01"))
    consents.to_parquet(folder / "consents.parquet", index=False)
    (folder / "offers.toml").write_text(CATALOGUE)
    return config


def scored(folder: Path) -> Path:
    """Scores that make an offer worth its cost for everybody."""
    scores = pd.DataFrame({"customer_id": CUSTOMERS, "status": "eligible", "currency": "EUR"})
    scores["churn_probability"] = np.linspace(0.2, 0.7, len(scores))
    scores = scores.assign(value_at_risk=500.0, as_of=date.fromisoformat(NIGHT))
    path = folder / "made-up.parquet"
    scores.to_parquet(path, index=False)
    return path


def written(config: Path) -> dict[str, Path]:
    """A plan, its list and its audience, as the commands write them."""
    folder = config.parent
    paths = {name: folder / "out" / name for name in ("plan.parquet", "list.csv", "meta.parquet")}
    plan(config, out=paths["plan.parquet"], scores=scored(folder), as_of=NIGHT)
    export(config, plan=paths["plan.parquet"], out=paths["list.csv"])
    export(config, plan=paths["plan.parquet"], out=paths["meta.parquet"], audience_name="meta")
    return paths


def names_in(paths: list[Path], words: list[str]) -> set[tuple[str, str]]:
    """Where one of the words stands: in the bytes of a file, or in the cells of a Parquet file."""
    found = set()
    for path in paths:
        held = path.read_bytes()
        if path.suffix == ".parquet":
            held += repr(_texts(pq.read_table(path))).encode()
        found |= {(path.name, word) for word in words if word.encode() in held}
    return found


def _texts(table: pa.Table) -> list[object]:
    return [column.to_pylist() for column in table.columns if not pa.types.is_floating(column.type)]


def files_of(folder: Path) -> list[Path]:
    """Every file in the folder and below."""
    return [path for path in folder.rglob("*") if path.is_file()]
