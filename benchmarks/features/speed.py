"""Part `speed`: the command beside the least that any program has to do with the same file."""

from pathlib import Path

from features import ours
from features.markdown import table
from features.measure import Run, interleaved, own_program
from features.shops import Shop

__all__ = ["speed"]

BARE = "bare GROUP BY, a process"
SQL = "SQL by hand, a process"
ORDERS = "churn features, orders alone"
HEADS = ("", "features", "seconds", "peak MiB", "to the process", "to the query")


def speed(shop: Shop, work: Path, rounds: int) -> str:
    """The table: a bare GROUP BY, SQL written by hand, the command on one and on every table."""
    commands = {
        BARE: own_program("group_by.py", shop.orders),
        SQL: own_program("sql_by_hand.py", shop.orders, shop.end, work / "sql.parquet"),
        ORDERS: _features(shop, work / "orders", ("orders",)),
    }
    every = f"churn features, {len(shop.tables)} tables"
    if len(shop.tables) > 1:
        commands[every] = _features(shop, work / "every", shop.tables)
    runs = interleaved(commands, rounds)
    query = runs[BARE].facts["seconds"]
    floors = (runs[BARE].seconds, query)
    rows = [_row("bare GROUP BY, the query alone", query, "", 4, floors)]
    for name, run in runs.items():
        rows.append(_row(name, run.seconds, f"{run.peak_mib:,.0f}", _count(run), floors))
    return table(HEADS, rows)


def _features(shop: Shop, folder: Path, tables: tuple[str, ...]) -> list[str]:
    config = shop.configuration(folder, tables)
    return ours.command(config, shop.end, folder / "features.parquet")


def _count(run: Run) -> int:
    return run.facts["features"] if "features" in run.facts else ours.feature_count(run)


def _row(
    name: str, seconds: float, peak: str, features: int, floors: tuple[float, float]
) -> tuple[str, ...]:
    ratios = (f"{seconds / floor:.1f}" for floor in floors)
    return name, str(features), f"{seconds:.2f}", peak, *ratios
