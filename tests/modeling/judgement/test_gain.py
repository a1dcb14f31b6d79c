"""A gain curve rises from nothing to all, and is lift by another name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.modeling.judgement.profit import SHARES, gain_curve
from churn.modeling.metrics import lift_at

ROWS = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.3, 0.7, 0.9])), min_size=2)


@given(ROWS.filter(lambda rows: len({lapsed for lapsed, _ in rows}) == 2))
def test_the_curve_rises_from_none_to_all_and_is_lift_times_share(rows):
    lapse, probability = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    gain = gain_curve("model", lapse, probability)
    assert gain.caught[0] == 0
    assert gain.caught[-1] == pytest.approx(1)
    assert (np.diff(gain.caught) >= -1e-12).all()
    for share in (0.1, 0.5, 1.0):
        assert gain.lift(share) == pytest.approx(lift_at(lapse, probability, share))


def test_a_perfect_ranking_finds_all_at_the_rate_of_the_lapsed():
    lapse = np.r_[np.ones(20), np.zeros(80)]
    gain = gain_curve("model", lapse, lapse)
    assert gain.caught[SHARES.index(0.2)] == pytest.approx(1)
    assert gain.lift(0.1) == pytest.approx(5)


def test_one_probability_for_all_is_a_list_drawn_by_lot():
    gain = gain_curve("model", [1, 0, 0, 1, 0], np.full(5, 0.4))
    assert gain.caught == pytest.approx(SHARES)


def test_where_nobody_lapsed_there_is_no_curve():
    assert np.isnan(gain_curve("model", [0, 0], [0.1, 0.2]).caught).all()
