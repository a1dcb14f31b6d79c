"""Spark sessions: the user's running one, else a quiet local one of our own."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from churn.data.engines.memory import bytes_of, machine_bytes
from churn.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Used unless spark-defaults.conf, PYSPARK_SUBMIT_ARGS or spark-submit set them.
OURS = {
    "spark.app.name": "churn",
    "spark.master": "local[*]",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.codegen.wholeStage": "false",  # compiling so many features costs minutes and memory
    "spark.ui.enabled": "false",
}
# For our part of the session only: the user's own queries keep theirs.
# ANSI: an overflow or a wrong cast fails instead of becoming a null, as on DuckDB; and double
# quotes mark identifiers, so that both read the same SQL.
ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
}
# Engines open on each Spark started here, by its application id: the last one stops it.
_guests: Counter[str] = Counter()


def open_session(memory_limit: str | None = None) -> SparkSession:
    """A session with its own names and settings, on the running Spark or a new one.

    Raises ConfigError if Spark cannot start, or is already running and cannot keep the limit.
    """
    _import_what_warns()
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if SparkContext._active_spark_context is None:
        running = _started(memory_limit)
        _guests[_application(running)] = 0
    elif memory_limit is None:
        running = SparkSession.builder.getOrCreate()
    else:
        raise ConfigError(
            "memory_limit cannot be changed on a running Spark",
            got=memory_limit,
            fix="Remove it, and set spark.driver.memory and spark.executor.memory there.",
        )
    if _application(running) in _guests:
        _guests[_application(running)] += 1
    return _apart(running.newSession())


def release_session(session: SparkSession) -> None:
    """Stops Spark if it was started here and nothing else uses it."""
    application = _application(session)
    if application in _guests:
        _guests[application] -= 1
        if _guests[application] == 0:
            del _guests[application]
            session.stop()


def _import_what_warns() -> None:
    """PySpark warns about pandas 3 when Narwhals makes it import its test helpers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import_module("pyspark.testing.utils")


def _application(session: SparkSession) -> str:
    return str(session.sparkContext.applicationId)


def _apart(session: SparkSession) -> SparkSession:
    for name, value in ALWAYS.items():
        session.conf.set(name, value)
    context = session.sparkContext
    if str(context.master).startswith("local"):
        session.conf.set("spark.sql.shuffle.partitions", str(2 * context.defaultParallelism))
    return session


def _started(memory_limit: str | None) -> SparkSession:
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    if SparkContext._gateway is None:
        SparkContext._ensure_initialized(gateway=_gateway(memory_limit))
    conf = SparkConf()  # now that Java runs, with the environment's defaults
    for name, value in OURS.items():
        conf.setIfMissing(name, value)
    session = SparkSession.builder.config(conf=conf).getOrCreate()
    if "PYSPARK_PYTHON" not in os.environ:  # workers run what the driver runs
        session.sparkContext.pythonExec = sys.executable
    return session


def _gateway(memory_limit: str | None) -> Any:
    """Java with Spark in it, without output: errors are raised in Python."""
    from pyspark import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    conf = SparkConf(loadDefaults=False)
    conf.set("spark.ui.showConsoleProgress", "false")
    if memory_limit is not None:
        conf.set("spark.driver.memory", _spark_memory(memory_limit))
    elif not _states_memory(os.environ):
        conf.set("spark.driver.memory", f"{machine_bytes() // 2**21}m")  # half of the machine
    try:
        launch: Any = launch_gateway
        return launch(conf, popen_kwargs={"stderr": subprocess.DEVNULL})
    except (PySparkRuntimeError, OSError):
        rule = '[data] engine = "spark" needs Java 17 or newer'
        fix = "Install a Java runtime, set JAVA_HOME, and try: java -version"
        raise ConfigError(rule, got="no working Java", fix=fix) from None


def _states_memory(environment: Mapping[str, str]) -> bool:
    """Whether the driver's memory may already be configured: Spark's own default is 1 GB."""
    return not environment.keys().isdisjoint(
        {"SPARK_CONF_DIR", "SPARK_HOME", "SPARK_DRIVER_MEMORY"}
    ) or "memory" in environment.get("PYSPARK_SUBMIT_ARGS", "")


def _spark_memory(limit: str) -> str:
    """DuckDB's notation converted to Spark's, whose m is 1,048,576 bytes."""
    return f"{round(bytes_of(limit) / 2**20)}m"
