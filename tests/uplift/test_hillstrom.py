"""The recipe on real customers, Hillstrom's randomised e-mails; figures are in the benchmark."""

import importlib.util
import sys
from pathlib import Path

import pytest

from churn.uplift.study import StudySettings, cross_fit, study

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared/data/hillstrom/hillstrom.parquet"


@pytest.fixture(scope="module")
def benchmark():
    if not DATA.exists():
        pytest.skip("needs Hillstrom's data in ../shared/data/hillstrom")
    spec = importlib.util.spec_from_file_location("hillstrom", ROOT / "benchmarks/hillstrom.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["hillstrom"] = module
    spec.loader.exec_module(module)
    return module


def test_effects_of_the_womens_email_are_individual_and_not_worse_than_the_t_learner(benchmark):
    data = benchmark.hillstrom_experiment(DATA)
    settings = StudySettings(folds=3, replicates=100)
    finding = study(data, settings).findings["womens"]
    assert finding.verdict == "individual"
    assert finding.line.average.low < 0.0452 < finding.line.average.high
    unseen = cross_fit(data, data.offers, settings)
    report = benchmark.plain_report(data, "womens", unseen, settings)
    assert report.uplift["dr"].low > 0.0452
    assert report.qini["dr"].low > 0
    assert report.qini_ahead["t"].low > -0.0025
