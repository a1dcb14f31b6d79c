"""Runs one command and shows its result, or one line with the cause and its exit code."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter
from typing import TYPE_CHECKING, Any, NoReturn, get_type_hints

import typer

from churn.cli.options import AsJson, Debug, app
from churn.errors import ChurnError, harmless

if TYPE_CHECKING:
    from churn.results.job_result import JobResult

NOT_OPTIONS = frozenset({"progress", "return"})


def command(
    name: str | None = None, *, on: typer.Typer = app, takes_long: bool = False
) -> Callable[[Callable[..., JobResult]], Callable[..., None]]:
    """Registers a function as a command of `on`, with the options `--json` and `--debug` added.

    The function's parameters are the command's own options; its result is shown. A parameter
    `progress` receives the `Reporter`. A command that `takes_long` also reports its steps if
    standard error is not a terminal.
    """

    def register(job: Callable[..., JobResult]) -> Callable[..., None]:
        reports_progress = "progress" in inspect.signature(job).parameters

        @functools.wraps(job)
        def run(*, as_json: bool = False, debug: bool = False, **options: Any) -> None:
            def call() -> JobResult:
                if not reports_progress:  # the terminal's library is imported for progress alone
                    return job(**options)
                from churn.cli.terminal import progress_on_terminal

                with progress_on_terminal(quiet=as_json, lines=takes_long) as progress:
                    return job(progress, **options)

            run_job(call, as_json=as_json, debug=debug)

        _add_common_options(run, job)
        on.command(name)(run)
        return run

    return register


def _add_common_options(run: Callable[..., None], job: Callable[..., JobResult]) -> None:
    """Gives `run` the parameters of `job`, without `progress`, and the common options last."""
    own = {name: kind for name, kind in job.__annotations__.items() if name not in NOT_OPTIONS}
    run.__annotations__ = {**own, "as_json": AsJson, "debug": Debug}
    kinds = get_type_hints(run, include_extras=True)
    parameters = [
        parameter.replace(annotation=kinds[name])
        for name, parameter in inspect.signature(job).parameters.items()
        if name not in NOT_OPTIONS
    ]
    common = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=kinds[name])
        for name in ("as_json", "debug")
    ]
    run.__signature__ = inspect.Signature([*parameters, *common])  # type: ignore[attr-defined]


def run_job(job: Callable[[], JobResult], *, as_json: bool, debug: bool) -> None:
    """Runs a job and shows its result, or exits with one line that states the cause."""
    try:
        with _terminable():
            result = job()
    except ChurnError as failure:
        if debug:
            raise
        _fail(failure, as_json=as_json)
    except KeyboardInterrupt as interrupt:
        typer.echo(str(interrupt) or "interrupted; nothing was written", err=True)
        raise typer.Exit(130) from None
    except _Terminated:
        typer.echo("ended by SIGTERM; unfinished changes were undone", err=True)
        raise typer.Exit(128 + signal.SIGTERM) from None
    else:
        if as_json:
            typer.echo(json.dumps(result.to_dict(), default=str))
        from churn.cli.terminal import show

        show(result, quiet=as_json)
        if result.failure is not None:
            typer.echo(f"error: {harmless(result.failure)}", err=True)
        if result.exit_code:
            raise typer.Exit(result.exit_code)


def _fail(failure: ChurnError, *, as_json: bool) -> None:
    if as_json:
        cause = {"rule": failure.rule, "got": failure.got, "fix": failure.fix}
        typer.echo(json.dumps({"error": {"code": failure.exit_code, **cause}}))
    typer.echo(f"error: {harmless(str(failure))}", err=True)
    raise typer.Exit(failure.exit_code)


class _Terminated(BaseException):
    """The process received SIGTERM; the run is marked as failed on the way out."""


@contextmanager
def _terminable() -> Iterator[None]:
    """A block that SIGTERM ends as Ctrl-C does: unfinished changes are undone, one line reports it.

    Only the main thread may handle signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _misused(failure: Any) -> NoReturn:
    """Reports wrong usage of the command line, with `--json` also as JSON."""
    if "--json" in sys.argv:
        rule = failure.format_message().rstrip(".")
        fix = "`churn --help` lists the commands, `churn COMMAND --help` their options."
        error = {"code": failure.exit_code, "rule": rule, "got": None, "fix": fix}
        typer.echo(json.dumps({"error": error}))
    failure.show()
    sys.exit(failure.exit_code)


def main() -> None:
    """The `churn` command."""
    # Threads that spin while waiting slow training twentyfold if another process uses a core.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as failure:
        _misused(failure)
    except Exception as failure:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"error: internal error, {type(failure).__name__}; try --debug", err=True)
        sys.exit(1)
