"""A user's own features: a Python file that declares them as this room does."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn.errors import ConfigError
from churn.features.catalogue import CATALOGUE, Feature

SAID_AT_MOST = 300
_LOADED: set[Path] = set()


def load_own_features(path: Path) -> tuple[str, ...]:
    """The names that the file added to the catalogue; none where it has been loaded before.

    The file is code and runs with the rights of this process. Raises ConfigError where it is not
    there, fails, or takes a name that is taken; then the catalogue is as it was.
    """
    path = path.resolve()
    if path in _LOADED:
        return ()
    if not path.is_file() or path.suffix != ".py":
        fix = "Check the path; it starts at the folder of the configuration file."
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
        raise ConfigError(rule, got=said, fix="Mend the file; CONTRIBUTING shows one.") from failure
    _LOADED.add(path)
    return tuple(name for name in CATALOGUE if name not in before)


@contextmanager
def naming(one: Feature) -> Iterator[None]:
    """Turns what an engine says of a user's own feature into our error, which names it."""
    try:
        yield
    except Exception as failure:
        if one.is_shipped:
            raise
        rule = f"your feature {one.name!r} must be an expression over the columns of {one.over!r}"
        said = " ".join(str(failure).split())[:SAID_AT_MOST] or type(failure).__name__
        raise ConfigError(rule, got=said, fix="CONTRIBUTING lists them.") from failure
