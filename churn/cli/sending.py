"""Commands that reach customers: send what a plan offers, and take back who wants no more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, Config
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Teller
    from churn.results.job_result import JobResult


@command()
def send(
    progress: Teller,
    plan_file: Annotated[
        str, typer.Argument(metavar="PLAN", help="A plan's file or postgresql://…#table.")
    ],
    config: Config = CHURN_TOML,
    through: Annotated[
        str, typer.Option("--through", metavar="WAY", help="email or webhook.")
    ] = "email",
    offer: Annotated[
        str | None, typer.Option("--offer", metavar="ID", help="Of one offer; default: of all.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="When it is sent; default: data's end."),
    ] = None,
    products: Annotated[
        Path | None,
        typer.Option("--products", metavar="FILE", help="Recommendations to name."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many messages.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; send nothing.")] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", metavar="DIR", help="Write one message of each offer; send nothing."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of quiet hours.")] = False,
    retry_unknown: Annotated[
        bool,
        typer.Option("--retry-unknown", help="Also those that may have arrived, once more."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Though another plan of it was sent before.")
    ] = False,
) -> JobResult:
    """Send a plan's offers as messages.

    To those whose consent holds, each message once, by e-mail or to a webhook.
    """
    from churn.commands.send import send as run

    return run(
        config,
        plan=plan_file,
        through=through,
        offer=offer,
        on=date,
        products=products,
        limit=limit,
        dry_run=dry_run,
        preview=preview,
        wait=wait,
        retry_unknown=retry_unknown,
        replace=replace,
        progress=progress,
    )


@command()
def serve(
    config: Config = CHURN_TOML,
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port; 0: any that is free.")
    ] = 8080,
) -> JobResult:
    """Serve the page to unsubscribe.

    It answers the links in messages, and nothing else so far; until Ctrl-C or SIGTERM.
    """
    from churn.commands.serve import serve as run

    def announce(address: str) -> None:
        typer.echo(f"serving the page to unsubscribe on {address}/unsubscribe/", err=True)

    return run(config, host=host, port=port, announce=announce)
