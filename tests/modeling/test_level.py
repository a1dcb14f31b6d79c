"""The level: BG/NBD's, or between it and the trees', and the factor of a season."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import shop_dataset, shop_model, shop_panel

from churn.modeling.blend import fit_level, is_out_of_season, windows_closed
from churn.modeling.level import fit_bg_nbd, hazard_factor, shift_to_level
from churn.modeling.portable import (
    bg_nbd_in_season,
    bg_nbd_no_purchase,
    blended,
    corrected,
    logit,
)

CHANCES = st.lists(st.floats(0.02, 0.98), min_size=3, max_size=30).map(np.array)


@given(CHANCES, CHANCES, CHANCES)
def test_the_mean_after_shift_to_level_is_the_mean_of_both_means(blend, trees, bg_nbd):
    line = shift_to_level(blend, trees, bg_nbd, share=0.5)
    assert corrected(line, blend).mean() == pytest.approx((trees.mean() + bg_nbd.mean()) / 2)
    assert (line["kind"], line["slope"], line["slope_stay"]) == ("shift", 1.0, 1.0)


@given(CHANCES, CHANCES)
def test_with_the_whole_share_the_mean_becomes_bg_nbds(blend, bg_nbd):
    line = shift_to_level(blend, np.full(3, 0.9), bg_nbd, share=1.0)
    assert corrected(line, blend).mean() == pytest.approx(bg_nbd.mean())


@given(CHANCES, st.floats(0.05, 0.95))
def test_the_hazard_times_the_factor_lets_as_many_lapse_as_did(silent, lapsed):
    factor = hazard_factor(silent, lapsed)
    assert (silent**factor).mean() == pytest.approx(lapsed, abs=1e-6)


def test_a_level_that_cannot_be_reached_is_approached_as_far_as_allowed():
    certain = np.ones(4)
    assert shift_to_level(certain, certain, certain, share=1.0)["intercept"] == pytest.approx(8.0)
    assert hazard_factor(certain, 0.5) == pytest.approx(np.exp(8.0))


def test_the_shop_s_model_has_shift_to_level_for_the_eligible_of_its_last_day():
    """Its last day is the first test cutoff, whose labels it has not seen."""
    model, test = shop_model(), shop_panel().blocks.test.dates[0]
    rows = shop_dataset().only(shop_panel().cutoffs.only((test,))).eligible
    portable = model.portable()
    trees = portable.boosters["lapse"].predict(portable.matrix(rows))
    bg_nbd = bg_nbd_in_season(model.blend_, rows)
    said = model.predict_proba(rows[["status", *model.feature_names_]])[:, 1]
    share = 0.5 if is_out_of_season(model.blend_) else 1.0
    level = share * bg_nbd.mean() + (1 - share) * trees.mean()
    assert said.mean() == pytest.approx(level, abs=1e-9)


def test_bg_nbd_is_fitted_on_everybody_who_had_bought_by_the_last_day():
    test = shop_panel().blocks.test.dates[0]
    rows = shop_dataset().only(shop_panel().cutoffs.only((test,))).rows
    assert shop_model().blend_["bg_nbd"] == fit_bg_nbd(rows)


def test_the_blend_averages_log_odds_and_trees_weigh_more_the_more_outcomes_there_are():
    model, rows = shop_model(), shop_dataset().eligible.head(80)
    learnt = shop_dataset().only(shop_panel().development).eligible["lapse"]
    rarer = min(learnt.sum(), len(learnt) - learnt.sum())
    windows = windows_closed(shop_panel().development)
    assert model.blend_["weight"] == pytest.approx(max(500 / (500 + rarer), 1 / (1 + windows)))
    trees = np.full(len(rows), 0.3)
    only_trees = blended(model.blend_ | {"weight": 0.0}, rows, trees)
    np.testing.assert_allclose(only_trees, trees)
    assert blended(None, rows, trees) is trees
    whole = logit(blended(model.blend_ | {"weight": 1.0}, rows, trees))
    half = logit(blended(model.blend_ | {"weight": 0.5}, rows, trees))
    np.testing.assert_allclose(half, (whole + logit(trees)) / 2, atol=1e-9)


def test_a_season_is_a_power_of_the_probability_of_no_purchase():
    spec, rows = shop_model().blend_, shop_dataset().eligible.head(80)
    plain = bg_nbd_no_purchase(spec["bg_nbd"], spec["horizon_days"], rows)
    busy = bg_nbd_in_season(spec | {"season": {"factor": 2.0}}, rows)
    np.testing.assert_allclose(busy, plain**2)


@pytest.mark.parametrize(
    ("last_year", "factor", "share"),
    [(None, 1.0, 1.0), ({"hazard": 1.2}, 1.1, 1.0), ({"hazard": 3.0}, 1.0, 0.5)],
)
def test_only_a_year_that_is_not_followed_moves_the_level_halfway(last_year, factor, share):
    """Without a year of history BG/NBD alone sets the level; a refused season is half trusted."""
    season = {"last_year": last_year, "factor": factor, "because": "a test"}
    spec, rows = shop_model().blend_ | {"season": season}, shop_dataset().eligible.head(80)
    trees = np.full(len(rows), 0.3)
    said = corrected(fit_level(spec, rows, trees), blended(spec, rows, trees))
    level = share * bg_nbd_in_season(spec, rows).mean() + (1 - share) * 0.3
    assert said.mean() == pytest.approx(level, abs=1e-9)
