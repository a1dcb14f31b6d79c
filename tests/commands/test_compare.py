"""Models are shown and compared, and incomparable figures are reported as such."""

import json

import pytest
from kept_models import crown, facts, keep_model, shop_with_models

from churn.commands.compare import compare_models, show_model
from churn.errors import ConfigError, ModelError


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return shop_with_models(tmp_path_factory.mktemp("compare") / "shop", "m-1", "m-2")


def cells(result, title):
    (table,) = [rows for name, _, rows in result.tables if name == title]
    return {row[0]: row[1:] for row in table}


def test_a_model_is_shown_with_its_evaluation_and_terms_as_champion(shop):
    result = show_model(shop, "m-1")
    reported = cells(result, "Model m-1")
    assert reported["as of"] == ("2024-01-01",)
    assert reported["gate"] == ("passed",)
    assert reported["data"] == (("cd" * 8),)
    judged = cells(result, "Evaluation on later cutoffs")
    assert judged.keys() == {"model", "recency", "active_windows", "logistic_rfm", "bg_nbd"}
    assert result.gate["reasons"] == ["the model beats the rules"]
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["resolved"]["model"]


def test_the_time_and_reason_of_a_promotion_are_shown(tmp_path):
    own = shop_with_models(tmp_path / "shop", "m-1")
    crown(own, "m-1", reason="first of its kind")
    (term,) = cells(show_model(own, "m-1"), "Model m-1")["champion from"]
    assert term.endswith("by promotion: first of its kind")


def test_models_evaluated_alike_are_compared_with_their_difference(shop):
    result = compare_models(shop, "m-1", "m-2")
    assert result.resolved["comparable"] is True
    assert result.warnings == ()
    rows = cells(result, "Comparison")
    assert rows["AUC"][2] == "+0.0000"
    assert rows["AUC"][0] == rows["AUC"][1]
    assert set(result.metrics["log_loss"]) == {"first", "second"}


def test_models_evaluated_on_other_cutoffs_are_reported_as_not_comparable(shop):
    evaluation = facts()["evaluation"]
    other = {**evaluation, "cutoffs": ["2022-01-01"]}
    keep_model(shop.parent / "models", "m-other", evaluation=other)
    result = compare_models(shop, "m-1", "m-other")
    assert result.resolved["comparable"] is False
    (warning,) = result.warnings
    assert warning.startswith("not comparable: cutoffs differ: ")
    assert warning.endswith("and 2022-01-01")
    assert cells(result, "Comparison")["AUC"][2] == "-"


def test_models_evaluated_on_other_customers_are_not_comparable(shop):
    evaluation = json.loads(json.dumps(facts()["evaluation"]))
    evaluation["judged"][0] |= {"rows": 1}
    keep_model(shop.parent / "models", "m-rows", evaluation=evaluation)
    assert "rows evaluated differ" in compare_models(shop, "m-1", "m-rows").warnings[0]


def test_a_model_without_an_evaluation_is_shown_without_metrics(shop):
    keep_model(shop.parent / "models", "m-bare", evaluation={})
    assert cells(show_model(shop, "m-bare"), "Evaluation on later cutoffs") == {}
    assert compare_models(shop, "m-1", "m-bare").resolved["comparable"] is False


def test_invalid_names_are_rejected(shop):
    with pytest.raises(ConfigError, match="model must be 1 to 64"):
        compare_models(shop, "m-1", "../m-2")
    with pytest.raises(ModelError, match="there is no model 'm-9'"):
        show_model(shop, "m-9")


def test_models_are_shown_and_compared_by_unambiguous_prefixes(tmp_path):
    own = shop_with_models(tmp_path / "shop", "spring-1", "summer-1")
    crown(own, "summer-1", reason="warm")
    reported = show_model(own, "su")
    assert (reported.model_id, reported.resolved["champion"]) == ("summer-1", True)
    assert cells(reported, "Model summer-1")["champion from"][0].endswith(": warm")
    resolved = compare_models(own, "sp", "su").resolved
    assert (resolved["first"], resolved["second"]) == ("spring-1", "summer-1")
    with pytest.raises(ConfigError, match="got spring-1, summer-1"):
        compare_models(own, "s", "summer-1")
