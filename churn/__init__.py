"""Keep customers: from purchase histories to features, a model, decisions and their effect.

Everything below is loaded when it is first used, so that `import churn` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churn.analytics.cohorts import cohorts
    from churn.analytics.from_tables import feedback, journey, segments, signals
    from churn.analytics.metrics import metrics
    from churn.config import load_settings, load_tables
    from churn.data.cutoffs import Cutoffs
    from churn.data.tables import Snapshot, Tables
    from churn.errors import (
        BusyError,
        ChurnError,
        ConfigError,
        DataError,
        GateError,
        ModelError,
        StorageError,
    )
    from churn.features.builder import build_features
    from churn.features.catalogue import feature, feature_names, features_over, sums
    from churn.features.clock import FeatureClock
    from churn.modeling.bundle import load_bundle as load_model
    from churn.modeling.dataset import Dataset, build_dataset
    from churn.modeling.evaluate import Evaluation, evaluate
    from churn.modeling.model import ChurnModel
    from churn.offers.catalogue import Offers
    from churn.offers.plan import plan_offers
    from churn.recommendations.recommend import recommend
    from churn.scoring.explain import explain
    from churn.scoring.score import score

__all__ = [
    "BusyError",
    "ChurnError",
    "ChurnModel",
    "ConfigError",
    "Cutoffs",
    "DataError",
    "Dataset",
    "Evaluation",
    "FeatureClock",
    "GateError",
    "ModelError",
    "Offers",
    "Snapshot",
    "StorageError",
    "Tables",
    "build_dataset",
    "build_features",
    "cohorts",
    "evaluate",
    "explain",
    "feature",
    "feature_names",
    "features_over",
    "feedback",
    "journey",
    "load_model",
    "load_settings",
    "load_tables",
    "metrics",
    "plan_offers",
    "recommend",
    "score",
    "segments",
    "signals",
    "sums",
]

__version__ = "0.1.0"

_HOMES = {
    "churn.analytics.cohorts": ("cohorts",),
    "churn.analytics.from_tables": ("feedback", "journey", "segments", "signals"),
    "churn.analytics.metrics": ("metrics",),
    "churn.config": ("load_settings", "load_tables"),
    "churn.data.cutoffs": ("Cutoffs",),
    "churn.data.tables": ("Snapshot", "Tables"),
    "churn.errors": tuple(name for name in __all__ if name.endswith("Error")),
    "churn.features.builder": ("build_features",),
    "churn.features.catalogue": ("feature", "feature_names", "features_over", "sums"),
    "churn.features.clock": ("FeatureClock",),
    "churn.modeling.bundle": ("load_model",),
    "churn.modeling.dataset": ("Dataset", "build_dataset"),
    "churn.modeling.evaluate": ("Evaluation", "evaluate"),
    "churn.modeling.model": ("ChurnModel",),
    "churn.offers.plan": ("plan_offers",),
    "churn.offers.catalogue": ("Offers",),
    "churn.recommendations.recommend": ("recommend",),
    "churn.scoring.explain": ("explain",),
    "churn.scoring.score": ("score",),
}
_RENAMED = {"load_model": "load_bundle"}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'churn' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), _RENAMED.get(name, name))


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
