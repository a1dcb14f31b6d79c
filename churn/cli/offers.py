"""Commands for offers: plan, effects, export, measure, recommend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import (
    CHURN_TOML,
    AcceptChange,
    AsOf,
    Config,
    Out,
    RunId,
)
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


@command()
def plan(
    progress: Reporter,
    out: Out,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="FILE", help="Scores to use; default: score now."),
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Budget in money; default: [offers] budget.")
    ] = None,
    worklist: Annotated[
        Path | None,
        typer.Option(
            "--worklist", metavar="FILE", help="Customers owed service, as from churn feedback."
        ),
    ] = None,
    customers: Annotated[
        Path | None,
        typer.Option(
            "--customers",
            metavar="FILE",
            help="Plan for these customers only, as from --customers CELL of churn metrics.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do not record the plan; no cooldown starts.")
    ] = False,
    run_id: RunId = None,
    accept_change: AcceptChange = False,
) -> JobResult:
    """Choose an offer or none for every customer.

    Maximises expected net value within the budget, respects consent and keeps a holdout.
    """
    from churn.commands.plan import plan as run

    return run(
        config,
        out=out,
        as_of=as_of,
        scores=scores,
        budget=budget,
        worklist=worklist,
        customers=customers,
        dry_run=dry_run,
        run_id=run_id,
        accept_change=accept_change,
        progress=progress,
    )


@command(takes_long=True)
def effects(progress: Reporter, config: Config = CHURN_TOML, as_of: AsOf = None) -> JobResult:
    """Estimate the effect of each offer.

    From randomised contacts: the average effect, and the groups it helps or harms.
    """
    from churn.commands.effects import effects as run

    return run(config, as_of=as_of, progress=progress)


@command()
def export(
    progress: Reporter,
    plan_file: Annotated[
        str, typer.Argument(metavar="PLAN", help="The plan: a file or postgresql://…#table.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FILE", help="Output: .parquet, .csv, .xlsx or postgresql://…#table."
        ),
    ],
    config: Config = CHURN_TOML,
    audience: Annotated[
        str | None,
        typer.Option(
            "--audience",
            metavar="PLATFORM",
            help="Hashed, for google-ads, google-data-manager or meta; default: customer ids.",
        ),
    ] = None,
    offer: Annotated[
        str | None, typer.Option("--offer", metavar="ID", help="Only this offer; default: all.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="Date of sending; default: end of the data."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Export even if another plan was exported before.")
    ] = False,
) -> JobResult:
    """Export a plan as a list or an audience.

    Contains the customers whose consent is valid at the date, by id or as hashes.
    """
    from churn.commands.export import export as run

    return run(
        config,
        plan=plan_file,
        out=to,
        audience_name=audience,
        offer=offer,
        on=date,
        replace=replace,
        progress=progress,
    )


@command()
def measure(
    progress: Reporter,
    config: Config = CHURN_TOML,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="Plan to measure; default: the newest."),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="FILE", help="Scores of the plan; narrow the intervals."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="One row per customer: .parquet, .csv, .xlsx."),
    ] = None,
    as_of: AsOf = None,
) -> JobResult:
    """Measure the incremental result of a campaign.

    Compares treated customers with the holdout: retention, orders, margin and cost.
    """
    from churn.commands.measure import measure as run

    return run(config, plan=plan, scores=scores, out=out, as_of=as_of, progress=progress)


@command()
def recommend(
    progress: Reporter,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Output: .csv, or .parquet for `churn send`."),
    ] = None,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    level: Annotated[
        str, typer.Option("--level", metavar="LEVEL", help="product or category.")
    ] = "product",
    top: Annotated[int, typer.Option("--top", help="Number of recommendations per customer.")] = 10,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Only what the customer has never bought.")
    ] = False,
    repeat_only: Annotated[
        bool, typer.Option("--repeat-only", help="Only what the customer has bought before.")
    ] = False,
    judge: Annotated[
        bool, typer.Option("--judge", help="Only evaluate the lists; write none.")
    ] = False,
) -> JobResult:
    """Recommend products to each customer.

    Evaluated on the preceding weeks against the customer's own and the shop's best sellers.
    """
    from churn.commands.recommend import kind_of
    from churn.commands.recommend import recommend as run

    return run(
        config,
        out=out,
        as_of=as_of,
        level=level,
        kind=kind_of(new_only=new_only, repeat_only=repeat_only),
        top=top,
        judge_only=judge,
        progress=progress,
    )
