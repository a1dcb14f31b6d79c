"""Commands for the models: list, show, compare, promote, roll back, synchronise with MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, AsJson, Config, Debug, Models, app
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


models_app = typer.Typer(rich_markup_mode=None)
app.add_typer(models_app, name="models")

ModelId = Annotated[str, typer.Argument(metavar="ID", help="Name of a model, or a prefix of it.")]
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Reason, kept in the ledger.")
]


@command(on=models_app, name="list")
def list_(config: Config = CHURN_TOML, models: Models = None) -> JobResult:
    """List the models and the champion, as `churn models` does."""
    from churn.commands.models import list_models

    return list_models(config, models=models)


@models_app.callback(invoke_without_command=True)
def models(
    context: typer.Context,
    config: Config = CHURN_TOML,
    models: Models = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the models and the champion.

    The commands below show, compare, promote and roll back models.
    """
    if context.invoked_subcommand is None:
        list_(config=config, models=models, as_json=as_json, debug=debug)
    else:
        _refuse_misplaced(context)


@command(on=models_app)
def show(model: ModelId, config: Config = CHURN_TOML, models: Models = None) -> JobResult:
    """Show a model and its evaluation."""
    from churn.commands.compare import show_model

    return show_model(config, model, models=models)


@command(on=models_app)
def compare(
    first: ModelId,
    second: ModelId,
    config: Config = CHURN_TOML,
    models: Models = None,
) -> JobResult:
    """Compare the metrics of two models.

    With differences if both were evaluated on the same customers and cutoffs.
    """
    from churn.commands.compare import compare_models

    return compare_models(config, first, second, models=models)


@command(on=models_app)
def promote(
    progress: Reporter,
    model: ModelId,
    config: Config = CHURN_TOML,
    models: Models = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote even if it failed the gate; requires --reason.")
    ] = False,
    reason: Reason = None,
) -> JobResult:
    """Make a model the champion.

    It must have passed the gate, be undamaged, and reproduce its canary scores.
    """
    from churn.commands.models import promote as run

    return run(config, model, models=models, force=force, reason=reason, progress=progress)


@command(on=models_app)
def rollback(
    progress: Reporter,
    config: Config = CHURN_TOML,
    models: Models = None,
    reason: Reason = None,
) -> JobResult:
    """Reinstate the previous champion."""
    from churn.commands.models import rollback as run

    return run(config, models=models, reason=reason, progress=progress)


@command()
def sync(progress: Reporter, config: Config = CHURN_TOML, models: Models = None) -> JobResult:
    """Record missing models in MLflow.

    Adds models trained while MLflow was unreachable, and updates its aliases.
    """
    from churn.commands.models import sync as run

    return run(config, models=models, progress=progress)


def _refuse_misplaced(context: typer.Context) -> None:
    """An option before the command's name would be ignored, so it is an error."""
    name = context.invoked_subcommand
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"write {parameter.opts[0]} after `churn models {name}`")
