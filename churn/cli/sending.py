"""Commands that contact customers: send messages, serve the unsubscribe page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, Config
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


@command()
def send(
    progress: Reporter,
    plan_file: Annotated[
        str, typer.Argument(metavar="PLAN", help="The plan: a file or postgresql://…#table.")
    ],
    config: Config = CHURN_TOML,
    through: Annotated[
        str,
        typer.Option(
            "--through", metavar="TRANSPORT", help="A section of [delivery], e.g. webhook."
        ),
    ] = "email",
    offer: Annotated[
        str | None, typer.Option("--offer", metavar="ID", help="Only this offer; default: all.")
    ] = None,
    date: Annotated[
        str | None,
        typer.Option("--date", metavar="DATE", help="Date of sending; default: end of the data."),
    ] = None,
    products: Annotated[
        Path | None,
        typer.Option("--products", metavar="FILE", help="Recommendations to include."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Maximum number of messages.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; send nothing.")] = False,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", metavar="DIR", help="Write one message of each offer; send nothing."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of quiet hours.")] = False,
    retry_unknown: Annotated[
        bool,
        typer.Option("--retry-unknown", help="Also resend messages that may have arrived."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Send even if another plan was sent before.")
    ] = False,
) -> JobResult:
    """Send a plan's offers as messages.

    To customers whose consent is valid, each message once, by e-mail or to a webhook.
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
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0: any free port.")
    ] = 8080,
) -> JobResult:
    """Serve the unsubscribe page and the other parts of `[serving]`.

    Answers until Ctrl-C or SIGTERM.
    """
    from churn.commands.serve import serve as run

    def announce(part: str) -> None:
        typer.echo(f"serving {part}", err=True)

    return run(config, host=host, port=port, announce=announce)
