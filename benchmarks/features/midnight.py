"""What a tool takes an order at the very midnight of the cutoff for, found by trial."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

from features.measure import measured, own_program

__all__ = ["Command", "MidnightTrial"]

Command = Callable[[Path, date, Path], list[str]]

CUTOFF = date(2023, 7, 1)
MEANINGS = {13: "future", 14: "past"}  # twelve of the year before, and one a second before
CONFIG = """
[data.orders]
source = "{orders}"
[churn]
horizon_days = 28
lookback_days = 56
"""


class MidnightTrial:
    """A small file of orders around a midnight, and what tools make of it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._orders = folder / "orders.parquet"
        measured(own_program("midnight.py", CUTOFF, self._orders))

    def meaning(self, command: Command) -> str:
        """`future` where the tool leaves the order at midnight out, `past` where it counts it."""
        out = self._folder / "features.parquet"
        measured(command(self._orders, CUTOFF, out))
        seen = measured(own_program("orders_seen.py", out)).facts["seen"]
        return MEANINGS.get(seen, f"{seen} orders seen")

    def configuration(self) -> Path:
        """A churn.toml that reads those orders."""
        path = self._folder / "churn.toml"
        path.write_text(CONFIG.format(orders=self._orders), encoding="utf-8")
        return path
