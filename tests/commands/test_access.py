"""Access returns all data held on a customer, with explanations."""

import json
import stat

import pandas as pd
import pytest
from known_customers import CUSTOMERS, address, files_of, known_shop, names_in, written
from simulated_shop import copied_shop, trained_shop

from churn.commands.access import access
from churn.commands.customer_lists import only_customer
from churn.commands.forget import forget
from churn.errors import BusyError, ConfigError
from churn.privacy.access_rows import FIELDS
from churn.storage.erasures import remember_output
from churn.storage.ledger import Ledger
from churn.storage.postgres.address import place_of
from churn.storage.withdrawals import record_withdrawal

PERSON = CUSTOMERS[1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop with a plan, its list and its audience. Tests must not change it."""
    config = known_shop(tmp_path_factory.mktemp("access") / "shop")
    written(config)
    with Ledger(config.parent / "ledger.db") as ledger:
        record_withdrawal(ledger, PERSON, "sms", source="one-click")
    return config


@pytest.fixture(scope="module")
def held(shop):
    return access(shop, customer=PERSON).metrics


def rows(held, place, table):
    return held[place][table]["rows"]


def test_rows_of_every_table_are_included_with_the_contract_names(shop, held):
    orders = pd.read_parquet(shop.parent / "orders.parquet").query("customer_id == @PERSON")
    reported = rows(held, "tables", "orders")
    assert held["tables"]["orders"]["count"] == len(reported) == len(orders)
    assert sorted(row["amount"] for row in reported) == sorted(orders["amount"])
    days = {str(day)[:10] for day in orders["ordered_at"]}
    assert {row["ordered_at"][:10] for row in reported} == days
    assert rows(held, "tables", "customers")[0]["email"] == address(PERSON)
    assert {row["purpose"] for row in held["consents_now"]} == {"marketing"}


def test_decisions_are_included_with_their_codes_explained(held):
    (planned,) = rows(held, "ledger", "plans")
    assert planned["arm_means"]
    drawn = rows(held, "ledger", "holdout")
    assert {row["experiment"] for row in drawn} == {"holdout", "spring"}
    assert all(row["member_means"] for row in drawn)
    assert rows(held, "ledger", "withdrawals")[0]["channel"] == "sms"


def test_current_consent_is_that_of_an_export_and_a_withdrawal_today_counts(held):
    """SMS was withdrawn in the ledger after the end of the data."""
    reported = {row["channel"]: row["granted"] for row in held["consents_now"]}
    assert reported == {"ads": True, "email": True, "sms": False}


def test_a_consent_withdrawn_through_churn_is_shown_as_refused(tmp_path):
    config = known_shop(tmp_path / "shop")
    with Ledger(config.parent / "ledger.db") as ledger:
        record_withdrawal(ledger, PERSON, "email", source="one-click")
    result = access(config, customer=PERSON)
    reported = {row["channel"]: row["granted"] for row in result.metrics["consents_now"]}
    assert reported == {"ads": True, "email": False}
    (shown,) = [rows for title, _, rows in result.tables if title == "Current consent"]
    assert ("email", "marketing", "refused") in shown


def test_files_with_the_customer_are_listed_with_rows_and_reasons_for_no_offer(shop):
    plan = pd.read_parquet(shop.parent / "out" / "plan.parquet").set_index("customer_id")
    without = plan.index[plan["suppression"].notna()][0]
    files = {
        one["file"].rsplit("/", 1)[-1]: one
        for one in access(shop, customer=without).metrics["files"]
    }
    (row,) = files["plan.parquet"]["rows"]
    assert row["suppression"] == plan["suppression"][without]
    assert len(row["suppression_means"]) > 20
    assert "list.csv" not in files


def test_lists_and_audiences_with_the_customer_are_listed(shop):
    plan = pd.read_parquet(shop.parent / "out" / "plan.parquet")
    name = plan.loc[plan["channel"].eq("ads") & plan["arm"].eq("treatment"), "customer_id"].iloc[0]
    held = access(shop, customer=name).metrics
    assert {row["audience"] for row in held["exports"]} == {"list", "meta"}
    assert {one["file"].rsplit("/", 1)[-1] for one in held["files"]} == {
        *("plan.parquet", "list.csv", "meta.parquet"),
    }


def test_every_field_has_a_meaning_and_purposes_logic_and_rights_are_stated(held):
    assert set(held["fields"]) >= {"ordered_at", "arm", "propensity", "member_means", "granted"}
    assert [name for name in held["fields"] if name not in FIELDS] == []
    for about in ("purposes", "logic", "retention", "rights"):
        assert len(held[about].split()) > 10


def test_rows_of_other_customers_are_not_included(held):
    others = [name for name in CUSTOMERS if name != PERSON]
    assert not any(name in json.dumps(held) for name in others)


def test_without_a_model_the_missing_score_is_explained(held):
    assert held["score_now"] is None
    assert held["no_score_because"].startswith("no model is active")


def test_the_current_score_has_its_reasons(tmp_path, tmp_path_factory):
    config = copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")
    result = access(config, customer="c0010")
    score = result.metrics["score_now"]
    assert 0 <= score["churn_probability"] <= 1
    assert set(result.metrics["fields"]) >= set(score)
    assert [table[0] for table in result.tables][:2] == ["Rows held", "Current score"]
    if score["status"] == "eligible":
        assert score["reasons"]


def test_an_objector_has_no_score_and_the_reason_is_given(shop, tmp_path):
    config = known_shop(tmp_path / "shop")
    path = config.parent / "consents.parquet"
    words = pd.read_parquet(path)
    against = {"customer_id": PERSON, "channel": "email", "purpose": "profiling", "granted": False}
    refusal = pd.DataFrame([against]).assign(changed_at=words["changed_at"].iloc[0])
    pd.concat([words, refusal]).to_parquet(path, index=False)
    held = access(config, customer=PERSON).metrics
    assert held["objects_to_profiling"]
    assert (held["score_now"], held["no_score_because"]) == (
        None,
        "the customer objects to profiling",
    )


def test_an_unknown_customer_is_an_error_that_does_not_repeat_the_name(shop):
    with pytest.raises(ConfigError, match="no data is held on a customer with this id") as refused:
        access(shop, customer="zqx-4711")
    assert "4711" not in f"{refused.value} {refused.value.got}"


def test_the_file_is_private_and_is_deleted_with_the_customer(tmp_path):
    config = known_shop(tmp_path / "shop")
    out = config.parent / "out" / "person.json"
    result = access(config, customer=PERSON, out=out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(out.read_text()) == result.metrics
    forget(config, customers=[PERSON])
    assert files_of(config.parent / "out") == []
    assert names_in([config.parent / "ledger.db"], [PERSON, "person.json"]) == set()
    reported = access(config, customer=PERSON)
    assert not reported.metrics["held"]
    assert reported.warnings[0].startswith("erased on 20")
    assert PERSON not in json.dumps(reported.to_dict())


def test_an_unfinished_erasure_is_reported_with_the_remaining_rows(tmp_path):
    config = known_shop(tmp_path / "shop")
    written(config)
    with Ledger(config.parent / "ledger.db") as ledger:
        other = ledger.start_run("score")
        with pytest.raises(BusyError, match="must wait for runs that began before it"):
            forget(config, customers=[PERSON])
        ledger.finish_run(other, status="done")
    result = access(config, customer=PERSON)
    assert result.metrics["held"]
    begun = f"the erasure started on {result.metrics['erased_on']} is incomplete: run"
    assert result.warnings[0].startswith(begun)
    assert "nothing is held" not in " ".join(result.warnings)
    held = result.metrics["still_held"]
    assert (held["ledger, plans"], held["ledger, holdout"]) == (1, 2)
    assert held[str(config.parent / "out" / "plan.parquet")] == 1
    assert PERSON not in json.dumps(result.to_dict())
    forget(config, customers=[PERSON])
    after = access(config, customer=PERSON)
    assert (after.metrics["held"], after.metrics["still_held"]) == (False, {})
    assert after.warnings[0].endswith("only a keyed hash and this date are kept")
    assert after.metrics["still_in_your_tables"] == {"orders": 1, "customers": 1, "consents": 1}


def test_unreadable_files_are_reported_for_an_erased_customer(tmp_path):
    config = known_shop(tmp_path / "shop")
    path = written(config)["plan.parquet"]
    path.write_bytes(path.read_bytes() + b"x")
    assert forget(config, customers=[PERSON]).exit_code == 3
    result = access(config, customer=PERSON)
    assert result.metrics["not_looked_into"] == [str(path)]
    assert "may be incomplete: run `churn forget` again; nothing is held" in result.warnings[0]
    assert any(note.startswith(f"not searched: {path}") for note in result.warnings)


def test_a_database_table_counts_as_erased_after_forget_processed_it(tmp_path):
    config = known_shop(tmp_path / "shop")
    table = place_of("postgresql://somebody@nowhere/shop#scores")
    with Ledger(config.parent / "ledger.db") as ledger:
        remember_output(ledger, table, command="score")
    assert forget(config, customers=[PERSON]).exit_code == 3
    assert access(config, customer=PERSON).metrics["not_looked_into"] == [str(table)]
    with Ledger(config.parent / "ledger.db") as ledger, ledger.changing() as connection:
        connection.execute("DELETE FROM outputs WHERE target = ?", (str(table),))
    assert forget(config, customers=[PERSON]).exit_code == 0
    with Ledger(config.parent / "ledger.db") as ledger:
        remember_output(ledger, table, command="score")
    assert access(config, customer=PERSON).metrics["not_looked_into"] == []


def test_other_suffixes_and_input_files_are_rejected(shop, tmp_path):
    with pytest.raises(ConfigError, match=r"--out must end in \.json, got \.csv"):
        access(shop, customer=PERSON, out=tmp_path / "x.csv")


def test_standard_input_may_contain_the_customer(monkeypatch):
    from io import StringIO

    monkeypatch.setattr("sys.stdin", StringIO("anna\n"))
    assert only_customer("-") == "anna"
    monkeypatch.setattr("sys.stdin", StringIO("anna\nben\n"))
    with pytest.raises(ConfigError, match="exactly one customer must be passed, got 2"):
        only_customer("-")
