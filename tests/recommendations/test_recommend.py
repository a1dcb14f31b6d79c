"""Recommendations for a shop with order lines: contents, reasons, and no use of the future."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from basket_shop import AS_OF, basket_lines, basket_tables, refusals, tables_of

import churn
from churn.errors import ConfigError, DataError
from churn.recommendations.recommend import fit_recommender
from churn.recommendations.recommender import RECOMMENDED_SCHEMA, Recommender
from churn.recommendations.settings import RecommendSettings

MIDDLE = AS_OF - timedelta(days=28)


def table(recommender: Recommender, **options: object) -> pd.DataFrame:
    batches = recommender.batches(**options)
    return pa.Table.from_batches(batches, RECOMMENDED_SCHEMA).to_pandas()


@pytest.fixture(scope="module")
def learnt() -> Recommender:
    return fit_recommender(basket_tables().as_of(AS_OF), horizon_days=28)


@pytest.fixture(scope="module")
def lists(learnt: Recommender) -> dict[str, pd.DataFrame]:
    """Tests must not modify them."""
    return {kind: table(learnt, kind=kind, top=8) for kind in ("all", "repeat", "new")}


@pytest.fixture(scope="module")
def bought() -> set[tuple[str, str]]:
    lines = basket_lines()
    return set(zip(lines["customer_id"], lines["product_id"], strict=True))


def pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["customer_id"], rows["product_id"], strict=True))


def test_a_returned_product_is_neither_recommended_nor_a_reason():
    """Every customer buys a kettle; ten of them return it."""
    lines = basket_lines(60)
    first = lines.drop_duplicates("customer_id", keep="last").sort_values("customer_id")
    kettles = first.assign(product_id="kettle", product_name="kettle", quantity=1, amount=39.9)
    kettles["order_id"] = "k" + kettles["customer_id"]
    returns = kettles.head(10).assign(quantity=-1, amount=-39.9)
    returns["order_id"] = "r" + returns["customer_id"]
    tables = tables_of(pd.concat([lines, kettles, returns], ignore_index=True))
    rows = table(fit_recommender(tables.as_of(AS_OF), horizon_days=28), top=50)
    of_returners = rows["customer_id"].isin(returns["customer_id"])
    is_kettle = rows["product_id"] == "kettle"
    assert is_kettle.any()
    assert not (is_kettle & of_returners).any()
    assert not rows.loc[of_returners, "because"].str.contains("kettle").any()


def test_lists_of_one_kind_have_only_products_of_that_kind(lists, bought):
    assert not set(pairs(lists["new"])) & bought
    assert set(pairs(lists["repeat"])) <= bought
    assert set(lists["new"]["kind"]) == {"new"}
    assert set(lists["repeat"]["kind"]) == {"repeat"}


@pytest.mark.parametrize("kind", ["all", "repeat", "new"])
def test_ranks_start_at_1_without_gaps_and_products_are_distinct(lists, kind):
    rows = lists[kind]
    assert len(set(pairs(rows))) == len(rows)
    ranks = rows.groupby("customer_id")["rank"].agg(["min", "max", "size"])
    assert (ranks["min"] == 1).all()
    assert (ranks["max"] == ranks["size"]).all()
    assert (ranks["size"] <= 8).all()


def test_every_buyer_has_a_list(lists):
    assert set(lists["all"]["customer_id"]) == set(basket_lines()["customer_id"])


def test_new_products_are_of_the_customers_taste(lists, bought):
    """With six tastes, one new product in six would be of the customer's taste by chance."""
    products = pd.Series([customer for customer, _ in bought]).value_counts()
    rows = lists["new"][lists["new"]["customer_id"].map(products) <= 20]
    taste = rows["customer_id"].str[1:].astype(int) % 6
    own = rows["category"] == "taste " + taste.astype(str)
    assert own.mean() > 0.95
    assert set(rows["source"]) == {"learnt"}


def test_scores_are_probabilities_and_decrease_with_the_rank(lists):
    for kind in ("repeat", "new"):
        rows = lists[kind]
        assert rows["score"].between(0, 1).all()
        assert rows.groupby("customer_id")["score"].agg(lambda s: s.is_monotonic_decreasing).all()


def test_reasons_are_the_customers_own_numbers(lists):
    lines = basket_lines()
    rows = lists["repeat"]
    first = rows[rows["because"].str.startswith("bought on ")].iloc[0]
    own = lines[
        (lines["customer_id"] == first["customer_id"])
        & (lines["product_id"] == first["product_id"])
    ]["ordered_at"]
    ago = (pd.Timestamp(AS_OF) - own.max()).days
    assert f"bought on {own.nunique()} days, usually every " in first["because"]
    assert first["because"].endswith(f"last {ago} days ago")


def test_the_reason_of_a_new_product_names_one_that_the_customer_bought(lists, bought):
    rows = lists["new"]
    basis = rows["because"].str.extract(r"popular with customers who bought Product (\d+)$")[0]
    has_basis = basis.notna()
    assert has_basis[rows["rank"] == 1].mean() > 0.9
    assert set(rows["because"][~has_basis]) == {"a recent best seller"}
    ids = "p" + basis[has_basis].str.zfill(3)
    assert set(zip(rows["customer_id"][has_basis], ids, strict=True)) <= bought


def test_without_a_pattern_to_learn_the_lists_are_best_sellers():
    shop = tables_of(basket_lines(150, plain=True))
    recommender = fit_recommender(shop.as_of(AS_OF), horizon_days=28)
    rows = table(recommender, kind="new")
    assert not recommender.learnt("all")
    assert set(rows["source"]) == {"best_sellers"}
    assert rows["score"].isna().all()
    assert set(rows["because"]) == {"a recent best seller"}


def test_purchases_on_the_date_and_later_change_nothing():
    lines = basket_lines()
    earlier = lines[lines["ordered_at"] < pd.Timestamp(MIDDLE)]
    with_all = churn.recommend(tables_of(lines).as_of(MIDDLE), top=5)
    with_earlier = churn.recommend(tables_of(earlier).as_of(MIDDLE), top=5)
    assert with_all.equals(with_earlier)
    assert with_all.num_rows


def test_lines_that_arrive_on_the_date_and_later_change_nothing():
    lines = basket_lines(150)
    late = np.random.default_rng(1).random(len(lines)) < 0.3
    wait = pd.to_timedelta(np.where(late, 40, 0), unit="D")
    lines["loaded_at"] = lines["ordered_at"] + wait + pd.Timedelta(hours=1)
    arrived = lines[lines["loaded_at"] < pd.Timestamp(MIDDLE)]
    with_all = fit_recommender(tables_of(lines).as_of(MIDDLE), horizon_days=28)
    with_arrived = fit_recommender(tables_of(arrived).as_of(MIDDLE), horizon_days=28)
    assert with_all.judgement == with_arrived.judgement
    for kind in ("all", "repeat", "new"):
        assert table(with_all, kind=kind).equals(table(with_arrived, kind=kind))
    assert any(late & (lines["ordered_at"] < pd.Timestamp(MIDDLE)))


def test_the_order_of_the_rows_does_not_matter():
    lines = basket_lines(150)
    shuffled = lines.sample(frac=1, random_state=2)
    first, second = (
        churn.recommend(tables_of(rows).as_of(AS_OF), top=6) for rows in (lines, shuffled)
    )
    assert first.equals(second)


def test_objectors_to_profiling_have_no_list_and_do_not_affect_others():
    lines = basket_lines(150)
    others = lines[~lines["customer_id"].isin(["c001", "c007"])]
    tables = tables_of(lines, consents=refusals("c001", "c007"))
    rows = churn.recommend(tables.as_of(AS_OF), top=3)
    assert not {"c001", "c007"} & set(rows["customer_id"].to_pylist())
    assert rows.equals(churn.recommend(tables_of(others).as_of(AS_OF), top=3))


def test_categories_can_be_recommended_instead_of_products():
    rows = churn.recommend(basket_tables().as_of(AS_OF), level="category", top=3).to_pandas()
    assert rows["product_id"].isna().all()
    assert set(rows["category"]) <= {f"taste {taste}" for taste in range(6)}


def test_excluded_products_and_categories_are_never_recommended(lists):
    settings = RecommendSettings(exclude=("p001", "taste 2"))
    rows = churn.recommend(basket_tables().as_of(AS_OF), settings=settings).to_pandas()
    assert "p001" in set(lists["all"]["product_id"])
    assert "p001" not in set(rows["product_id"])
    assert "taste 2" not in set(rows["category"])


def test_only_products_sold_recently_are_recommended():
    lines = basket_lines(150)
    discontinued = lines["product_id"].isin(["p000", "p001", "p002"])
    lines = lines[~discontinued | (lines["ordered_at"] < pd.Timestamp(MIDDLE))]
    settings = RecommendSettings(sold_within_days=28)
    rows = churn.recommend(tables_of(lines).as_of(AS_OF), top=50, settings=settings)
    assert not {"p000", "p001", "p002"} & set(rows["product_id"].to_pylist())


def test_an_unknown_kind_and_too_long_lists_are_refused():
    snapshot = basket_tables().as_of(AS_OF)
    with pytest.raises(ConfigError, match=r"kind must be one of \['all', 'repeat', 'new'\]"):
        churn.recommend(snapshot, kind="old")
    with pytest.raises(ConfigError, match="top must be between 1 and 50, got 51"):
        churn.recommend(snapshot, top=51)


def test_a_shop_without_order_lines_is_refused_with_the_fix(open_shop, tiny_shop):
    with pytest.raises(DataError, match="recommendations by product need lines of orders"):
        churn.recommend(open_shop(tiny_shop).as_of("2024-05-01"))


def test_a_shop_with_few_orders_gets_best_sellers():
    lines = basket_lines(4)
    rows = churn.recommend(tables_of(lines).as_of(AS_OF)).to_pandas()
    assert set(rows["source"]) == {"best_sellers"}
    assert set(rows["customer_id"]) == set(lines["customer_id"])


def test_before_the_first_order_there_are_no_recommendations():
    assert churn.recommend(tables_of(basket_lines(4)).as_of("2023-12-01")).num_rows == 0
