"""`churn report`: everything published, as one HTML file, and as PDF through a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from churn.commands.session import on_record
from churn.config import load_settings
from churn.errors import ConfigError, StorageError
from churn.reporting.published import Published
from churn.reporting.report import report_html
from churn.results.job_result import JobResult, hashed
from churn.storage.erasures import remembered
from churn.storage.ledger import Ledger
from churn.storage.manifests import publish_with_manifest
from churn.storage.publish import check_writable

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
PDF_SECONDS = 120


def report(
    config: Path,
    *,
    out: Path | str,
    ids: bool = False,
    pdf: bool = False,
    language: str | None = None,
    published: Path | str | None = None,
) -> JobResult:
    """Writes the report of the published file to `out` (.html).

    With `ids` it lists customers and shows all counts; without, counts of fewer than ten are
    hidden. `pdf` also writes `out` with the ending .pdf, printed by an installed Chromium.
    ConfigError if nothing was published, for another ending, or if there is no browser.
    """
    settings = load_settings(config)
    target = Path(out).absolute()
    if target.suffix != ".html":
        rule = "the report must end in .html"
        raise ConfigError(rule, got=target.name, fix="Name it e.g. report.html.")
    browser = installed_browser() if pdf else None
    check_writable(target)
    place = settings.path(settings.serving.published) if published is None else Path(published)
    facts: dict[str, Any] = {"ids": ids}
    with Published(place) as opened, on_record("report", settings, facts) as (ledger, run_id):
        row = opened.row
        ledger.date_run(run_id, row.as_of)
        text = report_html(opened, ids=ids, language=language)
        stated = {"run_id": run_id, "as_of": str(row.as_of), "ids": ids}
        files = [target]
        with _writing(ledger, target, stated) as temporary:
            temporary.write_text(text, encoding="utf-8")
        if browser is not None:
            files.append(target.with_suffix(".pdf"))
            with _writing(ledger, files[-1], stated) as temporary:
                print_pdf(browser, target, temporary)
    return JobResult(
        command="report",
        run_id=run_id,
        as_of=row.as_of,
        model_id=row.model_id,
        metrics={"bytes": len(text.encode()), "ids": ids, "published": row.run_id},
        files=hashed(*files),
    )


def _writing(ledger: Ledger, target: Path, facts: dict[str, Any]) -> AbstractContextManager[Path]:
    return remembered(publish_with_manifest(target, facts), ledger, target, command="report")


def installed_browser() -> str:
    """The path of an installed Chromium; ConfigError without one."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        rule = "--pdf prints the report with Chromium or Chrome, which must be installed"
        fix = "Install Chromium, or print the HTML file from any browser."
        raise ConfigError(rule, got="none of " + ", ".join(BROWSERS), fix=fix)
    return found


def print_pdf(browser: str, page: Path, target: Path) -> None:
    """Prints a page to a PDF file. StorageError if the browser fails."""
    command = [
        *(browser, "--headless", "--disable-gpu", "--no-pdf-header-footer"),
        *(["--no-sandbox"] if os.geteuid() == 0 else []),  # as root, there is no sandbox
        *(f"--print-to-pdf={target}", page.as_uri()),
    ]
    rule = f"{Path(browser).name} must print the report"
    try:
        done = subprocess.run(command, capture_output=True, timeout=PDF_SECONDS, check=False)  # noqa: S603 - our own file
    except (OSError, subprocess.TimeoutExpired) as failure:
        fix = "Print the HTML file from a browser."
        raise StorageError(rule, got=type(failure).__name__, fix=fix) from None
    if done.returncode or not target.is_file():
        fix = "Print the HTML file from a browser."
        raise StorageError(rule, got=f"exit code {done.returncode}", fix=fix)
