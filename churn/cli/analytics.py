"""Commands for the customer base: metrics, cohorts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, AsOf, Config
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult

OptionalOut = Annotated[
    str | None,
    typer.Option(
        "--out", metavar="FILE", help="Output: .parquet, .csv, .xlsx or postgresql://…#table."
    ),
]
Cell = Annotated[
    str | None,
    typer.Option(
        "--customers",
        metavar="CELL",
        help="Write the customers of a number to --out, e.g. lost,period=2024-11.",
    ),
]
PeriodLength = Annotated[
    str | None,
    typer.Option(
        "--period",
        metavar="LENGTH",
        help="Days, month, quarter, year; default: [metrics] period.",
    ),
]
ActiveDays = Annotated[
    int | None,
    typer.Option(
        "--active-days", metavar="DAYS", help="Active: bought in so many days; default: lookback."
    ),
]


@command()
def metrics(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    period: PeriodLength = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="SPLIT", help="Split, e.g. channel or region; repeatable."),
    ] = None,
    active_days: ActiveDays = None,
    out: OptionalOut = None,
    customers: Cell = None,
) -> JobResult:
    """Show how retention stands.

    The balance of customers by period, purchases, revenue retention, costs and lifetime value.
    """
    from churn.commands.metrics import metrics as run

    return run(
        config,
        out=out,
        customers=customers,
        period=period,
        by=by or (),
        active=active_days,
        as_of=as_of,
        progress=progress,
    )


@command()
def cohorts(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    period: PeriodLength = None,
    active_days: ActiveDays = None,
    out: OptionalOut = None,
    customers: Cell = None,
) -> JobResult:
    """Follow customers from their first purchase.

    Customers, revenue and margin by cohort; survival until the second purchase and the lapse.
    """
    from churn.commands.cohorts import cohorts as run

    return run(
        config,
        out=out,
        customers=customers,
        period=period,
        active=active_days,
        as_of=as_of,
        progress=progress,
    )
