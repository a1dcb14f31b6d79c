"""The command about products: which of them to put into an offer or a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, AsJson, AsOf, Config, Debug, app
from churn.cli.running import run_job

if TYPE_CHECKING:
    from churn.jobs.result import JobResult

__all__ = ["recommend"]


@app.command()
def recommend(
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
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Choose products for each customer.

    Judged on the weeks before, beside the customer's own best sellers and the shop's.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.recommend import kind_of
        from churn.jobs.recommend import recommend as run

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

    run_job(job, as_json=as_json, debug=debug)
