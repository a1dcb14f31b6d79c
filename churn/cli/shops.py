"""Commands that make or show a shop: init, example, simulate, live-on, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Teller
    from churn.results.job_result import JobResult


@command()
def init(
    progress: Teller,
    orders: Annotated[
        list[Path],
        typer.Argument(
            metavar="ORDERS",
            help="Orders or order lines: CSV, Excel, Parquet, .gz or .zip; a folder or a 'glob'.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")] = CHURN_TOML,
    force: Annotated[bool, typer.Option("--force", help="Replace it where it is there.")] = False,
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OURS=THEIRS", help="A column, e.g. amount=Total; repeats."),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="Of the amounts, e.g. EUR.")
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option("--margin", metavar="SHARE", help="What is left of an amount, e.g. 0.3."),
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option("--consent", metavar="RULE", help="required: who agreed; assumed: the rest."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
) -> JobResult:
    """Write a churn.toml for your orders.

    Looks at the files, guesses their format and what their columns mean, and reads them so.
    """
    from churn.commands.init import init_result, pairs, said

    return init_result(
        orders,
        out=out,
        force=force,
        columns=pairs(mapped or []),
        answers=said(currency=currency, margin=margin, consent=consent),
        ask=progress.ask if progress.can_ask and not yes else None,
    )


@command()
def example(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to fill.")],
) -> JobResult:
    """Write the example data as files.

    A grocer's real purchases of a year: the Complete Journey, 2,469 households in 2017.
    """
    from churn.commands.example import example as run

    return run(out)


@command()
def simulate(
    progress: Teller,
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
    campaigns: Annotated[
        int, typer.Option("--campaigns", help="How many campaigns with offers went out.")
    ] = 0,
    randomised: Annotated[
        float, typer.Option("--randomised", help="Share of customers for whom a lot decided.")
    ] = 0.5,
    ahead: Annotated[
        int, typer.Option("--ahead", help="Days held back, so that the shop can live on.")
    ] = 0,
) -> JobResult:
    """Make up a shop with known truth.

    For mechanics and speed, never as evidence of quality.
    """
    from churn.commands.simulate import simulate as run

    return run(
        out,
        customers=customers,
        seed=seed,
        days=days,
        lines=lines,
        late_share=late_share,
        campaigns=campaigns,
        randomised_share=randomised,
        ahead_days=ahead,
        progress=progress,
    )


@command(name="live-on")
def live_on(
    progress: Teller,
    shop: Annotated[Path, typer.Argument(metavar="SHOP", help="A folder of `churn simulate`.")],
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Whose offers were sent.")
    ] = None,
    sent: Annotated[
        Path | None,
        typer.Option(
            "--sent", metavar="LIST", help="An export: to whom; default: as the ledger says."
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="How many; simulated with --ahead.")] = 28,
) -> JobResult:
    """Let a simulated shop live on.

    Offers of a plan having been sent: its tables grow, and the truth is told.
    """
    from churn.commands.simulate import live_on as run

    return run(shop, plan=plan, sent=sent, days=days, progress=progress)


@command(takes_long=True)
def demo(
    progress: Teller,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    customers: Annotated[int, typer.Option("--customers", help="How many.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Another one makes another shop.")] = 7,
) -> JobResult:
    """Show the whole loop on a simulated shop.

    Simulate, train, plan, send to a mail server of its own, wait a simulated month, measure.
    """
    from churn.commands.demo.run import demo as run

    return run(out, customers=customers, seed=seed, say=progress.say, progress=progress)
