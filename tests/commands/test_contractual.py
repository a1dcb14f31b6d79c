"""The contractual mode from the files to the plan: churn at the expiry of subscriptions."""

import pandas as pd
import pytest
from subscription_shop import AS_OF, open_subscription_shop

from churn.commands.check import check
from churn.commands.evaluate import evaluate
from churn.commands.plan import plan
from churn.commands.score import score
from churn.commands.train import train
from churn.errors import ConfigError
from churn.modeling.bundle import load_bundle
from churn.modeling.manifest import read_manifest

TRAINED_AS_OF = "2024-01-21"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A shop trained five weeks before its data ends."""
    config = open_subscription_shop(tmp_path_factory.mktemp("subscriptions"))
    return config, train(config, as_of=TRAINED_AS_OF)


@pytest.fixture(scope="module")
def scored(trained):
    config, _ = trained
    out = config.parent / "scores.parquet"
    score(config, out=out, as_of=AS_OF)
    return pd.read_parquet(out)


def changed(config, old, new):
    """The same shop with one setting changed."""
    other = config.with_name("changed.toml")
    text = config.read_text()
    assert old in text
    other.write_text(text.replace(old, new))
    return other


def test_a_renewal_model_beats_the_baselines_and_states_its_label(trained):
    config, result = trained
    assert result.gate["promoted"] is True
    assert result.gate["stand_in"] is None
    label = read_manifest(config.parent / "models" / "champion")["label"]
    assert (label["mode"], label["grace_days"]) == ("contractual", 5)
    assert "is not renewed within the grace period" in label["lapse"]
    card = (config.parent / "models" / result.model_id / "card.md").read_text()
    assert "are not renewed within 5 days of their expiry" in card
    assert ("lapsed", "not renewed within 5 days of expiry") in result.tables[0][2]


def test_the_baselines_use_renewals_too(trained):
    _, result = trained
    predictors = {one["predictor"] for one in result.metrics["judged"]}
    assert {"renewals", "recency", "bg_nbd"} <= predictors


def test_labels_are_mature_only_after_the_horizon_and_the_grace(trained):
    _, result = trained
    newest = pd.Timestamp(result.resolved["cutoffs"][-1])
    assert newest == pd.Timestamp(TRAINED_AS_OF) - pd.Timedelta(days=28 + 5)


def test_every_customer_has_a_subscription_status(trained, scored):
    config, _ = trained
    terms = pd.read_parquet(config.parent / "subscriptions.parquet")
    begun = terms[terms["started_at"] < AS_OF]
    left = (begun.groupby("customer_id")["expires_at"].max() - pd.Timestamp(AS_OF)).dt.days
    wanted = pd.Series("covered", index=left.index).where(left >= 28, "eligible")
    wanted = wanted.where(left >= 0, "lapsed")
    status = scored.set_index("customer_id")["status"]
    assert status.reindex(left.index).tolist() == wanted.tolist()
    assert set(status.drop(left.index)) == {"new"}


def test_cancelled_customers_have_a_higher_risk_and_a_matching_reason(trained, scored):
    config, _ = trained
    terms = pd.read_parquet(config.parent / "subscriptions.parquet")
    message = terms[(terms["cancelled_at"] < AS_OF) & (terms["expires_at"] >= AS_OF)]
    eligible = scored[scored["status"] == "eligible"].set_index("customer_id")
    cancelled = eligible.index.isin(message["customer_id"])
    churn = eligible["churn_probability"]
    assert churn[cancelled].mean() > 2 * churn[~cancelled].mean()
    reported = [
        text for one in eligible.loc[cancelled & eligible["at_risk"], "reasons"] for text in one
    ]
    assert any("Has cancelled; the subscription ends in" in text for text in reported)


def test_covered_customers_rarely_lapse_and_lapsed_ones_get_win_back_scores(scored):
    by_status = scored.groupby("status")
    assert by_status["probability_source"].unique()["eligible"].tolist() == ["model"]
    covered = scored[scored["status"] == "covered"]["churn_probability"]
    assert covered.empty or covered.max() < 0.2
    assert set(scored[scored["status"] == "lapsed"]["probability_source"]) <= {
        "win_back",
        "fallback",
    }


def test_margin_before_the_expiry_is_also_expected_of_lapsing_customers(trained):
    """An order is a renewal here: hardly any churning customer orders in the horizon."""
    config, _ = trained
    shares = load_bundle(config.parent / "models" / "champion").amounts_["lapsed_share"]
    assert 0 <= shares["orders"] < 0.5


def test_check_and_evaluate_use_the_same_mode(trained):
    config, _ = trained
    assert check(config).resolved["mode"] == "contractual"
    judged = evaluate(config, as_of=AS_OF)
    assert judged.resolved["cutoffs"] == [TRAINED_AS_OF]
    assert judged.rows["eligible"] > 100


def test_a_plan_can_use_contractual_scores(trained, scored):
    config, _ = trained
    assert len(scored)
    out = config.parent / "plan.parquet"
    result = plan(config, out=out, as_of=AS_OF, scores=config.parent / "scores.parquet")
    assert result.rows["plan"] == len(scored)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('mode = "contractual"', 'mode = "purchases"', r"\[churn\] mode must be.*'contractual'"),
        (
            "grace_days = 5",
            "grace_days = 9",
            r"\[churn\] grace_days must be 5, .*got 9",
        ),
    ],
)
def test_scoring_with_another_mode_or_grace_than_the_model_is_rejected(trained, old, new, message):
    config, _ = trained
    with pytest.raises(ConfigError, match=message):
        score(changed(config, old, new), out=config.parent / "other.parquet", as_of=AS_OF)


def test_contractual_mode_without_subscriptions_is_rejected_early(trained):
    config, _ = trained
    gone = '[data.subscriptions]\nsource = "subscriptions.parquet"\n'
    with pytest.raises(
        ConfigError, match=r"requires the table of subscriptions.*mode = \"purchases\""
    ):
        train(changed(config, gone, ""), as_of=TRAINED_AS_OF)
