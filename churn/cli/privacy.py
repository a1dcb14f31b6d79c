"""Commands for the rights of data subjects: access and erasure."""

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
def access(
    progress: Reporter,
    customer: Annotated[
        str,
        typer.Argument(
            metavar="CUSTOMER", help="customer_id, or - to read it from standard input."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Complete record: .json.")
    ] = None,
    config: Config = CHURN_TOML,
) -> JobResult:
    """Show all data held on a customer.

    Rows, score, reasons, offers, assignments, consents and exports, each field explained.
    """
    from churn.commands.access import access as run
    from churn.commands.customer_lists import only_customer

    return run(config, customer=only_customer(customer), out=out, progress=progress)


@command()
def forget(
    progress: Reporter,
    customers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CUSTOMER", help="customer_id, or - to read them from standard input."
        ),
    ] = None,
    config: Config = CHURN_TOML,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="File with more customer ids.")
    ] = None,
    places: Annotated[
        list[str] | None,
        typer.Option("--in", metavar="PLACE", help="Folder with copies, or postgresql://…#table."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the rows.")] = False,
) -> JobResult:
    """Erase customers permanently.

    From the ledger and all written files; a keyed hash excludes them from later imports.
    """
    from churn.commands.customer_lists import named_customers
    from churn.commands.forget import forget as run

    return run(
        config,
        customers=named_customers(customers or (), file),
        places=places or (),
        dry_run=dry_run,
        progress=progress,
    )
