"""An export contains only customers who may be contacted; the same plan is one contact."""

from datetime import date, timedelta

import contact_histories as histories
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_shop import AS_OF, OFFERS, open_shop, simulated_orders

from churn.campaigns.delivery.audiences import AUDIENCES
from churn.campaigns.delivery.planned import LIST_COLUMNS
from churn.commands.export import export
from churn.commands.feedback import feedback
from churn.commands.forget import forget
from churn.commands.metrics import metrics
from churn.commands.plan import plan
from churn.errors import BusyError, ConfigError, DataError
from churn.storage.ledger import Ledger
from churn.storage.locks import exclusive, lock_beside
from churn.storage.manifests import verify_file
from churn.storage.withdrawals import record_withdrawal

NIGHT = str(AS_OF)
CUSTOMERS = [f"c{number:04d}" for number in range(40)]
ADS = OFFERS.split("[[offers]]")[1].replace("coupon", "banner").replace('"email"', '"ads"')
APOLOGY = OFFERS.split("[[offers]]")[1].replace("coupon", "apology").replace("discount", "service")
SERVICE = "[[offers]]" + APOLOGY.replace("effect = 0.05", "effect = 0.02")
CONSENTS = """
[data.consents]
source = "consents.parquet"
"""
TABLES = f"""{CONSENTS}
[data.customers]
source = "customers.parquet"
"""
IDENTIFIERS = {
    "email": [f"Name.{number}+Shop@GMail.com " for number in range(40)],
    "phone": [f"(650) 555-{number:04d}" for number in range(40)],
}


def words(granted=True, *, channels=("email", "ads"), at=None, customers=CUSTOMERS):
    """Consents to marketing of each customer on each channel."""
    rows = [
        {"customer_id": name, "channel": channel, "purpose": "marketing", "granted": granted}
        for name in customers
        for channel in channels
    ]
    return pd.DataFrame(rows).assign(changed_at=pd.Timestamp(at or "2022-01-01"))


def consents_of(config, frame):
    frame.to_parquet(config.parent / "consents.parquet", index=False)


@pytest.fixture
def shop(tmp_path):
    """A shop whose customers all consented to marketing, with generated scores and no model."""
    orders = simulated_orders(40)
    config = open_shop(tmp_path / "shop", orders, consent="required", budget=1e6, more=TABLES)
    text = config.read_text().replace("[offers]", '[offers]\nholdout = 0.2\nphone_region = "US"', 1)
    config.write_text(text)
    people = pd.DataFrame({"customer_id": CUSTOMERS, **IDENTIFIERS})
    people.to_parquet(config.parent / "customers.parquet", index=False)
    consents_of(config, words())
    return config


def planned(
    config, name="plan.parquet", *, catalogue=OFFERS, as_of=NIGHT, customers=CUSTOMERS, **more
):
    """A plan from scores that make an offer profitable for everyone."""
    (config.parent / "offers.toml").write_text(catalogue)
    scores = pd.DataFrame({"customer_id": customers, "status": "eligible", "currency": "EUR"})
    scores["churn_probability"] = np.linspace(0.2, 0.7, len(scores))
    scores = scores.assign(value_at_risk=500.0, as_of=date.fromisoformat(as_of))
    scores.to_parquet(config.parent / "scores.parquet", index=False)
    out = config.parent / name
    plan(config, out=out, scores=config.parent / "scores.parquet", as_of=as_of, **more)
    return out


def sent(config, path, name="list.parquet", **more):
    """The exported rows and the result."""
    result = export(config, plan=path, out=config.parent / name, **more)
    return pd.read_parquet(config.parent / name), result


def offered(path):
    frame = pd.read_parquet(path)
    return set(frame.loc[frame["offer_id"] != "none", "customer_id"])


def test_the_list_holds_every_offer_and_nobody_of_the_holdout(shop):
    path = planned(shop)
    frame, result = sent(shop, path)
    assert list(frame.columns) == list(LIST_COLUMNS)
    assert set(frame["customer_id"]) == offered(path)
    assert set(frame["arm"]) == {"treatment"}
    assert 20 < len(frame) < 40
    assert result.rows == {"plan": 40, "exported": len(frame)}
    assert result.metrics["left_out"] == {}
    assert result.as_of == AS_OF


def test_the_customers_of_a_number_are_planned_and_exported_alone(shop):
    """Offers, effects and arms are those of the plan of everyone; a withdrawal counts."""
    listed, out = shop.parent / "listed.csv", shop.parent / "some.parquet"
    metrics(shop, customers="active_at_end", out=listed)
    names = set(pd.read_csv(listed)["customer_id"])
    assert 3 < len(names) < 37
    everyone = pd.read_parquet(planned(shop))
    scores = shop.parent / "scores.parquet"
    result = plan(shop, out=out, scores=scores, as_of=NIGHT, customers=listed)
    some = pd.read_parquet(out).drop(columns="run_id")
    expected = everyone[everyone["customer_id"].isin(names)].drop(columns="run_id")
    pd.testing.assert_frame_equal(some, expected.reset_index(drop=True))
    assert some["suppression"].eq("holdout").any()
    assert list(result.dropped["scores"].values()) == [40 - len(names)]
    assert any(f"of the {len(names)} scored customers on the list" in n for n in result.warnings)

    gone = sorted(offered(out))[:1]
    more = words(granted=False, customers=gone, at=AS_OF + timedelta(days=1))
    consents_of(shop, pd.concat([words(), more]))
    frame, exported = sent(shop, out)
    assert set(frame["customer_id"]) == offered(out) - set(gone)
    assert exported.metrics["left_out"] == {"consent_refused": 1}


def test_a_list_that_plans_nobody_is_refused(shop):
    planned(shop)
    listed, scores = shop.parent / "listed.txt", shop.parent / "scores.parquet"
    options = {"out": shop.parent / "none.parquet", "scores": scores, "as_of": NIGHT}
    with pytest.raises(ConfigError, match=r"--customers must be an existing.*churn metrics"):
        plan(shop, customers=listed, **options)
    listed.write_text("nobody\n")
    with pytest.raises(ConfigError, match=r"list at least one customer who is in the scores"):
        plan(shop, customers=listed, **options)
    listed.write_text("nobody\nc0001\n")
    notes = plan(shop, customers=listed, **options).warnings
    assert any("1 others on it are not in the scores" in note for note in notes)


def test_who_is_unhappy_gets_service_and_no_coupon(shop):
    """From the survey over the worklist and the plan to the exported list."""
    unhappy = CUSTOMERS[::4]
    surveys = pd.DataFrame({"customer_id": CUSTOMERS, "score": [0, 9, 10, 9] * 10})
    surveys["surveyed_at"] = pd.Timestamp(AS_OF, tz="UTC") - pd.Timedelta("5D")
    surveys.to_csv(shop.parent / "surveys.csv", index=False)
    shop.write_text(shop.read_text() + '\n[data.surveys]\nsource = "surveys.csv"\n')
    planned(shop)
    worklist, scores = shop.parent / "worklist.csv", shop.parent / "scores.parquet"
    feedback(shop, out=worklist, scores=scores)
    assert set(pd.read_csv(worklist)["customer_id"]) == set(unhappy)
    without = planned(shop, "without.parquet", worklist=worklist)
    codes = pd.read_parquet(without).set_index("customer_id")["suppression"]
    assert set(codes[unhappy]) == {"service_first", "holdout"}
    assert "service_first" not in set(codes.drop(unhappy))
    assert not set(sent(shop, without)[0]["customer_id"]) & set(unhappy)

    both = planned(shop, "both.parquet", catalogue=OFFERS + SERVICE, worklist=worklist)
    frame, _ = sent(shop, both, "both_list.parquet", replace=True)
    offers = frame.set_index("customer_id")["offer_id"]
    assert set(offers[offers.index.isin(unhappy)]) == {"apology"}
    assert "coupon" in set(offers[~offers.index.isin(unhappy)])


def test_who_explores_is_exported_too(shop):
    shop.write_text(shop.read_text().replace("[offers]", "[offers]\nexplore = 0.5", 1))
    path = planned(shop)
    frame, _ = sent(shop, path)
    assert set(frame["arm"]) == {"treatment", "explore"}
    assert set(frame["customer_id"]) == offered(path)


def test_a_withdrawal_between_plan_and_export_wins(shop):
    path = planned(shop)
    gone = sorted(offered(path))[:3]
    more = words(granted=False, customers=gone, at=AS_OF + timedelta(days=1))
    consents_of(shop, pd.concat([words(), more]))
    for on in (None, str(AS_OF + timedelta(days=2))):
        frame, result = sent(shop, path, on=on)
        assert set(frame["customer_id"]) == offered(path) - set(gone)
        assert result.metrics["left_out"] == {"consent_refused": 3}


def test_a_consent_that_is_given_later_than_the_date_does_not_count_yet(shop):
    path = planned(shop)
    late = sorted(offered(path))[:3]
    early = words(customers=[name for name in CUSTOMERS if name not in late])
    consents_of(shop, pd.concat([early, words(customers=late, at=AS_OF + timedelta(days=1))]))
    _, result = sent(shop, path)
    assert result.metrics["left_out"] == {"consent_unknown": 3}
    _, result = sent(shop, path, on=str(AS_OF + timedelta(days=2)))
    assert result.metrics["left_out"] == {}


def test_an_objection_to_profiling_removes_whoever_agreed_to_marketing(shop):
    path = planned(shop)
    gone = sorted(offered(path))[:2]
    objections = words(granted=False, customers=gone, channels=["web"]).assign(purpose="profiling")
    consents_of(shop, pd.concat([words(), objections]))
    frame, result = sent(shop, path)
    assert not set(gone) & set(frame["customer_id"])
    assert result.metrics["left_out"] == {"objected": 2}


def test_assumed_consent_is_said_and_a_refusal_counts_all_the_same(shop):
    shop.write_text(shop.read_text().replace('"required"', '"assumed"'))
    path = planned(shop)
    consents_of(shop, words(granted=False, customers=sorted(offered(path))[:4]))
    frame, result = sent(shop, path)
    assert len(frame) == len(offered(path)) - 4
    assert result.warnings == ('consent is assumed, not looked up: [offers] consent = "assumed"',)


def test_without_a_table_of_consents_nothing_is_exported(shop):
    path = planned(shop)
    shop.write_text(shop.read_text().replace(CONSENTS, ""))
    frame, result = sent(shop, path)
    assert frame.empty
    assert list(frame.columns) == list(LIST_COLUMNS)
    assert result.metrics["left_out"] == {"consent_unknown": len(offered(path))}
    assert result.warnings[0] == "nobody's consent is on record: connect [data.consents]"
    assert "have no consent to marketing on record; connect [data.consents]" in result.warnings[1]


def test_an_empty_list_says_why_and_stands_in_the_way_of_no_other(shop):
    first = planned(shop)
    consents_of(shop, words(False))
    empty = export(shop, plan=first, out=shop.parent / "list.csv")
    offers = empty.metrics["offered"]
    told = f"0 of {offers} offers: {offers} are for customers who refuse marketing on the channel"
    assert offers > 0
    assert told in empty.warnings
    consents_of(shop, words())
    other = planned(shop, "other.parquet", catalogue=OFFERS.replace("coupon", "voucher"))
    full = export(shop, plan=other, out=shop.parent / "list.csv")
    assert full.rows["exported"] > 0
    assert not any("exported before" in warning for warning in full.warnings)


def test_a_plan_without_an_offer_says_why(shop):
    consents_of(shop, words(channels=("sms",)))
    planned(shop)
    scores = shop.parent / "scores.parquet"
    result = plan(shop, out=shop.parent / "p.parquet", scores=scores, as_of=NIGHT)
    told = next(warning for warning in result.warnings if warning.startswith("0 of 40 customers"))
    assert "x no recorded consent to marketing on any offer's channel" in told
    assert "connect [data.consents]" in told


def test_an_offer_is_sent_until_the_day_that_it_ends_and_not_after(shop):
    path = planned(shop)
    last = AS_OF + timedelta(days=14)
    assert len(sent(shop, path, on=str(last))[0]) == len(offered(path))
    frame, result = sent(shop, path, on=str(last + timedelta(days=1)))
    assert frame.empty
    assert result.metrics["left_out"] == {"expired": len(offered(path))}


def test_the_date_lies_at_or_after_the_plan(shop):
    path = planned(shop)
    with pytest.raises(ConfigError, match=r"--date must be at or after the date of the plan"):
        sent(shop, path, on="2023-06-01")
    with pytest.raises(ConfigError, match="--date must be an ISO date, got '2024-13-01'"):
        sent(shop, path, on="2024-13-01")


def with_codes(shop, *codes, name="codes.csv"):
    """The catalogue whose coupon takes its codes from a file with these codes."""
    (shop.parent / name).write_text("code\n" + "".join(f"{code}\n" for code in codes))
    return OFFERS.replace('kind = "discount"', f'kind = "discount"\ncodes = "{name}"')


def test_a_code_for_all_stands_in_every_row_of_its_offer(shop):
    catalogue = OFFERS.replace('kind = "discount"', 'kind = "discount"\ncode = "WELCOME10"')
    frame, _ = sent(shop, planned(shop, catalogue=catalogue))
    assert len(frame) > 0
    assert set(frame["code"]) == {"WELCOME10"}


def test_each_customer_gets_a_code_of_their_own_and_keeps_it(shop):
    pool = [f"C-{number}" for number in range(100)]
    path = planned(shop, catalogue=with_codes(shop, *pool))
    first, _ = sent(shop, path)
    again, result = sent(shop, path, "again.parquet")
    assert first["code"].is_unique
    assert set(first["code"]) <= set(pool)
    assert again["code"].tolist() == first["code"].tolist()
    assert any("the same rows again" in warning for warning in result.warnings)


def test_no_code_is_given_twice_also_in_a_later_plan_and_after_an_erasure(shop):
    pool = [f"C-{number}" for number in range(100)]
    catalogue = with_codes(shop, *pool)
    first, _ = sent(shop, planned(shop, catalogue=catalogue))
    forget(shop, customers=first["customer_id"].tolist()[:5])
    other = catalogue.replace("spring", "summer").replace("coupon", "voucher")
    other = other.replace("cooldown_days = 28", "cooldown_days = 0")
    second, _ = sent(shop, planned(shop, "other.parquet", catalogue=other), "other-list.parquet")
    assert len(second) > 0
    assert not set(first["code"]) & set(second["code"])


def test_too_few_codes_stop_the_export_before_anything_is_written(shop):
    path = planned(shop, catalogue=with_codes(shop, "ONE", "TWO", "two"))
    with pytest.raises(DataError, match=r"'coupon' must have a code.*and 2 codes left"):
        export(shop, plan=path, out=shop.parent / "list.csv")
    assert not (shop.parent / "list.csv").exists()
    with Ledger(shop.parent / "ledger.db") as ledger, ledger.reading() as connection:
        assert connection.execute("SELECT count(*) FROM codes").fetchone() == (0,)


def test_the_file_of_codes_is_not_written_over(shop):
    path = planned(shop, catalogue=with_codes(shop, "ONE"))
    with pytest.raises(ConfigError, match="must not be a file that the command reads"):
        export(shop, plan=path, out=shop.parent / "codes.csv")


def test_one_offer_of_several_may_be_asked_for(shop):
    agreed = words(channels=["email"], customers=CUSTOMERS[:20])
    consents_of(shop, pd.concat([agreed, words(channels=["ads"], customers=CUSTOMERS[20:])]))
    path = planned(shop, catalogue=OFFERS + "[[offers]]" + ADS)
    frame, result = sent(shop, path, offer="banner")
    assert set(frame["offer_id"]) == {"banner"}
    assert result.metrics["left_out"] == {"other_offer": len(offered(path)) - len(frame)}
    assert set(frame["customer_id"]) <= set(CUSTOMERS[20:])


def test_an_offer_that_is_not_in_the_plan_is_told_and_nothing_is_written(shop):
    path = planned(shop)
    told = r"--offer must be an offer of the plan, got 'nope'\. It offers coupon\."
    with pytest.raises(ConfigError, match=told):
        sent(shop, path, offer="nope")
    assert not (shop.parent / "list.parquet").exists()
    with Ledger(shop.parent / "ledger.db") as ledger:
        assert [run.status for run in ledger.runs("export")] == ["failed"]


def test_a_list_is_no_plan_and_is_told_so(shop):
    sent(shop, planned(shop))
    told = "list.parquet must be a plan, got a list of `churn export`. Pass the file that"
    with pytest.raises(DataError, match=told):
        export(shop, plan=shop.parent / "list.parquet", out=shop.parent / "again.parquet")


def test_the_manifest_counts_and_names_no_customer(shop):
    path = planned(shop)
    consents_of(shop, words(customers=sorted(offered(path))[5:]))
    frame, result = sent(shop, path)
    facts = verify_file(shop.parent / "list.parquet")
    assert facts["rows"] == facts["exported"] == len(frame)
    assert facts["left_out"] == {"consent_unknown": 5}
    assert facts["run_id"] == result.run_id
    assert facts["plan_run_id"] == pd.read_parquet(path)["run_id"].iloc[0]
    assert "c00" not in str(facts)


def test_cells_of_a_csv_list_are_no_formulas(shop):
    """Fault 47: a spreadsheet would run the name; Parquet keeps it."""
    name = "=HYPERLINK(0)"
    consents_of(shop, words(customers=[name]))
    path = planned(shop, customers=[*CUSTOMERS, name])
    assert sent(shop, path)[0]["customer_id"].tolist() == [name]
    export(shop, plan=path, out=shop.parent / "list.csv")
    frame = pd.read_csv(shop.parent / "list.csv")
    assert list(frame.columns) == list(LIST_COLUMNS)
    assert frame["customer_id"].tolist() == [f"'{name}"]


# Idempotence


def test_the_same_plan_exported_twice_writes_the_same_file_and_says_so(shop):
    path = planned(shop)
    first = sent(shop, path, "a.parquet")[1]
    second = sent(shop, path, "b.parquet")[1]
    assert pq.read_table(shop.parent / "a.parquet").equals(pq.read_table(shop.parent / "b.parquet"))
    (note,) = second.warnings
    assert note == (
        f"exported before, in run {first.run_id} on {NIGHT}: the same rows again, "
        "so whoever got that list needs no second one"
    )


def test_the_same_decisions_planned_again_are_the_same_plan(shop):
    sent(shop, planned(shop, "a.parquet"))
    _, result = sent(shop, planned(shop, "b.parquet"))
    assert "exported before" in result.warnings[0]
    assert "the same rows again" in result.warnings[0]


def test_a_list_that_lost_somebody_takes_the_place_of_the_first(shop):
    path = planned(shop)
    sent(shop, path)
    consents_of(shop, words(customers=sorted(offered(path))[1:]))
    _, result = sent(shop, path)
    n = len(offered(path))
    assert f"with {n} rows and now {n - 1}: put this list in its place" in result.warnings[0]


def test_another_plan_of_the_same_campaign_and_date_is_refused_unless_it_replaces(shop):
    sent(shop, planned(shop))
    other = planned(shop, "other.parquet", budget=1.0)
    assert 0 < len(offered(other)) < 20
    with pytest.raises(ConfigError, match=r"a plan other than that of run .* or pass --replace"):
        sent(shop, other, "other-list.parquet")
    assert not (shop.parent / "other-list.parquet").exists()
    assert set(sent(shop, other, replace=True)[0]["customer_id"]) == offered(other)
    assert "the same rows again" in sent(shop, other)[1].warnings[0]


def contacted(config):
    with Ledger(config.parent / "ledger.db") as ledger:
        return [contact.customer_id for contact in ledger.last_contacts(date(2030, 1, 1))]


def test_what_was_exported_stays_a_contact_when_another_plan_is_made(shop):
    """Otherwise, the next campaign would contact the customers of the list again."""
    path = planned(shop)
    exported = offered(path)
    sent(shop, path)
    planned(shop, "none.parquet", budget=0.0)
    assert sorted(contacted(shop)) == sorted(exported)
    planned(shop, "again.parquet")
    assert sorted(contacted(shop)) == sorted(exported)


def test_what_was_never_exported_or_is_replaced_is_no_contact_any_more(shop):
    planned(shop)
    path = planned(shop, "small.parquet", budget=1.0)
    assert sorted(contacted(shop)) == sorted(offered(path))
    sent(shop, path)
    smaller = planned(shop, "smaller.parquet", budget=0.5)
    assert set(contacted(shop)) == offered(path) | offered(smaller)
    sent(shop, smaller, replace=True)
    assert sorted(contacted(shop)) == sorted(offered(smaller))


def test_audiences_and_lists_do_not_stand_in_each_others_way(shop):
    path = planned(shop, catalogue=OFFERS.replace('"email"', '"ads"'))
    sent(shop, path)
    for name in AUDIENCES:
        assert sent(shop, path, audience_name=name)[1].warnings == ()


def test_a_plan_that_is_not_on_record_is_refused(shop):
    dry = planned(shop, "dry.parquet", dry_run=True)
    with pytest.raises(DataError, match=r"dry\.parquet must be the plan on record"):
        sent(shop, dry)
    old = planned(shop, "old.parquet")
    planned(shop, "new.parquet")
    with pytest.raises(DataError, match=r"old\.parquet must be the plan on record"):
        sent(shop, old)


# Files


def test_an_altered_plan_or_one_without_a_manifest_is_refused(shop):
    path = planned(shop)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(DataError, match="must match its manifest"):
        sent(shop, path)
    path.write_bytes(content)
    path.with_name("plan.parquet.manifest.json").unlink()
    with pytest.raises(DataError, match="must lie next to its manifest"):
        sent(shop, path)
    assert not (shop.parent / "list.parquet").exists()


def test_the_plan_is_not_written_over_and_a_missing_one_is_named(shop):
    path = planned(shop)
    with pytest.raises(ConfigError, match="--to must not be a file that the command reads"):
        export(shop, plan=path, out=path)
    with pytest.raises(ConfigError, match=r"there is no file 'gone\.parquet'.*`churn plan`"):
        sent(shop, path.with_name("gone.parquet"))
    with pytest.raises(ConfigError, match=r"--to must end in \.parquet.*\.csv"):
        sent(shop, path, "list.txt")


def test_two_exports_to_one_file_do_not_mix(shop):
    path = planned(shop)
    with (
        exclusive(lock_beside(shop.parent / "list.parquet"), what="holding"),
        pytest.raises(BusyError, match="must be done by one run at a time"),
    ):
        sent(shop, path)


def test_a_file_that_is_no_plan_is_refused(shop):
    planned(shop)
    with pytest.raises(DataError, match="table 'plan' lacks column"):
        export(shop, plan=planned_like_scores(shop), out=shop.parent / "list.parquet")


def planned_like_scores(config):
    """A result of churn that is not a plan."""
    from churn.results.output import writing_table

    with writing_table(config.parent / "other.parquet") as writer:
        writer.write(pa.table({"customer_id": ["c0001"]}), {})
    return config.parent / "other.parquet"


# Audiences


@pytest.mark.parametrize("name", AUDIENCES)
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_an_audience_holds_hashes_and_no_identifier_of_anybody(shop, name, ending):
    path = planned(shop, catalogue=OFFERS.replace('"email"', '"ads"'))
    out = shop.parent / f"audience.{ending}"
    result = export(shop, plan=path, out=out, audience_name=name)
    frame = pd.read_parquet(out) if ending == "parquet" else pd.read_csv(out)
    assert len(frame) == len(offered(path)) == result.rows["exported"]
    assert frame.stack().str.fullmatch("[0-9a-f]{64}").all()
    manifest = out.with_name(out.name + ".manifest.json").read_text()
    message = " ".join([frame.to_csv(), manifest]).lower()
    for number in range(40):
        for raw in (f"name.{number}+", f"name{number}@", f"c{number:04d}", f"555{number:04d}"):
            assert raw not in message


def test_an_audience_takes_offers_of_the_channel_ads_alone(shop):
    path = planned(shop)
    frame, result = sent(shop, path, audience_name="meta")
    assert frame.empty
    assert result.metrics["left_out"] == {"other_channel": len(offered(path))}
    assert result.warnings[-1] == "audiences hold offers of the channel 'ads' alone"


def test_consent_to_mail_opens_no_audience(shop):
    path = planned(shop, catalogue=OFFERS.replace('"email"', '"ads"'))
    consents_of(shop, words(channels=["email"]))
    _, result = sent(shop, path, audience_name="google-ads")
    assert result.metrics["left_out"] == {"consent_unknown": len(offered(path))}


def test_who_has_no_identifier_is_counted_and_twins_stand_once(shop):
    path = planned(shop, catalogue=OFFERS.replace('"email"', '"ads"'))
    chosen = sorted(offered(path))
    people = pd.DataFrame({"customer_id": CUSTOMERS, **IDENTIFIERS}).set_index("customer_id")
    people.loc[chosen[:2]] = ["no address", "12"]
    people.loc[chosen[2:5]] = ["same@example.com", "+49 175 1234567"]
    people.reset_index().to_parquet(shop.parent / "customers.parquet")
    frame, result = sent(shop, path, audience_name="meta")
    assert result.metrics["left_out"] == {"no_identifier": 2, "repeated_identifier": 2}
    assert len(frame) == len(chosen) - 4


def test_an_audience_needs_addresses_a_known_platform_and_region(shop):
    path = planned(shop, catalogue=OFFERS.replace('"email"', '"ads"'))
    with pytest.raises(ConfigError, match="--audience must be one of google-ads, "):
        sent(shop, path, audience_name="myspace")
    shop.write_text(shop.read_text().replace('"US"', '"QQ"'))
    with pytest.raises(ConfigError, match=r"phone_region .* got QQ\. Write"):
        sent(shop, path, audience_name="meta")
    pd.DataFrame({"customer_id": CUSTOMERS}).to_parquet(shop.parent / "customers.parquet")
    with pytest.raises(DataError, match="contacting customers requires the column email or phone"):
        sent(shop, path, audience_name="meta")


# What was said elsewhere than in the consents


def events_of(config, frame):
    frame.to_parquet(config.parent / "events.parquet", index=False)
    if "[data.events]" not in config.read_text():
        config.write_text(config.read_text() + '\n[data.events]\nsource = "events.parquet"\n')


def unsubscribed(customers, at, **more):
    frame = pd.DataFrame({"customer_id": customers, "event_type": "unsubscribe", **more})
    return frame.assign(occurred_at=pd.Timestamp(at))


@pytest.mark.parametrize("consent", ["required", "assumed"])
def test_who_unsubscribed_after_the_plan_is_left_out_whatever_consent_is_asked_for(shop, consent):
    shop.write_text(shop.read_text().replace('"required"', f'"{consent}"'))
    path = planned(shop)
    gone = sorted(offered(path))[:3]
    events_of(shop, unsubscribed(gone, AS_OF + timedelta(days=1)))
    frame, result = sent(shop, path)
    assert set(frame["customer_id"]) == offered(path) - set(gone)
    assert result.metrics["left_out"] == {"consent_refused": 3}


def test_who_unsubscribed_from_another_channel_stays_in(shop):
    path = planned(shop)
    events_of(shop, unsubscribed(sorted(offered(path))[:3], AS_OF, channel="SMS"))
    assert sent(shop, path)[1].metrics["left_out"] == {}


def withdraw(config, customers, at=None):
    with Ledger(config.parent / "ledger.db") as ledger:
        for name in customers:
            record_withdrawal(ledger, name, "email", source="one-click", at=at)


def test_a_withdrawal_that_only_the_ledger_holds_wins_too(shop):
    path = planned(shop)
    gone = sorted(offered(path))[:3]
    withdraw(shop, gone)
    frame, result = sent(shop, path)
    assert set(frame["customer_id"]) == offered(path) - set(gone)
    assert result.metrics["left_out"] == {"consent_refused": 3}


def test_who_withdrew_gets_nothing_planned_until_they_agree_anew(shop):
    gone = CUSTOMERS[:20]
    withdraw(shop, gone, pd.Timestamp("2023-06-01", tz="UTC").to_pydatetime())
    assert not offered(planned(shop, "a.parquet")) & set(gone)
    again = words(customers=gone, at="2023-07-01")
    consents_of(shop, pd.concat([words(), again]))
    path = planned(shop, "b.parquet")
    assert offered(path) & set(gone)
    assert set(sent(shop, path)[0]["customer_id"]) == offered(path)


def preferences_of(config, **columns):
    frame = pd.DataFrame(columns).assign(changed_at=pd.Timestamp("2023-12-31"))
    frame.to_parquet(config.parent / "preferences.parquet", index=False)
    text = config.read_text()
    if "[data.preferences]" not in text:
        config.write_text(text + '\n[data.preferences]\nsource = "preferences.parquet"\n')


def test_what_is_not_wanted_any_more_is_not_exported(shop):
    path = planned(shop)
    gone = sorted(offered(path))[:4]
    message = {"kind": ["discount", "gift", None, ""], "channel": ["email", None, "sms", "Email"]}
    preferences_of(shop, customer_id=gone, allowed=False, **message)
    frame, result = sent(shop, path)
    assert offered(path) - set(frame["customer_id"]) == {gone[0], gone[3]}
    assert result.metrics["left_out"] == {"preference": 2}


def test_an_offer_that_left_the_catalogue_may_be_of_any_kind(shop):
    path = planned(shop)
    preferences_of(shop, customer_id=sorted(offered(path))[:2], kind="gift", allowed=False)
    (shop.parent / "offers.toml").write_text(OFFERS.replace('"coupon"', '"ticket"'))
    assert sent(shop, path)[1].metrics["left_out"] == {"preference": 2}


def test_a_kind_that_no_offer_has_is_said(shop):
    path = planned(shop)
    preferences_of(shop, customer_id=["c0001"], kind="fireworks", allowed=False)
    (warning,) = sent(shop, path)[1].all_warnings
    assert warning.startswith("preferences: 1 row")
    assert "fireworks" in warning


def test_contacts_of_earlier_plans_count_for_a_customers_own_limit(shop):
    """At most one in 40 days: the cooldown would be over, and there is no general cap."""
    early = offered(planned(shop, "a.parquet", as_of="2023-12-01"))
    preferences_of(shop, customer_id=CUSTOMERS[:20], max_contacts=1, cap_days=40)
    late = planned(shop, "b.parquet")
    assert early - set(CUSTOMERS[:20]) <= offered(late)
    assert not early & set(CUSTOMERS[:20]) & offered(late)
    frame = pd.read_parquet(late).set_index("customer_id")
    assert set(frame.loc[sorted(early & set(CUSTOMERS[:20])), "suppression"]) == {"frequency_cap"}


# Whatever was said


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """A shop of two customers with a plan made while everyone consented."""
    names, begins = histories.CUSTOMERS, histories.BEGINS
    orders = pd.DataFrame({"customer_id": names, "amount": 9.0})
    orders["ordered_at"] = pd.Timestamp(begins) - pd.Timedelta(days=1)
    folder = tmp_path_factory.mktemp("fuzzed") / "shop"
    config = open_shop(folder, orders, consent="required", budget=1e6)
    tables = [f'[data.{name}]\nsource = "{name}.parquet"' for name in histories.HAPPENED]
    text = config.read_text().replace("[offers]", "[offers]\nholdout = 0.0", 1)
    config.write_text("\n".join([text, *tables]))
    message = {
        "channel": "email",
        "purpose": "marketing",
        "granted": True,
        "at": -200,
        "loaded": -200,
    }
    write_history(config, {"consents": [message | {"customer_id": name} for name in names]})
    path = planned(config, customers=names, as_of=str(begins.date()))
    assert offered(path) == set(names)
    return config, path


def write_history(config, history):
    """Writes the history into the shop's tables and into a new ledger."""
    for name, happened in histories.HAPPENED.items():
        rows = [*history.get(name, ()), histories.STRANGER]
        histories.table(rows, happened).to_parquet(config.parent / f"{name}.parquet", index=False)
    with Ledger(config.parent / "ledger.db") as ledger:
        with ledger.changing() as connection:
            connection.execute("DELETE FROM withdrawals")
        for row in history.get("withdrawals", ()):
            at = histories.moment(row["at"])
            record_withdrawal(ledger, row["customer_id"], row["channel"], source="form", at=at)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=histories.history, days=st.integers(0, 3))
def test_whatever_was_said_nobody_is_exported_without_live_consent(fuzzed, history, days):
    """The oracle goes through the history of each customer row by row."""
    config, path = fuzzed
    write_history(config, history)
    on = histories.BEGINS.date() + timedelta(days=days)
    rows, result = sent(config, path, on=str(on))
    at = {"hours": 24 * days, "sending": True}
    assert set(rows["customer_id"]) == {
        name
        for name in histories.CUSTOMERS
        if histories.live(name, "email", history, **at)
        and histories.wanted(name, "email", "discount", history, **at)
    }
    assert len(rows) + sum(result.metrics["left_out"].values()) == len(histories.CUSTOMERS)
