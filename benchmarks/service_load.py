"""Load on the HTTP API for minutes while things go wrong, then a swap of models under requests.

    .venv/bin/python benchmarks/service_load.py --folder /tmp/served --minutes 10 --requests 100000

Two workers on ports of their own, as behind a web server: a client whose worker does not answer, or
refuses with 503, asks the other one with the same Idempotency-Key. The load is half of what the
clients achieved without a pause. In between, the model is swapped, a worker is killed and started
again, the disk is full, and the ledger is gone. Every answer is compared with the right one.

The shop is copied to a small file system in memory, so that its disk can be filled; this needs the
right to mount one. Without it that part is left out, and said so.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from load_cases import Case, Cases, bundles, rows_of
from served_shop import Server, answer, connected, processor_seconds, started, trained

from churn.commands.keys import create_api_key
from churn.storage.ledger import Ledger
from churn.storage.messages import messages_of
from churn.storage.publish import swap_pointer

PORTS = (18_471, 18_472)
SPARE_MIB = 40
CAPACITY_SECONDS = 20.0
PATIENCE_SECONDS = 30.0
CLEAR = frozenset({"unavailable", "loading", "no-model", "busy", "stopping", "timeout"})


@dataclass
class Tally:
    """What became of the requests."""

    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    given_up: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    models: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def answer(self, case: Case, body: bytes) -> None:
        """Counts an answer, and what is wrong with it."""
        found = json.loads(body)
        fault = case.fault(found)
        self.answered[case.kind] += 1
        if case.kind in {"features", "history"}:
            self.models[found["model_id"]] += 1
        if fault is not None:
            self.faults.append(f"{case.kind}: {fault}")

    def refusal(self, status: int, head: bytes, body: bytes) -> None:
        """Counts a refusal: it is a clear one if it is a known problem and says when to return."""
        name = json.loads(body).get("type", "").removeprefix("urn:churn:problem:")
        self.refused[f"{status} {name}"] += 1
        if status != 503 or name not in CLEAR or b"retry-after:" not in head.lower():
            self.faults.append(f"an unclear refusal: {status} {name}")


class Client:
    """A client with a connection to each worker; it changes to the other one when refused."""

    def __init__(self, tally: Tally, seed: int, cases: Cases) -> None:
        self._tally, self._at = tally, seed % len(PORTS)
        self._connections: dict[int, object] = {}
        self._cases = cases.mixed(seed)

    def ask(self) -> None:
        """Asks for the next case until it is answered, or its time has passed."""
        case, end = next(self._cases), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if self._tried(case):
                return
            self._at = (self._at + 1) % len(PORTS)
            if self._at == 0:
                time.sleep(0.2)
        self._tally.given_up[case.kind] += 1

    def _tried(self, case: Case) -> bool:
        port = PORTS[self._at]
        try:
            if port not in self._connections:
                self._connections[port] = connected(port, timeout=20.0)
            connection = self._connections[port]
            connection.sendall(case.content)
            status, head, body = answer(connection)
        except OSError:
            self._connections.pop(port, None)
            self._tally.lost += 1
            return False
        if b"connection: close" in head.lower():
            self._connections.pop(port).close()
        if status == 200:
            self._tally.answer(case, body)
            return True
        self._tally.refusal(status, head, body)
        return False


def under_load(
    cases: Cases,
    *,
    clients: int,
    seconds: float = float("inf"),
    requests: int | None = None,
    rate: float | None = None,
    seed: int = 0,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Tally, float]:
    """What became of the requests of some clients, and the seconds they took.

    With `rate` they are sent at fixed moments, so many per second in all; else one after the other.
    """
    tally, begun = Tally(), time.monotonic()
    left = iter(range(requests)) if requests is not None else iter(lambda: 0, 1)
    lock = threading.Lock()

    def run(number: int) -> None:
        client, sent = Client(tally, seed + number, cases), 0
        while time.monotonic() - begun < seconds:
            with lock:
                if next(left, None) is None:
                    return
            due = begun if rate is None else begun + (sent * clients + number) / rate
            time.sleep(max(0.0, due - time.monotonic()))
            asked = time.monotonic() if rate is None else due
            client.ask()
            tally.times.append(time.monotonic() - asked)
            sent += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join()
    return tally, time.monotonic() - begun


@dataclass
class Shop:
    """The shop under load, and its workers by port."""

    folder: Path
    key: str
    has_own_disk: bool
    workers: dict[int, Server] = field(default_factory=dict)
    running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self, port: int) -> None:
        """Starts the worker of that port, and waits until it is ready."""
        server = started(self.folder / "churn.toml", port, self.key)
        self.workers[port] = self.running.enter_context(server)

    def swap(self) -> str:
        """Makes the other model the champion; its name."""
        pointer = self.folder / "models" / "champion"
        current = pointer.read_text().strip()
        (other,) = [one.name for one in bundles(self.folder) if one.name != current]
        swap_pointer(pointer, other, expected=current)
        return other

    def kill(self, port: int) -> None:
        """Kills the worker at once, and starts it again."""
        self.workers[port].process.send_signal(signal.SIGKILL)
        self.workers[port].process.wait()
        self.start(port)

    def fill(self, seconds: float) -> None:
        """Leaves not a byte on the disk for that time."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4_096))
        time.sleep(seconds)
        filler.unlink()

    def take_ledger(self, seconds: float) -> None:
        """Moves the ledger away for that time."""
        ledger = self.folder / "ledger.db"
        away = ledger.with_name("ledger.away")
        ledger.rename(away)
        time.sleep(seconds)
        away.rename(ledger)


@contextlib.contextmanager
def copied(source: Path) -> Iterator[Shop]:
    """A copy of the shop on a small file system of its own, if one can be mounted."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        words = ["mount", "-t", "tmpfs", "-o", f"size={size // 2**20 + SPARE_MIB}m", "tmpfs", name]
        mounted = subprocess.run(words, check=False, capture_output=True).returncode == 0
        try:
            folder = place / "shop"
            ignored = shutil.ignore_patterns("mlflow.db*", "mlartifacts", "serve.err")
            shutil.copytree(source, folder, ignore=ignored)
            key = create_api_key(folder / "churn.toml", "load").resolved["key"]
            yield Shop(folder, key, mounted)
        finally:
            if mounted:
                subprocess.run(["umount", name], check=False)


def events(shop: Shop, seconds: float, memory: dict[str, float]) -> None:
    """What goes wrong during the load, at fixed shares of its time."""
    begun = time.monotonic()
    watched = shop.workers[PORTS[1]]

    def at(share: float, text: str) -> None:
        time.sleep(max(0.0, begun + share * seconds - time.monotonic()))
        memory[text] = watched.resident_mib
        print(f"{time.monotonic() - begun:6.0f} s  {memory[text]:4.0f} MiB  {text}", flush=True)

    at(0.10, "warm")
    at(0.20, f"model swapped to {shop.swap()}")
    at(0.35, "worker 1 is killed")
    shop.kill(PORTS[0])
    at(0.50, "worker 1 is back" if not shop.has_own_disk else "worker 1 is back; the disk is full")
    if shop.has_own_disk:
        shop.fill(0.08 * seconds)
    at(0.65, "the ledger is gone")
    shop.take_ledger(0.08 * seconds)
    at(0.80, f"model swapped to {shop.swap()}")
    at(0.98, "end")


def held(shop: Shop, cases: Cases, *, minutes: float, clients: int) -> None:
    """The load at half of the capacity, and its result."""
    tally, spent = under_load(cases, clients=clients, seconds=CAPACITY_SECONDS, seed=1_000)
    capacity = sum(tally.answered.values()) / spent
    print(f"capacity with {clients} clients: {capacity:,.0f} requests/s", flush=True)
    memory: dict[str, float] = {}
    tally, spent = under_load(
        cases,
        clients=clients,
        seconds=60 * minutes,
        rate=capacity / 2,
        seed=2_000,
        meanwhile=lambda: events(shop, 60 * minutes, memory),
    )
    shown(tally, spent)
    print(f"memory of worker 2: {memory['end'] / memory['warm'] - 1:+.1%} from warm to the end")
    print(contacts(shop, cases))


def contacts(shop: Shop, cases: Cases) -> str:
    """The customers who were offered something, beside the contacts on record."""
    first = rows_of(shop.folder / "plan.parquet")[0]
    with Ledger(shop.folder / "ledger.db") as ledger:
        found = messages_of(ledger, first["campaign_id"], first["as_of"])
    once = {message.customer_id for message in found}
    decisions = [json.loads(text) for text in cases.decisions.values()]
    offered = {one["customer_id"] for one in decisions if one["code"] == "offered"}
    return (
        f"{len(offered)} customers offered something in {len(decisions)} decisions, {len(found)} "
        f"contacts on record, {len(found) - len(once)} twice, {len(once ^ offered)} otherwise"
    )


def swapped(shop: Shop, cases: Cases, *, requests: int, clients: int) -> None:
    """The models take turns while that many requests are answered."""
    ended, swaps = threading.Event(), Counter[str]()

    def swap() -> None:
        while not ended.wait(3.0):
            swaps[shop.swap()] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    tally, spent = under_load(cases, clients=clients, requests=requests, seed=3_000)
    ended.set()
    thread.join()
    print(f"\n{sum(swaps.values())} swaps of models under {requests:,} requests", flush=True)
    shown(tally, spent)


def shown(tally: Tally, seconds: float) -> None:
    """Prints what became of the requests."""
    count = sum(tally.answered.values())
    p50, p99 = (1_000 * quantiles(tally.times, n=100)[n - 1] for n in (50, 99))
    print(f"answered {count:,} in {seconds:,.0f} s: {dict(tally.answered)}")
    print(f"scored by model: {dict(tally.models)}")
    print(f"milliseconds: median {p50:.0f}, p99 {p99:.0f}")
    print(f"refused, then asked again: {dict(tally.refused)}; connections lost: {tally.lost}")
    print(f"never answered: {dict(tally.given_up)}")
    print(f"wrong or unclear: {len(tally.faults)} {Counter(tally.faults).most_common(5)}")


def main() -> None:
    """Prints both results, and the load of the machine."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    source = trained(given.folder.resolve()).parent
    with copied(source) as shop, shop.running:
        if not shop.has_own_disk:
            print("no file system can be mounted here: the disk is not filled")
        for port in PORTS:
            shop.start(port)
        cases = Cases(shop.folder, shop.key)
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        held(shop, cases, minutes=given.minutes, clients=given.clients)
        swapped(shop, cases, requests=given.requests, clients=given.clients)
        used = [processor_seconds(worker.process.pid) for worker in shop.workers.values()]
        print(f"processor seconds of the workers: {', '.join(f'{one:.0f}' for one in used)}")


if __name__ == "__main__":
    main()
