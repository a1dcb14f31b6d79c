"""`churn features` as a whole process, and how many features it wrote."""

import sys
from datetime import date
from pathlib import Path

from features.measure import Run

__all__ = ["command", "feature_count"]

KEY_COLUMNS = 3  # customer_id, as_of, status


def command(config: Path, as_of: date, out: Path) -> list[str]:
    """The command line that writes the feature table of that date."""
    options = ["--config", str(config), "--as-of", str(as_of), "--out", str(out), "--json"]
    return [sys.executable, "-m", "churn", "features", *options]


def feature_count(run: Run) -> int:
    """The columns of the written table that are features."""
    return run.facts["rows"]["columns"] - KEY_COLUMNS
