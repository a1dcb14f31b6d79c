"""What a person sees while a command runs and when it is done; all on standard error."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.status import Status
from rich.table import Table

from churn.results.job_result import JobResult, Line
from churn.storage.redaction import harmless

NUMERIC = frozenset("0123456789,.-+%± ")
UNBOUNDED = 10_000  # columns: more than any table needs
IDS_SHOWN = ("train", "score", "plan")
COUNTS = re.compile(r"[\d.,]+")


class Teller:
    """Tells the step at hand: with a spinner on a terminal, and elsewhere, with `lines`, as a line.

    Of steps that differ in their numbers alone one line is written, as far from the left as what
    was said last.
    """

    def __init__(self, console: Console, status: Status, *, lines: bool) -> None:
        self._console = console
        self._status = status
        self._lines = lines and not console.is_terminal
        self._last = ""
        self._indent = 0

    def __call__(self, step: str) -> None:
        """The step that begins."""
        step = harmless(step)
        self._status.update(f"{_plain(step)} …")
        same, self._last = COUNTS.sub("", step) == self._last, COUNTS.sub("", step)
        if self._lines and not same:
            self._write(f"{' ' * self._indent}{step} …", style="dim")

    def say(self, text: str, *, style: str = "", indent: int = 0, mark: str = "") -> None:
        """Text that stays, wrapped to the width of the terminal; each line begins with the mark."""
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
        """Whether a person can be asked: questions are shown on standard error."""
        return not self._console.quiet and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str, usual: str) -> str:
        """What is answered to the question; the usual answer where nothing is."""
        self._status.stop()
        self.say(question, style="bold")
        said = self._console.input(f"[{usual}] ", markup=False).strip()
        self._status.start()
        return said or usual

    def _write(self, line: str, *, style: str) -> None:
        self._console.print(line, style=style, markup=False, soft_wrap=True)


@contextmanager
def progress_on_terminal(*, quiet: bool, lines: bool = False) -> Iterator[Teller]:
    """A teller on standard error, silent where that was asked for."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    with console.status("starting") as status:
        yield Teller(console, status, lines=lines)


def show(result: JobResult, *, quiet: bool) -> None:
    """The result's tables, verdict, warnings and files."""
    console = Console(stderr=True, quiet=quiet, highlight=False)
    if result.as_of is not None:
        console.print(f"[bold]churn {result.command}[/] as of {result.as_of} (exclusive)")
    for title, header, rows in result.tables:
        _print_table(console, title, header, rows)
    for reason in (result.gate or {}).get("reasons", ()):
        console.print(harmless(reason), markup=False)
    if result.gate is not None and result.gate["promoted"] is not None:
        word = "promoted" if result.gate["promoted"] else "not promoted"
        console.print(f"{result.model_id} was {word}", markup=False)
    if result.command in IDS_SHOWN and result.id_matches:
        known = (f"{name} {one.known:,} of {one.ids:,}" for name, one in result.id_matches.items())
        console.print(f"ids known in the orders: {', '.join(known)}", markup=False)
    for warning in result.all_warnings:
        console.print(f"note: {harmless(warning)}", markup=False, style="yellow")
    for path in result.files:
        console.print(f"wrote {harmless(str(path))}", markup=False, soft_wrap=True)


def _print_table(console: Console, title: str, header: Line, rows: tuple[Line, ...]) -> None:
    """No word is cut, for it may be a name to copy: a table rather passes the terminal's edge."""
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
