"""Commands on features and models: check, features, train, evaluate, score."""

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
    from churn.cli.terminal import Teller
    from churn.results.job_result import JobResult


@command()
def check(progress: Teller, config: Config = CHURN_TOML, as_of: AsOf = None) -> JobResult:
    """Check the tables and what is feasible.

    Shows what was found, what was dropped and why, and whether a model can be trained.
    """
    from churn.commands.check import check as run

    return run(config, as_of=as_of, progress=progress)


@command()
def features(
    progress: Teller,
    out: OutFile,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
) -> JobResult:
    """Write the feature table at one date.

    One row per eligible customer.
    """
    from churn.commands.features import features as run

    return run(config, out=out, as_of=as_of, progress=progress)


@command(takes_long=True)
def train(
    progress: Teller,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    models: Models = None,
) -> JobResult:
    """Train, judge and maybe promote a model.

    It is judged on later cutoffs and promoted if it beats the simple rules.
    """
    from churn.commands.train import train as run

    return run(config, as_of=as_of, models=models, progress=progress)


@command(takes_long=True)
def evaluate(
    progress: Teller,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The report's folder; default: beside the model."
        ),
    ] = None,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Also forecast the cutoffs of the training, in order.")
    ] = False,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also fit again without each family of features.")
    ] = False,
    horizons: Annotated[
        bool, typer.Option("--horizons", help="Also try half and twice the horizon.")
    ] = False,
) -> JobResult:
    """Judge a model on newer data and write a report.

    On every cutoff after its training data whose outcome is known by now.
    """
    asked = {"pooled": pooled, "ablation": ablation, "horizons": horizons}

    from churn.commands.evaluate import evaluate as run

    extras = [name for name, wanted in asked.items() if wanted]
    return run(config, as_of=as_of, model=model, out=out, extras=extras, progress=progress)


@command()
def score(
    progress: Teller,
    out: Out,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    explain: Annotated[
        str,
        typer.Option(
            "--explain",
            metavar="WHO",
            help="Give reasons for at-risk, all, none, or those in a FILE.",
        ),
    ] = "at-risk",
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="FILE", help="Earlier scores to compare with; default: in --out."
        ),
    ] = None,
    run_id: RunId = None,
    accept_change: AcceptChange = False,
) -> JobResult:
    """Score every customer.

    Probability of lapsing, value at risk, reasons, and what changed since the last score.
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
