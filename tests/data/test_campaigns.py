"""Simulated campaigns: lots that keep their word, effects that are true, and nothing else moved."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.commands.simulate import simulate
from churn.config import load_tables
from churn.data.contracts import TABLES
from churn.errors import ConfigError
from churn.simulator.campaigns import EFFECT_DAYS, OFFERS, campaign_days
from churn.simulator.settings import ShopSettings

CUSTOMERS, SEED = 6_000, 4
SHOP = ShopSettings(campaigns=3, lines=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A shop with three campaigns. Not to be changed by a test."""
    target = tmp_path_factory.mktemp("campaigns") / "shop"
    simulate(target, customers=CUSTOMERS, seed=SEED, lines=False, campaigns=3)
    return target


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


@pytest.fixture(scope="module")
def lots(folder) -> pd.DataFrame:
    """Contacts that a lot decided, beside what came of them and the truth about both worlds."""
    contacts = read(folder, "contacts")
    contacts = contacts[contacts["propensity"].notna()]
    contacts["offer_id"] = contacts["offer_id"].fillna("none")
    truth = read(folder, "truth/effects")
    wide = truth.pivot(
        index=["customer_id", "contacted_at", "retained_without"],
        columns="offer_id",
        values="true_effect",
    ).reset_index()
    joined = contacts.merge(wide, on=["customer_id", "contacted_at"])
    assert len(joined) == len(contacts)
    orders = read(folder, "orders").query("amount > 0")[["customer_id", "ordered_at"]]
    pairs = joined[["customer_id", "contacted_at"]].merge(orders, on="customer_id")
    after = (pairs["ordered_at"] - pairs["contacted_at"]) / pd.Timedelta(days=1)
    bought = (
        pairs[(after >= 0) & (after < EFFECT_DAYS)].drop(columns="ordered_at").drop_duplicates()
    )
    return joined.merge(bought.assign(bought=1.0), how="left").fillna({"bought": 0.0})


def test_the_tables_obey_their_contracts_and_are_read_whole(folder):
    tables = load_tables(folder / "churn.toml")
    for name in ("contacts", "redemptions"):
        audit = tables.audits[name]
        assert (audit.rows_kept, audit.dropped) == (len(read(folder, name)), {})
        assert set(read(folder, name).columns) <= {one.name for one in TABLES[name].columns}
    assert "truth" not in (folder / "churn.toml").read_text().split("\n", 3)[3]


def test_without_campaigns_every_byte_is_as_it_was(tmp_path):
    """The share by lot says nothing where no campaign goes out."""
    one = simulate(tmp_path / "one", customers=50, seed=1)
    other = simulate(tmp_path / "other", customers=50, seed=1, randomised_share=0.1)
    assert list(one.files.values()) == list(other.files.values())
    assert not (tmp_path / "one/contacts.parquet").exists()


def test_campaigns_move_nothing_but_purchases_and_what_follows_from_them(folder, tmp_path):
    simulate(tmp_path / "plain", customers=CUSTOMERS, seed=SEED, lines=False)
    for name in ("consents", "customers"):
        key = ["customer_id"] if name == "customers" else ["customer_id", "changed_at", "purpose"]
        plain, with_offers = (
            read(place, name)
            .sort_values(key, ignore_index=True)
            .drop(columns=["loyalty_tier"], errors="ignore")
            for place in (tmp_path / "plain", folder)
        )
        pd.testing.assert_frame_equal(plain, with_offers)
    first = pd.Timestamp(SHOP.start, tz="UTC") + pd.Timedelta(days=campaign_days(SHOP)[0])
    early = []
    for place in (tmp_path / "plain", folder):
        bought = read(place, "orders").query("amount > 0")["ordered_at"]
        early.append(sorted(bought[bought < first]))
    assert early[0] == early[1]


def test_the_lot_gives_each_offer_as_often_as_it_says(lots):
    share = lots["offer_id"].value_counts(normalize=True)
    assert set(share.index) == {*OFFERS, "none"}
    assert (lots["propensity"] == 0.25).all()
    assert (share - 0.25).abs().max() < 4 * np.sqrt(0.25 * 0.75 / len(lots))


def test_only_those_who_agreed_by_then_are_contacted(folder):
    words = read(folder, "consents").query("purpose == 'marketing'")
    contacts = read(folder, "contacts")
    pairs = contacts.merge(words, on="customer_id")
    heard = pairs[pairs["changed_at"] < pairs["contacted_at"]].sort_values("changed_at")
    last = heard.groupby(["customer_id", "contacted_at"])["granted"].last()
    assert last.all()
    assert len(last) == len(contacts)


def test_what_happens_without_an_offer_is_what_the_truth_says(lots):
    kept = lots[lots["offer_id"] == "none"]
    for _, group in kept.groupby(pd.qcut(kept["retained_without"], 4)):
        p = group["retained_without"]
        error = np.sqrt((p * (1 - p)).sum()) / len(group)
        assert abs(group["bought"].mean() - p.mean()) < 4 * error


@pytest.mark.parametrize("offer", OFFERS)
def test_offers_change_what_their_true_effects_say(lots, offer):
    sent = lots[lots["offer_id"] == offer]
    for _, group in sent.groupby(pd.qcut(sent[offer], 3, duplicates="drop")):
        p = group["retained_without"] + group[offer]
        error = np.sqrt((p * (1 - p)).sum()) / len(group)
        assert abs(group["bought"].mean() - p.mean()) < 4 * error


def test_effects_differ_and_some_offers_harm_some_customers(folder):
    truth = read(folder, "truth/effects")
    worst = truth.groupby("offer_id")["true_effect"].min()
    assert worst["discount"] > 0
    assert worst["reminder"] < -0.1
    assert worst["points"] < -0.01


def test_redemptions_follow_a_contact_with_a_purchase(folder):
    contacts = read(folder, "contacts")
    redemptions = read(folder, "redemptions")
    pairs = redemptions.merge(contacts, on=["customer_id", "campaign_id", "offer_id"])
    assert len(pairs) == len(redemptions)
    waited = (pairs["redeemed_at"] - pairs["contacted_at"]) / pd.Timedelta(days=1)
    assert waited.between(0, EFFECT_DAYS, inclusive="left").all()
    bought = read(folder, "orders").rename(columns={"ordered_at": "redeemed_at"})
    keys = ["customer_id", "redeemed_at"]
    assert len(redemptions[keys].merge(bought[keys].drop_duplicates())) == len(redemptions)


def test_the_truth_reaches_to_the_end_when_the_next_campaign_would_go_out(folder):
    moments = read(folder, "truth/effects")["contacted_at"].unique()
    assert len(moments) == 4
    assert moments.max() == pd.Timestamp(SHOP.until, tz="UTC")


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        ({"campaigns": 14}, "campaigns must be between 0 and 13, one in 56 days"),
        ({"campaigns": 3, "randomised_share": 1.5}, "randomised_share must be between 0 and 1"),
    ],
)
def test_impossible_campaigns_are_refused(options, cause):
    with pytest.raises(ConfigError, match=cause):
        ShopSettings(**options)
