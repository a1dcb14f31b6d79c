"""`churn example`: real purchases to start with, as files."""

from __future__ import annotations

from pathlib import Path

from churn.data.examples import write_complete_journey
from churn.jobs.result import JobResult, hashed

__all__ = ["example"]


def example(out: Path) -> JobResult:
    """The Complete Journey's order lines, contacts and redemptions as Parquet files in `out`."""
    return JobResult(command="example", files=hashed(*write_complete_journey(out)))
