"""Forward folds: what is learnt from has closed by the cutoff that it is judged on."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.modeling.folds import forward_folds


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
