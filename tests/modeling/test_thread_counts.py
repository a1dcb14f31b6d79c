"""The same data give the same fit on any number of cores: results must not depend on BLAS."""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_info, threadpool_limits

from churn.features.lifetime import BGNBD
from churn.features.spend import GammaGamma
from churn.modeling.baselines import fit_line
from churn.modeling.calibration import fit_calibration

CUSTOMERS = 40_000  # BLAS splits a sum of products from some 10,000 on


def fits(threads: int) -> list[object]:
    """What each kind of fit finds while BLAS may use that many threads."""
    rng = np.random.default_rng(3)
    frequency = rng.poisson(2.0, CUSTOMERS).astype(float)
    age = rng.uniform(10, 700, CUSTOMERS)
    recency = np.where(frequency > 0, age * rng.uniform(size=CUSTOMERS), 0.0)
    spend = rng.gamma(3.0, 8.0, CUSTOMERS)
    rows = pd.DataFrame({"recency_days": age - recency, "purchase_days": frequency + 1})
    probability = rng.uniform(0.01, 0.99, CUSTOMERS)
    target = (rng.uniform(size=CUSTOMERS) < probability**1.3).astype(float)
    terms = {"terms": [[name, "log1p"] for name in rows]}
    with threadpool_limits(limits=threads, user_api="blas"):
        pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        assert pools == {threads}
        return [
            BGNBD.fit(frequency, recency, age),
            GammaGamma.fit(frequency + 1, spend),
            fit_line(terms, rows, target),
            *(fit_calibration(kind, target, probability) for kind in ("shift", "platt", "beta")),
        ]


def test_fits_are_the_same_with_one_two_and_four_threads():
    assert fits(1) == fits(2) == fits(4)
