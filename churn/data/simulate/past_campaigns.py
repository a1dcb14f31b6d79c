"""The campaigns as tables: contacts, redemptions, and the true effects in a folder of their own."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa

from churn.data.simulate.campaigns import (
    OFFERS,
    Contacts,
    campaign_days,
    draw_contacts,
    redeemed,
    true_effects,
    with_effects,
)
from churn.data.simulate.engagement import Consents
from churn.data.simulate.frames import customer_ids, named, shuffled, times
from churn.data.simulate.people import People
from churn.data.simulate.purchases import Purchases
from churn.data.simulate.seasons import Seasons
from churn.data.simulate.settings import ShopSettings

__all__ = ["TRUE_EFFECTS", "campaign_tables"]

TRUE_EFFECTS = "truth/effects"
ARMS = ("treatment", "control")


def campaign_tables(
    rng: np.random.Generator,
    shop: ShopSettings,
    seasons: Seasons,
    people: People,
    purchases: Purchases,
    words: Consents,
) -> tuple[Purchases, dict[str, pa.Table]]:
    """The purchases as the campaigns changed them, and contacts, redemptions, true effects."""
    contacts = draw_contacts(rng, shop, seasons, people, purchases, words)
    changed = with_effects(rng, purchases, contacts)
    tables = {
        "contacts": _contacts_table(rng, shop, people, contacts),
        "redemptions": _redemptions_table(rng, shop, people, changed, contacts),
        TRUE_EFFECTS: _truth_table(shop, seasons, people, purchases),
    }
    return changed, tables


def _names(shop: ShopSettings) -> list[str]:
    days = campaign_days(shop)
    return [f"campaign-{shop.start + timedelta(days=int(day))}" for day in days]


def _contacts_table(
    rng: np.random.Generator, shop: ShopSettings, people: People, contacts: Contacts
) -> pa.Table:
    columns = {
        "customer_id": customer_ids(people).take(pa.array(contacts.customer)),
        "contacted_at": times(shop, contacts.day),
        "campaign_id": named(_names(shop), contacts.campaign),
        "offer_id": named(OFFERS, contacts.offer),
        "arm": named(ARMS, (contacts.offer < 0).astype(np.int64)),
        "propensity": pa.array(contacts.propensity, from_pandas=True),
    }
    return shuffled(rng, columns)


def _redemptions_table(
    rng: np.random.Generator,
    shop: ShopSettings,
    people: People,
    purchases: Purchases,
    contacts: Contacts,
) -> pa.Table:
    which, day = redeemed(rng, purchases, contacts)
    columns = {
        "customer_id": customer_ids(people).take(pa.array(contacts.customer[which])),
        "redeemed_at": times(shop, day),
        "campaign_id": named(_names(shop), contacts.campaign[which]),
        "offer_id": named(OFFERS, contacts.offer[which]),
    }
    return shuffled(rng, columns)


def _truth_table(
    shop: ShopSettings, seasons: Seasons, people: People, purchases: Purchases
) -> pa.Table:
    """A row per customer and offer at each campaign, and at the end, when the next would go out."""
    moments = [*campaign_days(shop), float(shop.days)]
    truths = [true_effects(seasons, people, purchases, day) for day in moments]
    return pa.concat_tables(
        pa.table(
            {
                "customer_id": customer_ids(people).take(pa.array(truth.customer)),
                "contacted_at": times(shop, np.full(truth.customer.size, truth.day)),
                "offer_id": named(OFFERS, np.full(truth.customer.size, number)),
                "retained_without": pa.array(truth.retained_without),
                "true_effect": pa.array(truth.effects[:, number]),
            }
        )
        for truth in truths
        for number in range(len(OFFERS))
    )
