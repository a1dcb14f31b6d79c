"""Commands about what is known before there is a model: the tables and the features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from churn.cli.options import CHURN_TOML, AsJson, AsOf, Config, Debug, OutFile, app
from churn.cli.running import run_job

if TYPE_CHECKING:
    from churn.jobs.result import JobResult

__all__ = ["check", "features"]


@app.command()
def check(
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check the tables and what is feasible.

    Shows what was found, what was dropped and why, and whether a model can be trained.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.check import check as run

        return run(config, as_of=as_of, progress=progress)

    run_job(job, as_json=as_json, debug=debug)


@app.command()
def features(
    out: OutFile,
    config: Config = CHURN_TOML,
    as_of: AsOf = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the feature table at one date.

    One row per eligible customer.
    """

    def job(progress: Callable[[str], None]) -> JobResult:
        from churn.jobs.features import features as run

        return run(config, out=out, as_of=as_of, progress=progress)

    run_job(job, as_json=as_json, debug=debug)
