"""Chromium for the tests of pages. Where there is none they are skipped; never in CI."""

import os
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@contextmanager
def launched():
    """The browser, until the block ends."""
    missing = [] if CHROMIUM.is_file() else [f"no browser at {CHROMIUM}"]
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing.append("no playwright")
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(", ".join(missing))
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
