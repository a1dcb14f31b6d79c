"""Commands for a customer's rights: what is held on them, and its erasure."""

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
def access(
    progress: Teller,
    customer: Annotated[
        str,
        typer.Argument(metavar="CUSTOMER", help="customer_id; - reads it from standard input."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="All of it: .json.")
    ] = None,
    config: Config = CHURN_TOML,
) -> JobResult:
    """Tell what is held on a customer.

    Their rows, score, reasons, offers, lots, consents and exports, and what all of it means.
    """
    from churn.commands.access import access as run
    from churn.commands.named_customers import only_customer

    return run(config, customer=only_customer(customer), out=out, progress=progress)


@command()
def forget(
    progress: Teller,
    customers: Annotated[
        list[str] | None,
        typer.Argument(metavar="CUSTOMER", help="customer_id; - reads them from standard input."),
    ] = None,
    config: Config = CHURN_TOML,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A list of more customers.")
    ] = None,
    places: Annotated[
        list[str] | None,
        typer.Option(
            "--in", metavar="PLACE", help="A folder with copies, or postgresql://…#table."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is held.")] = False,
) -> JobResult:
    """Erase customers for good.

    From the ledger and all that was written; a keyed hash keeps them from coming back.
    """
    from churn.commands.forget import forget as run
    from churn.commands.named_customers import named_customers

    return run(
        config,
        customers=named_customers(customers or (), file),
        places=places or (),
        dry_run=dry_run,
        progress=progress,
    )
