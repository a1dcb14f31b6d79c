"""Ranking and error of probabilities: as scikit-learn has them, fair to ties and customers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from churn.errors import ConfigError, DataError
from churn.modeling.metrics import (
    Interval,
    average_precision,
    bootstrap_metrics,
    brier,
    classes_by_tie,
    customer_draws,
    lift_at,
    log_loss,
    paired_log_loss_difference,
    paired_mean_difference,
    resampled_sums,
    roc_auc,
    row_log_losses,
    score_all,
    share_caught,
)

RANKINGS = [roc_auc, average_precision, lift_at]
ALL = [*RANKINGS, log_loss, brier]

# Few distinct probabilities, so that ties are common; the weights count rows.
a_row = st.tuples(st.integers(0, 1), st.integers(0, 8).map(lambda n: n / 8), st.integers(0, 3))


def has_both(rows):
    return {y for y, _, times in rows if times} == {0, 1}


some_rows = st.lists(a_row, min_size=2, max_size=40)
rows_of_both_classes = some_rows.filter(has_both)


def columns(rows):
    y, p, times = (np.array(column) for column in zip(*rows, strict=True))
    return y, p, times


def sample(n: int, seed: int, *, rows_per_customer: int = 1):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 5, n)
    return (rng.random(n) < p).astype(int), p, np.arange(n) // rows_per_customer


@given(rows_of_both_classes)
def test_weights_give_what_scikit_learn_gives_on_repeated_rows(rows):
    y, p, times = columns(rows)
    repeated_y, repeated_p = np.repeat(y, times), np.repeat(p, times)
    pairs = [
        (roc_auc, sklearn_metrics.roc_auc_score),
        (average_precision, sklearn_metrics.average_precision_score),
        (brier, sklearn_metrics.brier_score_loss),
    ]
    for ours, theirs in pairs:
        assert ours(y, p, weights=times) == pytest.approx(theirs(repeated_y, repeated_p))
    inner, repeated_inner = 0.05 + 0.9 * p, 0.05 + 0.9 * repeated_p  # where neither clips
    assert log_loss(y, inner, weights=times) == pytest.approx(
        sklearn_metrics.log_loss(repeated_y, repeated_inner)
    )


@given(some_rows)
def test_weights_are_repeated_rows_for_every_metric(rows):
    y, p, times = columns(rows)
    for metric in ALL:
        repeated = metric(np.repeat(y, times), np.repeat(p, times))
        assert metric(y, p, weights=times) == pytest.approx(repeated, nan_ok=True)


@given(rows_of_both_classes, st.randoms())
def test_the_order_of_the_rows_does_not_matter(rows, random):
    y, p, times = columns(rows)
    shuffled = np.array(random.sample(range(len(rows)), len(rows)))
    for metric in ALL:
        assert metric(y[shuffled], p[shuffled], weights=times[shuffled]) == pytest.approx(
            metric(y, p, weights=times)
        )


@given(rows_of_both_classes)
def test_only_the_order_of_the_scores_matters_to_a_ranking(rows):
    y, p, times = columns(rows)
    for metric in RANKINGS:
        assert metric(y, 3 * p - 7, weights=times) == pytest.approx(metric(y, p, weights=times))


@given(rows_of_both_classes)
def test_turning_the_scores_round_turns_the_auc_round(rows):
    y, p, times = columns(rows)
    turned = roc_auc(y, -p, weights=times)
    assert turned == pytest.approx(1 - roc_auc(y, p, weights=times))


@given(rows_of_both_classes, st.floats(0.01, 1))
def test_lift_stays_between_none_and_the_best_possible(rows, share):
    y, p, times = columns(rows)
    best = min(1 / share, times.sum() / (y * times).sum())
    assert 0 <= lift_at(y, p, share, weights=times) <= best * (1 + 1e-9)


def test_lift_counts_ties_as_a_random_order_does_on_average():
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, 40), rng.integers(0, 4, 40) / 4
    lifts = []
    for _ in range(4000):
        order = np.lexsort((rng.random(40), -p))
        lifts.append(y[order][:12].mean() / y.mean())
    assert lift_at(y, p, share=0.3) == pytest.approx(np.mean(lifts), abs=0.01)


def test_constant_scores_rank_like_chance():
    y, p = [0, 1, 1, 0, 0], [0.4] * 5
    assert (roc_auc(y, p), average_precision(y, p), lift_at(y, p)) == pytest.approx((0.5, 0.4, 1))


def test_lift_over_everyone_is_one():
    y, p, _ = sample(100, seed=1)
    assert lift_at(y, p, share=1) == pytest.approx(1)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ConfigError, match=r"Pass e\.g\. 0\.1"):
        lift_at([0, 1], [0.1, 0.9], share)


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
@pytest.mark.parametrize("metric", RANKINGS)
def test_a_ranking_of_one_class_is_undefined(metric, y):
    assert math.isnan(metric(y, [0.1, 0.5, 0.9]))


@pytest.mark.parametrize("metric", ALL)
def test_no_rows_and_no_weight_are_undefined(metric):
    assert math.isnan(metric([], []))
    assert math.isnan(metric([0, 1], [0.2, 0.7], weights=[0, 0]))


def test_a_certain_mistake_costs_a_finite_log_loss():
    assert log_loss([1, 0], [0.0, 1.0]) == pytest.approx(-math.log(1e-15), rel=1e-3)
    assert log_loss([1, 0], [1.0, 0.0]) == pytest.approx(0, abs=1e-14)


def test_score_all_names_every_metric():
    y, p, _ = sample(500, seed=2)
    expected = {
        "roc_auc": roc_auc(y, p),
        "average_precision": average_precision(y, p),
        "lift_at_10_percent": lift_at(y, p, 0.1),
        "log_loss": log_loss(y, p),
        "brier": brier(y, p),
    }
    assert score_all(y, p) == expected


def test_bootstrap_estimates_are_the_plain_metrics_inside_their_intervals():
    y, p, customer = sample(2000, seed=3)
    intervals = bootstrap_metrics(y, p, customer, seed=1)
    assert {name: i.estimate for name, i in intervals.items()} == score_all(y, p)
    assert all(i.low < i.estimate < i.high for i in intervals.values())


def test_bootstrap_width_agrees_with_theory_for_independent_rows():
    y, p, customer = sample(4000, seed=4)
    interval = bootstrap_metrics(y, p, customer, replicates=400, seed=1)["brier"]
    half_width = 1.96 * np.std((p - y) ** 2) / math.sqrt(4000)
    assert (interval.high - interval.low) / 2 == pytest.approx(half_width, rel=0.15)


def test_repeating_a_customers_rows_does_not_narrow_the_interval():
    y, p, customer = sample(1000, seed=5)
    once = bootstrap_metrics(y, p, customer, seed=1)
    four_times = bootstrap_metrics(*(np.tile(c, 4) for c in (y, p, customer)), seed=1)
    for name, interval in once.items():
        assert (four_times[name].low, four_times[name].high) == pytest.approx(
            (interval.low, interval.high)
        )


def test_the_same_seed_gives_the_same_intervals():
    y, p, customer = sample(300, seed=6)
    first = bootstrap_metrics(y, p, customer, replicates=20, seed=1)
    assert bootstrap_metrics(y, p, customer, replicates=20, seed=1) == first
    assert bootstrap_metrics(y, p, customer, replicates=20, seed=2) != first


def test_bootstrap_of_one_class_leaves_rankings_undefined_and_errors_defined():
    intervals = bootstrap_metrics([0, 0, 0], [0.1, 0.2, 0.3], ["a", "b", "c"], seed=1)
    assert all(math.isnan(v) for v in vars(intervals["roc_auc"]).values())
    assert intervals["brier"].low <= intervals["brier"].estimate <= intervals["brier"].high


def test_bootstrap_leaves_out_the_replicates_that_lost_a_class():
    interval = bootstrap_metrics([1, 0, 0], [0.9, 0.2, 0.3], ["a", "b", "c"], seed=1)["roc_auc"]
    assert interval == Interval(1.0, 1.0, 1.0)


def test_the_better_model_has_a_log_loss_difference_below_zero():
    y, p, customer = sample(4000, seed=7, rows_per_customer=2)
    flat = np.full(y.shape, y.mean())
    better = paired_log_loss_difference(y, p, flat, customer, seed=1)
    assert better.estimate == pytest.approx(log_loss(y, p) - log_loss(y, flat))
    assert better.low < better.estimate < better.high < 0
    worse = paired_log_loss_difference(y, flat, p, customer, seed=1)
    assert (worse.estimate, worse.low, worse.high) == pytest.approx(
        (-better.estimate, -better.high, -better.low)
    )


def test_a_model_differs_from_itself_by_nothing():
    y, p, customer = sample(50, seed=8)
    assert paired_log_loss_difference(y, p, p, customer, seed=1) == Interval(0.0, 0.0, 0.0)


@given(rows_of_both_classes, st.floats(0.01, 1))
def test_a_share_caught_is_lift_times_the_share_listed(rows, share):
    y, p, times = columns(rows)
    caught = share_caught(y, p, [share], weights=times)
    assert caught == pytest.approx(share * lift_at(y, p, share, weights=times))


@given(some_rows)
def test_classes_by_tie_share_the_weights_out_from_the_highest_score_down(rows):
    y, p, times = columns(rows)
    positive, negative = classes_by_tie(y, p, weights=times)
    scores = np.unique(p)[::-1]
    assert positive.tolist() == [times[(p == score) & (y == 1)].sum() for score in scores]
    assert negative.tolist() == [times[(p == score) & (y == 0)].sum() for score in scores]


def test_losses_row_by_row_have_the_log_loss_as_their_mean_and_pair_up():
    y, p, customer = sample(300, 5)
    losses = row_log_losses(y, p)
    assert losses.mean() == pytest.approx(log_loss(y, p))
    half = np.full(len(y), 0.5)
    same = paired_mean_difference(losses - row_log_losses(y, half), customer, seed=1)
    assert same == paired_log_loss_difference(y, p, half, customer, seed=1)


def test_a_difference_over_no_rows_is_undefined():
    interval = paired_log_loss_difference([], [], [], [], seed=1)
    assert all(math.isnan(v) for v in vars(interval).values())


def test_rankings_take_any_score_and_errors_only_probabilities():
    assert roc_auc([0, 1], [-40.0, float("inf")]) == 1
    for metric in (log_loss, brier):
        with pytest.raises(DataError, match="Calibrate the scores first"):
            metric([0, 1], [0.5, 1.2])


@pytest.mark.parametrize(("y", "p"), [([0, 2], [0.1, 0.2]), ([0, 1], [0.1, float("nan")])])
def test_outcomes_other_than_0_and_1_and_missing_scores_are_refused(y, p):
    with pytest.raises(DataError, match=r"1 of 2 rows otherwise\. Drop rows whose label"):
        roc_auc(y, p)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="Pass two columns of one table"):
        brier([0, 1, 1], [0.5, 0.5])
    with pytest.raises(DataError, match="Pass the customer of each row"):
        bootstrap_metrics([0, 1], [0.5, 0.5], ["a"], seed=1)


@pytest.mark.parametrize("weights", [[1], [1, -1], [1, float("nan")]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(DataError, match="Pass one weight a row"):
        brier([0, 1], [0.5, 0.5], weights=weights)


def test_resampled_sums_are_those_of_the_same_draws():
    """One scheme of draws: sums by customer equal the sums over rows, replicate by replicate."""
    customer = np.array(["b", "a", "b", "c"])
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])
    expected = [drawn @ values for drawn in customer_draws(customer, customer, 20, 3)]
    assert resampled_sums(values, customer, 20, 3) == pytest.approx(np.array(expected))
