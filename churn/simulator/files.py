"""Files of a simulated shop, written first and extended later."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn.arrays import Ints
from churn.data.contracts import TABLES
from churn.errors import ConfigError
from churn.simulator import frames
from churn.simulator.recipe import RECIPE, Recipe
from churn.simulator.settings import ShopSettings, Stretch
from churn.simulator.world import TRUTH, World, draw_world, tables_of
from churn.storage.publish import publish_directory, publish_file

UNTIL = re.compile(r"(?m)^until = (\d{4}-\d{2}-\d{2})")
ANEW = ("customers", "truth/")


@dataclass(frozen=True)
class WrittenShop:
    """The files of a simulated shop, churn.toml first, and the rows of each table."""

    files: tuple[Path, ...]
    rows: Mapping[str, int]


def write_shop(
    target: Path,
    shop: ShopSettings,
    *,
    customers: int,
    seed: int,
    progress: Callable[[str], None],
) -> WrittenShop:
    """A new directory with the shop's tables, its truth in a separate folder, and churn.toml.

    The same arguments give the same bytes. ConfigError for impossible numbers, StorageError if the
    directory already exists.
    """
    recipe = Recipe(shop, customers, seed)
    rows: dict[str, int] = {}
    fingerprints: list[str] = []
    with publish_directory(target) as folder, ExitStack() as open_files:
        writers: dict[str, pq.ParquetWriter] = {}
        for world in recipe.worlds():
            progress(f"customer {world.people.number[0]:,} of {customers:,}")
            fingerprints.append(world.fingerprint)
            for name, table in _tables(world).items():
                if name not in writers:
                    writers[name] = open_files.enter_context(_writer(folder, name, table))
                writers[name].write_table(table)
                rows[name] = rows.get(name, 0) + table.num_rows
            del world, table  # released before the next is drawn
        (folder / "churn.toml").write_text(_config(shop, rows), encoding="utf-8")
        if shop.ahead_days:
            recipe.write(folder, fingerprints)
    names = ["churn.toml", *(f"{name}.parquet" for name in rows)]
    names += [RECIPE] if shop.ahead_days else []
    return WrittenShop(tuple(target / name for name in names), rows)


def simulated_tables(
    shop: ShopSettings, numbers: Ints, seed: np.random.SeedSequence
) -> dict[str, pa.Table]:
    """All tables of some customers up to the end, by file name."""
    return _tables(draw_world(shop, numbers, seed))


def _tables(world: World) -> dict[str, pa.Table]:
    seen = Stretch(0.0, float(world.shop.days))
    return tables_of(world, seen, world.rng) | dict(world.past)


def _writer(folder: Path, name: str, table: pa.Table) -> pq.ParquetWriter:
    path = folder / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    return pq.ParquetWriter(path, table.schema, compression="zstd")


def _config(shop: ShopSettings, rows: Mapping[str, int]) -> str:
    """The settings that read the tables."""
    sources = [
        f'[data.{name}]\nsource = "{name}.parquet"\n'
        for name in rows
        if not name.startswith("truth/")
    ]
    head = f"""\
# A made-up shop, for mechanics and speed; what a model earns here says nothing of real customers.
# The truth about its customers is in {TRUTH}.parquet: not for training.

[data]
currency = "{frames.CURRENCY}"
until = {shop.until}
"""
    return "\n".join([head, *sources])


class Grown:
    """The tables of a folder as they were before a date, to which rows are added.

    All files change when the stack closes without an exception. Customer attributes and the truth
    are rewritten.
    """

    def __init__(self, folder: Path, since: date, stack: ExitStack) -> None:
        self.rows: dict[str, int] = {}
        self.files: dict[str, Path] = {}
        self._folder = folder
        self._since = pa.scalar(datetime.combine(since, time(), UTC), pa.timestamp("us", "UTC"))
        self._stack = stack
        self._writers: dict[str, pq.ParquetWriter] = {}

    def add(self, tables: Mapping[str, pa.Table]) -> None:
        """Appends rows to the tables, creating missing ones."""
        for name, rows in tables.items():
            if name not in self._writers:
                self._begin(name, rows.schema)
            self._write(name, rows)
            self.rows[name] = self.rows.get(name, 0) + rows.num_rows

    def _begin(self, name: str, schema: pa.Schema) -> None:
        path = self._folder / f"{name}.parquet"
        old = None if name.startswith(ANEW) or not path.exists() else pq.ParquetFile(path)
        if old is not None:
            schema = pa.unify_schemas([old.schema_arrow, schema])
        temporary = self._stack.enter_context(publish_file(path))
        writer = pq.ParquetWriter(temporary, schema, compression="zstd")
        self._writers[name] = self._stack.enter_context(writer)
        self.files[name] = path
        for rows in () if old is None else self._before(name, old):
            if rows.num_rows:
                self._write(name, rows)

    def _write(self, name: str, rows: pa.Table) -> None:
        writer = self._writers[name]
        empty = writer.schema.empty_table()
        writer.write_table(pa.concat_tables([empty, rows], promote_options="default"))

    def _before(self, name: str, old: pq.ParquetFile) -> Iterator[pa.Table]:
        """The row groups without leftovers of an interrupted run."""
        for number in range(old.num_row_groups):
            rows = old.read_row_group(number)
            if name == "order_lines":
                yield rows.filter(pc.is_in(rows["order_id"], self._old_orders()))
            else:
                yield rows.filter(pc.less(rows[TABLES[name].happened], self._since))

    def _old_orders(self) -> pa.ChunkedArray:
        earlier = [("ordered_at", "<", self._since)]
        path = self._folder / "orders.parquet"
        return pq.read_table(path, columns=["order_id"], filters=earlier)["order_id"]


def end_of(folder: Path) -> date:
    """The day after the last visible one according to the shop's churn.toml."""
    found = UNTIL.findall((folder / "churn.toml").read_text(encoding="utf-8"))
    if len(found) != 1:
        rule = "the churn.toml of a simulated shop must contain its end date"
        fix = "Write `until = DATE` under [data], as `churn simulate` did."
        raise ConfigError(rule, got=f"{len(found)} such lines", fix=fix)
    return date.fromisoformat(found[0])


def move_end(folder: Path, until: date, *, connect: Mapping[str, Path]) -> Path:
    """churn.toml with a later end, and with new tables added."""
    config = folder / "churn.toml"
    text = UNTIL.sub(f"until = {until}", config.read_text(encoding="utf-8"))
    for name, path in connect.items():
        if not name.startswith("truth/") and f"[data.{name}]" not in text:
            text += f'\n[data.{name}]\nsource = "{path.name}"\n'
    with publish_file(config) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return config
