"""Every known customer has one score, and exactly the capacity is at risk."""

import hashlib
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from simulated_shop import (
    AS_OF,
    FIRST_DAY,
    shop_dataset,
    shop_model,
    shop_tables,
    simulated_orders,
)

from churn.data.tables import Tables
from churn.errors import ConfigError, ModelError
from churn.modeling.model import ChurnModel
from churn.scoring.score import SCORE_SCHEMA, score, score_snapshot
from churn.scoring.sentences import TOPICS

COLUMNS = [
    "customer_id",
    "run_id",
    "as_of",
    "horizon_days",
    "status",
    "churn_probability",
    "probability_source",
    "decline_probability",
    "expected_orders",
    "expected_margin",
    "value_at_risk",
    "currency",
    "risk_band",
    "at_risk",
    "segment",
    "reasons",
    "reason_families",
    "change",
    "since",
    "probability_before",
    "moved",
    "model_id",
]
COMPARED = ["change", "since", "probability_before", "moved"]


@pytest.fixture(scope="module")
def scored():
    return score_snapshot(shop_model(), shop_tables().as_of(AS_OF), run_id="r-1")


@pytest.fixture(scope="module")
def frame(scored):
    return scored.table.to_pandas()


@pytest.fixture(scope="module")
def small_shop():
    """60 customers, a sign-up without orders, and two customers who objected to profiling, one of
    whom agreed again later.
    """
    orders = simulated_orders(60)
    consents = pd.DataFrame(
        {
            "customer_id": ["c0001", "c0002", "c0002"],
            "channel": "email",
            "purpose": "profiling",
            "granted": [False, False, True],
            "changed_at": pd.to_datetime(["2023-05-01", "2023-05-01", "2023-06-01"]),
        }
    )
    customers = pd.DataFrame({"customer_id": ["c0001", "c0003", "visitor"]})
    return Tables.from_frames(orders, currency="EUR", consents=consents, customers=customers)


def fallback_model(name):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    return model.set_params(stand_in=name)


def test_the_columns_are_fixed(scored):
    assert SCORE_SCHEMA.names == COLUMNS
    assert scored.table.schema == SCORE_SCHEMA


def test_every_known_customer_has_one_row_in_order(frame):
    assert frame["customer_id"].tolist() == sorted(simulated_orders()["customer_id"].unique())


def test_customers_who_joined_later_have_no_score_yet():
    orders = simulated_orders()
    when = FIRST_DAY + timedelta(days=300)
    early = orders.loc[orders["ordered_at"] < pd.Timestamp(when), "customer_id"].nunique()
    table = score(shop_model(), shop_tables().as_of(when))
    assert table.num_rows == early < orders["customer_id"].nunique()
    assert set(table["as_of"].to_pylist()) == {when}


def test_every_row_names_its_run_and_model(frame):
    assert set(frame["run_id"]) == {"r-1"}
    assert set(frame["as_of"]) == {AS_OF}
    assert set(frame["horizon_days"]) == {28}
    assert set(frame["currency"]) == {"EUR"}
    assert set(frame["model_id"]) == {"in-memory"}


def test_decline_is_empty_for_customers_who_are_not_eligible(frame):
    empty = frame.columns[frame.isna().any()].tolist()
    assert empty == ["decline_probability", *COMPARED]
    assert (frame["decline_probability"].isna() == (frame["status"] != "eligible")).all()


def test_scores_equal_the_predictions_for_the_same_rows_of_the_dataset():
    newest = shop_dataset().cutoffs.dates[-1]
    rows = shop_dataset().only(shop_dataset().cutoffs.only((newest,))).rows
    predicted = shop_model().predict_frame(rows[["status", *shop_model().feature_names_]])
    scores = score(shop_model(), shop_tables().as_of(newest)).to_pandas()
    assert scores["customer_id"].tolist() == rows["customer_id"].tolist()
    for name in ("churn_probability", "value_at_risk", "expected_margin"):
        np.testing.assert_allclose(scores[name], predicted[name], rtol=1e-12)


@pytest.mark.parametrize("capacity", [0, 1, 25, 100_000, 0.0, 0.05, 0.5, 0.999])
def test_exactly_the_capacity_of_the_eligible_is_at_risk(capacity):
    scores = score_snapshot(shop_model(), shop_tables().as_of(AS_OF), capacity=capacity)
    frame = scores.table.to_pandas()
    eligible = frame[frame["status"] == "eligible"]
    expected = capacity if isinstance(capacity, int) else round(capacity * len(eligible))
    assert frame["at_risk"].sum() == min(expected, len(eligible))
    assert not frame.loc[frame["status"] != "eligible", "at_risk"].any()
    probability, flagged = eligible["churn_probability"], eligible["at_risk"]
    if flagged.any():
        assert scores.threshold == probability[flagged].min()
        assert (probability[~flagged] <= scores.threshold).all()
    else:
        assert scores.threshold is None


@pytest.mark.parametrize("model", ["model", "recency"])
def test_ranking_by_value_selects_the_most_value_at_risk(model):
    model = shop_model() if model == "model" else fallback_model(model)
    by_value = score_snapshot(model, shop_tables().as_of(AS_OF), capacity=40, rank="value")
    frame = by_value.table.to_pandas()
    eligible = frame[frame["status"] == "eligible"]
    value, flagged = eligible["value_at_risk"], eligible["at_risk"]
    assert flagged.sum() == frame["at_risk"].sum() == 40
    assert by_value.threshold == value[flagged].min() >= value[~flagged].max()
    assert set(frame.loc[frame["at_risk"], "risk_band"]) == {"high"}
    plain = score(model, shop_tables().as_of(AS_OF), capacity=40).to_pandas()
    assert value[flagged].sum() > plain.loc[plain["at_risk"], "value_at_risk"].sum()
    pd.testing.assert_series_equal(frame["churn_probability"], plain["churn_probability"])


def test_ties_are_broken_by_a_hash_of_the_id():
    """Recency in whole days has many ties; the lowest BLAKE2b of the id comes first."""
    frame = score(fallback_model("recency"), shop_tables().as_of(AS_OF), capacity=40).to_pandas()
    eligible = frame[frame["status"] == "eligible"]
    edge = eligible.loc[eligible["at_risk"], "churn_probability"].min()
    tied = eligible[eligible["churn_probability"] == edge]
    assert 0 < tied["at_risk"].sum() < len(tied)
    place = tied["customer_id"].map(
        lambda name: hashlib.blake2b(name.encode(), digest_size=8).digest()
    )
    assert place[tied["at_risk"]].max() < place[~tied["at_risk"]].min()
    assert list(tied.sort_values("at_risk")["customer_id"]) != sorted(tied["customer_id"])


def test_bands_are_high_at_risk_then_medium_above_the_base_rate(frame):
    above = frame["churn_probability"] > shop_model().base_rate_
    bands = np.select([frame["at_risk"], above], ["high", "medium"], default="low")
    assert frame["risk_band"].tolist() == bands.tolist()
    assert set(frame["risk_band"]) == {"high", "medium", "low"}


def test_only_customers_at_risk_have_reasons(frame):
    count = frame["reasons"].map(len)
    assert (count[frame["at_risk"]] > 0).mean() > 0.9
    assert (count[~frame["at_risk"]] == 0).all()


def test_a_fallback_model_is_named_in_every_row_that_it_scores():
    frame = score(fallback_model("bg_nbd"), shop_tables().as_of(AS_OF)).to_pandas()
    eligible = frame["status"] == "eligible"
    assert set(frame.loc[eligible, "probability_source"]) == {"stand_in:bg_nbd"}
    assert set(frame.loc[~eligible, "probability_source"]) == {"win_back"}
    reasons = frame.loc[frame["at_risk"], "reasons"].map(list)
    assert set(reasons.map(len)) == {1}
    assert reasons.map(lambda texts: texts[0].startswith("Looked at: Last order ")).all()


def test_reasons_are_labelled_with_their_direction_strongest_first(frame):
    labels = ["Higher risk: ", "Lower risk: "]
    for texts in frame.loc[frame["at_risk"], "reasons"]:
        listed = [next(label for label in labels if text.startswith(label)) for text in texts]
        assert listed == sorted(listed)
        assert listed.count("Higher risk: ") <= 3
        assert listed.count("Lower risk: ") <= 1


def test_reason_families_are_those_of_the_reasons_that_raise_the_risk(frame):
    for texts, families in zip(frame["reasons"], frame["reason_families"], strict=True):
        assert len(families) == sum(text.startswith("Higher risk: ") for text in texts)
        assert set(families) <= set(TOPICS)
    assert frame["reason_families"].map(len).sum() > 0


def test_reasons_are_given_for_the_selected_customers(frame):
    ids = frame["customer_id"].tolist()
    selections = {"none": [], "all": ids, ("c0003", "c0005", "nobody"): ["c0003", "c0005"]}
    for explain, names in selections.items():
        scores = score(shop_model(), shop_tables().as_of(AS_OF), explain=explain).to_pandas()
        assert set(scores.loc[scores["reasons"].map(len) > 0, "customer_id"]) <= set(names)
        selected = scores["customer_id"].isin(names)
        assert (scores.loc[selected, "reasons"].map(len) > 0).mean() > 0.9 or not names
        texts = ["reasons", "reason_families"]
        same = scores.drop(columns=texts).equals(frame.drop(columns=texts).assign(run_id=""))
        assert same, "reasons change no score"


@pytest.mark.parametrize("explain", ["some", 3])
def test_an_unknown_selection_for_reasons_is_refused(explain):
    with pytest.raises(ConfigError, match="explain must be 'all', 'at_risk', 'none' or a list"):
        score(shop_model(), shop_tables().as_of(AS_OF), explain=explain)


def test_reasons_are_in_the_requested_language():
    german = score(shop_model(), shop_tables().as_of(AS_OF), language="de").to_pandas()
    texts = german.loc[german["at_risk"], "reasons"].explode()
    assert texts.str.startswith(("Höheres Risiko: ", "Geringeres Risiko: ")).all()


def test_undefined_probabilities_are_refused_with_their_number():
    model = fallback_model("recency")
    broken = dict(model.baselines_["recency"], intercept=float("nan"))
    model.baselines_ = model.baselines_ | {"recency": broken}
    with pytest.raises(ModelError, match=r"churn_probability must be a number in \[0, 1\], got \d"):
        score(model, shop_tables().as_of(AS_OF))


def test_objectors_to_profiling_have_no_row_and_are_counted(small_shop):
    """The latest record counts: a customer who objected and then agreed is scored."""
    scores = score_snapshot(shop_model(), small_shop.as_of(AS_OF))
    ids = set(scores.table["customer_id"].to_pylist())
    assert "c0001" not in ids
    assert "c0002" in ids
    assert dict(scores.dropped) == {"objected to profiling": 1}


def test_an_objection_counts_from_the_day_after_it_was_made(small_shop):
    ids = score(shop_model(), small_shop.as_of("2023-05-01"))["customer_id"].to_pylist()
    assert {"c0001", "c0002"} <= set(ids)
    ids = score(shop_model(), small_shop.as_of("2023-05-02"))["customer_id"].to_pylist()
    assert not {"c0001", "c0002"} & set(ids)


def test_a_sign_up_without_orders_is_new_and_has_a_score(small_shop):
    frame = score(shop_model(), small_shop.as_of(AS_OF)).to_pandas().set_index("customer_id")
    visitor = frame.loc["visitor"]
    assert visitor["status"] == visitor["segment"] == "new"
    assert visitor["probability_source"] == "fallback"
    assert 0 < visitor["churn_probability"] < 1
    assert not visitor["at_risk"]


def test_before_the_first_order_the_scores_are_empty():
    scores = score_snapshot(shop_model(), shop_tables().as_of(FIRST_DAY))
    assert scores.table.num_rows == 0
    assert scores.table.schema == SCORE_SCHEMA
    assert scores.threshold is None


def test_scoring_a_snapshot_again_gives_the_same_table(scored):
    again = score_snapshot(shop_model(), shop_tables().as_of(AS_OF), run_id="r-1")
    assert again.table.equals(scored.table)


def on_the_weekday_of_as_of(month, day):
    """The newest such date in a leap year that falls on the weekday of `AS_OF`."""
    dates = (date(year, month, day) for year in range(2024, 1972, -4))
    return next(found for found in dates if found.weekday() == AS_OF.weekday())


@pytest.mark.parametrize("month_and_day", [(2, 29), (3, 1)])
def test_scores_around_a_leap_day_are_the_usual_ones(month_and_day):
    """Fault 52: as_of is a date, never the system clock. The weekday must match: it is a
    feature.
    """
    day = on_the_weekday_of_as_of(*month_and_day)
    orders = simulated_orders(40)
    moved = orders.assign(ordered_at=orders["ordered_at"] + pd.Timedelta(days=(day - AS_OF).days))
    scores = score(shop_model(), Tables.from_frames(moved, currency="EUR").as_of(day))
    usual = score(shop_model(), Tables.from_frames(orders, currency="EUR").as_of(AS_OF))
    assert scores.drop_columns("as_of").equals(usual.drop_columns("as_of"))


def test_features_that_this_release_does_not_build_are_refused_by_name():
    """Fault 24."""
    model = fallback_model(None)
    model.feature_names_ = [*model.feature_names_, "shoe_size"]
    with pytest.raises(ModelError, match=r"got shoe_size\. Name the module, or train"):
        score(model, shop_tables().as_of(AS_OF))


def test_the_types_are_those_that_readers_expect():
    types = {field.name: field.type for field in SCORE_SCHEMA}
    assert types["as_of"] == pa.date32()
    assert types["reasons"] == pa.list_(pa.string())
    assert types["at_risk"] == pa.bool_()
