"""Customer names do not leak; objectors and erased customers are in no result."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from known_customers import CUSTOMERS as KNOWN
from known_customers import address, files_of, known_shop, named, names_in, people, written
from simulated_shop import OFFERS, open_shop, simulated_orders

from churn.commands.check import check
from churn.errors import ChurnError
from churn.storage.manifests import verify_file

KEY = "0123456789abcdef" * 4
CUSTOMERS = [f"zqx-{number:04d}" for number in range(250)]
OBJECTORS, GONE = CUSTOMERS[:3], CUSTOMERS[3:5]
ADS = OFFERS.split("[[offers]]")[1].replace("coupon", "banner").replace('"email"', '"ads"')
CATALOGUE = OFFERS + "[[offers]]" + ADS.replace("margin_cost = 1.0", "margin_cost = 0.5")
MORE = """
holdout = 0.1
phone_region = "US"

[model]
most_rows = 1000

[data.customers]
source = "customers.parquet"

[data.consents]
source = "consents.parquet"

[data.contacts]
source = "contacts.parquet"
"""
COMMANDS = [
    "check",
    "train",
    "score --out out/scores.parquet",
    "score --out out/scores.csv --explain all",
    "features --out out/features.parquet",
    "effects",
    "plan --out out/plan.parquet --as-of 2023-11-20",
    "export out/plan.parquet --date 2023-11-21 --to out/list.csv",
    *(
        f"export out/plan.parquet --date 2023-11-21 --to out/{kind}.parquet --audience {kind}"
        for kind in ("meta", "google-ads", "google-data-manager")
    ),
    "measure --plan out/plan.parquet --out out/measured.parquet",
    "models",
    "sync",
]


RUN = """
import contextlib, io, json, sys
from churn.cli import main

told = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["churn", *command.split()]
    heard = io.StringIO()
    with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    told[command] = [code, heard.getvalue()]
print(json.dumps(told))
"""


def said(folder, commands, *, stdin=""):
    """The output of each command on both streams, all in one separate process.

    Each is done, or (4) done and refused by a gate.
    """
    run = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(commands)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        input=stdin,
        env=environment(),
    )
    reported = json.loads(run.stdout.splitlines()[-1])
    assert {command: text for command, (code, text) in reported.items() if code not in (0, 4)} == {}
    return {command: text for command, (_, text) in reported.items()} | {"itself": run.stderr}


def environment():
    return {**os.environ, "CHURN_SIGNING_KEY": KEY, "CHURN_PRIVACY_KEY": KEY[::-1]}


def consents():
    """Everyone consents to marketing, one in five to ads alone; objectors refuse profiling."""
    frame = pd.DataFrame({"customer_id": CUSTOMERS, "purpose": "marketing", "granted": True})
    by_email = frame.assign(channel="email", granted=np.arange(len(CUSTOMERS)) % 5 > 0)
    words = [by_email, frame.assign(channel="ads")]
    against = pd.DataFrame({"customer_id": OBJECTORS, "purpose": "profiling", "granted": False})
    rows = pd.concat([*words, against.assign(channel="email")])
    return rows.assign(changed_at=pd.Timestamp("2022-01-05"))


def contacts():
    """Half of the customers were randomised to a coupon."""
    drawn = np.random.default_rng(5).random(len(CUSTOMERS)) < 0.5
    rows = pd.DataFrame({"customer_id": CUSTOMERS, "campaign_id": "old", "propensity": 0.5})
    rows["offer_id"] = np.where(drawn, "coupon", "none")
    rows["arm"] = np.where(drawn, "treatment", "control")
    return rows.assign(contacted_at=pd.Timestamp("2023-06-01"))


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """A shop after every command, and their outputs; later tests continue from there."""
    folder = tmp_path_factory.mktemp("life") / "shop"
    orders = named(simulated_orders(len(CUSTOMERS)))
    tracking = "sqlite:///mlflow.db"
    open_shop(folder, orders, tracking=tracking, consent="required", budget=1e6, more=MORE)
    people(CUSTOMERS).to_parquet(folder / "customers.parquet", index=False)
    consents().to_parquet(folder / "consents.parquet", index=False)
    contacts().to_parquet(folder / "contacts.parquet", index=False)
    (folder / "offers.toml").write_text(CATALOGUE)
    return folder, said(folder, COMMANDS)


def rows_of(folder, name):
    path = folder / "out" / name
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def test_no_customer_is_named_in_models_records_facts_or_words(life):
    folder, output = life
    words = [*CUSTOMERS, *map(address, CUSTOMERS)]
    records = [
        folder / "mlflow.db",
        *files_of(folder / "models"),
        *files_of(folder / "mlartifacts"),
    ]
    assert {path.parent.name for path in files_of(folder / "models")} >= {"heads", "effects"}
    manifests = (folder / "out").glob("*.json")
    assert names_in([*records, *manifests], words) == set()
    assert [
        command for command, text in output.items() if any(word in text for word in words)
    ] == []
    with sqlite3.connect(folder / "ledger.db") as ledger:
        facts = repr(ledger.execute("SELECT * FROM runs, exports, outputs").fetchall())
    assert not any(word in facts for word in words)


def test_objectors_are_in_no_score_plan_or_audience_and_not_in_the_ledger(life):
    """Row 49."""
    folder, _ = life
    out = files_of(folder / "out")
    made = {path for path in out if not path.name.startswith("features")}
    assert names_in([*made, folder / "ledger.db"], OBJECTORS) == set()
    assert len(rows_of(folder, "scores.parquet")) > 200
    assert len(rows_of(folder, "meta.parquet")) > 3


def test_erased_customers_are_in_no_score_audience_ledger_log_or_cache(life, tmp_path):
    """Row 49."""
    folder = moved(life[0], tmp_path / "shop")
    command = "forget - --json"
    output = said(folder, [command], stdin="\n".join(GONE))[command]
    assert names_in(ours(folder), SECRET) == set()
    assert not any(word in output for word in SECRET)
    reported = json.loads(output)["metrics"]
    assert reported["ledger"]["plans"] == 2
    assert reported["unread"] == []
    assert verify_file(folder / "out" / "scores.parquet")["erased"] == 2
    again = [one.replace("--to", "--replace --to") for one in COMMANDS if one.startswith(AGAIN)]
    output = said(folder, again)
    assert len(again) > 6
    assert not any(word in text for text in output.values() for word in SECRET)
    assert names_in(ours(folder), SECRET) == set()
    assert len(rows_of(folder, "scores.parquet")) > 200


SECRET = [*GONE, *map(address, GONE)]
AGAIN = ("score --out out/scores.parquet", "plan", "export", "measure")
INPUTS = {"orders.parquet", "customers.parquet", "consents.parquet", "contacts.parquet"}


def ours(folder):
    """Every file below, except the shop's own tables."""
    return [path for path in files_of(folder) if path.name not in INPUTS]


def moved(original, folder):
    """A copy of the shop, with the copy's files in its ledger."""
    shutil.copytree(original, folder)
    with sqlite3.connect(folder / "ledger.db") as ledger:
        renamed = "UPDATE outputs SET target = replace(target, ?, ?)"
        ledger.execute(renamed, (str(original), str(folder)))
    ledger.close()
    return folder


FORGET = """
import sys
from pathlib import Path
from churn.commands.forget import forget
from churn.cli import terminal
from churn.privacy import still_held, erase_files

print("ready", flush=True)
forget(Path(sys.argv[1]), customers=sys.argv[2:])
print("done", flush=True)
"""


def test_a_forgetting_that_is_killed_leaves_whole_files_and_is_completed_by_the_next(tmp_path):
    """Real kills at moments spread over a run, some before the list is written."""
    config = known_shop(tmp_path / "shop")
    written(config)
    asked = KNOWN[:6]
    seconds = forgetting(config, asked[0], kill_after=None)
    rng = random.Random(49)
    for place, name in enumerate(asked[1:-1]):
        forgetting(config, name, kill_after=seconds * (place + rng.random()) / 4)
        for path in (config.parent / "out").glob("*.[pc]*[tv]"):
            assert verify_file(path) is not None
    forgetting(config, *asked, kill_after=None)
    assert names_in(ours(config.parent) + files_of(config.parent / "out"), asked) <= {
        ("made-up.parquet", name) for name in asked
    }


def forgetting(config, *names, kill_after):
    """The seconds until a process had erased the customers, or until it was killed."""
    command = [sys.executable, "-c", FORGET, str(config), *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        if kill_after is None:
            assert process.stdout.readline() == "done\n"
        else:
            time.sleep(kill_after)
            process.send_signal(signal.SIGKILL)
        process.wait()
        return time.monotonic() - began


def test_errors_over_dirty_input_name_no_customer(tmp_path):
    """Row 49: no message repeats a cell of a file, whatever it contains."""
    secret = "zqx-0042@example.com"
    output = [reading(tmp_path, text) for text in dirty(secret)]
    assert sum(text is not None for text in output) >= 10
    assert [text for text in output if text is not None and "zqx" in text] == []


def dirty(secret):
    """Files of orders with the secret in every wrong place."""
    good = {"customer_id": "a", "ordered_at": "2024-01-01", "amount": "1", "order_id": "1"}
    for column in good:
        row = good | {column: secret}
        yield ",".join(good) + "\n" + ",".join(row.values()) + "\n"
        yield ",".join(good) + "\n" + ",".join((row | {"order_id": f"{secret}\0"}).values()) + "\n"
        yield ",".join(name if name != column else secret for name in good) + "\n"
    header = ",".join(good)
    yield f"{header}\n{secret},2024-01-01,1,1\n{secret},2024-01-01,2,1\n"
    yield f'{header}\n"{secret},2024-01-01,1,1\n'
    yield f"{header}\n{secret},2024-01-01,1,1,{secret},{secret}\n"
    yield f"{secret}\n"
    yield f"{header},currency\n{secret},2024-01-01,1,1,{secret}\n"


def reading(folder, text):
    """The error for the file, None if it can be read."""
    (folder / "orders.csv").write_text(text)
    (folder / "churn.toml").write_text('[data.orders]\nsource = "orders.csv"\n')
    try:
        check(folder / "churn.toml")
    except ChurnError as failure:
        return f"{failure} {failure.got}"
    return None
