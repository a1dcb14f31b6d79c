"""Commands for features and models: check, features, train, evaluate, score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import (
    CHURN_TOML,
    AcceptChange,
    AsOf,
    Config,
    Model,
    Models,
    Out,
    OutFile,
    RunId,
)
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


@command()
def check(progress: Reporter, config: Config = CHURN_TOML, as_of: AsOf = None) -> JobResult:
    """Check the input tables.

    Shows the rows read, the rows dropped and why, and whether a model can be trained.
    """
    from churn.commands.check import check as run

    return run(config, as_of=as_of, progress=progress)


@command()
def features(
    progress: Reporter,
    out: OutFile,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
) -> JobResult:
    """Write the feature table as of a date.

    One row per eligible customer.
    """
    from churn.commands.features import features as run

    return run(config, out=out, as_of=as_of, progress=progress)


@command(takes_long=True)
def train(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    models: Models = None,
) -> JobResult:
    """Train and evaluate a model.

    It is evaluated on later cutoffs and promoted if it beats the baselines.
    """
    from churn.commands.train import train as run

    return run(config, as_of=as_of, models=models, progress=progress)


@command(takes_long=True)
def evaluate(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder of the report; default: next to the model."
        ),
    ] = None,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Also predict the training cutoffs, one by one.")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also refit without each feature family.")
    ] = False,
    horizons: Annotated[
        bool, typer.Option("--horizons", help="Also evaluate half and twice the horizon.")
    ] = False,
) -> JobResult:
    """Evaluate a model on newer data and write a report.

    Uses every cutoff after its training data whose outcome is known.
    """
    from churn.commands.evaluate import evaluate as run

    parts = {"pooled": pooled, "ablation": ablation, "horizons": horizons}
    extras = [name for name, chosen in parts.items() if chosen]
    return run(config, as_of=as_of, model=model, out=out, extras=extras, progress=progress)


@command()
def score(
    progress: Reporter,
    out: Out,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    explain: Annotated[
        str,
        typer.Option(
            "--explain",
            metavar="WHO",
            help="Customers with reasons: at-risk, all, none, or a FILE of ids.",
        ),
    ] = "at-risk",
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="FILE", help="Scores to compare with; default: those in --out."
        ),
    ] = None,
    run_id: RunId = None,
    accept_change: AcceptChange = False,
) -> JobResult:
    """Score every customer.

    Churn probability, value at risk, reasons, and changes since the previous scores.
    """
    from churn.commands.score import score as run

    return run(
        config,
        out=out,
        as_of=as_of,
        model=model,
        explain=explain,
        since=since,
        run_id=run_id,
        accept_change=accept_change,
        progress=progress,
    )
