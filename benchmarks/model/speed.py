"""What the model costs beside the bare calls to LightGBM that it is made of."""

import time
from collections.abc import Callable

import lightgbm
import numpy as np

from churn.modeling.boosting import fit_booster
from churn.modeling.model import ChurnModel
from churn.scoring.explain import reasons

from .shops import Shop

__all__ = ["speed"]

ROUNDS = 3
SCORED = 1_000_000
EXPLAINED = 10_000


def speed(shop: Shop) -> list[list[str]]:
    """A row each: CPU seconds of all threads, ours and bare ones in turn, the best of three."""
    learnt = shop.rows.only(shop.learnt_by(shop.test))
    model = ChurnModel(seed=7).fit(learnt)
    return [_fit(model, learnt.eligible), _predict(model, learnt.eligible), _reasons(model, learnt)]


def _fit(model: ChurnModel, rows) -> list[str]:  # type: ignore[no-untyped-def]
    matrix, target = model.portable().matrix(rows), rows["lapse"].to_numpy()
    settings = model._settings("lapse")
    parameters = settings.parameters()

    def ours() -> None:
        fit_booster(model._matrix(rows), target, settings)

    def bare() -> None:
        lightgbm.train(parameters, lightgbm.Dataset(matrix, label=target), settings.rounds)

    return [f"fit, {len(rows):,} rows, {settings.rounds} rounds", *_turns(ours, bare)]


def _predict(model: ChurnModel, rows) -> list[str]:  # type: ignore[no-untyped-def]
    portable = model.portable()
    few = portable.matrix(rows)
    matrix = np.resize(few, (SCORED, few.shape[1]))
    booster = portable.boosters["lapse"]
    took = _turns(lambda: portable.head("lapse", matrix), lambda: booster.predict(matrix))
    return [f"lapse head, {SCORED:,} rows of {few.shape[1]} features", *took]


def _reasons(model: ChurnModel, learnt) -> list[str]:  # type: ignore[no-untyped-def]
    rows = learnt.eligible.head(EXPLAINED)
    matrix = model.portable().matrix(rows)
    booster = model.portable().boosters["lapse"]
    took = _turns(lambda: reasons(model, rows), lambda: booster.predict(matrix, pred_contrib=True))
    return [f"reasons, {len(rows):,} customers", *took]


def _turns(ours: Callable[[], object], bare: Callable[[], object]) -> tuple[str, str, str]:
    best = [float("inf"), float("inf")]
    for _ in range(ROUNDS):
        for which, call in enumerate((ours, bare)):
            begin = time.process_time()
            call()
            best[which] = min(best[which], time.process_time() - begin)
    return f"{best[0]:.2f} s", f"{best[1]:.2f} s", f"{best[0] / best[1]:.2f}"
