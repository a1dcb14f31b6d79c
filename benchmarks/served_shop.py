"""A trained shop, `churn serve` on it, and requests as bytes: for the benchmarks of the service.

The shop is the Complete Journey's orders, summed by basket, so that its model can be scored from
histories. It is trained once in its folder and used again.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINES = ROOT / "data/complete_journey/order_lines.parquet"
SETTINGS = """
[data]
currency = "USD"

[data.orders]
source = "orders.parquet"

[churn]
horizon_days = 28

[value]
margin_rate = 0.3

[offers]
catalogue = "{offers}"
budget = 250.0
consent = "assumed"

[serving]
api = true
unsubscribe = false
requests_per_minute = 100000000
"""
CHURN = [sys.executable, "-m", "churn"]
BASKETS = """
    COPY (SELECT household_id AS customer_id, basket_id AS order_id,
                 min(transaction_timestamp) AS ordered_at, sum(sales_value) AS amount,
                 sum(retail_disc) AS discount
          FROM '{lines}' GROUP BY 1, 2) TO '{orders}'"""


def trained(folder: Path) -> Path:
    """The `churn.toml` of the shop in that folder, with a champion, scores and a plan."""
    import duckdb

    config = folder / "churn.toml"
    if (folder / "plan.parquet").exists():
        return config
    folder.mkdir(parents=True, exist_ok=True)
    duckdb.sql(BASKETS.format(lines=LINES, orders=folder / "orders.parquet"))
    config.write_text(SETTINGS.format(offers=ROOT / "examples/offers.toml"))
    for words in (
        ["train", "--as-of", "2017-12-01"],  # an older model, to swap with
        ["train"],
        ["score", "--out", "scores.parquet"],
        ["plan", "--scores", "scores.parquet", "--out", "plan.parquet"],
    ):
        subprocess.run([*CHURN, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return config


@dataclass
class Server:
    """A running service: port, process and key; and the seconds until it lived and was ready, with
    the processor time that they took.
    """

    port: int
    process: subprocess.Popen
    key: str = field(repr=False)
    live: tuple[float, float]
    ready: tuple[float, float]

    @property
    def processor_seconds(self) -> float:
        """What its process has used so far."""
        return processor_seconds(self.process.pid)

    @property
    def resident_mib(self) -> float:
        """The memory that it holds."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) / 1_024


def processor_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def served(config: Path, port: int = 0) -> Iterator[Server]:
    """`churn serve` in a process of its own, ready to score; it is stopped at the end."""
    made = subprocess.run(
        [*CHURN, "keys", "create", "benchmark", "--json"],
        cwd=config.parent,
        check=True,
        capture_output=True,
    )
    key = json.loads(made.stdout)["resolved"]["key"]
    port = port or _free_port()
    with started(config, port, key) as server:
        yield server


@contextlib.contextmanager
def started(config: Path, port: int, key: str) -> Iterator[Server]:
    """The service on that port, with a key that exists."""
    with (config.parent / "serve.err").open("a") as err:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [*CHURN, "serve", "--port", str(port)],
            cwd=config.parent,
            stdout=subprocess.DEVNULL,
            stderr=err,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        try:
            live, ready = (_waited(port, path, process, begun) for path in ("/livez", "/readyz"))
            yield Server(port, process, key, live, ready)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _waited(port: int, path: str, process: subprocess.Popen, begun: float) -> tuple[float, float]:
    """The seconds after which that path first answered 200, and the processor time until then."""
    while True:
        if process.poll() is not None:
            raise SystemExit("churn serve ended; serve.err says why")
        with contextlib.suppress(OSError), connected(port) as connection:
            connection.sendall(request("GET", path, ""))
            if answer(connection)[0] == 200:
                return time.perf_counter() - begun, processor_seconds(process.pid)
        time.sleep(0.01)


def connected(port: int, timeout: float = 60.0) -> socket.socket:
    """A connection to the service."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(method: str, path: str, key: str, body: object = None, **headers: str) -> bytes:
    """A request as bytes; `_` in the name of a header stands for `-`."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: a"]
    lines += [f"authorization: Bearer {key}"] if key else []
    if content:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def answer(connection: socket.socket) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next answer; OSError if the connection ends before it does."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += _received(connection)
    return int(head.split(None, 2)[1]), head, body


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(1_048_576)
    if not data:
        raise ConnectionResetError("the connection ended")
    return data
