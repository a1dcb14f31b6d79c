"""Features by getML's FastProp, from a file to a file.

python getml_fastprop.py ORDERS CUTOFF OUT

FastProp wants a target to fit on: here, the orders from the cutoff on. It may keep everything
that it tries. Its engine is a server of its own, whose peak memory is told beside this process's.
"""

import contextlib
import json
import os
import re
import sys
import time
from pathlib import Path

import getml
import pandas as pd

AGGREGATIONS = [
    *("COUNT", "SUM", "AVG", "STDDEV", "MIN", "MAX", "MEDIAN", "FIRST", "LAST", "TREND", "SKEW"),
    *("EWMA_7D", "EWMA_30D", "EWMA_90D", "EWMA_365D"),
]
MOST_FEATURES = 100
PATIENCE_SECONDS = 10


def population(orders: pd.DataFrame, cutoff: pd.Timestamp) -> pd.DataFrame:
    """One row per customer: the cutoff, and the orders from there on as the target."""
    later = orders[orders["ordered_at"] >= cutoff].groupby("customer_id").size()
    ids = orders["customer_id"].drop_duplicates(ignore_index=True)
    return pd.DataFrame({"customer_id": ids, "cutoff": cutoff, "later": ids.map(later).fillna(0.0)})


def learned(customers: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """One row per customer with the features that FastProp keeps."""
    keys = {"join_key": ["customer_id"]}
    roles = keys | {"time_stamp": ["cutoff"], "target": ["later"]}
    people = getml.DataFrame.from_pandas(customers, "people", roles=roles)
    roles = keys | {"time_stamp": ["ordered_at"], "numerical": ["amount"]}
    past = getml.DataFrame.from_pandas(orders, "past", roles=roles)
    model = getml.data.DataModel(people.to_placeholder("population"))
    model.add(past.to_placeholder("orders"))
    model.population.join(model.orders, on="customer_id", time_stamps=("cutoff", "ordered_at"))
    learner = getml.feature_learning.FastProp(
        aggregation=AGGREGATIONS,
        loss_function=getml.feature_learning.loss_functions.SquareLoss,
        num_features=MOST_FEATURES,
        num_threads=os.cpu_count() or 1,
    )
    pipe = getml.Pipeline(data_model=model, feature_learners=[learner])
    pipe.fit(people, [past], check=False)
    names = ["orders_count" if "COUNT( * )" in one.sql else one.name for one in pipe.features]
    return pd.DataFrame(pipe.transform(people, [past]), columns=names)


def status_of(process: Path) -> dict[str, int]:
    """The parent and, unless it is over, the peak memory in KiB of a process in /proc."""
    with contextlib.suppress(OSError):
        text = (process / "status").read_text()
        return {k: int(v) for k, v in re.findall(r"^(PPid|VmHWM):\s+(\d+)", text, re.MULTILINE)}
    return {}


def servers() -> dict[int, float]:
    """The processes below this one, with the peak memory of each in MiB."""
    every = {int(path.name): status_of(path) for path in Path("/proc").glob("[0-9]*")}
    family = {os.getpid()}
    while grown := {pid for pid, one in every.items() if one.get("PPid") in family} - family:
        family |= grown
    return {pid: every[pid].get("VmHWM", 0) / 1024 for pid in family - {os.getpid()}}


def stop() -> float:
    """Ends the engine and waits for it; the peak memory that its processes had, in MiB."""
    peaks = servers()
    getml.engine.shutdown()
    patience = time.monotonic() + PATIENCE_SECONDS
    while any("VmHWM" in status_of(Path(f"/proc/{pid}")) for pid in peaks):
        if time.monotonic() > patience:
            raise TimeoutError("getML's engine does not end")
        time.sleep(0.05)
    return sum(peaks.values())


def main(path: str, cutoff: str, out: str) -> None:
    """Write the table."""
    getml.engine.launch(launch_browser=False, allow_push_notifications=False, quiet=True)
    getml.set_project("benchmark")
    orders = pd.read_parquet(path, columns=["customer_id", "ordered_at", "amount"])
    orders["ordered_at"] = orders["ordered_at"].dt.tz_convert("UTC").dt.tz_localize(None)
    customers = population(orders, pd.Timestamp(cutoff))
    table = learned(customers, orders)
    table.set_index(customers["customer_id"]).to_parquet(out)
    print()
    print(json.dumps({"features": table.shape[1], "server_peak_mib": stop()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
