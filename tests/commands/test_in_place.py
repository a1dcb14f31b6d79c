"""Subscriptions that are changed in place are warned about, because they leak the future."""

import pandas as pd
import pytest
from subscription_shop import open_subscription_shop

from churn.commands.check import check


@pytest.fixture
def shop(tmp_path):
    return open_subscription_shop(tmp_path / "shop")


def terms_of(config):
    return pd.read_parquet(config.parent / "subscriptions.parquet")


def warnings_of(config, terms):
    terms.to_parquet(config.parent / "subscriptions.parquet", index=False)
    return [message for message in check(config).warnings if "subscriptions" in message]


def extended(terms):
    """The subscriptions of a shop that overwrites the expiry at each renewal."""
    return terms.groupby("customer_id", as_index=False).agg(
        started_at=("started_at", "min"), expires_at=("expires_at", "max")
    )


def test_renewals_without_a_row_of_their_own_are_warned_about(shop):
    (message,) = warnings_of(shop, extended(terms_of(shop)))
    assert "only 0.0% of the customers have a second one" in message
    assert "write one row per term, or keep each version with its loaded_at" in message


def test_separate_rows_and_versions_cause_no_warning(shop):
    terms = terms_of(shop)
    assert warnings_of(shop, terms) == []
    versions = extended(terms).assign(loaded_at=terms["started_at"].max())
    assert warnings_of(shop, versions) == []
    assert warnings_of(shop, terms.head(0)) == []
