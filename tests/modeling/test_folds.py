"""Forward folds: what is learnt from has closed by the cutoff that it is judged on."""

import itertools
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.modeling.panel import forward_folds, separate_folds


@given(
    step=st.integers(1, 60),
    horizon=st.integers(1, 60),
    count=st.integers(1, 15),
    lag=st.integers(0, 10),
    most=st.integers(1, 5),
)
def test_every_label_that_a_fold_learns_has_closed_and_arrived_by_the_cutoff_it_judges(
    step, horizon, count, lag, most
):
    panel = Cutoffs.every(
        step, until="2024-06-01", horizon_days=horizon, count=count, arrival_lag_days=lag
    )
    folds = forward_folds(panel, most=most)
    assert len(folds) <= most
    for fold in folds:
        (judged,) = fold.judge
        for cutoff in fold.learn:
            assert cutoff + timedelta(days=horizon + lag) <= judged


def test_the_newest_folds_are_kept_oldest_first():
    panel = Cutoffs.every(10, until="2024-06-01", horizon_days=10, count=6)
    judged = [fold.judge.dates[0] for fold in forward_folds(panel, most=2)]
    assert judged == list(panel.dates[-2:])


def test_a_panel_of_one_cutoff_has_no_fold():
    panel = Cutoffs.every(10, until="2024-06-01", horizon_days=10, count=1)
    assert forward_folds(panel) == ()


@given(
    step=st.integers(1, 60),
    horizon=st.integers(1, 60),
    count=st.integers(1, 15),
    lag=st.integers(0, 10),
    most=st.integers(1, 5),
)
def test_separate_folds_share_no_outcome_and_learn_only_what_had_closed(
    step, horizon, count, lag, most
):
    panel = Cutoffs.every(
        step, until="2024-06-01", horizon_days=horizon, count=count, arrival_lag_days=lag
    )
    folds = separate_folds(panel, most=most)
    assert len(folds) <= most
    judged = [fold.judge.dates[0] for fold in folds]
    for earlier, later in itertools.pairwise(judged):
        assert earlier + timedelta(days=horizon + lag) <= later
    for fold in folds:
        assert fold.learn.dates == panel.before(fold.judge.dates[0]).dates != ()


def test_separate_folds_begin_at_the_newest_cutoff():
    panel = Cutoffs.every(14, until="2024-06-01", horizon_days=28, count=9)
    judged = [fold.judge.dates[0] for fold in separate_folds(panel)]
    assert judged == [panel.dates[4], panel.dates[6], panel.dates[8]]
