"""Commands that run by themselves at night: the nightly run, monitoring, retention periods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.analytics import OptionalOut
from churn.cli.options import CHURN_TOML, AsOf, Config, Model
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


@command()
def monitor(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    out: OptionalOut = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 4 if a check raises an alarm.")
    ] = False,
) -> JobResult:
    """Check whether the model can still be trusted.

    The data, returners so far against those expected, matured predictions, and shift.
    """
    from churn.commands.monitor import monitor as run

    return run(config, out=out, as_of=as_of, model=model, strict=strict, progress=progress)


@command(takes_long=True)
def run(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="DATE",
            help="Date of the run, exclusive; default: today in the shop's zone.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the steps that would be done.")
    ] = False,
) -> JobResult:
    """Do the nightly run.

    Checks the data, scores, plans, publishes, delivers, measures and monitors; resumes where it
    was interrupted.
    """
    from churn.commands.run import run as nightly

    return nightly(config, as_of=as_of, dry_run=dry_run, progress=progress)


@command()
def prune(
    progress: Reporter,
    config: Config = CHURN_TOML,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be removed.")
    ] = False,
) -> JobResult:
    """Remove what has been kept for too long.

    Plans, messages, results and models older than [privacy] keep_days.
    """
    from churn.commands.prune import prune as run

    return run(config, dry_run=dry_run, progress=progress)
