"""Part `panel`: what a customer's row costs at one cutoff and at twelve."""

from pathlib import Path

from features.markdown import table
from features.measure import Run, interleaved, own_program
from features.shops import Shop

__all__ = ["panel"]

COUNTS = (1, 12)
HEADS = ("cutoffs", "rows", "open CPU s", "build CPU s", "µs a row", "ratio", "peak MiB")


def panel(shop: Shop, work: Path, rounds: int) -> str:
    """The table: rows of the feature table built in the engine, for one cutoff and for twelve."""
    config = shop.configuration(work / "panel")
    names = {count: f"{count} cutoffs" for count in COUNTS}
    programs = {
        name: own_program("build_panel.py", config, shop.end, count)
        for count, name in names.items()
    }
    runs = interleaved(programs, rounds)
    floor = _cost(next(iter(runs.values())))
    return table(HEADS, [_row(count, runs[name], floor) for count, name in names.items()])


def _cost(run: Run) -> float:
    """Seconds a row."""
    return run.facts["build_seconds"] / run.facts["rows"]


def _row(count: int, run: Run, floor: float) -> tuple[str, ...]:
    return (
        str(count),
        f"{run.facts['rows']:,}",
        f"{run.facts['open_seconds']:.2f}",
        f"{run.facts['build_seconds']:.2f}",
        f"{1e6 * _cost(run):.2f}",
        f"{_cost(run) / floor:.2f}",
        f"{run.peak_mib:,.0f}",
    )
