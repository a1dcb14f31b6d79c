"""What `forked.py` forks for kills of the commands that write models, effects, scores and MLflow.

What `train` and `effects` compute and draw, they do once, in the warm process, and so is the bundle
checked in a process of its own: none of it writes, and a kill is to cost a second. What they write
they write each time.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import churn.jobs.effects
import churn.jobs.train
import churn.scoring.explain
from churn.errors import ChurnError
from churn.jobs.effects import effects
from churn.jobs.score import score
from churn.jobs.sync import sync
from churn.jobs.train import train

__all__ = ["RUNS", "ChurnError"]


def remembered(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The first answer, at every call; it is the same shop each time."""
    found: list[Any] = []

    @functools.wraps(compute)
    def answer(*args: Any, **options: Any) -> Any:
        if not found:
            found.append(compute(*args, **options))
        return found[0]

    return answer


def expect(result: Any) -> None:
    """Nothing, or an error where the run has something to say that the user should know."""
    assert result.exit_code == 0, result
    told = [line for line in result.warnings if "MLflow" in line or line.startswith("left out:")]
    assert not told, told


for name in ("train_model", "standing_in", "judgement_files", "check_canaries"):
    setattr(churn.jobs.train, name, remembered(getattr(churn.jobs.train, name)))
for name in ("build_trial", "study"):
    setattr(churn.jobs.effects, name, remembered(getattr(churn.jobs.effects, name)))

RUNS = {
    "effects": lambda config, **options: expect(effects(Path(config), **options)),
    "score": lambda config, **options: expect(score(Path(config), **options)),
    "sync": lambda config, **options: expect(sync(Path(config), **options)),
    "train": lambda config, **options: expect(train(Path(config), **options)),
}
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
