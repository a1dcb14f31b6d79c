"""A temporary PostgreSQL server in its own folder, run as an unprivileged user.

PostgreSQL refuses to run as root, and so do we as far as we can: under root it is `nobody`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

LONGEST_START_SECONDS = 60
DEBIAN = Path("/usr/lib/postgresql")
# Durability is PostgreSQL's own; what is killed here is ours. So no test waits for the disk.
FAST = {"fsync": "off", "max_connections": "40", "shared_buffers": "128MB", "max_wal_size": "1GB"}


@dataclass(frozen=True)
class Postgres:
    """A running server: where it listens, its superuser, and the database that is meant."""

    port: int
    user: str
    password: str
    folder: Path
    database: str = "postgres"

    def address(self, table: str, *, user: str = "", password: str = "") -> str:
        """A source or target; by default the superuser's."""
        who = f"{user or self.user}:{password or self.password}"
        return f"postgresql://{who}@127.0.0.1:{self.port}/{self.database}#{table}"

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of the superuser's; statements stand for themselves."""
        import adbc_driver_postgresql.dbapi as adbc

        uri = self.address("").removesuffix("#")
        with adbc.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
            yield cursor

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement gives, run by the superuser."""
        with self.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def holding(self, table: str, frame: pd.DataFrame) -> str:
        """The address of a new table that holds the frame."""
        with self.cursor() as cursor:
            cursor.adbc_ingest(table, pa.Table.from_pandas(frame, preserve_index=False))
        return self.address(table)

    @contextmanager
    def new_database(self) -> Iterator["Postgres"]:
        """The same server with a database of its own, gone with the block."""
        name = f"shop_{secrets.token_hex(4)}"
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield replace(self, database=name)
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")


def why_not() -> str | None:
    """Why no server can be started here; None where one can."""
    if binaries() is None:
        return "needs PostgreSQL's initdb, e.g. apt-get install postgresql"
    return None


def binaries() -> Path | None:
    """The folder of initdb and postgres: on the PATH, or where Debian hides it."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    hidden = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return hidden[-1].parent if hidden else None


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A server on 127.0.0.1 and on a socket, which wants a password; it ends with the block.

    A `durable` one waits for the disk, with the settings that PostgreSQL ships with.
    """
    programs = binaries()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="churn-postgres-", dir="/tmp"))  # sockets: short names
    dropped = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
    if dropped:
        shutil.chown(folder, **dropped)
    password = secrets.token_hex(8)
    _initialise(programs, folder, password, dropped)
    try:
        with _served(programs, folder, password, dropped, {} if durable else FAST) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(programs: Path, folder: Path, password: str, dropped: dict[str, str]) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if dropped:
        shutil.chown(secret, **dropped)
    words = ["--username=boss", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
    subprocess.run(
        [programs / "initdb", f"--pgdata={folder / 'data'}", "--locale=C", "--no-sync", *words],
        check=True,
        capture_output=True,
        cwd=folder,
        extra_groups=[] if dropped else None,
        **dropped,
    )


@contextmanager
def _served(
    programs: Path,
    folder: Path,
    password: str,
    dropped: dict[str, str],
    settings: dict[str, str],
) -> Iterator[Postgres]:
    port = _free_port()
    place = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder}
    words = [f"--{name}={value}" for name, value in {**place, **settings}.items()]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *words],
            stdout=log,
            stderr=log,
            cwd=folder,
            extra_groups=[] if dropped else None,
            **dropped,
        )
    try:
        _wait_for(port, process, folder / "log")
        yield Postgres(port, "boss", password, folder)
    finally:
        process.send_signal(signal.SIGQUIT)  # at once, without a checkpoint
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_for(port: int, process: Any, log: Path) -> None:
    deadline = time.monotonic() + LONGEST_START_SECONDS
    while "ready to accept connections" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
