"""A simulated shop that is advanced: drawn events happen, and offers have their stated effects."""

import json
import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.config import load_tables
from churn.errors import ConfigError, DataError
from churn.simulator.advance import CONTACTS, advance_shop
from churn.simulator.campaigns import OFFERS
from churn.simulator.files import write_shop
from churn.simulator.settings import ShopSettings

CUSTOMERS, SEED = 3_000, 11
ENDS = date(2023, 12, 4)
LIVES_UNTIL = date(2024, 1, 1)
FLOWS = {
    "orders": "ordered_at",
    "events": "occurred_at",
    "consents": "changed_at",
    "redemptions": "redeemed_at",
}
NOBODY = CONTACTS.empty_table()


def made(folder: Path, *, customers: int = 60, ahead: int = 28, **options) -> Path:
    shop = ShopSettings(**({"days": 730 - ahead, "ahead_days": ahead} | options))
    write_shop(folder, shop, customers=customers, seed=SEED, progress=str)
    return folder


def lived(folder: Path, contacts: pa.Table = NOBODY, *, days: int = 28):
    return advance_shop(folder, days=days, contacts=contacts, progress=str)


def read(folder: Path, name: str) -> pd.DataFrame:
    frame = pd.read_parquet(folder / f"{name}.parquet")
    return frame.sort_values(list(frame.columns), ignore_index=True)


def contacts_of(customers, offer="discount", channel="email") -> pa.Table:
    rows = [
        {
            "customer_id": customer,
            "campaign_id": "spring",
            "offer_id": offer,
            "arm": "treatment" if offer else "holdout",
            "propensity": 0.9 if offer else 0.1,
            "lot": None,
            "channel": channel if offer else None,
        }
        for customer in customers
    ]
    return pa.Table.from_pylist(rows, CONTACTS)


def everyone(folder: Path, *, every: int = 1) -> list[str]:
    """The customers who had bought when the shop ended, or each so many of them."""
    orders = read(folder, "orders")
    before = orders[orders["ordered_at"] < pd.Timestamp(ENDS, tz="UTC")]
    return sorted(set(before["customer_id"]))[::every]


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def ended(tmp_path_factory) -> Path:
    """A shop with a campaign behind it and 28 days ahead. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("ended") / "shop"
    return made(folder, customers=CUSTOMERS, campaigns=1, lines=False)


@pytest.fixture(scope="module")
def untreated(ended, tmp_path_factory) -> Path:
    """The same after 28 days without an offer. Not to be changed by a test."""
    folder = Path(shutil.copytree(ended, tmp_path_factory.mktemp("untreated") / "shop"))
    lived(folder)
    return folder


@pytest.fixture(scope="module")
def treated(ended, tmp_path_factory) -> Path:
    """The same after 28 days, every second one having been sent a discount, a tenth kept without.
    Not to be changed by a test.
    """
    folder = Path(shutil.copytree(ended, tmp_path_factory.mktemp("treated") / "shop"))
    kept = contacts_of(everyone(ended)[1::10], offer=None)
    lived(folder, pa.concat_tables([contacts_of(everyone(ended, every=2)), kept]))
    return folder


# Without an offer


@settings(max_examples=12)
@given(
    days=st.integers(30, 200),
    ahead=st.integers(1, 90),
    late_share=st.sampled_from([0.0, 0.4]),
    data=st.data(),
)
def test_without_offers_comes_what_a_longer_watch_would_have_seen(
    tmp_path_factory, days, ahead, late_share, data
):
    """Orders, lines, events, consents, customers and their truth, but for when rows arrived."""
    folder = tmp_path_factory.mktemp("shops")
    longer = made(folder / "longer", customers=20, days=days + ahead, ahead_days=0)
    part = made(folder / "part", customers=20, days=days, ahead_days=ahead, late_share=late_share)
    first = data.draw(st.integers(1, ahead))
    for step in filter(None, (first, ahead - first)):
        lived(part, days=step)
    for name in ("orders", "order_lines", "events", "consents", "customers", "truth/customers"):
        found = read(part, name).drop(columns="loaded_at", errors="ignore")
        pd.testing.assert_frame_equal(found, read(longer, name))


def test_the_shop_is_read_whole_up_to_its_new_end(treated):
    tables = load_tables(treated / "churn.toml")
    assert tables.end() == LIVES_UNTIL
    assert {"orders", "contacts", "redemptions"} <= set(tables.audits)
    for name, audit in tables.audits.items():
        assert (audit.rows_kept, audit.dropped) == (len(read(treated, name)), {})


def test_days_ahead_are_seen_nowhere_before_they_come(ended):
    end = pd.Timestamp(ENDS, tz="UTC")
    for name, time in FLOWS.items():
        assert (read(ended, name)[time] < end).all()
    truth = read(ended, "truth/customers")
    assert (truth["dropped_out_at"].dropna() < end).all()
    assert truth["purchases"].sum() == (read(ended, "orders")["amount"] > 0).sum()


# With offers


def test_who_is_sent_nothing_lives_on_the_same_whoever_else_is_treated(untreated, treated, ended):
    sent = set(everyone(ended, every=2))
    for name in FLOWS:
        ours, theirs = (
            rows[~rows["customer_id"].isin(sent)].reset_index(drop=True)
            for rows in (read(untreated, name), read(treated, name))
        )
        assert len(ours) > 0, name
        pd.testing.assert_frame_equal(ours, theirs)


def test_one_customers_days_hang_on_their_own_offer_alone(ended, treated, tmp_path):
    """Half of those who were sent one, alone."""
    alone = Path(shutil.copytree(ended, tmp_path / "alone"))
    fewer = everyone(ended, every=4)
    lived(alone, contacts_of(fewer))
    for name in FLOWS:
        ours, theirs = (
            rows[rows["customer_id"].isin(fewer)].reset_index(drop=True)
            for rows in (read(alone, name), read(treated, name))
        )
        pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.parametrize("offer", OFFERS)
def test_offers_move_who_buys_by_their_true_effect(ended, tmp_path, offer):
    folder = Path(shutil.copytree(ended, tmp_path / "shop"))
    told = lived(folder, contacts_of(everyone(ended), offer)).effects.to_pandas()
    truth = read(folder, "truth/effects")
    now = truth[truth["contacted_at"] == pd.Timestamp(ENDS, tz="UTC")]
    both = told.merge(now, on=["customer_id", "offer_id"])
    assert len(both) == len(told) == len(everyone(ended))
    for _, group in both.groupby(pd.qcut(both["true_effect"], 3, duplicates="drop")):
        p, effect = group["retained_without"], group["true_effect"]
        for chance, came in ((p, "bought_without"), (p + effect, "bought")):
            error = np.sqrt((chance * (1 - chance)).sum()) / len(group)
            assert abs(group[came].mean() - chance.mean()) < 4 * error


def test_the_truth_about_the_sent_adds_up_with_the_orders_to_the_cent(untreated, treated):
    told = read(treated, f"truth/sent-{ENDS}").set_index("customer_id")
    for folder, how in ((treated, ""), (untreated, "_without")):
        orders = read(folder, "orders")
        new = orders[orders["ordered_at"] >= pd.Timestamp(ENDS, tz="UTC")]
        spend = new.groupby("customer_id")["amount"].sum().reindex(told.index, fill_value=0)
        count = new[new["amount"] > 0].groupby("customer_id").size()
        assert (spend - told[f"net_spend{how}"]).abs().max() < 0.005
        assert (count.reindex(told.index, fill_value=0) == told[f"orders{how}"]).all()
        assert ((told[f"orders{how}"] > 0) == told[f"bought{how}"]).all()
    assert told["bought"].sum() > told["bought_without"].sum()


def test_contacts_hold_who_was_sent_one_and_who_was_kept_without(treated, ended):
    contacts = read(treated, "contacts").query("campaign_id == 'spring'")
    assert (contacts["contacted_at"] == pd.Timestamp(ENDS, tz="UTC")).all()
    assert contacts["offer_id"].notna().sum() == len(everyone(ended, every=2))
    assert set(contacts.loc[contacts["offer_id"].isna(), "arm"]) == {"holdout"}
    before = read(ended, "contacts")
    after = read(treated, "contacts").query("campaign_id != 'spring'")
    pd.testing.assert_frame_equal(after[before.columns].reset_index(drop=True), before)


def test_mails_are_opened_and_who_unsubscribes_gets_no_newsletter_any_more(treated):
    events = read(treated, "events")
    ours = events[events["campaign_id"] == "spring"]
    counts = ours["event_type"].value_counts()
    sent = read(treated, f"truth/sent-{ENDS}")
    assert counts["email_sent"] == len(sent)
    assert counts["email_sent"] > counts["email_open"] > counts["email_click"] > 0
    left = ours[ours["event_type"] == "unsubscribe"].set_index("customer_id")["occurred_at"]
    assert len(left) > 0
    refused = read(treated, "consents").query("not granted and purpose == 'marketing'")
    assert set(zip(left.index, left, strict=True)) <= set(
        zip(refused["customer_id"], refused["changed_at"], strict=True)
    )
    later = events[events["event_type"] == "email_sent"].merge(
        left.rename("left"), on="customer_id"
    )
    assert (later["occurred_at"] <= later["left"]).all()


def test_what_goes_out_otherwise_brings_no_mail(ended, tmp_path):
    folder = Path(shutil.copytree(ended, tmp_path / "shop"))
    done = lived(folder, contacts_of(everyone(ended), channel="push"))
    assert "spring" not in set(read(folder, "events")["campaign_id"].dropna())
    assert set(done.effects["channel"].to_pylist()) == {"other"}


def test_redemptions_are_at_the_first_purchase_after_the_offer(treated):
    redeemed = read(treated, "redemptions").query("campaign_id == 'spring'")
    orders = read(treated, "orders").query("amount > 0")
    new = orders[orders["ordered_at"] >= pd.Timestamp(ENDS, tz="UTC")]
    first = new.groupby("customer_id")["ordered_at"].min()
    assert len(redeemed) > 50
    assert (
        redeemed.set_index("customer_id")["redeemed_at"] == first.reindex(redeemed["customer_id"])
    ).all()


def test_orders_that_offers_brought_keep_their_books(tmp_path):
    """With lines, so that all that belongs to an order can be looked at."""
    folder = made(tmp_path / "shop", customers=400)
    lived(folder, contacts_of(everyone(folder), "reminder"))
    orders, lines = read(folder, "orders"), read(folder, "order_lines")
    assert orders["order_id"].is_unique
    cents = (100 * lines["amount"]).round().groupby(lines["order_id"]).sum()
    expected = (100 * orders.set_index("order_id")["amount"]).round()
    pd.testing.assert_series_equal(
        cents.sort_index(), expected.sort_index(), check_names=False, check_dtype=False
    )
    refs = read(folder, "events")["ref"].dropna()
    assert set(refs) <= set(orders["order_id"])


def test_offers_still_act_when_the_days_come_in_two_steps(ended, treated, tmp_path):
    folder = Path(shutil.copytree(ended, tmp_path / "shop"))
    kept = contacts_of(everyone(ended)[1::10], offer=None)
    lived(folder, pa.concat_tables([contacts_of(everyone(ended, every=2)), kept]), days=10)
    lived(folder, days=18)
    for name in FLOWS:
        pd.testing.assert_frame_equal(read(folder, name), read(treated, name))


# On disk


def test_the_same_days_are_the_same_bytes_also_after_an_interruption(tmp_path):
    """Files that grew while the date in churn.toml did not are as if nothing had happened."""
    whole, halved = (made(tmp_path / name) for name in ("whole", "halved"))
    config = (halved / "churn.toml").read_bytes()
    for folder in (whole, halved):
        lived(folder, contacts_of(everyone(folder, every=2)))
    (halved / "churn.toml").write_bytes(config)
    assert load_tables(halved / "churn.toml").end() == ENDS
    lived(halved, contacts_of(everyone(halved, every=2)))
    assert files(whole) == files(halved)


def test_a_refused_plan_leaves_every_file_as_it_was(ended, tmp_path):
    folder = Path(shutil.copytree(ended, tmp_path / "shop"))
    with pytest.raises(DataError, match=r"got 1 to others\. Pass the plan of this shop"):
        lived(folder, contacts_of([*everyone(ended, every=50), "somebody else"]))
    assert files(folder) == files(ended)


@pytest.mark.parametrize(
    ("days", "cause"),
    [(29, "the 28 that .*, got 29 days from 2023-12-04"), (0, "the 28 that .*, got 0 days")],
)
def test_a_shop_lives_on_for_no_more_days_than_it_has_ahead(ended, days, cause):
    with pytest.raises(ConfigError, match=cause):
        lived(ended, days=days)


def test_an_offer_that_the_simulator_does_not_know_is_refused(ended):
    with pytest.raises(
        ConfigError, match=r"knows only the effects of discount, points, reminder.*voucher"
    ):
        lived(ended, contacts_of(everyone(ended, every=50), "voucher"))


def test_a_shop_without_days_ahead_says_how_to_get_some(tmp_path):
    folder = made(tmp_path / "shop", customers=5, ahead=0)
    assert not (folder / "truth/shop.json").exists()
    with pytest.raises(ConfigError, match="churn simulate --ahead 28 --out DIR"):
        lived(folder)


def test_a_shop_whose_chance_would_be_another_is_not_continued(tmp_path):
    folder = made(tmp_path / "shop", customers=8)
    recipe = json.loads((folder / "truth/shop.json").read_text())
    recipe["fingerprints"][-1] = "0" * 12
    (folder / "truth/shop.json").write_text(json.dumps(recipe))
    with pytest.raises(DataError, match="with the version of numpy that made it"):
        lived(folder)


def test_a_configuration_without_its_end_is_refused(tmp_path):
    folder = made(tmp_path / "shop", customers=5)
    text = (folder / "churn.toml").read_text()
    (folder / "churn.toml").write_text(text.replace("until = 2023-12-04\n", ""))
    with pytest.raises(ConfigError, match="Write `until = DATE` under"):
        lived(folder)


def test_days_ahead_have_to_fit_into_the_longest_watch():
    with pytest.raises(ConfigError, match="ahead_days must be between 0 and 1431, got 1432"):
        ShopSettings(days=30, ahead_days=1_432)
