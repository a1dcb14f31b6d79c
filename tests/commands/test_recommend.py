"""`churn recommend`: the file, its evaluation, and invalid options."""

import pandas as pd
import pytest
from basket_shop import AS_OF, basket_lines, written_shop

from churn.commands.recommend import kind_of, recommend
from churn.errors import ConfigError
from churn.privacy.access_rows import FIELDS
from churn.recommendations.recommender import RECOMMENDED_SCHEMA
from churn.storage.manifests import verify_file


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Tests must not change it; its ledger records the runs."""
    return written_shop(tmp_path_factory.mktemp("recommend") / "shop", basket_lines())


@pytest.fixture(scope="module")
def made(shop, tmp_path_factory):
    """Lists of new products: the result and the file."""
    out = tmp_path_factory.mktemp("lists") / "new.parquet"
    return recommend(shop, out=out, as_of=str(AS_OF), kind="new", top=5), out


def test_the_file_has_a_row_for_each_customer_and_rank(made):
    result, out = made
    rows = pd.read_parquet(out)
    assert len(rows) == result.rows["recommendations"] == result.rows["new"]
    assert rows["customer_id"].nunique() == result.rows["customers"]
    assert set(rows["run_id"]) == {result.run_id}
    assert set(rows["as_of"]) == {AS_OF}
    assert rows["name"].str.startswith("Product ").all()


def test_access_explains_every_column_of_recommendations():
    assert set(RECOMMENDED_SCHEMA.names) <= set(FIELDS)


def test_the_evaluation_is_in_the_result_the_manifest_and_on_the_terminal(made):
    result, out = made
    judged = result.metrics["judgement"]["new"]
    assert judged["learnt_is_better"]
    assert judged["figures"]["learnt"]["hit_rate"][0] > judged["figures"]["shop"]["hit_rate"][2]
    assert verify_file(out)["judgement"] == result.metrics["judgement"]
    titles = [title for title, _, _ in result.tables]
    assert titles[0] == "Resolved"
    assert f"New products only, {judged['lists']:,} evaluated" in titles


def test_best_sellers_as_fallback_have_a_note_with_the_reason(shop, tmp_path):
    """In this shop, combined lists are not significantly better."""
    result = recommend(shop, out=tmp_path / "all.csv", as_of=str(AS_OF))
    assert result.resolved["source"] == "best_sellers"
    assert result.warnings == (
        "the customer's own best sellers, filled up with the shop's, are used instead, because the "
        "learnt lists were not significantly better",
    )
    assert set(pd.read_csv(tmp_path / "all.csv")["source"]) == {"best_sellers"}


def test_a_shop_too_small_to_evaluate_and_an_unused_exclusion_are_noted(tmp_path):
    more = 'exclude = ["taste 1", "POST"]\n'
    config = written_shop(tmp_path / "shop", basket_lines(20), more=more)
    result = recommend(config, out=tmp_path / "lists.parquet")
    assert (
        result.warnings[0]
        == "[recommend] exclude contains products never sold before the date: POST"
    )
    assert result.warnings[-1].endswith(
        "are used instead, because fewer than 100 customers could be evaluated"
    )


def test_judge_writes_no_file(shop, tmp_path):
    result = recommend(shop, as_of=str(AS_OF), judge_only=True)
    assert result.files == {}
    assert set(result.metrics["judgement"]) == {"all", "repeat", "new"}


def test_an_empty_table_gives_an_empty_file(tmp_path):
    config = written_shop(tmp_path / "shop", basket_lines(1).iloc[:0])
    out = tmp_path / "lists.csv"
    result = recommend(config, out=out, as_of="2024-05-01")
    assert result.rows["recommendations"] == 0
    assert len(pd.read_csv(out)) == 0
    assert "customer_id" in out.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": "brand"}, r"--level must be one of \['product', 'category'\], got 'brand'"),
        ({"top": 0}, "--top must be between 1 and 50, got 0. Pass e.g. 10"),
        ({}, "takes either --out FILE or --judge, got neither"),
    ],
)
def test_invalid_options_are_rejected_before_any_work(shop, options, message):
    with pytest.raises(ConfigError, match=message):
        recommend(shop, **options)


def test_only_new_and_only_repeated_exclude_each_other():
    assert kind_of(new_only=False, repeat_only=False) == "all"
    with pytest.raises(ConfigError, match=r"exclude each other\. Omit both"):
        kind_of(new_only=True, repeat_only=True)


def test_the_orders_are_never_replaced(shop):
    with pytest.raises(ConfigError, match="Pass another file"):
        recommend(shop, out=shop.parent / "lines.parquet")
