"""`churn simulate`: a shop with known truth, as files."""

from __future__ import annotations

from pathlib import Path

from churn.data.simulate.settings import ShopSettings
from churn.data.simulate.write import write_shop
from churn.jobs.result import JobResult, Line, hashed
from churn.jobs.session import Progress, silent

__all__ = ["simulate"]

CAUTION = "a made-up shop: for mechanics and speed, never as evidence of quality"


def simulate(  # noqa: PLR0913 - what a shop is like, each by its own name
    out: Path,
    *,
    customers: int,
    seed: int,
    days: int = 730,
    lines: bool = True,
    late_share: float = 0.0,
    campaigns: int = 0,
    randomised_share: float = 0.5,
    ahead_days: int = 0,
    progress: Progress = silent,
) -> JobResult:
    """A shop's tables, churn.toml, and the truth in a folder of its own, in a new directory `out`.

    `lines` also writes the order lines, the bulk; `late_share` is the share of orders that arrive
    days after they were placed. `campaigns` is how many campaigns went out, with a lot for
    `randomised_share` of the customers; their true effects lie beside the truth. `ahead_days` are
    held back, so that the shop can live on.
    """
    shop = ShopSettings(
        days=days,
        lines=lines,
        late_share=late_share,
        campaigns=campaigns,
        randomised_share=randomised_share,
        ahead_days=ahead_days,
    )
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
            "campaigns": campaigns,
            "randomised_share": randomised_share if campaigns else None,
            "ahead_days": ahead_days,
        },
        rows=written.rows,
        files=hashed(*written.files),
        warnings=(CAUTION,),
        tables=(("Tables", ("table", "rows"), shown),),
    )
