"""Commands for the state of the customer base: segments, journey, signals, feedback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, AsOf, Config
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult

TableOut = Annotated[
    str | None,
    typer.Option(
        "--out", metavar="FILE", help="Write the table: .parquet, .csv, .xlsx or postgresql://…."
    ),
]
CellOption = Annotated[
    str | None,
    typer.Option(
        "--customers", metavar="CELL", help="Write the customers behind a number to --out instead."
    ),
]


@command()
def segments(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DATE", help="Earlier date of the migration; default: 28 days."
        ),
    ] = None,
    out: TableOut = None,
    customers: CellOption = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Learn bounds and clusters again, and freeze these.")
    ] = False,
) -> JobResult:
    """Show the customer base by segment.

    Segments, cut points, clusters, personas, and the migration since an earlier date.
    """
    from churn.commands.segments import segments as run

    return run(
        config,
        out=out,
        as_of=as_of,
        since=since,
        customers=customers,
        refit=refit,
        progress=progress,
    )


@command()
def journey(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="Start of the period; default: 28 days."),
    ] = None,
    out: TableOut = None,
    customers: CellOption = None,
) -> JobResult:
    """Show the customer journey.

    Stages, transitions, time in stage, leaks, and the frictions that precede lapses.
    """
    from churn.commands.journey import journey as run

    return run(config, out=out, as_of=as_of, since=since, customers=customers, progress=progress)


@command()
def signals(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    period: Annotated[
        str | None,
        typer.Option(
            "--period",
            metavar="LENGTH",
            help="Days, month, quarter, year; default: [metrics] period.",
        ),
    ] = None,
    active_days: Annotated[
        int | None,
        typer.Option(
            "--active-days",
            metavar="DAYS",
            help="Active: bought in so many days; default: lookback.",
        ),
    ] = None,
    out: TableOut = None,
    customers: CellOption = None,
) -> JobResult:
    """Show what moved since last year.

    Compares the share kept with the same period of last year, in every group.
    """
    from churn.commands.signals import signals as run

    return run(
        config,
        out=out,
        as_of=as_of,
        period=period,
        active_days=active_days,
        customers=customers,
        progress=progress,
    )


@command()
def feedback(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="FILE", help="Scores, for the value at risk."),
    ] = None,
    out: TableOut = None,
    customers: CellOption = None,
) -> JobResult:
    """Show NPS, CSAT and whom to answer first.

    --out writes the worklist of unhappy, valuable customers without an answer.
    """
    from churn.commands.feedback import feedback as run

    return run(config, out=out, as_of=as_of, scores=scores, customers=customers, progress=progress)
