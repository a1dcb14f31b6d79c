"""Opens the engine named in the settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from churn.data.engines.base import Engine
from churn.data.engines.memory import bytes_of, usual_memory_limit
from churn.errors import ConfigError, check_extra

EngineName: TypeAlias = Literal["duckdb", "polars", "spark"]


def open_engine(
    name: EngineName, files: Iterable[Path] = (), *, memory_limit: str | None = None
) -> Engine:
    """A new engine of that name which can open no file except `files`.

    `memory_limit` is the total that DuckDB may use (see `usual_memory_limit` for the default), and
    the memory of the driver of a Spark that is started here. Raises ConfigError if the engine is
    not installed or cannot keep the limit.
    """
    if name == "polars":
        return _polars(files, memory_limit)
    if name == "spark":
        return _spark(files, memory_limit)
    from churn.data.engines.duck import DuckDBEngine

    files = list(files)
    if memory_limit is not None:
        bytes_of(memory_limit)  # said here in our words
    return DuckDBEngine(files, memory_limit=memory_limit or usual_memory_limit(files))


def _polars(files: Iterable[Path], memory_limit: str | None) -> Engine:
    _check_installed("polars", "polars")
    if memory_limit is not None:
        raise ConfigError(
            'engine = "polars" does not support memory_limit',
            got=memory_limit,
            fix='Remove it, or set [data] engine = "duckdb", which spills to disk.',
        )
    from churn.data.engines.polars import PolarsEngine

    return PolarsEngine(files)


def _spark(files: Iterable[Path], memory_limit: str | None) -> Engine:
    _check_installed("spark", "pyspark")
    from churn.data.engines.spark import SparkEngine

    return SparkEngine(files, memory_limit=memory_limit)


def _check_installed(engine: str, package: str) -> None:
    check_extra(engine, package, what=f'[data] engine = "{engine}"')
