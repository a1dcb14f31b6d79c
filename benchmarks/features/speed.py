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
HEADS = ("", "features", "seconds", "CPU s", "peak MiB", "to the process", "to the query")


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
    said = runs[BARE].facts
    query = Run(seconds=said["seconds"], cpu_seconds=said["cpu_seconds"], peak_mib=0, facts=said)
    floors = (runs[BARE].cpu_seconds, query.cpu_seconds)
    rows = [_row("bare GROUP BY, the query alone", query, floors)]
    return table(HEADS, rows + [_row(name, run, floors) for name, run in runs.items()])


def _features(shop: Shop, folder: Path, tables: tuple[str, ...]) -> list[str]:
    config = shop.configuration(folder, tables)
    return ours.command(config, shop.end, folder / "features.parquet")


def _count(run: Run) -> int:
    return run.facts["features"] if "features" in run.facts else ours.feature_count(run)


def _row(name: str, run: Run, floors: tuple[float, float]) -> tuple[str, ...]:
    """Ratios are of processor time: the wall clock is of a machine that others share."""
    ratios = (f"{run.cpu_seconds / floor:.1f}" for floor in floors)
    peak = f"{run.peak_mib:,.0f}" if run.peak_mib else ""
    times = f"{run.seconds:.2f}", f"{run.cpu_seconds:.2f}"
    return name, str(_count(run)), *times, peak, *ratios
