"""The command face: each command is one call into `churn.jobs`; people read standard error.

With `--json` one object goes to standard output. Exit codes: 0 done, 1 a bug, 2 usage or
configuration, 3 data contract, 4 quality gate, 5 model integrity, 6 busy, 7 input/output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.errors import ChurnError

if TYPE_CHECKING:
    from churn.jobs.result import JobResult

__all__ = ["app", "main"]

app = typer.Typer(
    name="churn",
    help="Keep customers: who will stop buying, why, and which offer pays.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration file.")]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", metavar="DATE", help="Pretend it is this date; default: data's end."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="DIR", help="A bundle, pointer or models:/ address; default: champion."
    ),
]
CHURN_TOML = Path("churn.toml")


@app.command()
def init(
    orders: Annotated[
        list[Path], typer.Argument(metavar="ORDERS", help="Orders or order lines: CSV or Parquet.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = CHURN_TOML,
    force: Annotated[bool, typer.Option("--force", help="Replace it where it is there.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a churn.toml for your orders.

    Looks at the file, guesses its format and what its columns mean, and comments what it saw.
    """

    def job(_: Callable[[str], None]) -> JobResult:
        from churn.jobs.init import init_result

        return init_result(orders, out=out, force=force)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def example(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to fill.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the example data as files.

    A grocer's real purchases of a year: the Complete Journey, 2,469 households in 2017.
    """

    def job(_: Callable[[str], None]) -> JobResult:
        from churn.jobs.example import example as run

        return run(out)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def check(
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check the tables and what is feasible.

    Shows what was found, what was dropped and why, and whether a model can be trained.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.check import check as run

        return run(config, as_of=as_of, progress=progress)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def features(
    out: Annotated[Path, typer.Option("--out", help="Where to write: .parquet or .csv.")],
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the feature table at one date.

    One row per eligible customer.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.features import features as run

        return run(config, out=out, as_of=as_of, progress=progress)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def train(
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    models: Annotated[
        Path | None, typer.Option("--models", metavar="DIR", help="Where bundles are kept.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train, judge and maybe promote a model.

    It is judged on later cutoffs and promoted if it beats the simple rules.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.train import train as run

        return run(config, as_of=as_of, models=models, progress=progress)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def evaluate(
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Judge a model on newer data.

    On every cutoff after its training data whose outcome is known by now.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.evaluate import evaluate as run

        return run(config, as_of=as_of, model=model, progress=progress)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def score(
    out: Annotated[Path, typer.Option("--out", help="Where to write: .parquet or .csv.")],
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    model: Model = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score every customer.

    Probability of lapsing, value at risk, and the reasons for those at risk.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.score import score as run

        return run(config, out=out, as_of=as_of, model=model, progress=progress)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def plan(
    out: Annotated[Path, typer.Option("--out", help="Where to write: .parquet or .csv.")],
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    scores: Annotated[
        Path | None, typer.Option("--scores", metavar="FILE", help="Scores; default: score now.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="Money to spend; default: [offers] budget.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Choose an offer or none for each.

    By expected net value, within the budget, with consent and a holdout.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.plan import plan as run

        return run(config, out=out, as_of=as_of, scores=scores, budget=budget, progress=progress)

    _run(job, as_json=as_json, debug=debug)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    customers: Annotated[int, typer.Option("--customers", help="How many.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same shop.")] = 7,
    days: Annotated[int, typer.Option("--days", help="How long the shop has been open.")] = 730,
    lines: Annotated[
        bool, typer.Option("--lines/--no-lines", help="Order lines, too: they are the bulk.")
    ] = True,
    late_share: Annotated[
        float, typer.Option("--late-share", help="Share of orders that arrive days late.")
    ] = 0.0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make up a shop with known truth.

    For mechanics and speed, never as evidence of quality.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.simulate import simulate as run

        return run(
            out,
            customers=customers,
            seed=seed,
            days=days,
            lines=lines,
            late_share=late_share,
            progress=progress,
        )

    _run(job, as_json=as_json, debug=debug)


def _run(job: Callable[[Callable[[str], None]], JobResult], *, as_json: bool, debug: bool) -> None:
    """Runs a job and says what came of it: a result, or one line of cause and its exit code."""
    from churn.jobs.terminal import progress_on_terminal, show

    try:
        with progress_on_terminal(quiet=as_json) as progress:
            result = job(progress)
    except ChurnError as failure:
        if debug:
            raise
        _fail(failure, as_json=as_json)
    except KeyboardInterrupt:
        typer.echo("interrupted; nothing was written", err=True)
        raise typer.Exit(130) from None
    else:
        if as_json:
            typer.echo(json.dumps(result.to_dict(), default=str))
        show(result, quiet=as_json)
        if result.exit_code:
            raise typer.Exit(result.exit_code)


def _fail(failure: ChurnError, *, as_json: bool) -> None:
    if as_json:
        cause = {"rule": failure.rule, "got": failure.got, "fix": failure.fix}
        typer.echo(json.dumps({"error": {"code": failure.exit_code, **cause}}))
    typer.echo(f"error: {failure}", err=True)
    raise typer.Exit(failure.exit_code)


def main() -> None:
    """The `churn` command."""
    # Threads that wait by spinning slow a training twentyfold where another process has a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except Exception as failure:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: a bug of ours, {type(failure).__name__}; try --debug", err=True)
        sys.exit(1)
