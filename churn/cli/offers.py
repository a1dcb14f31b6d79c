"""Commands on offers: plan, effects, export, measure, recommend."""

from __future__ import annotations

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
    from churn.cli.terminal import Teller
    from churn.results.job_result import JobResult


@command()
def plan(
    progress: Teller,
    out: Out,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    scores: Annotated[
        str | None, typer.Option("--scores", metavar="FILE", help="Scores; default: score now.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Money to spend; default: [offers] budget.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do not remember it: no cooldown begins.")
    ] = False,
    run_id: RunId = None,
    accept_change: AcceptChange = False,
) -> JobResult:
    """Choose an offer or none for each.

    By expected net value, within the budget, with consent and a holdout.
    """
    from churn.commands.plan import plan as run

    return run(
        config,
        out=out,
        as_of=as_of,
        scores=scores,
        budget=budget,
        dry_run=dry_run,
        run_id=run_id,
        accept_change=accept_change,
        progress=progress,
    )


@command(takes_long=True)
def effects(progress: Teller, config: Config = CHURN_TOML, as_of: AsOf = None) -> JobResult:
    """Learn what each offer changes.

    From contacts that a lot decided: the average, for whom it works, for whom it harms.
    """
    from churn.commands.effects import effects as run

    return run(config, as_of=as_of, progress=progress)


@command()
def export(
    progress: Teller,
    plan_file: Annotated[
        str, typer.Argument(metavar="PLAN", help="A plan's file or postgresql://…#table.")
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="FILE", help="Write .parquet, .csv, .xlsx or postgresql://…#table."
        ),
    ],
    config: Config = CHURN_TOML,
    audience: Annotated[
        str | None,
        typer.Option(
            "--audience",
            metavar="PLATFORM",
            help="Hashed, for google-ads, google-data-manager or meta; default: by customer.",
        ),
    ] = None,
    offer: Annotated[
        str | None, typer.Option("--offer", metavar="ID", help="Of one offer; default: of all.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="When it is sent; default: data's end."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Though another plan of it was exported before.")
    ] = False,
) -> JobResult:
    """Write the list for a campaign tool.

    A plan's offers to those whose consent holds at that date, as customers or as hashes.
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
    progress: Teller,
    config: Config = CHURN_TOML,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="The plan; default: the campaign's newest."),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="FILE", help="The plan's scores: narrower intervals."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="One row per customer: .parquet, .csv, .xlsx."),
    ] = None,
    as_of: AsOf = None,
) -> JobResult:
    """Tell what a campaign earned.

    Against those kept without it: retained customers, orders, margin, cost, and who to follow up.
    """
    from churn.commands.measure import measure as run

    return run(config, plan=plan, scores=scores, out=out, as_of=as_of, progress=progress)


@command()
def recommend(
    progress: Teller,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="Write .parquet, which `send` reads, or .csv."),
    ] = None,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    level: Annotated[
        str, typer.Option("--level", metavar="LEVEL", help="By product, or by category.")
    ] = "product",
    top: Annotated[int, typer.Option("--top", help="How many for each customer.")] = 10,
    new_only: Annotated[
        bool, typer.Option("--new-only", help="Only what the customer never bought.")
    ] = False,
    repeat_only: Annotated[
        bool, typer.Option("--repeat-only", help="Only what the customer bought before.")
    ] = False,
    judge: Annotated[
        bool, typer.Option("--judge", help="Only tell how good the lists are; write none.")
    ] = False,
) -> JobResult:
    """Choose products for each customer.

    Judged on the weeks before, beside the customer's own best sellers and the shop's.
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
