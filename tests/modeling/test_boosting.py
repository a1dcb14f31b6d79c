"""Training is asked to be repeatable, whatever the number of threads."""

from churn.modeling.boosting import BoosterSettings


def test_the_trainer_is_asked_for_the_same_result_on_any_number_of_threads():
    """Fault 53. LightGBM promises that under these two settings alone. That the texts of models are
    the same is tested in test_model.py; on tables of a test they mostly are without them, too.
    """
    settings = BoosterSettings(
        objective="binary",
        feature_names=("a",),
        rounds=1,
        num_leaves=4,
        learning_rate=0.1,
        min_rows_in_leaf=1,
        feature_share=1.0,
        row_share=1.0,
        l2=1.0,
        seed=7,
        threads=2,
    )
    asked = settings.parameters()
    wanted = {"deterministic": True, "force_row_wise": True, "seed": 7, "num_threads": 2}
    assert {name: asked[name] for name in wanted} == wanted
