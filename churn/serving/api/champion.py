"""The model in use: loaded in the background, swapped when the pointer moves, kept if the new one
is damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from churn.errors import ChurnError, ModelError
from churn.features.builder import known_feature
from churn.features.histories import HistoryFeatures
from churn.modeling.model import ChurnModel
from churn.modeling.portable import OUTPUTS
from churn.serving.collection import settle

TOLERANCE = 1e-9


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to predict; the averages that its features refer to are those of training."""

    model: ChurnModel
    model_id: str
    day_timezone: str

    @cached_property
    def known_features(self) -> frozenset[str]:
        """The names of its features."""
        return frozenset(self.model.feature_names_)

    @property
    def trained_until(self) -> date:
        """The end of its training data, exclusive."""
        until: date = self.model.cutoffs_.until
        return until

    @cached_property
    def history_features(self) -> HistoryFeatures:
        """The builder of its features, with the averages of training."""
        return self.features_with(self.model.population_)

    def features_with(self, population: Mapping[str, Any]) -> HistoryFeatures:
        """The same with the averages of a later date."""
        names = tuple(self.model.feature_names_)
        return HistoryFeatures(names, self.model.clock_, population, self.day_timezone)


@dataclass
class Champion:
    """The current model; `check` replaces it if the pointer has moved.

    `report` is called with "loaded" or "refused" and a sentence. The new model is verified against
    its hashes, must reproduce its canary rows, and is warm before it replaces the old one.
    """

    pointer: Path
    load: Callable[[], ChurnModel]
    day_timezone: str
    report: Callable[[str, str], None]
    current: LoadedModel | None = None
    refusal: str | None = None
    _seen: tuple[int, ...] | None = field(default=None, repr=False)

    def check(self) -> None:
        """Loads the champion if the pointer changed since the last call."""
        seen = _identity(self.pointer)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            loaded = self._loaded()
        except ChurnError as failure:
            kept = "" if self.current is None else f"; {self.current.model_id} stays in use"
            self.refusal = str(failure)
            self.report("refused", f"{failure}{kept}")
            return
        self.current, self.refusal = loaded, None
        settle()
        self.report("loaded", f"model {loaded.model_id} is in use")

    def _loaded(self) -> LoadedModel:
        model = self.load()
        for name in model.feature_names_:
            known_feature(name)
        check_canaries_here(model)
        model_id = str(model.manifest_["model_id"])
        return LoadedModel(model, model_id, self.day_timezone)


def check_canaries_here(model: ChurnModel) -> None:
    """Raises ModelError unless the model reproduces the predictions of its canary rows."""
    import pandas as pd

    folder = Path() if model._folder_ is None else model._folder_
    rows = pd.read_parquet(folder / "canaries.parquet")
    said = [f"said_{name}" for name in OUTPUTS]
    now = model.predict_frame(rows.drop(columns=said))
    for name in OUTPUTS:
        before, after = rows[f"said_{name}"], now[name]
        if name == "probability_source":
            same = bool((before == after).all())
        else:
            near = np.isclose(before.astype(float), after.astype(float), TOLERANCE, TOLERANCE, True)
            same = bool(near.all())
        if not same:
            rule = "a model must reproduce the scores of its canary rows"
            raise ModelError(rule, got=f"another {name}", fix="Train again.")


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
