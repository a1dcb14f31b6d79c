"""Commands show steps while they run, on a terminal and off it, and tables at the end."""

import io

import pytest
from rich.console import Console

from churn.cli.terminal import Reporter, progress_on_terminal, show
from churn.commands.models import HEADER
from churn.results.job_result import JobResult


def reporter_on(*, is_terminal: bool, width: int = 40, lines: bool = True):
    """A reporter and its output."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=width, highlight=False)
    return Reporter(console, console.status("starting"), lines=lines), written


def test_off_a_terminal_each_step_is_a_line():
    reporter, written = reporter_on(is_terminal=False)
    for step in ("reading the tables", "fitting", "fitting", "reading the tables"):
        reporter(step)
    assert written.getvalue() == "reading the tables …\nfitting …\nreading the tables …\n"


def test_steps_that_differ_only_in_their_numbers_are_one_line():
    reporter, written = reporter_on(is_terminal=False)
    for done in ("1", "200", "1,400"):
        reporter(f"sending: {done} of 1,400")
    assert written.getvalue() == "sending: 1 of 1,400 …\n"


def test_a_short_command_shows_no_steps_off_a_terminal():
    reporter, written = reporter_on(is_terminal=False, lines=False)
    reporter("checking consent")
    assert written.getvalue() == ""


def test_on_a_terminal_steps_are_a_spinner():
    reporter, written = reporter_on(is_terminal=True)
    reporter("fitting")
    assert "fitting" not in written.getvalue()


def test_text_is_wrapped_within_its_margin_without_trailing_spaces():
    reporter, written = reporter_on(is_terminal=False, width=20)
    reporter.say("one two three four five six\n\nseven", indent=4, mark="| ")
    reporter("eight")
    assert written.getvalue().splitlines() == [
        *("    | one two three", "    | four five six", "    |", "    | seven"),
        "    eight …",
    ]


def test_a_long_word_is_not_broken():
    reporter, written = reporter_on(is_terminal=False, width=10)
    reporter.say("https://shop.example/unsubscribe/token [not a style]")
    assert written.getvalue().splitlines()[0] == "https://shop.example/unsubscribe/token"
    assert "[not a" in written.getvalue()


@pytest.mark.parametrize("quiet", [True, False])
def test_json_mode_shows_no_progress(capfd, quiet):
    with progress_on_terminal(quiet=quiet, lines=True) as reporter:
        reporter("fitting")
        reporter.say("done")
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ("" if quiet else "fitting …\ndone\n")


def shown(capsys, monkeypatch, header, *rows, width=80):
    """The lines of a table on a terminal of this width."""
    monkeypatch.setenv("COLUMNS", str(width))
    show(JobResult(command="models", tables=(("Models", header, rows),)), quiet=False)
    return capsys.readouterr().err.splitlines()


LISTED = ("2024-01-01", ".8123", ".4123", ".4212")


@pytest.mark.parametrize("gate", ["passed", "failed, former", "fallback, challenger"])
def test_the_name_of_a_model_is_whole_on_a_terminal_of_80_columns(capsys, monkeypatch, gate):
    name = "churn-20261125t032852-1a2b3c"
    lines = shown(capsys, monkeypatch, HEADER, (name, *LISTED, gate))
    assert any(f" {name} " in line for line in lines)
    assert all(word in " ".join(lines) for word in (*LISTED, *gate.split()))
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_word_of_a_table_is_cut(capsys, monkeypatch, width):
    rows = [("a" * 64, "some words", ""), ("b", "more of them that wrap", "c" * 30)]
    lines = shown(capsys, monkeypatch, ("model", "", "gate"), *rows, width=width)
    words = {word for row in rows for cell in row for word in cell.split()}
    assert words <= {word for line in lines for word in line.split()}
