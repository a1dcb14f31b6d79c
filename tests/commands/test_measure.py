"""`churn measure` on a simulated shop finds a known effect; money is exact to the cent."""

import csv
import json
import shutil
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn.campaigns.measurement.rows import MEASURED_SCHEMA
from churn.commands.effects import effects
from churn.commands.export import export
from churn.commands.measure import measure
from churn.commands.plan import plan
from churn.errors import ConfigError, DataError
from churn.storage.manifests import publish_with_manifest, sidecar_of, verify_file

PLANNED_ON, END, CUSTOMERS = date(2024, 3, 1), date(2024, 4, 5), 2_000
EFFECT = 0.2
CONFIG = """
[data]
currency = "EUR"
until = 2024-04-05
[data.orders]
source = "orders.parquet"
[churn]
horizon_days = 28
lookback_days = 56
[value]
margin_rate = 0.333
[offers]
catalogue = "offers.toml"
budget = 100000.0
consent = "assumed"
holdout = 0.2
control = 0.1
"""
OFFERS = """
[campaign]
id = "spring"
[[offers]]
offer_id = "coupon"
name = "coupon"
kind = "discount"
channel = "email"
margin_cost = 1.25
contact_cost = 0.0555
redemption_rate = 0.2
effect = 0.05
effect_low = 0.01
effect_high = 0.09
cooldown_days = 28
expires_after_days = 14
"""
CONNECTED = """
[data.contacts]
source = "contacts.parquet"
[data.redemptions]
source = "redemptions.parquet"
[data.events]
source = "events.parquet"
"""


def ids(customers=CUSTOMERS):
    return [f"c{number:05d}" for number in range(customers)]


def write_scores(path, as_of=PLANNED_ON):
    """Every third customer is not worth an offer; the prediction is the churn probability."""
    rng = np.random.default_rng(2)
    worth = np.where(np.arange(CUSTOMERS) % 3, 30.0, 0.0)
    scores = pa.table(
        {
            "customer_id": ids(),
            "as_of": [as_of] * CUSTOMERS,
            "status": ["eligible"] * CUSTOMERS,
            "churn_probability": rng.choice([0.45, 0.95], CUSTOMERS),
            "value_at_risk": worth,
            "currency": ["EUR"] * CUSTOMERS,
        }
    )
    with publish_with_manifest(path, {}) as temporary:
        pq.write_table(scores, temporary)


def past_orders():
    return pd.DataFrame({"customer_id": ids(), "ordered_at": pd.Timestamp("2024-02-10")}).assign(
        amount=20.0
    )


def came_next(planned, foreseen):
    """An order for a share of customers, larger among those with the coupon; a return; a late one
    after the window.
    """
    rng, start = np.random.default_rng(3), pd.Timestamp(PLANNED_ON)
    stay = 1 - foreseen.to_numpy() + EFFECT * (planned["offer_id"] == "coupon").to_numpy()
    buyers = planned.loc[rng.random(len(planned)) < stay, ["customer_id"]]
    orders = buyers.assign(
        ordered_at=pd.Timestamp(PLANNED_ON)
        + pd.to_timedelta(rng.integers(0, 28, len(buyers)), "D"),
        amount=np.round(rng.lognormal(3, 0.5, len(buyers)), 2),
    )
    back = orders.head(20).assign(amount=-3.33)
    late = orders.head(50).assign(ordered_at=start + pd.Timedelta(days=28))
    return pd.concat([orders, back, late], ignore_index=True)


def connect(folder, planned):
    """Contacts of all but ten; every fifth redeemed, every fourth opened, a few unsubscribed."""
    offered = planned.loc[planned["offer_id"] == "coupon", ["customer_id"]]
    day = pd.Timestamp(PLANNED_ON) + pd.Timedelta(days=2)
    contacts = offered.iloc[10:].assign(contacted_at=day, campaign_id="spring")
    contacts.to_parquet(folder / "contacts.parquet")
    redeemed = offered.iloc[10::5].assign(redeemed_at=day, campaign_id="spring", offer_id="coupon")
    other = offered.iloc[11::5].assign(redeemed_at=day, campaign_id="summer", offer_id="coupon")
    pd.concat([redeemed, other]).to_parquet(folder / "redemptions.parquet")
    opened = offered.iloc[12::4].assign(occurred_at=day, event_type="email_open")
    left = offered.iloc[13::100].assign(occurred_at=day, event_type="unsubscribe")
    pd.concat([opened, left]).to_parquet(folder / "events.parquet")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop five weeks after a plan: configuration, files, planned rows."""
    folder = tmp_path_factory.mktemp("measure")
    config, files = folder / "churn.toml", {n: folder / f"{n}.parquet" for n in ("plan", "scores")}
    config.write_text(CONFIG)
    (folder / "offers.toml").write_text(OFFERS)
    past_orders().to_parquet(folder / "orders.parquet")
    write_scores(files["scores"])
    plan(config, out=files["plan"], scores=files["scores"], as_of=str(PLANNED_ON))
    planned = pd.read_parquet(files["plan"])
    foreseen = pd.read_parquet(files["scores"])["churn_probability"]
    everything = pd.concat([past_orders(), came_next(planned, foreseen)], ignore_index=True)
    everything.to_parquet(folder / "orders.parquet")
    connect(folder, planned)
    (folder / "connected.toml").write_text(CONFIG + CONNECTED)
    return folder, files, planned


@pytest.fixture(scope="module")
def measured(shop):
    """The campaign with contacts and redemptions connected, measured after the window."""
    folder, files, _ = shop
    out = folder / "measured.parquet"
    return measure(folder / "connected.toml", **files, out=out), pd.read_parquet(out)


def test_a_known_effect_is_within_its_interval_and_called_more(measured):
    effect = measured[0].metrics["effects"]["retained"]
    assert effect["verdict"] == "more"
    for how in ("plain", "cuped"):
        assert effect[how]["low"] < EFFECT < effect[how]["high"]


def test_cuped_narrows_the_interval(measured):
    effect = measured[0].metrics["effects"]["retained"]
    widths = {how: effect[how]["high"] - effect[how]["low"] for how in ("plain", "cuped")}
    assert widths["cuped"] < 0.95 * widths["plain"]


def test_customers_with_no_chance_of_an_offer_are_not_compared(measured, shop):
    result, rows = measured
    worthless = rows["customer_id"].isin(ids()[::3])
    assert not rows.loc[worthless, "compared"].any()
    assert rows.loc[~worthless, "compared"].all()
    assert result.rows["compared"] == (~worthless).sum()


def test_only_orders_inside_the_window_count(measured, shop):
    _, rows = measured
    orders = pd.read_parquet(shop[0] / "orders.parquet")
    days = (orders["ordered_at"] - pd.Timestamp(PLANNED_ON)).dt.days
    inside = orders[(days >= 0) & (days < 28)]
    assert rows["orders"].sum() == (inside["amount"] > 0).sum()
    assert float(rows["net_spend"].sum()) == pytest.approx(inside["amount"].sum())


def test_money_can_be_recomputed_to_the_cent_from_the_exported_files(shop):
    """With nothing but the CSV file, its manifest and decimal arithmetic."""
    folder, files, _ = shop
    out = folder / "measured.csv"
    measure(folder / "connected.toml", **files, out=out)
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    (reported,) = json.loads(sidecar_of(out).read_text())["versions"]
    money = reported["money"]

    def total(name, *, kept=None):
        chosen = [r for r in rows if kept is None or (r["compared"], r["kept"]) == ("true", kept)]
        return len(chosen), sum((Decimal(r[name]) for r in chosen), Decimal(0))

    treated, margin_of_treated = total("margin", kept="false")
    kept, margin_of_kept = total("margin", kept="true")
    cost = total("contact_cost")[1] + total("redemption_cost")[1]
    earned = (margin_of_treated - margin_of_kept * treated / kept).quantize(Decimal("0.01"))
    assert (money["treated_customers"], money["kept_customers"]) == (treated, kept)
    assert Decimal(money["treated_margin"]) == margin_of_treated
    assert Decimal(money["kept_margin"]) == margin_of_kept
    assert Decimal(money["kept_net_spend"]) == total("net_spend", kept="true")[1]
    assert Decimal(money["cost"]) == cost
    assert Decimal(money["incremental_margin"]) == earned
    assert Decimal(money["net"]) == (earned - cost).quantize(Decimal("0.01"))
    assert Decimal(money["roi"]) == (Decimal(money["net"]) / cost).quantize(Decimal("0.0001"))
    saved = [r for r in rows if r["sent"] == "true" and r["retained"] == "1"]
    assert Decimal(money["crc"]) == (cost / len(saved)).quantize(Decimal("0.0001"))


@pytest.mark.parametrize("as_of", [None, "2024-03-15"])
def test_the_intervals_of_the_money_are_those_of_the_differences(shop, as_of):
    folder, files, _ = shop
    metrics = measure(folder / "connected.toml", **files, as_of=as_of).metrics
    money, effect = metrics["money"], metrics["effects"]["margin"]
    hows = {"": "plain", "_cuped": "cuped"} if as_of is None else {"": "plain"}
    for suffix, how in hows.items():
        for bound, figure in (("", "estimate"), ("_low", "low"), ("_high", "high")):
            margin = Decimal(money[f"incremental_margin{suffix}{bound}"])
            expected = effect[how][figure] * money["treated_customers"]
            assert float(margin) == pytest.approx(expected, abs=0.011)
            assert margin - Decimal(money[f"net{suffix}{bound}"]) == pytest.approx(
                Decimal(money["cost"]), abs=Decimal("0.01")
            )
    assert (money["net_cuped"] is None) == (as_of is not None)


def test_each_margin_is_net_spend_times_the_rate_of_the_shop(measured):
    _, rows = measured
    for spend, margin in zip(rows["net_spend"], rows["margin"], strict=True):
        assert abs(margin - spend * Decimal("0.333")) <= Decimal("0.00005")


def test_costs_include_contacts_and_redemptions_of_this_campaign(measured, shop):
    result, _ = measured
    planned = shop[2]
    offered = int((planned["offer_id"] == "coupon").sum())
    redeemed = len(range(10, offered, 5))
    money = result.metrics["money"]
    assert (money["sent"], money["redemptions"]) == (offered - 10, redeemed)
    assert Decimal(money["contact_cost"]) == Decimal("0.0555") * (offered - 10)
    assert Decimal(money["redemption_cost"]) == Decimal("1.25") * redeemed
    assert result.metrics["costs"] == "redeemed"


def test_every_customer_with_an_offer_has_a_response_with_a_next_step(measured):
    result, rows = measured
    offered = rows["offer_id"] == "coupon"
    assert rows.loc[offered, ["answer", "next_step"]].notna().all().all()
    assert rows.loc[~offered, "answer"].isna().all()
    assert result.metrics["answers"]["not_sent"] == 10
    assert set(result.metrics["answers"]) == {
        "not_sent",
        "unsubscribed",
        "redeemed",
        "redeemed_other",
        "bought",
        "opened",
        "ignored",
    }
    assert (rows.loc[rows["answer"] == "opened", "retained"] == 0).all()


def redeemed_as(shop, tmp_path, rows, offers=None):
    """The measured rows of customers who redeemed on the first day what each row notes."""
    folder, files, planned = shop
    offered = planned.loc[planned["offer_id"] == "coupon", "customer_id"].head(len(rows))
    noted = pd.DataFrame(rows, columns=["campaign_id", "offer_id", "code"])
    day = pd.Timestamp(PLANNED_ON)
    noted.assign(customer_id=offered.array, redeemed_at=day).to_parquet(
        tmp_path / "redemptions.parquet"
    )
    orders = CONFIG.replace("orders.parquet", str(folder / "orders.parquet"))
    config = tmp_path / "churn.toml"
    config.write_text(orders + '[data.redemptions]\nsource = "redemptions.parquet"\n')
    (tmp_path / "offers.toml").write_text(offers or (folder / "offers.toml").read_text())
    result = measure(config, plan=files["plan"], out=tmp_path / "m.parquet")
    found = pd.read_parquet(tmp_path / "m.parquet").set_index("customer_id")
    return result, found.loc[offered]


def test_a_redemption_is_of_the_offer_whatever_the_case_and_the_spaces_around(shop, tmp_path):
    words = [("spring", "coupon"), (" SPRING", "Coupon "), ("Spring", None), (None, "COUPON")]
    result, rows = redeemed_as(shop, tmp_path, [(*pair, None) for pair in words])
    assert rows["redemptions"].tolist() == [1, 1, 1, 1]
    assert set(rows["answer"]) == {"redeemed"}
    assert result.metrics["money"]["redemption_cost"] == "5.0000"
    assert not any("are not counted" in warning for warning in result.warnings)


def test_redemptions_without_a_matching_offer_or_campaign_are_counted(shop, tmp_path):
    rows = [("spring", "cupon", None), ("sprng", "coupon", None), (None, None, "X9")]
    result, measured = redeemed_as(shop, tmp_path, rows)
    assert set(measured["answer"]) == {"redeemed_other"}
    assert measured["redemptions"].sum() == 0
    reported = [warning for warning in result.warnings if "not counted" in warning]
    assert reported == [
        "1 redemption of customers with an offer names a campaign that is neither this one nor one "
        "of [data.contacts]: it is not counted",
        "2 redemptions of customers with an offer name an offer or a code that the catalogue does "
        "not have: they are not counted",
    ]


def test_a_code_at_the_checkout_may_be_the_offers_id(shop, tmp_path):
    _, rows = redeemed_as(shop, tmp_path, [(None, None, "COUPON"), ("spring", None, " coupon")])
    assert rows["redemptions"].tolist() == [1, 1]


def test_a_discount_of_a_share_costs_a_share_of_the_order_that_redeems_it(shop, tmp_path):
    """The order of that day; else the mean order since the plan; else that of all customers."""
    folder, _, _ = shop
    offers = (
        (folder / "offers.toml").read_text().replace("margin_cost = 1.25", 'margin_cost = "10%"')
    )
    _, rows = redeemed_as(shop, tmp_path, [("spring", "coupon", None)] * 40, offers)
    orders = pd.read_parquet(folder / "orders.parquet")
    days = (orders["ordered_at"] - pd.Timestamp(PLANNED_ON)).dt.days
    bought = orders[(orders["amount"] > 0) & (days >= 0) & (days < 28)].assign(day=days)
    every = orders[(days >= 0) & (days < 28)]
    usual = every["amount"].sum() / (every["amount"] > 0).sum()
    for customer, row in rows.iterrows():
        mine = bought[bought["customer_id"] == customer]
        if (mine["day"] == 0).any():
            cost = 0.1 * mine.loc[mine["day"] == 0, "amount"].mean()
        elif len(mine):
            cost = 0.1 * float(row["net_spend"]) / row["orders"]
        else:
            cost = 0.1 * usual
        assert float(row["redemption_cost"]) == pytest.approx(cost, abs=1e-4)


def test_what_nobody_sent_is_not_sent_and_has_no_net_result(shop):
    folder, files, _ = shop
    result = measure(folder / "churn.toml", plan=files["plan"])
    money = result.metrics["money"]
    assert (result.metrics["sent"], money["sent"]) == ("nothing", 0)
    assert money["incremental_margin"] is not None
    assert {money[name] for name in ("cost", "net", "net_low", "net_cuped", "roi", "crc")} == {None}
    assert any("nothing says that the offers were sent" in note for note in result.warnings)
    assert set(result.metrics["answers"]) == {"not_sent"}
    assert "net" not in " ".join(row[0] for row in result.tables[3].rows)


@pytest.mark.parametrize("offer", [None, "coupon"])
def test_an_exported_list_counts_as_sent_at_the_expected_cost(shop, tmp_path, offer):
    folder, files, planned = shop
    shutil.copytree(folder, tmp_path / "shop")
    config = tmp_path / "shop/churn.toml"
    day = str(PLANNED_ON)
    export(config, plan=files["plan"], out=tmp_path / "list.csv", on=day, offer=offer)
    result = measure(config, plan=files["plan"])
    assert result.metrics["costs"] == "expected"
    assert result.metrics["sent"] == "ledger"
    assert result.metrics["money"]["sent"] == (planned["offer_id"] == "coupon").sum()
    cost = planned["expected_cost"].sum()
    rounded = 1e-4 * result.metrics["money"]["sent"]
    assert float(result.metrics["money"]["cost"]) == pytest.approx(cost, abs=rounded)
    assert any("their cost is the expected cost of the plan" in note for note in result.warnings)
    assert set(result.metrics["answers"]) == {"bought_somehow", "did_not_buy"}


def test_effects_are_learnt_from_an_exported_plan_without_any_contacts(shop, tmp_path):
    folder, files, planned = shop
    shutil.copytree(folder, tmp_path / "shop")
    config = tmp_path / "shop/churn.toml"
    assert effects(config).metrics["offers"]["coupon"]["verdict"] == "assumed"
    export(config, plan=files["plan"], out=tmp_path / "list.csv", on=str(PLANNED_ON))
    result = effects(config)
    drawn = planned[planned["propensity"].between(0, 1, inclusive="neither")]
    drawn = drawn[drawn["lot"].notna()]
    assert result.rows["contacts_by_lot"] == len(drawn) > 1_000
    average = result.metrics["offers"]["coupon"]["average"]
    assert average["low"] < EFFECT < average["high"]
    assert average["low"] > 0
    note = f"{len(drawn):,} of {len(drawn):,} randomised contacts are those of plans"
    assert any(warning.startswith(note) for warning in result.warnings)


def test_the_ledgers_newest_plan_of_the_campaign_is_measured_without_a_file(shop):
    folder, files, _ = shop
    by_file = measure(folder / "churn.toml", plan=files["plan"])
    by_ledger = measure(folder / "churn.toml")
    assert by_ledger.metrics == by_file.metrics


def test_an_interim_result_has_wider_intervals_and_a_note(shop):
    folder, files, _ = shop
    early = measure(folder / "churn.toml", **files, as_of="2024-03-15")
    reported = early.metrics["effects"]["retained"]
    assert not early.metrics["closed"]
    assert reported["cuped"] is None
    assert any("interim result: 50% of 28 days are complete" in n for n in early.warnings)
    assert any(
        "the final result is available from 2024-03-29 on" in note for note in early.warnings
    )
    on_time = measure(folder / "churn.toml", **files, as_of="2024-03-29")
    assert on_time.metrics["closed"]
    assert on_time.metrics["closes"] == "2024-03-29"


def test_orders_that_arrive_late_are_waited_for(shop):
    """Two clocks: with two days until orders arrive the window closes two days later."""
    folder, files, _ = shop
    orders = pd.read_parquet(folder / "orders.parquet")
    late = orders.assign(loaded_at=orders["ordered_at"] + pd.Timedelta(days=2))
    late.to_parquet(folder / "late.parquet")
    config = folder / "late.toml"
    config.write_text(CONFIG.replace("orders.parquet", "late.parquet"))
    assert not measure(config, plan=files["plan"], as_of="2024-03-30").metrics["closed"]
    closed = measure(config, plan=files["plan"], as_of="2024-03-31")
    in_time = measure(folder / "churn.toml", plan=files["plan"])
    assert closed.metrics["closed"]
    assert closed.metrics["money"] == in_time.metrics["money"]


def altered(shop, tmp_path, change):
    """The same plan with its rows changed before it was written."""
    _, files, planned = shop
    path = tmp_path / "plan.parquet"
    with publish_with_manifest(path, verify_file(files["plan"])) as temporary:
        pq.write_table(pa.Table.from_pandas(change(planned)), temporary)
    return path


def test_customers_whom_the_plan_would_not_serve_are_not_compared(shop, tmp_path):
    """As exploration leaves them: in every arm, some with an offer."""
    unserved = np.arange(CUSTOMERS) % 5 == 0

    def change(planned):
        ids = np.where(unserved, "none", planned["intended_offer_id"])
        return planned.assign(intended_offer_id=ids)

    folder, files, planned = shop
    path, out = altered(shop, tmp_path, change), tmp_path / "measured.parquet"
    result = measure(folder / "connected.toml", plan=path, scores=files["scores"], out=out)
    compared = pd.read_parquet(out)["compared"]
    assert (compared == ((planned["propensity"] < 1) & ~unserved)).all()
    assert any("whom the plan would not have served" in note for note in result.warnings)
    assert result.metrics["effects"]["retained"]["verdict"] == "more"


def test_plans_of_earlier_releases_compare_all_whose_draw_made_a_difference(shop, tmp_path):
    folder, _, planned = shop
    path = altered(shop, tmp_path, lambda p: p.drop(columns="intended_offer_id"))
    result = measure(folder / "churn.toml", plan=path)
    assert result.rows["compared"] == (planned["propensity"] < 1).sum()


def test_groups_that_differ_from_the_plan_show_no_effect(shop, tmp_path):
    """Half of the controls are lost, so the rest is not comparable."""
    path = altered(shop, tmp_path, lambda p: p[(p["arm"] == "treatment") | (p.index % 2 == 0)])
    result = measure(shop[0] / "churn.toml", plan=path)
    assert result.exit_code == 4
    assert result.metrics["effects"] == {}
    assert result.metrics["money"]["incremental_margin"] is None
    assert "no effect is reported" in result.warnings[0]


def test_a_plan_without_a_holdout_has_nothing_to_compare(shop, tmp_path):
    path = altered(shop, tmp_path, lambda p: p[p["arm"] == "treatment"])
    result = measure(shop[0] / "churn.toml", plan=path)
    assert result.warnings[0].startswith("no controls, or nobody was treated")
    assert result.metrics["money"]["net"] is None
    assert Decimal(result.metrics["money"]["treated_margin"]) > 0


def test_few_customers_are_too_small_to_tell_and_the_needed_number_is_given(shop, tmp_path):
    path = altered(shop, tmp_path, lambda p: p.head(200))
    result = measure(shop[0] / "churn.toml", plan=path)
    effect = result.metrics["effects"]["margin"]
    assert effect["verdict"] == "too small to tell"
    assert effect["customers_needed"] > 0
    titles = [title for title, _, rows in result.tables if rows]
    assert "Power of effects that are too small to tell" in titles
    assert result.metrics["money"]["cost_per_saved"] is None


def test_a_plan_without_its_manifest_is_refused(shop, tmp_path):
    shop[2].to_parquet(tmp_path / "plan.parquet")
    with pytest.raises(DataError, match=r"must state its holdout share. Keep its .manifest"):
        measure(shop[0] / "churn.toml", plan=tmp_path / "plan.parquet")


def test_an_edited_plan_is_refused(shop, tmp_path):
    path = altered(shop, tmp_path, lambda p: p)
    shop[2].head(5).to_parquet(path)
    with pytest.raises(DataError, match="must match its manifest"):
        measure(shop[0] / "churn.toml", plan=path)


def with_facts(shop, tmp_path, **changed):
    """The same plan with a manifest that differs."""
    path = tmp_path / "plan.parquet"
    with publish_with_manifest(path, {**verify_file(shop[1]["plan"]), **changed}) as temporary:
        temporary.write_bytes(shop[1]["plan"].read_bytes())
    return path


def test_shares_that_differ_from_the_record_are_rejected(shop, tmp_path):
    """Only the ledger can confirm the randomised shares in a manifest."""
    shares = {**verify_file(shop[1]["plan"])["shares"], "holdout": 0.25}
    path = with_facts(shop, tmp_path, shares=shares)
    with pytest.raises(
        DataError,
        match=r"must have the shares recorded in the .*holdout 0\.25 instead.*holdout 0\.2\. ",
    ):
        measure(shop[0] / "churn.toml", plan=path)


def test_a_plan_of_an_unknown_run_is_measured_with_a_note(measured, shop, tmp_path):
    path = with_facts(shop, tmp_path, run_id="of-another-ledger")
    result = measure(shop[0] / "churn.toml", plan=path)
    assert any("its shares are taken from its manifest" in note for note in result.warnings)
    assert not any("of its manifest" in note for note in measured[0].warnings)


def test_a_plan_is_not_measured_on_its_own_day(shop):
    with pytest.raises(ConfigError, match=r"measured as of 2024-03-02 or later, got 2024-03-01"):
        measure(shop[0] / "churn.toml", plan=shop[1]["plan"], as_of=str(PLANNED_ON))


def test_scores_of_a_later_date_are_rejected(shop, tmp_path):
    write_scores(tmp_path / "scores.parquet", PLANNED_ON + timedelta(days=7))
    with pytest.raises(DataError, match=r"scores must be as of the plan's date, 2024-03-01, got"):
        measure(shop[0] / "churn.toml", plan=shop[1]["plan"], scores=tmp_path / "scores.parquet")


def test_an_offer_that_left_the_catalogue_is_named(shop, tmp_path):
    renamed = shop[2].replace({"offer_id": {"coupon": "voucher"}})
    path = altered(shop, tmp_path, lambda _: renamed)
    with pytest.raises(ConfigError, match=r"must contain the offers of the plan.*no \['voucher'\]"):
        measure(shop[0] / "churn.toml", plan=path)


def test_a_cost_without_redemptions_is_noted_as_contacts_only(measured, shop):
    folder, files, _ = shop
    elsewhere = pd.read_parquet(folder / "redemptions.parquet").assign(campaign_id="summer")
    elsewhere.to_parquet(folder / "elsewhere.parquet")
    config = folder / "elsewhere.toml"
    config.write_text(CONFIG + CONNECTED.replace("redemptions.parquet", "elsewhere.parquet"))
    alone = measure(config, plan=files["plan"])
    assert alone.metrics["money"]["cost"] == alone.metrics["money"]["contact_cost"]
    note = "no redemptions are on record: the cost includes contacts only"
    assert note in alone.warnings
    assert note not in measured[0].warnings


def test_treated_customers_without_an_offer_are_counted_separately(measured, shop, tmp_path):
    """As with exploration, which may assign none."""
    coupon = shop[2]["offer_id"] == "coupon"
    none = coupon & (coupon.cumsum() <= 100)
    path = altered(shop, tmp_path, lambda p: p.assign(offer_id=p["offer_id"].mask(none, "none")))
    result = measure(shop[0] / "churn.toml", plan=path)
    money, offered = result.metrics["money"], int(coupon.sum()) - 100
    assert (money["treated_customers"], money["treated_offered"]) == (offered + 100, offered)
    assert money["kept_offered"] == 0
    (note,) = [one for one in result.warnings if "got an offer" in one]
    assert note.startswith(f"{offered:,} of {offered + 100:,} treated customers got an offer")
    assert not any("got an offer" in one for one in measured[0].warnings)


def test_without_any_plan_the_error_names_the_ledger(shop):
    with pytest.raises(ConfigError, match=r"must contain a plan of campaign 'spring'.*--plan"):
        measure(shop[0] / "churn.toml", as_of="2024-02-20")


def test_the_file_has_its_columns_and_the_result_is_plain_json(measured, shop):
    assert pq.read_schema(shop[0] / "measured.parquet").equals(MEASURED_SCHEMA)
    reported = json.loads(json.dumps(measured[0].to_dict(), allow_nan=False))
    assert reported["metrics"]["sample_ratio"]["p_value"] > 0.001
