"""Cutoffs and their label windows: nothing open, nothing beyond the data."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.cutoffs import Cutoffs
from churn.errors import ConfigError

UNTIL = date(2017, 11, 1)
panels = st.builds(
    Cutoffs.every,
    st.integers(1, 60),
    until=st.just(UNTIL),
    horizon_days=st.integers(1, 182),
    count=st.integers(1, 20),
    lead_days=st.integers(0, 14),
    arrival_lag_days=st.integers(0, 14),
)
dates = st.dates(date(2015, 1, 1), date(2018, 1, 1))


@given(panels)
def test_every_label_window_has_closed_and_arrived_by_the_end(panel):
    for cutoff in panel:
        assert panel.label_end(cutoff) + timedelta(days=panel.arrival_lag_days) <= UNTIL


@given(panels)
def test_the_newest_cutoff_is_the_last_one_that_is_mature(panel):
    reach = panel.lead_days + panel.horizon_days + panel.arrival_lag_days
    assert panel.dates[-1] == panel.newest_mature == UNTIL - timedelta(days=reach)


@given(panels, dates)
def test_before_a_date_lie_the_cutoffs_whose_labels_had_arrived_by_then(panel, at):
    lag = timedelta(days=panel.arrival_lag_days)
    kept = panel.before(at)
    assert kept.dates == tuple(d for d in panel if panel.label_end(d) + lag <= at)
    assert set(kept).isdisjoint(panel.since(at))


@given(panels, dates)
def test_since_a_date_lie_the_cutoffs_at_or_after_it(panel, at):
    assert panel.since(at).dates == tuple(d for d in panel if d >= at)
    assert panel.since(str(at)) == panel.since(at)


def test_cutoffs_step_back_from_the_newest_but_not_before_the_first():
    panel = Cutoffs.every(14, until="2017-11-01", horizon_days=28, first="2017-09-10")
    assert panel.dates == (date(2017, 9, 20), date(2017, 10, 4))
    assert len(Cutoffs.every(14, until="2017-11-01", horizon_days=28)) == 13


def test_lead_and_arrival_lag_move_the_newest_cutoff_back():
    panel = Cutoffs.every(7, until=UNTIL, horizon_days=28, lead_days=3, arrival_lag_days=2, count=1)
    assert panel.dates == (date(2017, 9, 29),)
    assert panel.reach_days == 31
    assert panel.label_end(panel.dates[0]) == date(2017, 10, 30)


def test_a_first_date_after_the_newest_leaves_no_cutoff():
    assert len(Cutoffs.every(14, until=UNTIL, horizon_days=28, first="2018-01-01")) == 0


def test_an_open_label_window_is_refused_with_the_last_date_that_would_do():
    with pytest.raises(
        ConfigError, match=r"at or before 2017-10-04.*closes by 2017-11-01.*earlier"
    ):
        Cutoffs((date(2017, 10, 5),), horizon_days=28, until=UNTIL)
    assert Cutoffs((date(2017, 10, 4),), horizon_days=28, until=UNTIL)


def test_a_label_that_has_not_arrived_is_as_open_as_one_that_has_not_closed():
    with pytest.raises(ConfigError, match="at or before 2017-10-03"):
        Cutoffs((date(2017, 10, 4),), horizon_days=28, until=UNTIL, arrival_lag_days=1)


@pytest.mark.parametrize("days", [(5, 4), (4, 4)])
def test_cutoffs_are_distinct_and_in_order(days):
    with pytest.raises(ConfigError, match="Sort them"):
        Cutoffs(tuple(date(2017, 9, day) for day in days), horizon_days=28, until=UNTIL)


@pytest.mark.parametrize(
    ("name", "value"),
    [("horizon_days", 0), ("horizon_days", 28.0), ("lead_days", -1), ("arrival_lag_days", True)],
)
def test_lengths_are_whole_numbers_of_days(name, value):
    with pytest.raises(ConfigError, match=rf"{name} must be a whole number >= \d, got {value}"):
        Cutoffs((), **({"horizon_days": 28, "until": UNTIL} | {name: value}))


@pytest.mark.parametrize(("name", "value"), [("step_days", 0), ("count", 0)])
def test_a_panel_needs_a_step_and_a_count(name, value):
    arguments = {"step_days": 14, "until": UNTIL, "horizon_days": 28} | {name: value}
    with pytest.raises(ConfigError, match=f"{name} must be a whole number >= 1"):
        Cutoffs.every(**arguments)
