"""Every known customer has one score, and exactly as many are at risk as can be looked after."""

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
    """Sixty customers, a sign-up who never bought, and two words on profiling."""
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


def stand_in(name):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    return model.set_params(stand_in=name)


def test_the_columns_are_those_of_the_design(scored):
    assert SCORE_SCHEMA.names == COLUMNS
    assert scored.table.schema == SCORE_SCHEMA


def test_every_known_customer_has_one_row_in_order(frame):
    assert frame["customer_id"].tolist() == sorted(simulated_orders()["customer_id"].unique())


def test_who_came_later_is_not_known_yet():
    orders = simulated_orders()
    when = FIRST_DAY + timedelta(days=300)
    early = orders.loc[orders["ordered_at"] < pd.Timestamp(when), "customer_id"].nunique()
    table = score(shop_model(), shop_tables().as_of(when))
    assert table.num_rows == early < orders["customer_id"].nunique()
    assert set(table["as_of"].to_pylist()) == {when}


def test_every_row_says_where_it_comes_from(frame):
    assert set(frame["run_id"]) == {"r-1"}
    assert set(frame["as_of"]) == {AS_OF}
    assert set(frame["horizon_days"]) == {28}
    assert set(frame["currency"]) == {"EUR"}
    assert set(frame["model_id"]) == {"in-memory"}


def test_only_the_decline_of_those_whom_the_model_does_not_speak_for_is_empty(frame):
    empty = frame.columns[frame.isna().any()].tolist()
    assert empty == ["decline_probability", *COMPARED]
    assert (frame["decline_probability"].isna() == (frame["status"] != "eligible")).all()


def test_scores_are_what_the_model_says_of_the_same_features(frame):
    """Scored at a cutoff of the training, a customer gets the score of the training's row."""
    newest = shop_dataset().cutoffs.dates[-1]
    rows = shop_dataset().only(shop_dataset().cutoffs.only((newest,))).rows
    said = shop_model().predict_frame(rows[["status", *shop_model().feature_names_]])
    found = score(shop_model(), shop_tables().as_of(newest)).to_pandas()
    assert found["customer_id"].tolist() == rows["customer_id"].tolist()
    for name in ("churn_probability", "value_at_risk", "expected_margin"):
        np.testing.assert_allclose(found[name], said[name], rtol=1e-12)


@pytest.mark.parametrize("capacity", [0, 1, 25, 100_000, 0.0, 0.05, 0.5, 0.999])
def test_exactly_the_capacity_of_the_eligible_is_at_risk(capacity):
    found = score_snapshot(shop_model(), shop_tables().as_of(AS_OF), capacity=capacity)
    frame = found.table.to_pandas()
    eligible = frame[frame["status"] == "eligible"]
    wanted = capacity if isinstance(capacity, int) else round(capacity * len(eligible))
    assert frame["at_risk"].sum() == min(wanted, len(eligible))
    assert not frame.loc[frame["status"] != "eligible", "at_risk"].any()
    probability, flagged = eligible["churn_probability"], eligible["at_risk"]
    if flagged.any():
        assert found.threshold == probability[flagged].min()
        assert (probability[~flagged] <= found.threshold).all()
    else:
        assert found.threshold is None


@pytest.mark.parametrize("model", ["model", "recency"])
def test_a_list_ranked_by_value_holds_those_with_most_value_at_risk(model):
    speaker = shop_model() if model == "model" else stand_in(model)
    by_value = score_snapshot(speaker, shop_tables().as_of(AS_OF), capacity=40, rank="value")
    frame = by_value.table.to_pandas()
    eligible = frame[frame["status"] == "eligible"]
    value, flagged = eligible["value_at_risk"], eligible["at_risk"]
    assert flagged.sum() == frame["at_risk"].sum() == 40
    assert by_value.threshold == value[flagged].min() >= value[~flagged].max()
    assert set(frame.loc[frame["at_risk"], "risk_band"]) == {"high"}
    plain = score(speaker, shop_tables().as_of(AS_OF), capacity=40).to_pandas()
    assert value[flagged].sum() > plain.loc[plain["at_risk"], "value_at_risk"].sum()
    pd.testing.assert_series_equal(frame["churn_probability"], plain["churn_probability"])


def test_ties_go_by_a_hash_of_the_name_and_not_by_its_order():
    """Recency in whole days ties many; the lowest BLAKE2b of the id comes first."""
    frame = score(stand_in("recency"), shop_tables().as_of(AS_OF), capacity=40).to_pandas()
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
    wanted = np.select([frame["at_risk"], above], ["high", "medium"], default="low")
    assert frame["risk_band"].tolist() == wanted.tolist()
    assert set(frame["risk_band"]) == {"high", "medium", "low"}


def test_reasons_are_given_for_those_at_risk_and_for_nobody_else(frame):
    count = frame["reasons"].map(len)
    assert (count[frame["at_risk"]] > 0).mean() > 0.9
    assert (count[~frame["at_risk"]] == 0).all()


def test_a_stand_in_says_so_in_every_row_that_it_speaks_for():
    frame = score(stand_in("bg_nbd"), shop_tables().as_of(AS_OF)).to_pandas()
    eligible = frame["status"] == "eligible"
    assert set(frame.loc[eligible, "probability_source"]) == {"stand_in:bg_nbd"}
    assert set(frame.loc[~eligible, "probability_source"]) == {"win_back"}
    listed = frame.loc[frame["at_risk"], "reasons"].map(list)
    assert set(listed.map(len)) == {1}
    assert listed.map(lambda said: said[0].startswith("Looked at: Last order ")).all()


def test_reasons_are_marked_with_their_direction_strongest_first(frame):
    marks = ["Higher risk: ", "Lower risk: "]
    for said in frame.loc[frame["at_risk"], "reasons"]:
        found = [next(mark for mark in marks if text.startswith(mark)) for text in said]
        assert found == sorted(found)
        assert found.count("Higher risk: ") <= 3
        assert found.count("Lower risk: ") <= 1


def test_the_families_of_reasons_that_raise_are_told_beside_them(frame):
    """What offers for a reason look at."""
    for said, families in zip(frame["reasons"], frame["reason_families"], strict=True):
        assert len(families) == sum(text.startswith("Higher risk: ") for text in said)
        assert set(families) <= set(TOPICS)
    assert frame["reason_families"].map(len).sum() > 0


def test_reasons_are_given_for_whom_one_asks(frame):
    ids = frame["customer_id"].tolist()
    wanted = {"none": [], "all": ids, ("c0003", "c0005", "nobody"): ["c0003", "c0005"]}
    for explain, names in wanted.items():
        asked = score(shop_model(), shop_tables().as_of(AS_OF), explain=explain).to_pandas()
        assert set(asked.loc[asked["reasons"].map(len) > 0, "customer_id"]) <= set(names)
        listed = asked["customer_id"].isin(names)
        assert (asked.loc[listed, "reasons"].map(len) > 0).mean() > 0.9 or not names
        told = ["reasons", "reason_families"]
        same = asked.drop(columns=told).equals(frame.drop(columns=told).assign(run_id=""))
        assert same, "reasons change no score"


def test_whose_reasons_are_unclear_is_refused():
    with pytest.raises(ConfigError, match="explain must be 'all', 'at_risk', 'none' or a list"):
        score(shop_model(), shop_tables().as_of(AS_OF), explain="some")


def test_reasons_come_in_the_language_that_one_asks_for():
    german = score(shop_model(), shop_tables().as_of(AS_OF), language="de").to_pandas()
    said = german.loc[german["at_risk"], "reasons"].explode()
    assert said.str.startswith(("Höheres Risiko: ", "Geringeres Risiko: ")).all()


def test_a_probability_that_is_none_is_refused_with_how_many():
    """Nobody is scored in silence with a number that means nothing."""
    model = stand_in("recency")
    broken = dict(model.baselines_["recency"], intercept=float("nan"))
    model.baselines_ = model.baselines_ | {"recency": broken}
    with pytest.raises(ModelError, match=r"churn_probability must be a number in \[0, 1\], got \d"):
        score(model, shop_tables().as_of(AS_OF))


def test_objectors_to_profiling_have_no_row_and_are_counted(small_shop):
    """The last word counts: whoever refused and then agreed is scored."""
    found = score_snapshot(shop_model(), small_shop.as_of(AS_OF))
    ids = set(found.table["customer_id"].to_pylist())
    assert "c0001" not in ids
    assert "c0002" in ids
    assert dict(found.dropped) == {"objected to profiling": 1}


def test_an_objection_counts_from_the_day_after_it_was_made(small_shop):
    ids = score(shop_model(), small_shop.as_of("2023-05-01"))["customer_id"].to_pylist()
    assert {"c0001", "c0002"} <= set(ids)
    ids = score(shop_model(), small_shop.as_of("2023-05-02"))["customer_id"].to_pylist()
    assert not {"c0001", "c0002"} & set(ids)


def test_whoever_signed_up_and_never_bought_is_new_and_gets_a_score(small_shop):
    frame = score(shop_model(), small_shop.as_of(AS_OF)).to_pandas().set_index("customer_id")
    visitor = frame.loc["visitor"]
    assert visitor["status"] == visitor["segment"] == "new"
    assert visitor["probability_source"] == "fallback"
    assert 0 < visitor["churn_probability"] < 1
    assert not visitor["at_risk"]


def test_before_the_first_order_nobody_is_known_and_the_table_is_empty():
    found = score_snapshot(shop_model(), shop_tables().as_of(FIRST_DAY))
    assert found.table.num_rows == 0
    assert found.table.schema == SCORE_SCHEMA
    assert found.threshold is None


def test_the_same_snapshot_scores_the_same_however_often(scored):
    again = score_snapshot(shop_model(), shop_tables().as_of(AS_OF), run_id="r-1")
    assert again.table.equals(scored.table)


def on_the_weekday_of_as_of(month, day):
    """The newest such day of a leap year that falls on the weekday of `AS_OF`."""
    leap_years = (date(year, month, day) for year in range(2024, 1972, -4))
    return next(found for found in leap_years if found.weekday() == AS_OF.weekday())


@pytest.mark.parametrize("month_and_day", [(2, 29), (3, 1)])
def test_a_leap_day_is_a_day_like_any_other(month_and_day):
    """Fault 52: as_of is a date and never the clock of the machine. Weekdays are features."""
    day = on_the_weekday_of_as_of(*month_and_day)
    orders = simulated_orders(40)
    moved = orders.assign(ordered_at=orders["ordered_at"] + pd.Timedelta(days=(day - AS_OF).days))
    found = score(shop_model(), Tables.from_frames(moved, currency="EUR").as_of(day))
    usual = score(shop_model(), Tables.from_frames(orders, currency="EUR").as_of(AS_OF))
    assert found.drop_columns("as_of").equals(usual.drop_columns("as_of"))


def test_features_that_this_release_does_not_build_are_refused_by_name():
    """Fault 24."""
    model = stand_in(None)
    model.feature_names_ = [*model.feature_names_, "shoe_size"]
    with pytest.raises(ModelError, match=r"got shoe_size\. Name the module, or train"):
        score(model, shop_tables().as_of(AS_OF))


def test_the_kinds_of_values_are_those_that_tables_elsewhere_expect():
    kinds = {field.name: field.type for field in SCORE_SCHEMA}
    assert kinds["as_of"] == pa.date32()
    assert kinds["reasons"] == pa.list_(pa.string())
    assert kinds["at_risk"] == pa.bool_()
