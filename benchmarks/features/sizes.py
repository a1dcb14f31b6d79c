"""Part `sizes`: whether time and memory grow in a straight line with the shop."""

from collections.abc import Mapping
from pathlib import Path

from features import ours
from features.markdown import table
from features.measure import Run, interleaved
from features.shops import Shop

__all__ = ["sizes"]

LARGEST_REPEATED = 1_000_000
HEADS = (
    "customers",
    "orders",
    "seconds",
    "CPU s",
    "CPU s per million orders",
    "peak MiB",
    "KiB a customer",
)


def sizes(shops: Mapping[int, Shop], work: Path, rounds: int) -> str:
    """The table: the command on orders alone, at each size; beyond a million it runs once."""
    rows = []
    for customers, shop in shops.items():
        folder = work / f"size-{customers}"
        config = shop.configuration(folder)
        command = ours.command(config, shop.end, folder / "features.parquet")
        once = customers > LARGEST_REPEATED
        run = interleaved({f"{customers:,} customers": command}, 1 if once else rounds)
        rows.append(_row(customers, shop.facts()[1], *run.values()))
    return table(HEADS, rows)


def _row(customers: int, orders: int, run: Run) -> tuple[str, ...]:
    return (
        f"{customers:,}",
        f"{orders:,}",
        f"{run.seconds:.1f}",
        f"{run.cpu_seconds:.1f}",
        f"{run.cpu_seconds / orders * 1e6:.2f}",
        f"{run.peak_mib:,.0f}",
        f"{run.peak_mib * 1024 / customers:.1f}",
    )
