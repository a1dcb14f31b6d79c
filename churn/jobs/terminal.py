"""What a person sees while a command runs and when it is done; all on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from churn.jobs.result import JobResult, Line

__all__ = ["progress_on_terminal", "show"]

NUMERIC = frozenset("0123456789,.-+%± ")


@contextmanager
def progress_on_terminal(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function that tells the step at hand: a spinner on a terminal, nothing elsewhere."""
    console = Console(stderr=True, quiet=quiet)
    with console.status("starting") as status:
        yield lambda step: status.update(f"{step} …")


def show(result: JobResult, *, quiet: bool) -> None:
    """The result's tables, verdict, warnings and files."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    if result.as_of is not None:
        console.print(f"[bold]churn {result.command}[/] as of {result.as_of} (exclusive)")
    for title, header, rows in result.tables:
        _print_table(console, title, header, rows)
    for reason in (result.gate or {}).get("reasons", ()):
        console.print(reason, markup=False)
    if result.gate is not None and result.gate["promoted"] is not None:
        word = "promoted" if result.gate["promoted"] else "not promoted"
        console.print(f"{result.model_id} was {word}", markup=False)
    for warning in result.warnings:
        console.print(f"note: {warning}", markup=False, style="yellow")
    for path in result.files:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)


def _print_table(console: Console, title: str, header: Line, rows: tuple[Line, ...]) -> None:
    if not rows:
        return
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_header=any(header),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, name in enumerate(header):
        numeric = all(set(row[number]) <= NUMERIC for row in rows)
        table.add_column(name, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    console.print(table)


def _plain(cell: str) -> str:
    return cell.replace("[", r"\[")
