"""Scores are compared with earlier ones; customers to explain are selected by keyword or file."""

import json

import pandas as pd
import pytest
from simulated_shop import AS_OF, copied_shop, trained_shop

from churn.commands.customer_lists import customers_to_explain
from churn.commands.previous_results import earlier_scores
from churn.commands.score import score
from churn.errors import ConfigError, DataError
from churn.storage.manifests import verify_file

NIGHT, BEFORE = str(AS_OF), "2023-12-18"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return copied_shop(
        trained_shop(tmp_path_factory.getbasetemp()), tmp_path_factory.mktemp("since") / "shop"
    )


@pytest.fixture(scope="module")
def nights(shop, tmp_path_factory):
    """The scores of two dates in one file, and a copy of the file after the first."""
    out = tmp_path_factory.mktemp("nights") / "scores.parquet"
    results = [score(shop, out=out, as_of=BEFORE, explain="none")]
    first = out.with_name("first.parquet")
    first.write_bytes(out.read_bytes())
    return [*results, score(shop, out=out, as_of=NIGHT)], first, out


def test_the_first_scores_have_nothing_to_compare_with(nights):
    (first, _), before, _ = nights
    assert "changes" not in first.metrics
    assert len(first.tables) == 1
    assert pd.read_parquet(before)["change"].isna().all()


def test_the_next_scores_are_compared_with_those_they_replace(nights):
    (_, second), before, out = nights
    frame = pd.read_parquet(out)
    assert set(frame["since"].astype(str)) == {BEFORE}
    counts = {k: v for k, v in second.metrics["changes"].items() if v}
    assert counts == frame["change"].value_counts().to_dict()
    was = pd.read_parquet(before).query("at_risk")["customer_id"]
    still = frame.query("change == 'still_at_risk'")["customer_id"]
    assert set(still) == set(was) & set(frame.query("at_risk")["customer_id"])
    json.dumps(second.to_dict(), allow_nan=False)


def test_changes_are_shown_as_a_table(nights):
    title, header, rows = nights[0][1].tables[1]
    assert title == f"What changed since {BEFORE}"
    assert header[1:3] == ("customers", "mean change of churn probability")
    assert {"newly at risk", "still at risk", "unchanged"} <= {row[0] for row in rows}
    assert nights[0][1].warnings == ()


def test_a_repeated_run_is_compared_with_the_same_scores_as_the_first(nights, shop):
    before = pd.read_parquet(nights[2]).drop(columns="run_id")
    score(shop, out=nights[2], as_of=NIGHT)
    again = pd.read_parquet(nights[2]).drop(columns="run_id")
    pd.testing.assert_frame_equal(again, before, check_exact=True)
    assert verify_file(nights[2])["since"]["as_of"] == BEFORE


def test_scores_to_compare_with_can_be_passed(nights, shop, tmp_path):
    result = score(shop, out=tmp_path / "s.csv", since=nights[1], as_of=NIGHT, explain="none")
    assert result.metrics == nights[0][1].metrics
    written = pd.read_csv(tmp_path / "s.csv")
    assert set(written["change"]) == set(pd.read_parquet(nights[2])["change"])


def altered(nights, tmp_path, **columns):
    path = tmp_path / "earlier.parquet"
    pd.read_parquet(nights[1]).assign(**columns).to_parquet(path)
    return path


def test_another_model_or_horizon_is_noted(nights, shop, tmp_path):
    other = altered(nights, tmp_path, model_id="churn-older", horizon_days=56)
    result = score(shop, out=tmp_path / "s.parquet", since=other, as_of=NIGHT, explain="none")
    assert result.warnings == (
        f"the scores of {BEFORE} come from another model, churn-older: changes of probability "
        "may be due to the model",
        f"the scores of {BEFORE} have a horizon of 56 days: their probabilities are not compared",
    )
    assert pd.read_parquet(tmp_path / "s.parquet")["probability_before"].isna().all()


def test_later_scores_are_an_error_if_passed_and_a_note_if_replaced(nights):
    day = AS_OF.replace(day=20, month=12, year=2023)
    with pytest.raises(ConfigError, match=rf"a date before {day}, got {AS_OF}\. Pass earlier"):
        earlier_scores(nights[2], nights[2], as_of=day)
    found, notes = earlier_scores(nights[2], None, as_of=day)
    assert found is None
    assert notes[0].startswith("not compared with scores.parquet: scores to compare with must have")


def test_damaged_scores_do_not_stop_a_run(nights, tmp_path):
    out = tmp_path / "scores.parquet"
    out.write_bytes(b"PAR1 not at all")
    found, notes = earlier_scores(out, None, as_of=AS_OF)
    assert found is None
    assert notes == (
        "not compared with scores.parquet: scores.parquet must be a complete Parquet file. "
        "Write it again, e.g. with `churn score`.",
    )


def test_replaced_csv_scores_are_not_compared_with_a_note(tmp_path):
    (tmp_path / "s.csv").write_text("customer_id\n1\n")
    found, notes = earlier_scores(tmp_path / "s.csv", None, as_of=AS_OF)
    assert found is None
    assert notes == ("s.csv has no column types to compare with: pass a .parquet with --since",)


def test_a_table_without_scores_is_rejected(tmp_path):
    path = tmp_path / "plan.parquet"
    pd.DataFrame({"customer_id": ["a"], "as_of": [AS_OF]}).to_parquet(path)
    with pytest.raises(
        DataError, match=r"must contain scores of `churn score`, got no column \['at_"
    ):
        earlier_scores(tmp_path / "s.parquet", path, as_of=AS_OF)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("who.txt", lambda path: path.write_text("\ufeff007\nc0001\n\n", encoding="utf-8")),
        ("who.csv", lambda path: path.write_text("x,customer_id\n1,007\n2,c0001\n")),
        (
            "who.parquet",
            lambda path: pd.DataFrame({"customer_id": ["007", "c0001"]}).to_parquet(path),
        ),
    ],
)
def test_customers_to_explain_are_read_as_texts(tmp_path, name, write):
    """Fault 18: 007 is not 7."""
    write(tmp_path / name)
    assert customers_to_explain(str(tmp_path / name)) == {"007", "c0001"}


def test_customers_to_explain_can_be_selected_by_keyword():
    assert [customers_to_explain(word) for word in ("at-risk", "all", "none")] == [
        *("at_risk", "all", "none")
    ]
    with pytest.raises(ConfigError, match=r"one of at-risk, all, none or a file .*, got everyone"):
        customers_to_explain("everyone")


def test_a_file_without_customers_is_refused(tmp_path):
    (tmp_path / "who.csv").write_text("name\nann\n")
    with pytest.raises(DataError, match=r"who\.csv must have a column customer_id.*in a \.txt"):
        customers_to_explain(str(tmp_path / "who.csv"))
    (tmp_path / "who.parquet").write_text("text")
    with pytest.raises(DataError, match=r"who\.parquet must be a readable file of customers"):
        customers_to_explain(str(tmp_path / "who.parquet"))


def test_only_the_given_customers_are_explained(shop, tmp_path):
    (tmp_path / "who.txt").write_text("c0001\nnobody\n")
    out = tmp_path / "s.parquet"
    result = score(shop, out=out, as_of=NIGHT, explain=str(tmp_path / "who.txt"))
    frame = pd.read_parquet(out)
    assert frame.loc[frame["reasons"].map(len) > 0, "customer_id"].tolist() == ["c0001"]
    assert result.warnings == ("1 of the customers to explain are not scored",)


def test_everyone_can_be_explained_in_german(shop, tmp_path, monkeypatch):
    monkeypatch.setenv("CHURN__SCORING__LANGUAGE", "de")
    out = tmp_path / "s.parquet"
    score(shop, out=out, as_of=NIGHT, explain="all")
    frame = pd.read_parquet(out)
    assert (frame["reasons"].map(len) > 0).mean() > 0.95
    message = " ".join(text for texts in frame["reasons"] for text in texts)
    assert "Höheres Risiko: " in message
    assert "Higher" not in message
    assert verify_file(out)["language"] == "de"
