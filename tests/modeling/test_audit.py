"""What a feature must not know: the label, the cutoff's own day, the days after it."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_panel, shop_tables

from churn.data.days import day_number
from churn.modeling.audit import (
    audit_alone,
    audit_days,
    is_blind,
    purchase_days_ahead,
    sample_customers,
)
from churn.modeling.dataset import build_dataset


@pytest.fixture(scope="module")
def ahead():
    return purchase_days_ahead(shop_tables(), shop_dataset())


@pytest.fixture(scope="module")
def bought(ahead):
    """For every row of the shop, whether its customer bought on each of the first days ahead."""
    rows = shop_dataset().rows[["customer_id", "cutoff"]].assign(row=range(len(shop_dataset())))
    met = rows.merge(ahead, on=["customer_id", "cutoff"])
    found = np.zeros((len(rows), 35))
    found[met["row"], met["days_ahead"]] = 1
    return found


def planted(values, *, name="planted"):
    """The shop with one more feature."""
    rows = shop_dataset().rows.assign(**{name: np.asarray(values, dtype=float)})
    return replace(shop_dataset(), rows=rows, feature_names=(*shop_dataset().feature_names, name))


def alone(dataset, *, rule_auc=0.7):
    learnt, later = dataset.only(shop_panel().development), dataset.only(shop_panel().blocks.test)
    return audit_alone(learnt, later, rule_auc=rule_auc)


def test_honest_features_raise_no_alarm(ahead):
    assert alone(shop_dataset()) == ()
    assert audit_days(shop_dataset(), ahead) == ()


def test_a_column_that_holds_the_label_is_named_with_its_figures():
    (leak,) = alone(planted(shop_dataset().rows["lapse"]))
    assert leak.feature == "planted"
    assert leak.reason == (
        "the feature 'planted' alone ranks later lapses with an AUC of 1.000, above 0.900: "
        "it seems to contain the label"
    )


@pytest.mark.parametrize(
    "hide",
    [
        lambda lapse, noise: -lapse,
        lambda lapse, noise: np.where(lapse == 1, np.nan, noise),
        lambda lapse, noise: np.where(lapse == 1, noise, np.where(noise > 0.5, 2, -2)),
        lambda lapse, noise: np.where(noise < 0.02, 1 - lapse, lapse),
    ],
    ids=["turned round", "in what is missing", "in the middle", "with errors"],
)
def test_a_label_is_found_however_the_column_hides_it(hide):
    noise = np.random.default_rng(3).random(len(shop_dataset()))
    found = alone(planted(hide(shop_dataset().rows["lapse"].to_numpy(), noise)))
    assert [leak.feature for leak in found] == ["planted"]


def test_where_the_rules_themselves_rank_well_the_bound_is_higher():
    """Half-way from the best rule to perfection."""
    noise = np.random.default_rng(5).random(len(shop_dataset()))
    lapse = shop_dataset().rows["lapse"].to_numpy()
    wrong_now_and_then = planted(np.where(noise < 0.03, 1 - lapse, lapse))
    assert alone(wrong_now_and_then, rule_auc=0.7) != ()
    assert alone(wrong_now_and_then, rule_auc=0.99) == ()


def test_features_of_past_orders_are_never_said_to_hold_the_label():
    """A box that comes every week: who was silent for ten days is gone, and honestly so."""
    rows = shop_dataset().rows
    silent = rows.assign(recency_days=np.where(rows["lapse"] == 1, 12.0, 3.0))
    assert alone(replace(shop_dataset(), rows=silent)) == ()


def test_what_past_orders_alone_tell_in_this_shop_raises_the_bound_for_all_others():
    noise = np.random.default_rng(5).random(len(shop_dataset()))
    lapse = shop_dataset().rows["lapse"].to_numpy()
    honest = np.where(noise < 0.03, 1 - lapse, lapse)
    own = planted(honest)
    regular = replace(own, rows=own.rows.assign(recency_days=np.where(honest == 1, 12.0, 3.0)))
    assert [leak.feature for leak in alone(own)] == ["planted"]
    assert alone(regular) == ()
    knows = replace(regular, rows=regular.rows.assign(planted=lapse))
    assert [leak.feature for leak in alone(knows)] == ["planted"]


def test_blind_by_proof_are_features_of_this_package_made_of_orders_and_lines_alone():
    assert is_blind("recency_days")
    assert is_blind("purchase_days_same_season")
    assert not any(map(is_blind, ("visits_30d", "first_channel_share", "is_cancelled", "planted")))


LEAKS = {
    "recency that counts the cutoff's own day": (
        lambda rows, bought: np.where(bought[:, 0] == 1, 0, rows["recency_days"]),
        1,
    ),
    "a count that includes the cutoff's own day": (
        lambda rows, bought: rows["purchase_days"].fillna(0) + bought[:, 0],
        1,
    ),
    "a count that sees three days": (
        lambda rows, bought: rows["purchase_days"].fillna(0) + bought[:, :3].sum(axis=1),
        3,
    ),
    "a flag of the first week": (lambda rows, bought: bought[:, :7].max(axis=1), 7),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_feature_that_sees_days_of_the_future_is_named_with_their_number(name, ahead, bought):
    plant, days = LEAKS[name]
    found = audit_days(planted(plant(shop_dataset().rows, bought)), ahead)
    assert [leak.feature for leak in found] == ["planted"]
    assert found[0].figures["days"] == days
    which = "the cutoff's own day" if days == 1 else f"the first {days} days from the cutoff on"
    assert found[0].reason.startswith(f"the feature 'planted' sees {which}: its correlation with")


def test_of_two_leaks_each_is_named_and_their_honest_neighbours_are_not(ahead, bought):
    """An honest count beside its leaking twin is what the twin's lead is measured from."""
    rows = shop_dataset().rows
    two = planted(np.where(bought[:, 0] == 1, 0, rows["recency_days"]), name="recency")
    both = replace(
        two,
        rows=two.rows.assign(count=rows["purchase_days"].fillna(0) + bought[:, 0]),
        feature_names=(*two.feature_names, "count"),
    )
    assert {leak.feature for leak in audit_days(both, ahead)} == {"recency", "count"}


def test_features_of_a_later_day_are_found_out(ahead):
    """All features at once as they would be at the end of the cutoff's own day."""
    dates = shop_panel().cutoffs.dates[:-1]
    tomorrow = replace(
        shop_panel().cutoffs, dates=tuple(date.fromordinal(d.toordinal() + 1) for d in dates)
    )
    moved = build_dataset(shop_tables(), tomorrow, shop_panel().clock).rows
    cutoffs = shop_panel().cutoffs.only(dates)
    leaking = replace(
        shop_dataset(), rows=moved.assign(cutoff=moved["cutoff"] - 1), cutoffs=cutoffs
    )
    found = audit_days(leaking, ahead)
    assert found[0].feature == "recency_days"
    assert found[0].figures["days"] == 1


def test_purchases_of_a_regular_weekly_rhythm_are_no_leak():
    """Everyone comes on their own weekday: days ahead are nearly certain, and by honest means."""
    rng = np.random.default_rng(1)
    rows, cutoffs = [], [day_number(cutoff) for cutoff in shop_panel().cutoffs]
    ahead = []
    for number in range(400):
        weekday, name = number % 7, f"c{number}"
        for cutoff in cutoffs:
            lead = (weekday - cutoff) % 7
            rows.append((name, cutoff, "eligible", 7.0 - lead, rng.poisson(20.0), 0.0))
            days = [d for d in range(lead, 35, 7) if rng.random() < 0.9]
            ahead += [(name, cutoff, d) for d in days]
    names = ["customer_id", "cutoff", "status", "recency_days", "purchase_days", "lapse"]
    dataset = replace(
        shop_dataset(),
        rows=pd.DataFrame(rows, columns=names),
        feature_names=("recency_days", "purchase_days"),
    )
    frame = pd.DataFrame(ahead, columns=["customer_id", "cutoff", "days_ahead"])
    assert audit_days(dataset, frame) == ()


def test_too_few_purchases_to_tell_raise_no_alarm(ahead, bought):
    rows = shop_dataset().rows
    few = rows["customer_id"].isin(rows["customer_id"].unique()[:12])
    leaking = planted(bought[:, 0])
    small = replace(leaking, rows=leaking.rows[few])
    assert audit_days(small, ahead) == ()
    assert audit_days(replace(leaking, rows=leaking.rows[:0]), ahead) == ()
    assert audit_alone(small, small, rule_auc=0.5) == ()


def test_a_sample_of_customers_keeps_all_their_eligible_rows_and_depends_on_the_seed_alone():
    rows = shop_dataset().eligible
    sample = sample_customers(shop_dataset(), most=50, seed=1)
    kept = set(sample.rows["customer_id"])
    assert len(kept) == 50
    pd.testing.assert_frame_equal(sample.rows, rows[rows["customer_id"].isin(kept)])
    again = sample_customers(shop_dataset(), most=50, seed=1)
    assert set(again.rows["customer_id"]) == kept
    assert set(sample_customers(shop_dataset(), most=50, seed=2).rows["customer_id"]) != kept
    assert len(sample_customers(shop_dataset()).rows) == len(rows)
