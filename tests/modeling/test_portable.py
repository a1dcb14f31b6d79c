"""What a model may be asked: rows of its features, as numbers, of known statuses; nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_shop import shop_dataset, shop_model, shop_tables

from churn.errors import ChurnError, ConfigError, ModelError
from churn.features.status import STATUSES as GIVEN
from churn.modeling.dataset import build_dataset
from churn.modeling.evaluate import evaluate
from churn.modeling.model import ChurnModel
from churn.modeling.portable import STATUSES, PortableModel, RowsError
from churn.scoring.score import score


@pytest.fixture
def rows():
    picked = shop_dataset().rows.groupby("status").head(5).reset_index(drop=True)
    return picked[["customer_id", "cutoff", "status", *shop_model().feature_names_]]


def test_the_statuses_that_are_told_apart_are_those_that_the_features_give():
    """Written twice, for the predictor imports nothing of ours."""
    assert STATUSES == GIVEN


@pytest.mark.parametrize("status", ["churned", "Eligible", "", 1])
def test_a_status_that_nobody_knows_is_refused_and_named(rows, status):
    rows["status"] = rows["status"].astype(object)
    rows.loc[2, "status"] = status
    with pytest.raises(
        ModelError, match=rf"status must be one of .*got \['{status}'\].*Omit the column"
    ):
        shop_model().predict_frame(rows)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
@pytest.mark.parametrize("all_of_them", [True, False])
def test_a_status_that_is_missing_is_refused(rows, missing, all_of_them):
    rows["status"] = rows["status"].astype(object)
    rows.loc[rows.index if all_of_them else [1], "status"] = missing
    with pytest.raises(ModelError, match="status must be one of"):
        shop_model().predict_frame(rows)


def test_statuses_may_come_as_categories(rows):
    said = shop_model().predict_frame(rows)
    again = shop_model().predict_frame(rows.astype({"status": "category"}))
    pd.testing.assert_frame_equal(again, said)


def test_text_among_the_features_is_refused_and_named(rows):
    rows["recency_days"] = rows["recency_days"].astype(str)
    with pytest.raises(ModelError, match=r"numbers, got others in \['recency_days'\]\. Cast"):
        shop_model().predict_frame(rows)


def test_objects_of_numbers_and_nothing_are_numbers(rows):
    """As JSON brings them."""
    said = shop_model().predict_frame(rows)
    loose = rows.astype({"mean_gap_days": object})
    loose["mean_gap_days"] = loose["mean_gap_days"].where(loose["mean_gap_days"].notna(), None)
    pd.testing.assert_frame_equal(shop_model().predict_frame(loose), said)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_what_is_infinite_is_refused_with_the_number_of_rows(rows, value):
    rows.loc[[0, 1], "net_spend"] = value
    with pytest.raises(ModelError, match="finite or missing, got 2 rows with others"):
        shop_model().predict_frame(rows)


def test_an_eligible_row_of_nothing_but_missing_values_is_refused(rows):
    nothing = rows.assign(status="eligible")
    nothing.loc[0, shop_model().feature_names_] = np.nan
    with pytest.raises(ModelError, match="eligible rows must have features, got 1 with only"):
        shop_model().predict_frame(nothing)
    assert len(shop_model().predict_frame(nothing.assign(status="new"))) == len(rows)


def test_a_column_that_is_there_twice_is_refused_and_named(rows):
    twice = pd.concat([rows, rows[["net_spend"]]], axis=1)
    with pytest.raises(ModelError, match=r"once, got \['net_spend'\] more often\. Drop the dup"):
        shop_model().predict_frame(twice)


@pytest.mark.parametrize("given_", [None, 3, "rows.parquet", [1.0], {"recency_days": [1.0]}])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_frame"])
def test_other_things_than_a_frame_are_refused_by_their_type(method, given_):
    with pytest.raises(ModelError, match=rf"pandas DataFrame, got {type(given_).__name__}\. Pass"):
        getattr(shop_model(), method)(given_)


def test_a_model_learns_from_a_dataset_only():
    for given_ in (None, shop_dataset().rows, "dataset"):
        with pytest.raises(ConfigError, match=r"must be fitted on a Dataset, got .*build_dataset"):
            ChurnModel().fit(given_)


def test_tables_models_and_snapshots_are_not_taken_for_one_another():
    model, tables, dataset = shop_model(), shop_tables(), shop_dataset()
    wrong = [
        lambda: score(model, tables),
        lambda: score(None, tables.as_of("2023-11-01")),
        lambda: score(model, tables.as_of("2023-11-01"), capacity="ten"),
        lambda: evaluate(model, dataset.rows),
        lambda: evaluate(dataset, model),
        lambda: build_dataset(dataset.rows, dataset.cutoffs),
        lambda: build_dataset(tables, list(dataset.cutoffs)),
    ]
    for call in wrong:
        with pytest.raises(ChurnError, match=r"got .+"):
            call()


@given(
    st.dictionaries(
        st.sampled_from(["status", "recency_days", "purchase_days", "cutoff", "more", 3]),
        st.lists(
            st.one_of(st.none(), st.floats(), st.text(max_size=3), st.booleans()),
            min_size=2,
            max_size=2,
        ),
    )
)
def test_whatever_a_frame_holds_the_answer_is_ours(columns):
    """Scores or a ModelError; never an error of a library."""
    base = shop_dataset().rows[["status", *shop_model().feature_names_]].head(2)
    asked = base.reset_index(drop=True).assign(**{str(k): v for k, v in columns.items()})
    try:
        said = shop_model().predict_frame(asked)
    except ModelError:
        return
    assert said["churn_probability"].between(0, 1).all()


def test_the_predictor_of_other_services_refuses_in_the_same_words(rows):
    portable = PortableModel(shop_model().spec(), shop_model().heads_, 1)
    for asked in (
        rows.assign(lapse=1.0),
        rows.assign(status="gone"),
        rows.drop(columns="net_spend"),
    ):
        with pytest.raises(RowsError) as theirs:
            portable.predict(asked)
        with pytest.raises(ModelError) as ours:
            shop_model().predict_frame(asked)
        assert str(theirs.value) == str(ours.value)
