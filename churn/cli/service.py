"""Commands for the HTTP API: its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, Config, app
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.results.job_result import JobResult


keys_app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Manage the keys of the HTTP API."
)
app.add_typer(keys_app, name="keys")


@command(on=keys_app)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The program that will use it.")],
    config: Config = CHURN_TOML,
) -> JobResult:
    """Create a key and show it once."""
    from churn.commands.keys import create_api_key

    return create_api_key(config, name)


@command(on=keys_app, name="list")
def list_(config: Config = CHURN_TOML) -> JobResult:
    """List the keys, when they were used last, and which are revoked."""
    from churn.commands.keys import list_api_keys

    return list_api_keys(config)


@command(on=keys_app)
def revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="As `churn keys list` shows it.")],
    config: Config = CHURN_TOML,
) -> JobResult:
    """Revoke a key; a running service refuses it within a second."""
    from churn.commands.keys import revoke_api_key

    return revoke_api_key(config, prefix)
