"""`churn simulate`: a shop with known truth, as files."""

from __future__ import annotations

from pathlib import Path

from churn.data.simulate.settings import ShopSettings
from churn.data.simulate.write import write_shop
from churn.jobs.result import JobResult, Line, hashed
from churn.jobs.session import Progress, silent

__all__ = ["simulate"]

CAUTION = "a made-up shop: for mechanics and speed, never as evidence of quality"


def simulate(
    out: Path,
    *,
    customers: int,
    seed: int,
    days: int = 730,
    lines: bool = True,
    late_share: float = 0.0,
    progress: Progress = silent,
) -> JobResult:
    """A shop's tables, churn.toml, and the truth in a folder of its own, in a new directory `out`.

    `lines` also writes the order lines, the bulk; `late_share` is the share of orders that arrive
    days after they were placed.
    """
    shop = ShopSettings(days=days, lines=lines, late_share=late_share)
    written = write_shop(out, shop, customers=customers, seed=seed, progress=progress)
    shown: tuple[Line, ...] = tuple((name, f"{rows:,}") for name, rows in written.rows.items())
    return JobResult(
        command="simulate",
        resolved={
            "customers": customers,
            "seed": seed,
            "start": str(shop.start),
            "until": str(shop.until),
            "lines": lines,
            "late_share": late_share,
        },
        rows=written.rows,
        files=hashed(*written.files),
        warnings=(CAUTION,),
        tables=(("Tables", ("table", "rows"), shown),),
    )
