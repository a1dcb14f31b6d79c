"""Simulated shops and the configurations that read them."""

import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from features.measure import measured, own_program

__all__ = ["Shop", "simulated"]

EVERY_TABLE = ("orders", "customers", "events", "consents", "order_lines")


@dataclass(frozen=True)
class Shop:
    """A folder that `churn simulate` has written."""

    folder: Path

    @property
    def orders(self) -> Path:
        """The file of orders, in the order in which the simulator wrote them."""
        return self.folder / "orders.parquet"

    @property
    def end(self) -> date:
        """The date at which the simulated shop's data ends, exclusive."""
        settings = tomllib.loads((self.folder / "churn.toml").read_text(encoding="utf-8"))
        return settings["data"]["until"]

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that were written."""
        return tuple(name for name in EVERY_TABLE if self._file(name).exists())

    def shuffled(self, work: Path) -> "Shop":
        """The same shop with its orders in no order at all."""
        other = Shop(work / f"{self.folder.name}-shuffled")
        if not other.orders.exists():
            other.folder.mkdir(parents=True, exist_ok=True)
            measured(own_program("shuffle.py", self.orders, other.orders))
            for path in self.folder.iterdir():
                if path.is_file() and path.name != "orders.parquet":
                    (other.folder / path.name).symlink_to(path.resolve())
        return other

    def facts(self) -> tuple[int, int]:
        """How many customers have ordered, and how many orders they placed."""
        counted = measured(own_program("group_by.py", self.orders)).facts
        return counted["rows"], counted["orders"]

    def configuration(self, folder: Path, tables: Sequence[str] = ("orders",)) -> Path:
        """A churn.toml in `folder` that connects these tables and says nothing else."""
        lines = ["[data]", 'currency = "EUR"', f"until = {self.end}"]
        for name in tables:
            lines += [f"[data.{name}]", f'source = "{self._file(name).resolve()}"']
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "churn.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def _file(self, table: str) -> Path:
        return self.folder / f"{table}.parquet"


def simulated(customers: int, work: Path) -> Shop:
    """The shop of that many customers under `work`, simulated if it is not there yet."""
    shop = Shop(work / f"shop-{customers}")
    if not (shop.folder / "churn.toml").exists():
        print(f"  simulating {customers:,} customers", file=sys.stderr, flush=True)
        size = ("--customers", str(customers), "--seed", "1", "--no-lines")
        target = ("--out", str(shop.folder), "--json")
        measured([sys.executable, "-m", "churn", "simulate", *size, *target])
    return shop
