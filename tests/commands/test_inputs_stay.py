"""Commands never replace their input files."""

from pathlib import Path

import pytest
from simulated_shop import open_shop, simulated_orders

from churn.commands.features import features
from churn.commands.plan import plan
from churn.commands.score import score
from churn.errors import ConfigError


def runs(config: Path, out: Path):
    yield lambda: score(config, out=out)
    yield lambda: features(config, out=out)
    yield lambda: plan(config, out=out, scores=None)


def test_no_command_writes_over_the_orders(tmp_path):
    config = open_shop(tmp_path / "shop", simulated_orders(3))
    orders = config.parent / "orders.parquet"
    before = orders.read_bytes()
    for run in runs(config, orders.parent / "." / "orders.parquet"):
        with pytest.raises(ConfigError, match="Pass another file"):
            run()
    assert orders.read_bytes() == before


def test_a_plan_does_not_replace_its_scores(tmp_path):
    config = open_shop(tmp_path / "shop", simulated_orders(3))
    scores = tmp_path / "scores.parquet"
    scores.write_bytes(b"here before")
    with pytest.raises(ConfigError, match="Pass another file"):
        plan(config, out=scores, scores=scores)
    assert scores.read_bytes() == b"here before"
