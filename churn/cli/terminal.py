"""What commands show on standard error while they run and when they are done."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import wrap
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table

from churn.errors import harmless

if TYPE_CHECKING:
    from churn.results.job_result import JobResult, Line

NUMERIC = frozenset("0123456789,.-+%± ")
UNBOUNDED = 10_000  # columns: more than any table needs
IDS_SHOWN = ("train", "score", "plan")
COUNTS = re.compile(r"[\d.,]+")


class Reporter:
    """Shows the current step: as a spinner on a terminal, elsewhere, with `lines`, as a line.

    Steps that differ only in their numbers are written once, indented like the text before them.
    """

    def __init__(self, console: Console, status: Status, *, lines: bool) -> None:
        self._console = console
        self._status = status
        self._lines = lines and not console.is_terminal
        self._last = ""
        self._indent = 0

    def __call__(self, step: str) -> None:
        """Shows a step that begins."""
        step = harmless(step)
        self._status.update(f"{_plain(step)} …")
        same, self._last = COUNTS.sub("", step) == self._last, COUNTS.sub("", step)
        if self._lines and not same:
            self._write(f"{' ' * self._indent}{step} …", style="dim")

    def say(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        """Prints text wrapped to the width of the terminal; each line begins with the mark."""
        self._indent = indent
        begin = " " * indent + mark
        for line in harmless(text).splitlines() or [""]:
            pieces = wrap(
                line,
                self._console.width,
                initial_indent=begin,
                subsequent_indent=begin,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for piece in pieces or [begin.rstrip()]:
                self._write(piece, style=style)

    @property
    def can_ask(self) -> bool:
        """Whether questions can be asked; they are shown on standard error."""
        return not self._console.quiet and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str, default: str) -> str:
        """The answer to the question, or the default if it is empty."""
        self._status.stop()
        self.say(question, style="bold")
        answer = self._console.input(f"[{default}] ", markup=False).strip()
        self._status.start()
        return answer or default

    def _write(self, line: str, *, style: str) -> None:
        self._console.print(line, style=style, markup=False, soft_wrap=True)


@contextmanager
def progress_on_terminal(*, quiet: bool, lines: bool = False) -> Iterator[Reporter]:
    """A reporter on standard error, silent if `quiet`."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    with console.status("starting") as status:
        yield Reporter(console, status, lines=lines)


def show(result: JobResult, *, quiet: bool) -> None:
    """Prints the result's tables, gate, warnings and files."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    if result.as_of is not None:
        console.print(f"[bold]churn {result.command}[/] as of {result.as_of} (exclusive)")
    for title, header, rows in result.tables:
        _print_table(console, title, header, rows)
    for reason in (result.gate or {}).get("reasons", ()):
        console.print(harmless(reason), markup=False)
    if result.gate is not None and result.gate["promoted"] is not None:
        outcome = "promoted" if result.gate["promoted"] else "not promoted"
        console.print(f"{result.model_id} was {outcome}", markup=False)
    if result.command in IDS_SHOWN and result.id_matches:
        matches = (f"{name} {m.known:,} of {m.ids:,}" for name, m in result.id_matches.items())
        console.print(f"ids found in the orders: {', '.join(matches)}", markup=False)
    for warning in result.all_warnings:
        console.print(f"note: {harmless(warning)}", markup=False, style="yellow")
    for path in result.files:
        console.print(f"wrote {harmless(str(path))}", markup=False, soft_wrap=True)


def _print_table(console: Console, title: str, header: Line, rows: tuple[Line, ...]) -> None:
    """Cuts no word, because it may be a name to copy: a table may exceed the terminal's width."""
    if not rows:
        return
    rows = tuple(tuple(harmless(cell) for cell in row) for row in rows)
    console.print(harmless(title), style="bold", markup=False)
    table = Table(
        show_header=any(header),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for number, name in enumerate(header):
        cells = [row[number] for row in rows]
        numeric = all(set(cell) <= NUMERIC for cell in cells)
        longest = max(len(word) for cell in (name, *cells) for word in cell.split() or [""])
        table.add_column(
            name,
            justify="right" if numeric else "left",
            min_width=longest,
            no_wrap=longest == max(len(cell) for cell in (name, *cells)),
        )
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    least = console.measure(table, options=console.options.update(width=UNBOUNDED)).minimum
    table.width = least if least > console.width else None
    console.print(table, crop=False)


def _plain(cell: str) -> str:
    return cell.replace("[", r"\[")
