"""The command that shows all the others at work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import AsJson, Debug, app
from churn.cli.running import run_job

if TYPE_CHECKING:
    from churn.jobs.result import JobResult
    from churn.jobs.terminal import Teller

__all__ = ["demo"]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    customers: Annotated[int, typer.Option("--customers", help="How many.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Another one makes another shop.")] = 7,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the whole loop on a simulated shop.

    Simulate, train, plan, send to a mail server of its own, wait a simulated month, measure.
    """

    def job(teller: Teller) -> JobResult:
        from churn.jobs.demo.run import demo as run

        return run(out, customers=customers, seed=seed, say=teller.say, progress=teller)

    run_job(job, as_json=as_json, debug=debug, takes_long=True)
