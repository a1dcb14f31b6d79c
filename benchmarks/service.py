"""Speed of the HTTP API beside `/healthz` of the same server, in one run.

    .venv/bin/python benchmarks/service.py --folder /tmp/served

Trains the shop in that folder if it is not there yet, and serves it. Each case takes turns with
`/healthz` in slices of half a second, with the same clients: one thread per connection, requests
prepared as bytes, answers read to their end. Where other processes use the machine, the rows per
second of the server's processor time say what a core of its own would do.
"""

import argparse
import json
import os
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

from served_shop import Server, answer, connected, request, served, trained

SLICE_SECONDS = 0.5


class Measured:
    """The times of the requests of one kind, and the time in which they were made."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.times: list[float] = []
        self.seconds = 0.0
        self.processor_seconds = 0.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.times) / self.seconds

    @property
    def rate_of_core(self) -> float:
        """Requests per second of the server's processor time."""
        return len(self.times) / self.processor_seconds

    def milliseconds(self, percent: int) -> float:
        """That percentile of the times of requests."""
        return 1_000 * quantiles(self.times, n=100)[percent - 1]

    def run(self, server: Server, clients: int) -> None:
        """Asks for a slice of time."""
        end = time.perf_counter() + SLICE_SECONDS

        def ask() -> None:
            with connected(server.port) as connection:
                while time.perf_counter() < end:
                    begun = time.perf_counter()
                    connection.sendall(self.content)
                    status, _, body = answer(connection)
                    assert status == 200, body
                    self.times.append(time.perf_counter() - begun)

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        begun, spent = time.perf_counter(), server.processor_seconds
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.seconds += time.perf_counter() - begun
        self.processor_seconds += server.processor_seconds - spent


def history(orders: int, rng: random.Random) -> dict[str, object]:
    """A customer with that many orders in two years."""
    begin = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [
        {
            "ordered_at": (begin - timedelta(hours=rng.randrange(17_000))).isoformat(),
            "amount": rng.randrange(500, 9_000) / 100,
        }
        for _ in range(orders)
    ]
    return {"orders": rows, "events": []}


def cases(features: list[str], key: str) -> dict[str, tuple[bytes, int]]:
    """The request of each case, and its rows."""
    rng = random.Random(7)
    rows = [[float(rng.randrange(1, 60)) for _ in features] for _ in range(100)]
    many = [history(50, rng) for _ in range(20)]

    def ready(count: int) -> bytes:
        body = {"features": features, "rows": rows[:count]}
        return request("POST", "/v1/score/features", key, body)

    def raw(count: int) -> bytes:
        body = {"as_of": "2026-11-01", "customers": many[:count]}
        return request("POST", "/v1/score", key, body)

    return {
        "1 row of features": (ready(1), 1),
        "100 rows of features": (ready(100), 100),
        "1 history of 50 orders": (raw(1), 1),
        "20 histories of 50 orders": (raw(20), 20),
    }


def features_of(server: Server) -> list[str]:
    """The features of the model in use."""
    with connected(server.port) as connection:
        connection.sendall(request("GET", "/v1/model", server.key))
        return list(json.loads(answer(connection)[2])["features"])


def compare(server: Server, *, seconds: float, clients: int) -> None:
    """Prints one line for each case."""
    print("| case | requests/s | of /healthz | rows/s | rows/s of a core | p99 ms | of /healthz |")
    print("|---|---|---|---|---|---|---|")
    bare = request("GET", "/healthz", server.key)
    for name, (content, rows) in cases(features_of(server), server.key).items():
        base, case = Measured(bare), Measured(content)
        for _ in range(round(seconds / SLICE_SECONDS)):
            base.run(server, clients)
            case.run(server, clients)
        print(
            f"| {name} | {case.rate:,.0f} | {case.rate / base.rate:.0%} | {case.rate * rows:,.0f} "
            f"| {case.rate_of_core * rows:,.0f} | {case.milliseconds(99):.1f} "
            f"| {case.milliseconds(99) / base.milliseconds(99):.1f} times |",
            flush=True,
        )
        print(
            f"| /healthz in turn | {base.rate:,.0f} | | | {base.rate_of_core:,.0f} "
            f"| {base.milliseconds(99):.1f} | |",
            flush=True,
        )


def main() -> None:
    """Prints the start, and one line for each case."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each case")
    parser.add_argument("--clients", type=int, default=4)
    given = parser.parse_args()
    with served(trained(given.folder.resolve())) as server:
        print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for path, (seconds, spent) in (("/livez", server.live), ("/readyz", server.ready)):
            print(f"{path} after {seconds:.2f} s, with {spent:.2f} s of processor time")
        compare(server, seconds=given.seconds, clients=given.clients)


if __name__ == "__main__":
    main()
