"""Commands for what people read: publish, report, digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from churn.cli.options import CHURN_TOML, AsOf, Config
from churn.cli.running import command

if TYPE_CHECKING:
    from churn.cli.terminal import Reporter
    from churn.results.job_result import JobResult


Language = Annotated[
    str | None,
    typer.Option("--language", metavar="CODE", help="en or de; default: [scoring] language."),
]
PublishedFile = Annotated[
    str | None,
    typer.Option(
        "--published", metavar="FILE", help="Published file; default: [serving] published."
    ),
]


@command()
def publish(
    progress: Reporter,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    scores: Annotated[
        str | None,
        typer.Option("--scores", metavar="FILE", help="Scores; default: the newest on record."),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option("--plan", metavar="FILE", help="Plan; default: the one on record."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="FILE", help="Output: .duckdb; default: [serving] published."
        ),
    ] = None,
) -> JobResult:
    """Publish everything that pages and reports show.

    Scores, plan, metrics, cohorts, segments, journey, signals, feedback, results and model in one
    file, which replaces the last one.
    """
    from churn.commands.publish import publish as run

    return run(config, out=out, scores=scores, plan=plan, as_of=as_of, progress=progress)


@command()
def report(
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="Output: .html.")],
    config: Config = CHURN_TOML,
    ids: Annotated[
        bool, typer.Option("--ids", help="List customers, and show counts under 10.")
    ] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print it to PDF, with an installed Chromium.")
    ] = False,
    language: Language = None,
    published: PublishedFile = None,
) -> JobResult:
    """Write everything published as one HTML file.

    The overview, retention, cohorts, segments, journey, signals, feedback, plan, results and model;
    without script or network.
    """
    from churn.commands.report import report as run

    return run(config, out=out, ids=ids, pdf=pdf, language=language, published=published)


@command()
def digest(
    config: Config = CHURN_TOML,
    send: Annotated[
        bool, typer.Option("--send", help="Send it to the addresses of [digest].")
    ] = False,
    language: Language = None,
    published: PublishedFile = None,
) -> JobResult:
    """Show the overview in twelve lines.

    With --send, mail it to the addresses of [digest], or post it to the webhook.
    """
    from churn.commands.digest import digest as run

    return run(config, send=send, language=language, published=published)
