"""The evaluation of the simulated shop, made once per process. Tests must not change it."""

from functools import cache

from simulated_shop import shop_dataset, shop_evaluation, shop_model, shop_panel

from churn.modeling.judgement.judgement import Judgement, judge_run
from churn.modeling.judgement.pooled import forward_forecasts
from churn.modeling.judgement.predictions import TestPredictions
from churn.modeling.model import ChurnModel

RECIPE = ChurnModel(seed=7, rounds=10, threads=1)


@cache
def shop_predictions() -> TestPredictions:
    """The two test cutoffs beside what the shop's model and its rules say of them."""
    test = shop_dataset().only(shop_panel().blocks.test)
    return TestPredictions.of(shop_model(), test, shop_evaluation())


@cache
def shop_forecasts():
    """Forward forecasts of the shop's development cutoffs by a quick recipe."""
    return forward_forecasts(RECIPE, shop_dataset().only(shop_panel().development))


@cache
def shop_judgement() -> Judgement:
    """Everything that is known of how good the shop's model is."""
    return judge_run(
        shop_model(),
        shop_dataset().only(shop_panel().blocks.test),
        shop_evaluation(),
        history=shop_dataset(),
        forecasts=shop_forecasts(),
        replicates=20,
    )
