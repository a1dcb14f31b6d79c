"""The shop on disk: made chunk by chunk, so that memory stays small whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from churn.data.simulate import frames
from churn.data.simulate.recipe import RECIPE, Recipe
from churn.data.simulate.settings import Ints, ShopSettings, Stretch
from churn.data.simulate.world import TRUTH, World, draw_world, tables_of
from churn.files.publish import publish_directory

__all__ = ["WrittenShop", "simulated_tables", "write_shop"]


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
    """A new directory with the shop's tables, its truth in a folder of its own, and churn.toml.

    The same arguments give the same bytes. ConfigError for impossible numbers, StorageError where
    the directory is there already.
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
            del world, table  # gone before the next is drawn
        (folder / "churn.toml").write_text(_config(shop, rows), encoding="utf-8")
        if shop.ahead_days:
            recipe.write(folder, fingerprints)
    names = ["churn.toml", *(f"{name}.parquet" for name in rows)]
    names += [RECIPE] if shop.ahead_days else []
    return WrittenShop(tuple(target / name for name in names), rows)


def simulated_tables(
    shop: ShopSettings, numbers: Ints, seed: np.random.SeedSequence
) -> dict[str, pa.Table]:
    """All tables of some customers up to the end, by their file's name."""
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
