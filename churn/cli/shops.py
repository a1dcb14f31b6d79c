"""Commands that set up or simulate a shop: init, example, simulate, live-on, demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


@command()
def init(
    progress: Reporter,
    orders: Annotated[
        list[str],
        typer.Argument(
            metavar="ORDERS",
            help="Orders or lines: CSV, Excel, Parquet, .gz or .zip; a folder or a quoted glob; "
            "or the address of a table.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = CHURN_TOML,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="OURS=THEIRS", help="Map a column, e.g. amount=Total; repeatable."
        ),
    ] = None,
    currency: Annotated[
        str | None, typer.Option("--currency", metavar="CODE", help="Currency, e.g. EUR.")
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option("--margin", metavar="SHARE", help="Contribution margin, e.g. 0.3."),
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option("--consent", metavar="RULE", help="required (opt-in) or assumed (opt-out)."),
    ] = None,
    surveys: Annotated[
        Path | None, typer.Option("--surveys", metavar="FILE", help="Answers to surveys, too.")
    ] = None,
    reviews: Annotated[
        Path | None, typer.Option("--reviews", metavar="FILE", help="Reviews, too.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask no questions.")] = False,
) -> JobResult:
    """Write a churn.toml for your orders.

    Detects the format and the columns of the orders, and reads them with the result.
    """
    from churn.commands.init import given_answers, init_result, pairs

    return init_result(
        orders,
        out=out,
        force=force,
        columns=pairs(mapped or []),
        answers=given_answers(currency=currency, margin=margin, consent=consent),
        ask=progress.ask if progress.can_ask and not yes else None,
        feedback={
            table: path
            for table, path in (("surveys", surveys), ("reviews", reviews))
            if path is not None
        },
    )


@command()
def example(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")],
) -> JobResult:
    """Write the example data as files.

    Complete Journey: real grocery purchases of 2,469 households in 2017.
    """
    from churn.commands.example import example as run

    return run(out)


@command()
def simulate(
    progress: Reporter,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    customers: Annotated[int, typer.Option("--customers", help="Number of customers.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 7,
    days: Annotated[int, typer.Option("--days", help="Length of the history in days.")] = 730,
    lines: Annotated[
        bool, typer.Option("--lines/--no-lines", help="Whether to write order lines.")
    ] = True,
    late_share: Annotated[
        float, typer.Option("--late-share", help="Share of orders that arrive days late.")
    ] = 0.0,
    campaigns: Annotated[
        int, typer.Option("--campaigns", help="Number of past campaigns with offers.")
    ] = 0,
    randomised: Annotated[
        float, typer.Option("--randomised", help="Share of customers with randomised contacts.")
    ] = 0.5,
    ahead: Annotated[int, typer.Option("--ahead", help="Days held back for `churn live-on`.")] = 0,
) -> JobResult:
    """Simulate a shop with known truth.

    For testing mechanics and speed; it is not evidence about real customers.
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
    progress: Reporter,
    shop: Annotated[
        Path, typer.Argument(metavar="SHOP", help="Folder written by `churn simulate`.")
    ],
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Plan whose offers were sent.")
    ] = None,
    sent: Annotated[
        Path | None,
        typer.Option(
            "--sent", metavar="LIST", help="Exported list of recipients; default: the ledger."
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="Number of days, at most --ahead.")] = 28,
) -> JobResult:
    """Advance the calendar of a simulated shop.

    Appends what happens after the offers were sent, and reports their true effect.
    """
    from churn.commands.simulate import live_on as run

    return run(shop, plan=plan, sent=sent, days=days, progress=progress)


@command(takes_long=True)
def demo(
    progress: Reporter,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A new folder.")],
    customers: Annotated[int, typer.Option("--customers", help="Number of customers.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 7,
) -> JobResult:
    """Run the complete loop on a simulated shop.

    Simulate, train, plan, send to a local mail server, advance 28 days, measure.
    """
    from churn.commands.demo.run import demo as run

    return run(out, customers=customers, seed=seed, say=progress.say, progress=progress)
