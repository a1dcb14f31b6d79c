"""The recipe of a simulated shop, from which it can be recreated: settings, size and seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import numpy as np

from churn.arrays import Ints
from churn.errors import ConfigError, DataError
from churn.simulator.settings import Segment, ShopSettings
from churn.simulator.world import World, draw_world

RECIPE = "truth/shop.json"
CHUNK_CUSTOMERS = 20_000
LEAST_CHUNKS = 4
MOST_CUSTOMERS = 100_000_000


@dataclass(frozen=True)
class Recipe:
    """The settings of a shop, its number of customers, and the seed of all random draws."""

    shop: ShopSettings
    customers: int
    seed: int

    def __post_init__(self) -> None:
        _check("customers", self.customers, 1, MOST_CUSTOMERS, like=10_000)
        _check("seed", self.seed, 0, 2**63 - 1, like=7)

    @classmethod
    def read(cls, folder: Path) -> tuple[Self, list[str]]:
        """The recipe of a shop's folder, and the fingerprints of its worlds.

        ConfigError if there is none: the shop is not simulated, or has no days ahead.
        """
        try:
            found = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            rule = f"{folder.name} must be a simulated shop with days ahead"
            fix = "Make one with `churn simulate --ahead 28 --out DIR`."
            raise ConfigError(rule, got=f"no readable {RECIPE}", fix=fix) from None
        recipe = cls(_settings(found["settings"]), found["customers"], found["seed"])
        return recipe, found["fingerprints"]

    def write(self, folder: Path, fingerprints: list[str]) -> None:
        """Writes the recipe as JSON next to the truth."""
        content = {**asdict(self), "fingerprints": fingerprints}
        content["settings"] = content.pop("shop") | {"start": str(self.shop.start)}
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        (folder / RECIPE).write_text(text, encoding="utf-8")

    @property
    def chunks(self) -> list[Ints]:
        """The customers' numbers in runs: at least four if there are enough, so that every table
        has several row groups.
        """
        count = max(-(-self.customers // CHUNK_CUSTOMERS), min(LEAST_CHUNKS, self.customers))
        return np.array_split(np.arange(1, self.customers + 1), count)

    def worlds(self) -> Iterator[World]:
        """The world of each run of customers, one after the other."""
        seeds = np.random.SeedSequence(self.seed).spawn(len(self.chunks))
        for numbers, seed in zip(self.chunks, seeds, strict=True):
            yield draw_world(self.shop, numbers, seed)

    def same_worlds(self, fingerprints: list[str]) -> Iterator[World]:
        """The worlds again. DataError if one has changed, through another version of numpy."""
        for world, expected in zip(self.worlds(), fingerprints, strict=True):
            if world.fingerprint != expected:
                rule = "a simulated shop advances only with the version of numpy that made it"
                fix = "Simulate the shop again."
                raise DataError(
                    rule, got=f"other random numbers with numpy {np.__version__}", fix=fix
                )
            yield world
            del world  # released before the next is drawn


def _settings(found: dict[str, Any]) -> ShopSettings:
    segments = tuple(Segment(**one) for one in found["segments"])
    start = date.fromisoformat(found["start"])
    return ShopSettings(**{**found, "segments": segments, "start": start})


def _check(name: str, value: int, least: int, most: int, *, like: int) -> None:
    if not least <= value <= most:
        rule = f"{name} must be a whole number between {least:,} and {most:,}"
        raise ConfigError(rule, got=value, fix=f"Pass e.g. {like}.")
