"""Functions for `forked.py`: commands that write models, effects, scores and MLflow.

What `train` and `effects` compute and draw, they do once, in the warm process, and so is the bundle
checked in a process of its own: none of it writes, and a kill is to cost a second. What they write
they write each time.
"""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import churn.commands.effects
import churn.commands.train
import churn.scoring.explain
from churn.commands.effects import effects
from churn.commands.models import sync
from churn.commands.score import score
from churn.commands.train import train
from churn.errors import ChurnError

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
    reported = [
        line for line in result.warnings if "MLflow" in line or line.startswith("left out:")
    ]
    assert not reported, reported


def prepare() -> None:
    """Makes this process compute once. Only the process that forks calls it: whoever just imports
    this module, as the collection of doctests does, trains as ever.
    """
    for name in ("train_model", "with_fallback", "judgement_files", "check_canaries"):
        setattr(churn.commands.train, name, remembered(getattr(churn.commands.train, name)))
    for name in ("build_experiment", "study"):
        setattr(churn.commands.effects, name, remembered(getattr(churn.commands.effects, name)))
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


RUNS = {
    "effects": lambda config, **options: expect(effects(Path(config), **options)),
    "score": lambda config, **options: expect(score(Path(config), **options)),
    "sync": lambda config, **options: expect(sync(Path(config), **options)),
    "train": lambda config, **options: expect(train(Path(config), **options)),
}
