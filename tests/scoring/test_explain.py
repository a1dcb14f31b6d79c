"""Reasons add up to the score, use the customer's own numbers, and never claim a cause."""

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_model, shop_tables

from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.modeling.model import ChurnModel
from churn.modeling.portable import logit
from churn.scoring.explain import (
    CONTROLLED,
    EXPLAIN_SCHEMA,
    Reason,
    contributions,
    explain,
    family_contributions,
    reasons,
)
from churn.scoring.language import load_language


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().eligible.sample(60, random_state=1).reset_index(drop=True)


def reasons_of(rows, model=None, code="en"):
    return reasons(model or shop_model(), rows, currency="EUR", language=code)


def fallback_model(name):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    return model.set_params(stand_in=name)


def test_contributions_add_up_to_the_log_odds_of_the_probability(rows):
    """All parts of the blend are additive: the remainder is the same for everyone."""
    parts = contributions(shop_model(), rows)
    np.testing.assert_allclose(parts.by_family.sum(axis=1), parts.by_feature.sum(axis=1))
    portable = shop_model().portable()
    said = portable.lapse(rows, portable.matrix(rows))
    rest = logit(said) - parts.by_family.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)


def test_at_most_three_reasons_raise_and_one_lowers(rows):
    families, parts = family_contributions(shop_model(), rows)
    explained = [i for i, family in enumerate(families) if family != CONTROLLED]
    for own, part in zip(reasons_of(rows), parts[:, explained], strict=True):
        directions = [reason.direction for reason in own]
        assert directions.count("raises") == min(3, (part >= 0.05).sum())
        assert directions.count("lowers") == (part.min() <= -0.05)
        assert directions == sorted(directions, key=["raises", "lowers"].index)


def test_reasons_are_the_strongest_families_strongest_first(rows):
    families, parts = family_contributions(shop_model(), rows)
    for own, part in zip(reasons_of(rows), parts, strict=True):
        log_odds = {f: v for f, v in zip(families, part, strict=True) if f != CONTROLLED}
        raising = [reason for reason in own if reason.direction == "raises"]
        strongest = sorted(log_odds, key=lambda family: -log_odds[family])[: len(raising)]
        assert [reason.family for reason in raising] == strongest
        assert [reason.log_odds for reason in raising] == [log_odds[name] for name in strongest]
        lowering = [reason.family for reason in own if reason.direction == "lowers"]
        assert lowering in ([], [min(log_odds, key=lambda family: log_odds[family])])


@pytest.mark.parametrize("code", ["en", "de"])
def test_no_reason_contains_an_undefined_number_or_claims_a_cause(code):
    listed = reasons_of(shop_dataset().rows, code=code)
    sentences = {reason.sentence for own in listed for reason in own}
    assert sentences
    for text in sentences:
        assert not {"nan", "None", "inf", "because", "weil"} & set(text.rstrip(".").split()), text
        assert "{" not in text
        assert text[0].isupper() or text[0].isdigit()
        assert text.endswith(".")


def test_each_reason_is_labelled_with_its_direction():
    raising = Reason("tenure", "raises", 0.2, "First order 9 days ago.")
    assert raising.labelled(load_language("en")) == "Higher risk: First order 9 days ago."
    lowering = Reason("tenure", "lowers", -0.2, "Erste Bestellung vor 9 Tagen.")
    text = "Geringeres Risiko: Erste Bestellung vor 9 Tagen."
    assert lowering.labelled(load_language("de")) == text


def test_reasons_do_not_depend_on_the_other_rows(rows):
    assert [reasons_of(rows.iloc[[i]])[0] for i in range(5)] == reasons_of(rows)[:5]


@pytest.mark.parametrize(
    ("baseline", "begins"),
    [
        ("recency", "Last order "),
        ("active_windows", "Bought in about "),
        ("logistic_rfm", "Last order "),
        ("bg_nbd", "Last order "),
    ],
)
def test_under_a_fallback_model_the_reason_is_what_the_baseline_looks_at(rows, baseline, begins):
    for own in reasons_of(rows, model=fallback_model(baseline)):
        assert [reason.direction for reason in own] == ["looked_at"]
        assert own[0].log_odds is None
        assert own[0].sentence.startswith(begins)


def test_lapsed_customers_get_their_status_as_reason():
    lapsed = shop_dataset().rows.query("status != 'eligible'").head(20)
    assert len(lapsed)
    for own, days in zip(reasons_of(lapsed), lapsed["recency_days"], strict=True):
        text = f"Last order {days:.0f} days ago; none in the last 56 days."
        assert own == [Reason("status", "looked_at", None, text)]


def test_rows_without_a_status_count_as_eligible(rows):
    assert reasons_of(rows.drop(columns="status")) == reasons_of(rows)


def test_the_reason_of_a_customer_without_orders_is_no_purchase():
    visitor = pd.DataFrame({name: [np.nan] for name in shop_model().feature_names_})
    own = reasons_of(visitor.assign(status="new", customer_id="visitor"))
    assert own == [[Reason("status", "looked_at", None, "No purchase so far.")]]


def test_no_rows_have_no_reasons(rows):
    assert reasons_of(rows.head(0)) == []


@pytest.fixture(scope="module")
def newest_customers():
    """The newest cutoff, two customers who were eligible then, and one who had lapsed."""
    newest = shop_dataset().cutoffs.dates[-1]
    last = shop_dataset().only(shop_dataset().cutoffs.only((newest,))).rows
    eligible = last.query("status == 'eligible'")["customer_id"].tolist()[:2]
    return newest, eligible, last.query("status == 'lapsed'")["customer_id"].iloc[0]


def test_explain_lists_every_family_strongest_first(newest_customers):
    newest, eligible, lapsed = newest_customers
    table = explain(shop_model(), shop_tables().as_of(newest), [*eligible, lapsed])
    assert table.schema == EXPLAIN_SCHEMA
    frame = table.to_pandas()
    assert set(frame["customer_id"]) == {*eligible, lapsed}
    frame = frame[frame["customer_id"] != lapsed]
    families, _ = family_contributions(shop_model(), shop_dataset().eligible.head(1))
    for _, own in frame.groupby("customer_id"):
        assert sorted(own["family"]) == sorted(families)
        assert own["log_odds"].abs().is_monotonic_decreasing
        assert own["sentence"].str.endswith(".").all()


def test_log_odds_equal_those_of_the_same_row_in_training(newest_customers):
    newest, eligible, _ = newest_customers
    frame = explain(shop_model(), shop_tables().as_of(newest), eligible).to_pandas()
    rows = shop_dataset().only(shop_dataset().cutoffs.only((newest,))).rows
    rows = rows[rows["customer_id"].isin(eligible)].sort_values("customer_id")
    families, parts = family_contributions(shop_model(), rows)
    wide = frame.pivot_table(index="customer_id", columns="family", values="log_odds")
    np.testing.assert_allclose(wide[families].to_numpy(), parts, rtol=1e-9, atol=1e-12)


def test_an_unknown_customer_is_refused_without_naming_the_id(newest_customers):
    newest, eligible, _ = newest_customers
    with pytest.raises(ConfigError, match=r"customers must be known .* got 1 others") as failure:
        explain(shop_model(), shop_tables().as_of(newest), ["a stranger", *eligible])
    assert "stranger" not in str(failure.value)


def test_customers_who_objected_to_profiling_are_not_explained(newest_customers):
    """Fault 49."""
    newest, eligible, _ = newest_customers
    consents = pd.DataFrame(
        {
            "customer_id": eligible[:1],
            "channel": "email",
            "purpose": "profiling",
            "granted": [False],
            "changed_at": pd.to_datetime(["2023-01-01"]),
        }
    )
    orders = shop_tables().engine.collect(shop_tables().frame("orders")).to_pandas()
    orders = orders.rename(columns={"day": "ordered_at"})[["customer_id", "ordered_at", "amount"]]
    orders["ordered_at"] = pd.Timestamp("1970-01-01") + pd.to_timedelta(
        orders["ordered_at"], unit="D"
    )
    tables = Tables.from_frames(orders, currency="EUR", consents=consents)
    with pytest.raises(ConfigError, match="not have objected to profiling, got 1 others"):
        explain(shop_model(), tables.as_of(newest), eligible)


def test_a_lapsed_customer_has_one_line_without_log_odds(newest_customers):
    newest, _, lapsed = newest_customers
    (line,) = explain(shop_model(), shop_tables().as_of(newest), [lapsed]).to_pylist()
    assert (line["family"], line["name"], line["log_odds"]) == ("status", "lapsed", None)
    assert line["sentence"].startswith("Last order ")


def test_under_a_fallback_model_explain_returns_one_line_per_customer(newest_customers):
    newest, eligible, lapsed = newest_customers
    table = explain(fallback_model("recency"), shop_tables().as_of(newest), [*eligible, lapsed])
    assert table.schema == EXPLAIN_SCHEMA
    lines = {line.pop("customer_id"): line for line in table.to_pylist()}
    assert lines[lapsed]["name"] == "lapsed"
    for name in eligible:
        assert (lines[name]["family"], lines[name]["name"]) == ("rule", "recency")
        assert lines[name]["sentence"].startswith("Last order ")
        assert lines[name]["log_odds"] is None


def test_explaining_no_customers_returns_an_empty_table(newest_customers):
    table = explain(shop_model(), shop_tables().as_of(newest_customers[0]), [])
    assert table == EXPLAIN_SCHEMA.empty_table()
