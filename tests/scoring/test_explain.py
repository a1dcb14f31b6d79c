"""Reasons add up to the score, speak in the customer's own numbers, and never claim a cause."""

import numpy as np
import pandas as pd
import pytest
from simulated_shop import shop_dataset, shop_model, shop_tables

from churn.data.tables import Tables
from churn.errors import ConfigError
from churn.modeling.model import ChurnModel
from churn.modeling.portable import logit
from churn.scoring.contributions import CONTROLLED, contributions, family_contributions
from churn.scoring.explain import EXPLAIN_SCHEMA, Reason, explain, reasons
from churn.scoring.language import language


@pytest.fixture(scope="module")
def rows():
    return shop_dataset().eligible.sample(60, random_state=1).reset_index(drop=True)


def told(rows, model=None, code="en"):
    return reasons(model or shop_model(), rows, currency="EUR", language=code)


def stand_in(name):
    model = ChurnModel()
    model.__setstate__(shop_model().__getstate__())
    return model.set_params(stand_in=name)


def test_contributions_add_up_to_the_log_odds_of_the_trees(rows):
    """TreeSHAP is additive: what is left after the families is the same for everyone."""
    found = contributions(shop_model(), rows)
    np.testing.assert_allclose(found.by_family.sum(axis=1), found.by_feature.sum(axis=1))
    portable = shop_model().portable()
    raw = portable.boosters["lapse"].predict(portable.matrix(rows))
    rest = logit(raw) - found.by_family.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-6)


def test_at_most_three_reasons_raise_and_one_lowers(rows):
    families, parts = family_contributions(shop_model(), rows)
    mine = [i for i, family in enumerate(families) if family != CONTROLLED]
    for said, part in zip(told(rows), parts[:, mine], strict=True):
        directions = [reason.direction for reason in said]
        assert directions.count("raises") == min(3, (part >= 0.05).sum())
        assert directions.count("lowers") == (part.min() <= -0.05)
        assert directions == sorted(directions, key=["raises", "lowers"].index)


def test_reasons_are_the_strongest_families_strongest_first(rows):
    families, parts = family_contributions(shop_model(), rows)
    for said, part in zip(told(rows), parts, strict=True):
        own = {f: v for f, v in zip(families, part, strict=True) if f != CONTROLLED}
        raising = [reason for reason in said if reason.direction == "raises"]
        wanted = sorted(own, key=lambda family: -own[family])[: len(raising)]
        assert [reason.family for reason in raising] == wanted
        assert [reason.log_odds for reason in raising] == [own[family] for family in wanted]
        lowering = [reason.family for reason in said if reason.direction == "lowers"]
        assert lowering in ([], [min(own, key=lambda family: own[family])])


@pytest.mark.parametrize("code", ["en", "de"])
def test_no_reason_holds_an_undefined_number_or_claims_a_cause(code):
    said = [one.sentence for row in told(shop_dataset().rows, code=code) for one in row]
    assert said
    for text in set(said):
        assert not {"nan", "None", "inf", "because", "weil"} & set(text.rstrip(".").split()), text
        assert "{" not in text
        assert text[0].isupper() or text[0].isdigit()
        assert text.endswith(".")


def test_each_reason_is_marked_with_its_direction():
    raising = Reason("tenure", "raises", 0.2, "First order 9 days ago.")
    assert raising.marked(language("en")) == "Higher risk: First order 9 days ago."
    lowering = Reason("tenure", "lowers", -0.2, "Erste Bestellung vor 9 Tagen.")
    assert lowering.marked(language("de")) == "Geringeres Risiko: Erste Bestellung vor 9 Tagen."


def test_reasons_do_not_depend_on_who_else_is_explained(rows):
    assert [told(rows.iloc[[i]])[0] for i in range(5)] == told(rows)[:5]


def test_many_rows_are_explained_in_parts_that_change_nothing(rows, monkeypatch):
    together = told(rows)
    monkeypatch.setattr("churn.scoring.explain.ROWS_AT_ONCE", 7)
    assert told(rows) == together


@pytest.mark.parametrize(
    ("rule", "begins"),
    [
        ("recency", "Last order "),
        ("active_windows", "Bought in about "),
        ("logistic_rfm", "Last order "),
        ("bg_nbd", "Last order "),
    ],
)
def test_a_stand_in_says_what_its_rule_looks_at(rows, rule, begins):
    for said in told(rows, model=stand_in(rule)):
        assert [reason.direction for reason in said] == ["looked_at"]
        assert said[0].log_odds is None
        assert said[0].sentence.startswith(begins)


def test_whom_the_model_does_not_judge_is_told_what_is_known_instead():
    others = shop_dataset().rows.query("status != 'eligible'").head(20)
    assert len(others)
    for said, days in zip(told(others), others["recency_days"], strict=True):
        text = f"Last order {days:.0f} days ago; none in the last 56 days."
        assert said == [Reason("status", "looked_at", None, text)]


def test_rows_without_a_status_count_as_eligible(rows):
    assert told(rows.drop(columns="status")) == told(rows)


def test_a_customer_of_whom_nothing_is_known_is_new():
    nobody = pd.DataFrame({name: [np.nan] for name in shop_model().feature_names_})
    said = told(nobody.assign(status="new", customer_id="visitor"))
    assert said == [[Reason("status", "looked_at", None, "No purchase so far.")]]


def test_nobody_needs_no_reasons(rows):
    assert told(rows.head(0)) == []


@pytest.fixture(scope="module")
def asked():
    """Two eligible customers at the day of the scores, and one who has lapsed."""
    newest = shop_dataset().cutoffs.dates[-1]
    last = shop_dataset().only(shop_dataset().cutoffs.only((newest,))).rows
    eligible = last.query("status == 'eligible'")["customer_id"].tolist()[:2]
    return newest, eligible, last.query("status == 'lapsed'")["customer_id"].iloc[0]


def test_every_family_of_the_customers_asked_for_is_told_strongest_first(asked):
    newest, eligible, lapsed = asked
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


def test_the_log_odds_told_are_those_of_the_same_row_in_training(asked):
    newest, eligible, _ = asked
    frame = explain(shop_model(), shop_tables().as_of(newest), eligible).to_pandas()
    rows = shop_dataset().only(shop_dataset().cutoffs.only((newest,))).rows
    rows = rows[rows["customer_id"].isin(eligible)].sort_values("customer_id")
    families, parts = family_contributions(shop_model(), rows)
    wide = frame.pivot_table(index="customer_id", columns="family", values="log_odds")
    np.testing.assert_allclose(wide[families].to_numpy(), parts, rtol=1e-9, atol=1e-12)


def test_who_is_not_known_is_refused_without_being_named(asked):
    snapshot = shop_tables().as_of(asked[0])
    with pytest.raises(ConfigError, match=r"customers must be known .* got 1 others") as failure:
        explain(shop_model(), snapshot, ["a stranger", *asked[1]])
    assert "stranger" not in str(failure.value)


def test_who_objected_to_profiling_is_not_explained(asked):
    """Fault 49."""
    newest, eligible, _ = asked
    words = pd.DataFrame(
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
    tables = Tables.from_frames(orders, currency="EUR", consents=words)
    with pytest.raises(ConfigError, match="not have objected to profiling, got 1 others"):
        explain(shop_model(), tables.as_of(newest), eligible)


def test_of_the_lapsed_one_line_says_what_was_looked_at(asked):
    """The trees say nothing of them, so there are no log-odds."""
    newest, _, lapsed = asked
    (line,) = explain(shop_model(), shop_tables().as_of(newest), [lapsed]).to_pylist()
    assert (line["family"], line["name"], line["log_odds"]) == ("status", "lapsed", None)
    assert line["sentence"].startswith("Last order ")


def test_under_a_stand_in_one_line_says_what_the_rule_looked_at(asked):
    newest, eligible, lapsed = asked
    table = explain(stand_in("recency"), shop_tables().as_of(newest), [*eligible, lapsed])
    assert table.schema == EXPLAIN_SCHEMA
    lines = {line.pop("customer_id"): line for line in table.to_pylist()}
    assert lines[lapsed]["name"] == "lapsed"
    for name in eligible:
        assert (lines[name]["family"], lines[name]["name"]) == ("rule", "recency")
        assert lines[name]["sentence"].startswith("Last order ")
        assert lines[name]["log_odds"] is None


def test_of_nobody_there_is_nothing_to_explain(asked):
    table = explain(shop_model(), shop_tables().as_of(asked[0]), [])
    assert table == EXPLAIN_SCHEMA.empty_table()
