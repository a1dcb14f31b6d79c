"""The lapsed get a model of their own where there are enough, and it never speaks for others."""

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_evaluation, shop_model, shop_panel

from churn.modeling.boosting import BoosterSettings
from churn.modeling.dataset import Dataset
from churn.modeling.evaluate import evaluate
from churn.modeling.metrics import log_loss
from churn.modeling.model import ChurnModel
from churn.modeling.portable import group_rates
from churn.modeling.win_back import fit_win_back

SETTINGS = BoosterSettings(
    objective="binary",
    feature_names=("recency_days", "purchase_days", "tenure_days"),
    rounds=20,
    num_leaves=15,
    learning_rate=0.1,
    min_rows_in_leaf=20,
    feature_share=0.8,
    row_share=0.8,
    l2=1.0,
    seed=1,
    threads=1,
)


@pytest.fixture(scope="module")
def development() -> Dataset:
    return shop_dataset().only(shop_panel().development)


def lapsed_shop(development: Dataset, *, back: int, away: int, told: float = 0.9) -> Dataset:
    """The eligible, and lapsed rows at every cutoff: who bought on many days comes back, mostly."""
    rng = np.random.default_rng(3)
    model = development.rows[development.rows["status"] == "lapsed"].head(1)
    lapse = np.repeat([0.0, 1.0], [back, away])
    rows = pd.concat([model] * (back + away), ignore_index=True)
    rows["lapse"] = lapse
    rows["customer_id"] = [f"l{n}" for n in range(len(rows))]
    often = np.where(rng.random(len(rows)) < told, lapse == 0, lapse == 1)
    rows["purchase_days"] = np.where(often, 12.0, 2.0)
    rows["recency_days"] = rng.integers(60, 300, len(rows)).astype(float)
    dates = sorted(development.rows["cutoff"].unique())
    rows["cutoff"] = rng.choice(dates, len(rows))
    eligible = development.eligible
    whole = pd.concat([eligible, rows], ignore_index=True)
    return Dataset(whole, development.cutoffs, development.clock, development.feature_names)


@pytest.mark.parametrize(
    ("back", "away", "kind"),
    [(29, 500, "rate"), (500, 29, "rate"), (120, 300, "logistic"), (300, 400, "trees")],
)
def test_how_many_there_are_decides_who_speaks(development, back, away, kind):
    found = fit_win_back(lapsed_shop(development, back=back, away=away), SETTINGS, seed=1)
    assert (found.spec["kind"], found.spec["rows"], found.spec["back"]) == (kind, back + away, back)
    assert (found.text is not None) == (kind == "trees")
    assert (found.calibration is None) == (kind == "rate")


def test_a_model_of_the_lapsed_that_is_worse_than_the_rate_is_silent(development):
    """At the newest cutoff all is turned round: what came back stays away."""
    shop = lapsed_shop(development, back=600, away=600, told=1.0)
    newest = shop.rows["cutoff"] == shop.rows["cutoff"].max()
    turned = newest & (shop.rows["status"] == "lapsed")
    rows = shop.rows.assign(lapse=shop.rows["lapse"].where(~turned, 1 - shop.rows["lapse"]))
    changed = Dataset(rows, shop.cutoffs, shop.clock, shop.feature_names)
    assert fit_win_back(changed, SETTINGS, seed=1).spec["kind"] == "rate"
    assert fit_win_back(shop, SETTINGS, seed=1).spec["kind"] == "trees"


def test_trees_of_the_lapsed_are_a_head_like_the_others(development):
    model = ChurnModel(rounds=30, threads=1, min_rows_in_leaf=20)
    model.fit(lapsed_shop(development, back=300, away=400))
    assert model.win_back_["kind"] == "trees"
    assert "win_back" in model.heads_
    lapsed = lapsed_shop(development, back=50, away=50).rows.query("status == 'lapsed'")
    said = model.predict_frame(lapsed[["status", *model.feature_names_]])
    assert said["probability_source"].unique().tolist() == ["win_back"]
    often = (lapsed["purchase_days"] == 12).to_numpy()
    churn = said["churn_probability"].to_numpy()
    assert churn[often].max() < churn[~often].min()
    assert said["decline_probability"].isna().all()


def test_the_probability_of_staying_away_is_one_less_that_of_coming_back():
    model, lapsed = shop_model(), shop_dataset().rows.query("status == 'lapsed'")
    said = model.predict_frame(lapsed[["status", *model.feature_names_]])
    assert (said["probability_source"] == "win_back").all()
    orders = group_rates(model.fallback_, lapsed)["orders"]
    np.testing.assert_allclose(
        said["expected_orders"], (1 - said["churn_probability"]) * orders, rtol=1e-12
    )


def test_a_model_whose_lapsed_are_too_few_gives_them_the_rate_of_their_group(development):
    model = ChurnModel(rounds=5, threads=1).fit(lapsed_shop(development, back=20, away=400))
    lapsed = lapsed_shop(development, back=5, away=5).rows.query("status == 'lapsed'")
    said = model.predict_frame(lapsed[["status", *model.feature_names_]])
    assert said["probability_source"].unique().tolist() == ["fallback"]
    rate = group_rates(model.fallback_, lapsed)["lapse"]
    np.testing.assert_array_equal(said["churn_probability"], rate)


def test_it_is_judged_out_of_time_against_the_rate_of_the_group():
    found, test = shop_evaluation(), shop_dataset().only(shop_panel().blocks.test)
    lapsed = test.rows.query("status == 'lapsed'")
    judged = {name: found.of(name, "lapsed") for name in ("model", "group_rate")}
    rate = group_rates(shop_model().fallback_, lapsed)["lapse"]
    assert judged["group_rate"].metrics["log_loss"].estimate == log_loss(lapsed["lapse"], rate)
    assert judged["model"].rows == len(lapsed)
    losses = [judged[name].metrics["log_loss"].estimate for name in ("model", "group_rate")]
    assert found.win_back is not None
    assert found.win_back.estimate == pytest.approx(losses[0] - losses[1])
    assert found.win_back.low <= found.win_back.estimate <= found.win_back.high


def test_where_nobody_has_lapsed_nobody_is_judged():
    test = shop_dataset().only(shop_panel().blocks.test)
    eligible = Dataset(test.eligible, test.cutoffs, test.clock, test.feature_names)
    found = evaluate(shop_model(), eligible, replicates=5)
    assert found.win_back is None
    assert "lapsed" not in {one.group for one in found.judged}
