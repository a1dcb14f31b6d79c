"""One Spark for all tests, and an engine of each kind."""

import os
import shutil
from collections.abc import Iterator

import pytest

from churn.data.engines.base import Engine
from churn.data.engines.choice import open_engine

ENGINES = ("duckdb", "polars", "spark")


@pytest.fixture(scope="session")
def running_spark() -> Iterator[Engine]:
    """Spark takes many seconds to start; it runs until the last test, on two cores."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java")
    with pytest.MonkeyPatch.context() as environment:
        # Tests end before Java's second compiler has paid off.
        options = "--conf spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1"
        environment.setenv("PYSPARK_SUBMIT_ARGS", f"--master local[2] {options} pyspark-shell")
        engine = open_engine("spark")
    yield engine
    engine.close()


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of an engine that can run here."""
    if request.param == "spark":
        request.getfixturevalue("running_spark")
    return request.param


@pytest.fixture(params=ENGINES[1:])
def other(request: pytest.FixtureRequest) -> str:
    """The name of an engine that must do what DuckDB does."""
    if request.param == "spark":
        request.getfixturevalue("running_spark")
    return request.param


@pytest.fixture
def engine(name: str) -> Iterator[Engine]:
    """An engine of that kind without any table."""
    opened = open_engine(name)
    yield opened
    opened.close()
