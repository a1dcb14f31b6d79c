"""The pages of a million customers: filters, sorts, search and depth, with ten users at once.

    python benchmarks/pages.py --customers 1000000 --users 10 --think 1

Serves a published file from a process of its own and prints, for each kind of request, the median
and the 95th percentile of the time to the whole page: for one user; for all users at once, each of
whom asks again as soon as the answer is there; and for all users, each of whom looks at a page for
`--think` seconds on average before asking again. `bare` is a route of the same server that does
nothing: what the machine, HTTP and the client take. CPU is that of the server for each request.
Then the same while a new file replaces the published one, and the weights of the pages.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psutil

HERE = Path(__file__).parent
SORTS = ("customer", "segment", "recency", "orders", "spend", "risk", "stake", "net")
KINDS = (
    *("bare", "overview", "first page", "filter", "sort", "filter and sort", "deep", "search"),
    "customer",
)
FIXED = {"bare": "/healthz", "overview": "/"}
MIXED = KINDS[1:]


def address_of(kind: str, customers: int, draw: random.Random) -> str:
    """An address of that kind, of other values each time."""
    if kind in FIXED:
        return FIXED[kind]
    if kind == "customer":
        return f"/customer?id=c{draw.randrange(customers):08d}"
    chosen = {"segment": draw.choice(("best", "loyal", "regular")), "least": draw.randint(1, 90)}
    order = {"sort": draw.choice(SORTS), "order": draw.choice(("asc", "desc"))}
    asked: dict[str, dict[str, object]] = {
        "first page": {},
        "filter": chosen,
        "sort": dict(order),
        "filter and sort": {**chosen, **order},
        "deep": {**order, "page": draw.randint(1, customers // 50)},
        "search": {"q": f"{draw.randint(0, 99_999):05d}"},
    }
    return f"/customers?{urlencode(asked[kind])}"


def ask(port: int, path: str) -> tuple[float, float, int]:
    """Milliseconds to the first byte and to the last, and the bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begin = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    first = time.perf_counter()
    size = len(answer.read())
    end = time.perf_counter()
    connection.close()
    assert answer.status == 200, (answer.status, path)
    return 1e3 * (first - begin), 1e3 * (end - begin), size


@dataclass(frozen=True)
class Server:
    """The server that is asked."""

    port: int
    process: psutil.Process
    customers: int

    def cpu_seconds(self) -> float:
        """The CPU time that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def timed(
    server: Server, kind: str, *, users: int, requests: int, think: float = 0.0
) -> tuple[list[float], float]:
    """Milliseconds of each request, `requests` of each user, and the server's CPU for each."""
    found: list[float] = []

    def work(seed: int) -> None:
        draw = random.Random(f"{kind}-{users}-{seed}")
        time.sleep(draw.uniform(0, think))
        for _ in range(requests):
            one = draw.choice(MIXED) if kind == "mixed" else kind
            found.append(ask(server.port, address_of(one, server.customers, draw))[1])
            time.sleep(draw.uniform(0, 2 * think))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(users)]
    before = server.cpu_seconds()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found, 1e3 * (server.cpu_seconds() - before) / len(found)


def cells(times: list[float]) -> str:
    """The median and the 95th percentile."""
    return f" {statistics.median(times):9.0f} {statistics.quantiles(times, n=20)[-1]:8.0f}"


@contextmanager
def served(folder: Path, customers: int) -> Iterator[Server]:
    """`churn serve` on the published file of a folder."""
    (folder / "churn.toml").write_text(
        '[data.orders]\nsource = "orders.parquet"\n'
        '[serving]\nunsubscribe = false\npages = true\npublished = "page.duckdb"\n'
    )
    words = ["serve", "--port", "0", "--config", str(folder / "churn.toml")]
    process = subprocess.Popen(
        [sys.executable, "-m", "churn", *words], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        port = int(process.stderr.readline().rsplit(":", 1)[1].split("/")[0])
        yield Server(port, psutil.Process(process.pid), customers)
    finally:
        process.terminate()
        process.wait()


def write(folder: Path, customers: int) -> None:
    """Writes the published file, in this process alone: the server gets the memory."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "tests/shop")]
    from publish import tables_of
    from small_documents import DOCUMENTS, ROW

    from churn.reporting.page_tables import Page, write_page

    write_page(
        folder / "page.duckdb", Page(row=ROW, documents=DOCUMENTS, **tables_of(customers, 2))
    )


def print_kinds(server: Server, users: int, requests: int, think: float) -> None:
    """A line for each kind of request."""
    heads = ("one user", f"{users} at once", f"{users}, {think:g} s apart", "CPU a request")
    print(f"{'ms: median, p95':16}", *(f"{head:>17}" for head in heads))
    for kind in (*KINDS, "mixed"):
        alone, cpu = timed(server, kind, users=1, requests=requests)
        together, _ = timed(server, kind, users=users, requests=requests)
        apart, _ = timed(server, kind, users=users, requests=requests, think=think)
        print(f"{kind:16}{cells(alone)}{cells(together)}{cells(apart)} {cpu:17.1f}", flush=True)


def print_replaced(server: Server, folder: Path, users: int, think: float) -> None:
    """A line on the requests while a new file is loaded, and the seconds until it is shown."""
    new = folder / "new.duckdb"
    shutil.copy(folder / "page.duckdb", new)
    before = server.cpu_seconds()
    new.replace(folder / "page.duckdb")
    times, _ = timed(server, "mixed", users=users, requests=12, think=think)
    used = server.cpu_seconds() - before
    told = f"   most {max(times):.0f}, {used:.1f} CPU s in all"
    print(f"{'file replaced':52}{cells(times)}{told}")


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--requests", type=int, default=20, help="of each user and kind")
    parser.add_argument("--think", type=float, default=1.0, help="mean seconds between requests")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, asked.customers)
        with served(folder, asked.customers) as server:
            begin, before = time.perf_counter(), server.cpu_seconds()
            for path in ("/", "/customers", "/customers?q=00000"):
                ask(server.port, path)
            print(f"first requests after the start: {time.perf_counter() - begin:.1f} s")
            while server.cpu_seconds() - before > 0.05:  # sorts are found in the background
                before = server.cpu_seconds()
                time.sleep(1)
            first = sorted(ask(server.port, "/")[0] for _ in range(30))
            print(f"overview, first byte: median {first[15]:.0f} ms, p95 {first[28]:.0f} ms")
            print_kinds(server, asked.users, asked.requests, asked.think)
            print_replaced(server, folder, asked.users, asked.think)
            for path in ("/", "/customers", "/customer?id=c00000000", "/segments", "/campaigns"):
                print(f"weight of {path:24} {ask(server.port, path)[2] / 1e3:6.1f} kB")
    print("load", *(f"{one:.1f}" for one in os.getloadavg()), "on", os.cpu_count(), "cores")


if __name__ == "__main__":
    main()
