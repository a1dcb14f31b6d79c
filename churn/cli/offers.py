"""Commands about offers: whom to treat, with what, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import (
    CHURN_TOML,
    AcceptChange,
    AsJson,
    AsOf,
    Config,
    Debug,
    Out,
    RunId,
    app,
)
from churn.cli.running import run_job

if TYPE_CHECKING:
    from churn.jobs.result import JobResult

__all__ = ["effects", "export", "measure", "plan"]


@app.command()
def plan(
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
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Choose an offer or none for each.

    By expected net value, within the budget, with consent and a holdout.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.plan import plan as run

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

    run_job(job, as_json=as_json, debug=debug)


@app.command()
def effects(
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Learn what each offer changes.

    From contacts that a lot decided: the average, for whom it works, for whom it harms.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.effects import effects as run

        return run(config, as_of=as_of, progress=progress)

    run_job(job, as_json=as_json, debug=debug, takes_long=True)


@app.command()
def export(
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
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the list for a campaign tool.

    A plan's offers to those whose consent holds at that date, as customers or as hashes.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.export import export as run

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

    run_job(job, as_json=as_json, debug=debug)


@app.command()
def measure(
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
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell what a campaign earned.

    Against those kept without it: retained customers, orders, margin, cost, and who to follow up.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.measure import measure as run

        return run(config, plan=plan, scores=scores, out=out, as_of=as_of, progress=progress)

    run_job(job, as_json=as_json, debug=debug)
