"""Recommendations of a shop of baskets: what they never hold, and that they see no future."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from basket_shop import AS_OF, basket_lines, basket_tables, refusals, tables_of

import churn
from churn.errors import ConfigError, DataError
from churn.recommendations.recommend import learn_recommender
from churn.recommendations.recommender import RECOMMENDED_SCHEMA, Recommender
from churn.recommendations.settings import RecommendSettings

MIDDLE = AS_OF - timedelta(days=28)


def table(recommender: Recommender, **options: object) -> pd.DataFrame:
    batches = recommender.batches(**options)
    return pa.Table.from_batches(batches, RECOMMENDED_SCHEMA).to_pandas()


@pytest.fixture(scope="module")
def learnt() -> Recommender:
    return learn_recommender(basket_tables().as_of(AS_OF), horizon_days=28)


@pytest.fixture(scope="module")
def lists(learnt: Recommender) -> dict[str, pd.DataFrame]:
    """Not to be changed by a test."""
    return {kind: table(learnt, kind=kind, top=8) for kind in ("all", "repeat", "new")}


@pytest.fixture(scope="module")
def bought() -> set[tuple[str, str]]:
    lines = basket_lines()
    return set(zip(lines["customer_id"], lines["product_id"], strict=True))


def pairs(rows: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(rows["customer_id"], rows["product_id"], strict=True))


def test_what_was_sent_back_is_neither_repeated_nor_new_nor_a_reason():
    """Each customer buys the one kettle and keeps it, but for ten who send it back."""
    lines = basket_lines(60)
    first = lines.drop_duplicates("customer_id", keep="last").sort_values("customer_id")
    kettles = first.assign(product_id="kettle", product_name="kettle", quantity=1, amount=39.9)
    kettles["order_id"] = "k" + kettles["customer_id"]
    sent = kettles.head(10).assign(quantity=-1, amount=-39.9)
    sent = sent.assign(order_id="r" + sent["customer_id"], ordered_at=sent["ordered_at"])
    opened = tables_of(pd.concat([lines, kettles, sent], ignore_index=True))
    found = table(learn_recommender(opened.as_of(AS_OF), horizon_days=28), top=50)
    back = set(sent["customer_id"])
    of_kettles = found[found["product_id"] == "kettle"]
    assert len(of_kettles) > 0
    assert not set(of_kettles["customer_id"]) & back
    assert not found.loc[found["customer_id"].isin(back), "because"].str.contains("kettle").any()


def test_new_only_has_nothing_that_was_bought_and_repeat_only_nothing_else(lists, bought):
    assert not set(pairs(lists["new"])) & bought
    assert set(pairs(lists["repeat"])) <= bought
    assert set(lists["new"]["kind"]) == {"new"}
    assert set(lists["repeat"]["kind"]) == {"repeat"}


@pytest.mark.parametrize("kind", ["all", "repeat", "new"])
def test_ranks_run_from_one_without_gaps_and_nobody_gets_a_product_twice(lists, kind):
    rows = lists[kind]
    assert len(set(pairs(rows))) == len(rows)
    ranks = rows.groupby("customer_id")["rank"].agg(["min", "max", "size"])
    assert (ranks["min"] == 1).all()
    assert (ranks["max"] == ranks["size"]).all()
    assert (ranks["size"] <= 8).all()


def test_everyone_who_bought_has_a_list(lists):
    assert set(lists["all"]["customer_id"]) == set(basket_lines()["customer_id"])


def test_tastes_are_learnt_new_products_are_of_the_customers_own(lists, bought):
    """Six tastes of 30 products: by chance one new product in six would be of the customer's."""
    known = pd.Series([customer for customer, _ in bought]).value_counts()
    rows = lists["new"][lists["new"]["customer_id"].map(known) <= 20]
    taste = rows["customer_id"].str[1:].astype(int) % 6
    own = rows["category"] == "taste " + taste.astype(str)
    assert own.mean() > 0.95
    assert set(rows["source"]) == {"learnt"}


def test_a_score_falls_with_the_rank_and_is_a_probability(lists):
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


def test_a_new_product_goes_with_one_that_the_customer_bought(lists, bought):
    rows = lists["new"]
    with_it = rows["because"].str.extract(r"goes with Product (\d+), which they bought")[0]
    told = with_it.notna()
    assert told[rows["rank"] == 1].mean() > 0.9
    assert set(rows["because"][~told]) == {"among the shop's best sellers of late"}
    ids = "p" + with_it[told].str.zfill(3)
    assert set(zip(rows["customer_id"][told], ids, strict=True)) <= bought


def test_without_anything_to_learn_best_sellers_stand_in_and_say_so():
    shop = tables_of(basket_lines(150, plain=True))
    recommender = learn_recommender(shop.as_of(AS_OF), horizon_days=28)
    rows = table(recommender, kind="new")
    assert not recommender.learnt("all")
    assert set(rows["source"]) == {"best_sellers"}
    assert rows["score"].isna().all()
    assert set(rows["because"]) == {"among the shop's best sellers of late"}


def test_what_comes_on_the_date_and_later_changes_nothing():
    lines = basket_lines()
    until = lines[lines["ordered_at"] < pd.Timestamp(MIDDLE)]
    seen = churn.recommend(tables_of(lines).as_of(MIDDLE), top=5)
    alone = churn.recommend(tables_of(until).as_of(MIDDLE), top=5)
    assert seen.equals(alone)
    assert seen.num_rows


def test_lines_that_arrive_on_the_date_and_later_change_nothing():
    lines = basket_lines(150)
    late = np.random.default_rng(1).random(len(lines)) < 0.3
    wait = pd.to_timedelta(np.where(late, 40, 0), unit="D")
    lines["loaded_at"] = lines["ordered_at"] + wait + pd.Timedelta(hours=1)
    arrived = lines[lines["loaded_at"] < pd.Timestamp(MIDDLE)]
    seen = learn_recommender(tables_of(lines).as_of(MIDDLE), horizon_days=28)
    alone = learn_recommender(tables_of(arrived).as_of(MIDDLE), horizon_days=28)
    assert seen.judgement == alone.judgement
    for kind in ("all", "repeat", "new"):
        assert table(seen, kind=kind).equals(table(alone, kind=kind))
    assert any(late & (lines["ordered_at"] < pd.Timestamp(MIDDLE)))


def test_the_same_tables_in_another_order_give_the_same_lists():
    lines = basket_lines(150)
    mixed = lines.sample(frac=1, random_state=2)
    first, second = (churn.recommend(tables_of(one).as_of(AS_OF), top=6) for one in (lines, mixed))
    assert first.equals(second)


def test_objectors_to_profiling_are_in_no_list_and_teach_nothing():
    lines = basket_lines(150)
    others = lines[~lines["customer_id"].isin(["c001", "c007"])]
    refused = tables_of(lines, consents=refusals("c001", "c007"))
    found = churn.recommend(refused.as_of(AS_OF), top=3)
    assert not {"c001", "c007"} & set(found["customer_id"].to_pylist())
    assert found.equals(churn.recommend(tables_of(others).as_of(AS_OF), top=3))


def test_categories_can_be_recommended_too():
    found = churn.recommend(basket_tables().as_of(AS_OF), level="category", top=3).to_pandas()
    assert found["product_id"].isna().all()
    assert set(found["category"]) <= {f"taste {taste}" for taste in range(6)}


def test_excluded_products_and_categories_are_never_recommended(lists):
    settings = RecommendSettings(exclude=("p001", "taste 2"))
    found = churn.recommend(basket_tables().as_of(AS_OF), settings=settings).to_pandas()
    assert "p001" in set(lists["all"]["product_id"])
    assert "p001" not in set(found["product_id"])
    assert "taste 2" not in set(found["category"])


def test_only_what_was_sold_lately_is_recommended():
    lines = basket_lines(150)
    gone = lines["product_id"].isin(["p000", "p001", "p002"])
    lines = lines[~gone | (lines["ordered_at"] < pd.Timestamp(MIDDLE))]
    settings = RecommendSettings(sold_within_days=28)
    found = churn.recommend(tables_of(lines).as_of(AS_OF), top=50, settings=settings)
    assert not {"p000", "p001", "p002"} & set(found["product_id"].to_pylist())


def test_what_cannot_be_asked_for_is_told():
    snapshot = basket_tables().as_of(AS_OF)
    with pytest.raises(ConfigError, match=r"kind must be one of \['all', 'repeat', 'new'\]"):
        churn.recommend(snapshot, kind="old")
    with pytest.raises(ConfigError, match="top must be between 1 and 50, got 51"):
        churn.recommend(snapshot, top=51)


def test_a_shop_without_lines_is_told_how_to_connect_them(open_shop, tiny_shop):
    with pytest.raises(DataError, match="recommendations by product need lines of orders"):
        churn.recommend(open_shop(tiny_shop).as_of("2024-05-01"))


def test_a_shop_of_few_orders_gets_best_sellers():
    few = basket_lines(4)
    found = churn.recommend(tables_of(few).as_of(AS_OF)).to_pandas()
    assert set(found["source"]) == {"best_sellers"}
    assert set(found["customer_id"]) == set(few["customer_id"])


def test_before_the_first_order_there_is_nothing_to_recommend():
    assert churn.recommend(tables_of(basket_lines(4)).as_of("2023-12-01")).num_rows == 0
