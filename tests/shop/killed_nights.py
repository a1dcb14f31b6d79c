"""Functions for `forked.py`: the nightly run, for kills at commit points."""

from datetime import datetime
from pathlib import Path

import lightgbm  # noqa: F401 - loaded once, for all that are forked

import churn.commands.check
import churn.commands.export
import churn.commands.monitor
import churn.commands.plan
import churn.commands.publish
import churn.commands.score
import churn.data.engines.duck
import churn.scoring.explain  # noqa: F401
from churn.commands.run import run
from churn.errors import ChurnError

__all__ = ["RUNS", "ChurnError"]


def night(config: str, now: str) -> None:
    """One nightly run; a step that failed is an error."""
    result = run(Path(config), now=datetime.fromisoformat(now))
    assert result.exit_code == 0, result.failure


RUNS = {"night": night}
