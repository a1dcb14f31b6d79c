"""A user's own features: a Python file that declares them as this room does."""

import importlib.util
from pathlib import Path

from churn.errors import ConfigError
from churn.features.catalogue import CATALOGUE, Feature

SAID_AT_MOST = 300
_LOADED: set[Path] = set()


def load_own_features(path: Path) -> tuple[str, ...]:
    """The names that the file added to the catalogue; empty if it was loaded before.

    The file is code and runs with the rights of this process. Raises ConfigError if it does not
    exist, fails, or uses a name that is taken; the catalogue is then unchanged.
    """
    path = path.resolve()
    if path in _LOADED:
        return ()
    if not path.is_file() or path.suffix != ".py":
        fix = "Check the path; it is relative to the folder of the configuration file."
        raise ConfigError("[features] module must name a .py file", got=path.name, fix=fix)
    spec = importlib.util.spec_from_file_location(f"churn_own_features_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    before = dict(CATALOGUE)
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as failure:
        CATALOGUE.clear()
        CATALOGUE.update(before)
        said = f"{type(failure).__name__}: {failure}"
        rule = f"[features] module {path.name} must run without an error"
        raise ConfigError(rule, got=said, fix="Fix the file; CONTRIBUTING shows one.") from failure
    _LOADED.add(path)
    return tuple(name for name in CATALOGUE if name not in before)


def feature_error(one: Feature, failure: Exception) -> ConfigError:
    """An error in a user's own feature as ours, which names the feature and shows the form."""
    rule = f"your feature {one.name!r} must return one number per customer"
    cause = " ".join(str(failure).split())[:SAID_AT_MOST]
    fix = (
        f"Write it as def my_feature({one.over}, clock) with NumPy, for instance "
        f"{EXAMPLES[one.over]}; CONTRIBUTING lists the columns."
    )
    return ConfigError(rule, got=f"{type(failure).__name__}: {cause}", fix=fix)


EXAMPLES = {
    "days": "return days.most(days.spend)",
    "lines": "return lines.products.count()",
    "events": 'return events.count(events.of("visit", 30))',
    "terms": "return terms.most(terms.plan_days)",
    "row": 'return row["net_spend"] / row["tenure_days"]',
}
