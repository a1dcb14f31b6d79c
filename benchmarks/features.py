"""How fast the feature engine is, beside a bare GROUP BY, other tools, and itself at other sizes.

    .venv/bin/python benchmarks/features.py [PART...] [--shop DIR] [--peers-python PATH]

Parts, all unless some are named:

speed   one million customers: the command, one table and every table connected
panel   300,000 customers: a row's cost at one cutoff and at twelve, through Python
peers   100,000 customers: SQL, Polars and pandas by hand, getML, Featuretools
sizes   100,000 to 3 million customers: whether time and memory grow in a straight line

The ratios of a table come from one run, its seconds are medians of runs taken in turn. Peak memory
is that of the largest process; a server that a tool starts is added. Nothing of `--shop` changes.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from features.measure import RunError
from features.panel import panel
from features.peers import peers
from features.shops import Shop, simulated
from features.sizes import sizes
from features.speed import speed

PARTS = ("speed", "panel", "peers", "sizes")
SPEED_CUSTOMERS = 1_000_000
PANEL_CUSTOMERS = 300_000
PEERS_CUSTOMERS = (2_000, 10_000, 100_000)
SIZES_CUSTOMERS = (100_000, 300_000, 1_000_000, 3_000_000)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--shop", type=Path, metavar="DIR", help="a simulated shop, for `speed`")
    parser.add_argument("--shuffled", action="store_true", help="`speed`: orders in no order")
    parser.add_argument("--peers-python", metavar="PATH", help="has featuretools and getml")
    parser.add_argument("--full", action="store_true", help="Featuretools on every customer, too")
    parser.add_argument("--rounds", type=int, default=3, help="runs that a median is of")
    parser.add_argument("--scale", type=float, default=1.0, help="0.01: a hundredth of every size")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep simulated shops, use kept")
    asked = parser.parse_args()
    if strange := set(asked.parts) - set(PARTS):
        parser.error(f"parts must be among {', '.join(PARTS)}, got {', '.join(sorted(strange))}")
    return asked


class Benchmark:
    """The parts, with the shops that each needs."""

    def __init__(self, asked: argparse.Namespace, work: Path) -> None:
        self._asked = asked
        self._work = work
        self._shops = asked.keep or work

    def speed(self) -> str:
        """The command beside a bare GROUP BY."""
        folder = self._asked.shop
        shop = Shop(folder.resolve()) if folder else self._shop(SPEED_CUSTOMERS)
        shop = shop.shuffled(self._shops) if self._asked.shuffled else shop
        return speed(shop, self._work, self._asked.rounds)

    def panel(self) -> str:
        """One cutoff and twelve."""
        return panel(self._shop(PANEL_CUSTOMERS), self._work, self._asked.rounds)

    def peers(self) -> str:
        """Other tools."""
        asked = self._asked
        shops = self._sizes(PEERS_CUSTOMERS)
        return peers(shops, self._work, asked.rounds, python=asked.peers_python, full=asked.full)

    def sizes(self) -> str:
        """Growth."""
        return sizes(self._sizes(SIZES_CUSTOMERS), self._work, self._asked.rounds)

    def _sizes(self, customers: tuple[int, ...]) -> dict[int, Shop]:
        return {round(size * self._asked.scale): self._shop(size) for size in customers}

    def _shop(self, customers: int) -> Shop:
        return simulated(round(customers * self._asked.scale), self._shops)


def main() -> None:
    """Print the tables."""
    asked = arguments()
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load} at the start")
    with tempfile.TemporaryDirectory() as folder:
        benchmark = Benchmark(asked, Path(folder))
        for part in asked.parts or PARTS:
            print(f"{part}:", file=sys.stderr)
            print(f"\n`{part}`\n\n{getattr(benchmark, part)()}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except RunError as failure:
        raise SystemExit(str(failure)) from None
