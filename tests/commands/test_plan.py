"""A plan has a row for every scored customer, keeps the budget, and is recorded once."""

from datetime import date, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest
from simulated_shop import AS_OF, copied_shop, simulated_orders, trained_shop

from churn.commands.plan import plan
from churn.commands.score import score
from churn.commands.summaries.plans import learning_table
from churn.errors import ConfigError, DataError
from churn.offers.plan_table import PLAN_SCHEMA
from churn.offers.suppression import Suppression
from churn.storage.ledger import Ledger
from churn.storage.manifests import verify_file
from churn.storage.withdrawals import record_withdrawal

NIGHT = str(AS_OF)


@pytest.fixture
def shop(tmp_path, tmp_path_factory):
    """A trained shop with its own ledger."""
    return copied_shop(trained_shop(tmp_path_factory.getbasetemp()), tmp_path / "shop")


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """A plan from a file of scores: shop, result, plan and scores."""
    folder = tmp_path_factory.mktemp("planned")
    config = copied_shop(trained_shop(tmp_path_factory.getbasetemp()), folder / "shop")
    scores, out = folder / "scores.parquet", folder / "plan.parquet"
    score(config, out=scores, as_of=NIGHT)
    result = plan(config, out=out, scores=scores, as_of=NIGHT)
    return config, result, pd.read_parquet(out), pd.read_parquet(scores), out


def offered(frame):
    return frame[frame["offer_id"] != "none"]


def test_the_file_has_the_columns_of_the_design_and_its_manifest_the_totals(planned):
    _, result, _, _, out = planned
    assert pq.read_schema(out).equals(PLAN_SCHEMA)
    facts = verify_file(out)
    assert facts["run_id"] == result.run_id
    assert facts["expected_cost"] == result.metrics["expected_cost"]


def test_every_scored_customer_has_one_row_with_an_offer_or_the_reason_for_none(planned):
    _, result, frame, scores, _ = planned
    assert frame["customer_id"].tolist() == scores["customer_id"].tolist()
    assert ((frame["offer_id"] == "none") == frame["suppression"].notna()).all()
    assert set(frame["suppression"].dropna()) <= {str(code) for code in Suppression}
    assert result.rows == {"plan": len(frame)}
    assert len(offered(frame)) > 10


def test_the_budget_is_kept_and_used(planned):
    _, result, frame, _, _ = planned
    assert frame["expected_cost"].sum() <= 20.0
    assert result.metrics["budget"] == 20.0
    assert "budget_exhausted" in set(frame["suppression"])
    assert frame["expected_cost"].sum() > 19.0


def test_another_budget_may_be_given_for_a_run(shop, tmp_path):
    plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT, budget=1.0)
    assert pd.read_parquet(tmp_path / "p.parquet")["expected_cost"].sum() <= 1.0
    plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT, budget=0.0)
    assert offered(pd.read_parquet(tmp_path / "p.parquet")).empty


def test_only_targeted_customers_outside_the_holdout_get_an_offer(planned):
    _, _, frame, scores, _ = planned
    chosen = offered(frame).merge(scores[["customer_id", "status"]], on="customer_id")
    assert set(chosen["status"]) == {"eligible"}
    assert set(chosen["arm"]) == {"treatment"}
    held = frame[frame["arm"] == "holdout"]
    assert 0.05 < len(held) / len(frame) < 0.15
    assert set(held["suppression"]) == {"holdout"}


def test_holdout_and_offers_are_recorded_in_the_ledger(planned):
    config, result, frame, _, _ = planned
    with Ledger(config.parent / "ledger.db") as ledger:
        held = set(frame.loc[frame["arm"] == "holdout", "customer_id"])
        assert ledger.holdout_members("holdout") == held
        contacts = list(ledger.last_contacts(AS_OF + timedelta(days=1)))
        (run,) = ledger.runs("plan")
    assert {contact.customer_id for contact in contacts} == set(offered(frame)["customer_id"])
    assert (run.run_id, run.status) == (result.run_id, "done")


def test_assumed_consent_is_noted(planned):
    assert planned[1].warnings == (
        'consent is assumed, not looked up: [offers] consent = "assumed"',
    )


def test_without_a_scores_file_the_champion_scores(planned, shop, tmp_path):
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)
    frame = pd.read_parquet(tmp_path / "p.parquet")
    names = ["customer_id", "offer_id", "arm", "suppression", "expected_value"]
    pd.testing.assert_frame_equal(frame[names], planned[2][names])
    assert result.model_id == (shop.parent / "models" / "champion").read_text().strip()


def test_planning_twice_records_one_plan(shop, tmp_path):
    """Fault 51: a rerun replaces the plan of its campaign and date; nobody is contacted twice."""
    frames = []
    for name in ("first", "second"):
        plan(shop, out=tmp_path / f"{name}.parquet", as_of=NIGHT)
        frames.append(pd.read_parquet(tmp_path / f"{name}.parquet").drop(columns="run_id"))
    pd.testing.assert_frame_equal(*frames)
    with Ledger(shop.parent / "ledger.db") as ledger:
        contacts = list(ledger.last_contacts(AS_OF + timedelta(days=1)))
    assert len(contacts) == len(offered(frames[0]))


def test_a_dry_run_is_written_and_starts_no_cooldown(shop, tmp_path):
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT, dry_run=True)
    assert len(offered(pd.read_parquet(tmp_path / "p.parquet"))) > 10
    assert "dry run: the plan is not recorded, and no cooldown starts" in result.warnings
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert list(ledger.last_contacts(AS_OF + timedelta(days=1))) == []


def test_randomised_shares_and_groups_come_from_the_configuration(shop, tmp_path):
    text = shop.read_text().replace("[offers]", "[offers]\nexplore = 0.3\ncontrol = 0.1", 1)
    shop.write_text(text + '[offers.groups]\nby = "segment"\ncaps = { loyal = 0.05 }\n')
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)
    frame = pd.read_parquet(tmp_path / "p.parquet")
    assert set(frame["arm"]) == {"treatment", "holdout", "control", "explore"}
    assert (frame["propensity"] > 0).all()
    assert {row["group"] for row in result.metrics["groups"]} >= {"loyal"}
    assert [title for title, _, rows in result.tables if rows][-1] == "Groups"
    pace = next(one for one in result.tables if one.title.startswith("When average effects"))
    assert pace.header[-1] == "chance in exploration"
    assert pace.rows[-1][0] == "none"
    assert {row[-1] for row in pace.rows} == {f"{1 / len(pace.rows):.0%}, as any"}


def test_the_chance_of_exploration_is_told_with_its_reason():
    chances, best = {"coupon": 0.62, "gift": None, "none": 0.38}, {"coupon": 0.72, "none": 0.28}
    pace = {"offer_id": "coupon", "effect": 0.02, "assigned": 50, "controls": 20, "plans": 3}
    summary = {
        "learning": [{**pace, "explored_cost": 8.0}],
        "exploration": {"chances": chances, "best": {**best, "gift": None}},
        "explore_share": 0.1,
        "currency": "EUR",
    }
    table = learning_table(summary)
    assert table.rows[0][-1] == "62%, best with 72%"
    assert table.rows[1] == ("none", "", "", "", "", "", "38%, best with 28%")
    assert "chance in exploration" not in learning_table({**summary, "explore_share": 0.0}).header


def test_a_planned_offer_starts_a_cooldown(shop, tmp_path):
    """The contact is in the ledger, not in the shop's tables."""
    plan(shop, out=tmp_path / "a.parquet", as_of="2023-12-01")
    plan(shop, out=tmp_path / "b.parquet", as_of="2023-12-20")
    first, second = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in "ab")
    contacted = set(offered(first)["customer_id"])
    assert contacted
    assert not contacted & set(offered(second)["customer_id"])
    rest = second[second["customer_id"].isin(contacted) & (second["suppression"] == "cooldown")]
    assert not rest.empty


def test_a_cooldown_ends(shop, tmp_path):
    """28 days after the first plan, everyone may be contacted again."""
    plan(shop, out=tmp_path / "a.parquet", as_of="2023-12-01")
    plan(shop, out=tmp_path / "b.parquet", as_of="2023-12-29")
    assert "cooldown" not in set(pd.read_parquet(tmp_path / "b.parquet")["suppression"])


def test_a_frequency_cap_counts_the_plans_of_its_days(shop, tmp_path):
    """One-day cooldowns permit an offer each time; the cap stops at two."""
    offers = (shop.parent / "offers.toml").read_text()
    (shop.parent / "offers.toml").write_text(
        offers.replace("cooldown_days = 28", "cooldown_days = 1")
    )
    cap = "[offers]\nmax_contacts = 2\ncap_days = 20"
    shop.write_text(
        shop.read_text().replace("[offers]", cap, 1).replace("budget = 20.0", "budget = 1e6")
    )
    frames = {}
    for day in ("2023-11-25", "2023-12-01", "2023-12-10", "2023-12-15"):
        plan(shop, out=tmp_path / "p.parquet", as_of=day)
        frames[day] = pd.read_parquet(tmp_path / "p.parquet")
    sent = {day: set(offered(frame)["customer_id"]) for day, frame in frames.items()}
    first, second, third, fourth = sent.values()
    assert first & second
    assert not first & second & third
    assert "frequency_cap" in set(frames["2023-12-10"]["suppression"])
    assert first & second & fourth  # the first lies 20 days back


def test_plans_of_later_dates_do_not_affect_a_plan(shop, tmp_path):
    plan(shop, out=tmp_path / "b.parquet", as_of="2023-12-20")
    plan(shop, out=tmp_path / "a.parquet", as_of="2023-12-10")
    assert "cooldown" not in set(pd.read_parquet(tmp_path / "a.parquet")["suppression"])


def campaign(shop, name, *, cooldown_days=28):
    """A configuration of the same shop and ledger with another campaign's catalogue."""
    text = (shop.parent / "offers.toml").read_text().replace('"spring"', f'"{name}"')
    assert f'id = "{name}"' in text
    text = text.replace("cooldown_days = 28", f"cooldown_days = {cooldown_days}")
    (shop.parent / f"{name}.toml").write_text(text)
    config = shop.with_name(f"churn-{name}.toml")
    config.write_text(shop.read_text().replace('"offers.toml"', f'"{name}.toml"'))
    return config


def test_another_campaigns_plan_of_the_same_date_starts_the_cooldown(planned, shop, tmp_path):
    scores = planned[4].with_name("scores.parquet")
    spring, summer = tmp_path / "spring.parquet", tmp_path / "summer.parquet"
    plan(shop, out=spring, scores=scores, as_of=NIGHT)
    plan(campaign(shop, "summer"), out=summer, scores=scores, as_of=NIGHT)
    contacted = set(offered(pd.read_parquet(spring))["customer_id"])
    second = pd.read_parquet(summer).set_index("customer_id")
    assert len(contacted) > 10
    assert set(second.loc[sorted(contacted), "suppression"]) == {"cooldown"}
    assert offered(second).shape[0] > 10
    plan(shop, out=spring, scores=scores, as_of=NIGHT)  # made again it does not bind itself
    assert set(offered(pd.read_parquet(spring))["customer_id"]) == contacted


def test_another_campaigns_plan_of_the_same_date_counts_for_the_cap(planned, shop, tmp_path):
    """Even of offers without a cooldown."""
    cap = "[offers]\nmax_contacts = 1\ncap_days = 20"
    shop.write_text(shop.read_text().replace("[offers]", cap, 1))
    scores = planned[4].with_name("scores.parquet")
    for name in ("spring", "summer"):
        out, config = tmp_path / f"{name}.parquet", campaign(shop, name, cooldown_days=0)
        plan(config, out=out, scores=scores, as_of=NIGHT)
    contacted = set(offered(pd.read_parquet(tmp_path / "spring.parquet"))["customer_id"])
    second = pd.read_parquet(tmp_path / "summer.parquet").set_index("customer_id")
    assert len(contacted) > 10
    assert set(second.loc[sorted(contacted), "suppression"]) == {"frequency_cap"}


def test_a_plan_of_contaminated_scores_has_a_note(shop, tmp_path):
    early = plan(shop, out=tmp_path / "p.parquet", as_of=str(AS_OF - timedelta(days=1)))
    assert any("these scores are contaminated by the future" in note for note in early.warnings)


def test_without_recorded_consent_nobody_gets_an_offer(shop, tmp_path):
    shop.write_text(shop.read_text().replace('"assumed"', '"required"'))
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)
    frame = pd.read_parquet(tmp_path / "p.parquet")
    assert offered(frame).empty
    codes = set(frame["suppression"])
    assert codes == {"consent_unknown", "holdout", "status_not_served"}
    warning, why = result.warnings
    assert "no recorded consent" in why
    assert warning.startswith("no consents are on record, so nobody gets an offer: connect ")
    assert '[offers] consent = "assumed"' in warning
    assert not [rows for title, _, rows in result.tables if "other budgets" in title and rows]
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert list(ledger.last_contacts(AS_OF + timedelta(days=1))) == []


def test_recorded_consent_permits_an_offer_and_a_refusal_prevents_it(shop, tmp_path):
    ids = sorted(simulated_orders()["customer_id"].unique())
    words = pd.DataFrame({"customer_id": ids, "channel": "email", "purpose": "marketing"})
    words["granted"] = words.index % 2 == 0
    words["changed_at"] = pd.Timestamp("2022-01-01")
    words.to_parquet(shop.parent / "consents.parquet")
    text = shop.read_text().replace('"assumed"', '"required"')
    shop.write_text(text + '[data.consents]\nsource = "consents.parquet"\n')
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)
    frame = pd.read_parquet(tmp_path / "p.parquet")
    assert set(offered(frame)["customer_id"]) <= set(words.loc[words["granted"], "customer_id"])
    assert len(offered(frame)) > 10
    assert "consent_refused" in set(frame["suppression"])
    assert result.warnings == ()


def test_no_budget_is_spent_on_customers_who_withdrew_since_the_plans_date(planned, shop, tmp_path):
    """The usual case: the data ends yesterday, and the link was clicked today."""
    gone = offered(planned[2])["customer_id"].head(5).tolist()
    with Ledger(shop.parent / "ledger.db") as ledger:
        for name in gone:
            record_withdrawal(ledger, name, "email", source="one-click")
    scores = planned[4].with_name("scores.parquet")
    plan(shop, out=tmp_path / "p.parquet", scores=scores, as_of=NIGHT)
    frame = pd.read_parquet(tmp_path / "p.parquet").set_index("customer_id")
    assert frame.loc[gone, "suppression"].tolist() == ["consent_refused"] * 5
    # Costs differ by customer, so that the same budget may serve one more or one fewer.
    assert len(offered(frame)) == pytest.approx(len(offered(planned[2])), abs=2)


def test_contacts_of_the_shops_own_table_count_for_the_cooldown(planned, shop, tmp_path):
    chosen = offered(planned[2])["customer_id"].head(5).tolist()
    contacts = pd.DataFrame({"customer_id": chosen, "campaign_id": "winter"})
    contacts["contacted_at"] = pd.Timestamp(AS_OF) - pd.Timedelta(days=3)
    contacts.to_parquet(shop.parent / "contacts.parquet")
    shop.write_text(shop.read_text() + '[data.contacts]\nsource = "contacts.parquet"\n')
    plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)
    frame = pd.read_parquet(tmp_path / "p.parquet").set_index("customer_id")
    assert frame.loc[chosen, "suppression"].tolist() == ["cooldown"] * 5


def test_scores_of_another_date_are_refused(planned, shop, tmp_path):
    scores = planned[4].with_name("scores.parquet")
    with pytest.raises(
        DataError, match=r"scores must be as of the plan's date, 2023-12-01, got 2024-01-01"
    ):
        plan(shop, out=tmp_path / "p.parquet", scores=scores, as_of="2023-12-01")
    assert not (tmp_path / "p.parquet").exists()
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert list(ledger.last_contacts(date(2030, 1, 1))) == []
        assert [run.status for run in ledger.runs()] == ["failed"]


def test_a_missing_catalogue_is_named(shop, tmp_path):
    (shop.parent / "offers.toml").unlink()
    with pytest.raises(ConfigError, match=r"cannot read the catalogue .*offers\.toml"):
        plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)


def test_a_plan_of_given_scores_needs_no_model(planned, shop, tmp_path):
    """Nor a history long enough for a panel."""
    (shop.parent / "models" / "champion").unlink()
    newest = simulated_orders().nlargest(50, "ordered_at")
    newest.to_parquet(shop.parent / "orders.parquet", index=False)
    scores = planned[0].parent.parent / "scores.parquet"
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT, scores=scores)
    assert result.rows["plan"] == len(planned[3])


def test_no_customers_give_an_empty_plan(shop, tmp_path):
    simulated_orders().head(0).to_parquet(shop.parent / "orders.parquet")
    result = plan(shop, out=tmp_path / "p.parquet", as_of=NIGHT)
    assert result.rows == {"plan": 0}
    assert pq.read_schema(tmp_path / "p.parquet").equals(PLAN_SCHEMA)
