"""Commands about the models that there are: which, which one speaks, MLflow's record of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, AsJson, Config, Debug, Models, app
from churn.cli.running import run_job

if TYPE_CHECKING:
    from churn.results.job_result import JobResult


models_app = typer.Typer(rich_markup_mode=None)
app.add_typer(models_app, name="models")

ModelId = Annotated[str, typer.Argument(metavar="ID", help="A model's name, or how it begins.")]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger.")
]


@models_app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    config: Config = CHURN_TOML,
    models: Models = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the models and the champion.

    Or show, compare, promote and roll back with one of the commands below.
    """
    if context.invoked_subcommand is not None:
        _refuse_misplaced(context)
        return
    _list(config, models, as_json=as_json, debug=debug)


@models_app.command(name="list")
def list_(
    config: Config = CHURN_TOML,
    models: Models = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the models and the champion, as `churn models` does."""
    _list(config, models, as_json=as_json, debug=debug)


def _list(config: Path, models: Path | None, *, as_json: bool, debug: bool) -> None:
    def job(_: Callable[[str], None]) -> JobResult:
        from churn.commands.models import list_models

        return list_models(config, models=models)

    run_job(job, as_json=as_json, debug=debug)


@models_app.command()
def show(
    model: ModelId,
    config: Config = CHURN_TOML,
    models: Models = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell what a model is and how it was judged."""

    def job(_: Callable[[str], None]) -> JobResult:
        from churn.commands.compare import show_model

        return show_model(config, model, models=models)

    run_job(job, as_json=as_json, debug=debug)


@models_app.command()
def compare(
    first: ModelId,
    second: ModelId,
    config: Config = CHURN_TOML,
    models: Models = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Put two models' figures side by side.

    With their difference where both were judged on the same customers and cutoffs.
    """

    def job(_: Callable[[str], None]) -> JobResult:
        from churn.commands.compare import compare_models

        return compare_models(config, first, second, models=models)

    run_job(job, as_json=as_json, debug=debug)


@models_app.command()
def promote(
    model: ModelId,
    config: Config = CHURN_TOML,
    models: Models = None,
    force: Annotated[
        bool, typer.Option("--force", help="Even where the gate was closed; needs --reason.")
    ] = False,
    reason: Reason = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a model the champion.

    One that the gate passed; it is verified and must repeat its canary scores first.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.commands.models import promote as run

        return run(config, model, models=models, force=force, reason=reason, progress=progress)

    run_job(job, as_json=as_json, debug=debug)


@models_app.command()
def rollback(
    config: Config = CHURN_TOML,
    models: Models = None,
    reason: Reason = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make the former champion champion again."""

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.commands.models import rollback as run

        return run(config, models=models, reason=reason, progress=progress)

    run_job(job, as_json=as_json, debug=debug)


@app.command()
def sync(
    config: Config = CHURN_TOML,
    models: Models = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Record in MLflow what it lacks.

    Models that were trained while it could not be reached; its aliases follow the champion.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.commands.sync import sync as run

        return run(config, models=models, progress=progress)

    run_job(job, as_json=as_json, debug=debug)


def _refuse_misplaced(context: typer.Context) -> None:
    """An option before the command's name would be ignored, so it is an error."""
    name = context.invoked_subcommand
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"write {parameter.opts[0]} after `churn models {name}`")
