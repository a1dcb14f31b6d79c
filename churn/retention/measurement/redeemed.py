"""Whose redemptions are of the offer that they were sent, and which match nothing that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from churn.retention.offers import NO_OFFER

__all__ = ["Redeemed", "redeemed_by"]

NO_CAMPAIGN = "name a campaign that is neither this one nor one of [data.contacts]"
NO_SUCH_OFFER = "name an offer or a code that the catalogue does not have"
ANOTHER_OFFER = "name another offer of the catalogue than the customer was sent"


@dataclass(frozen=True)
class Redeemed:
    """By row of a plan: `ours`, how often the offer that was sent was redeemed; `others`, how often
    anything else was; `priced` of ours with an order on the same day, and the sum of those orders.

    All are null where redemptions are not known. `unmatched` counts redemptions of customers with
    an offer that match nothing, by what they name.
    """

    ours: pd.Series[int]
    others: pd.Series[int]
    priced: pd.Series[int]
    order_amount: pd.Series[float]
    unmatched: Mapping[str, int]


def redeemed_by(
    frame: pd.DataFrame, found: pa.Table | None, codes: Mapping[str, str], offer_ids: set[str]
) -> Redeemed:
    """Redemptions (see `churn.data.responses`) by row of a plan with customer_id, campaign_id and
    offer_id. `codes` tell the offer of a code in lower case; an offer's id is a code of its own.
    """
    if found is None:
        unknown = pd.Series(pd.NA, index=frame.index, dtype="Int64")
        return Redeemed(unknown, unknown, unknown, unknown.astype("Float64"), {})
    rows = found.to_pandas()
    sent = rows["customer_id"].map(frame.set_index("customer_id")["offer_id"])
    rows = rows.assign(sent=sent)[sent.notna() & (sent != NO_OFFER)]
    named = _named_offer(rows, {**codes, **{name: name for name in offer_ids}})
    foreign = rows["campaign_id"].notna() & (rows["campaign_id"] != frame["campaign_id"].iloc[0])
    nameless = rows["offer_id"].isna() & rows["code"].isna()
    ours = ~foreign & (nameless | (named == rows["sent"]))
    reasons = {
        NO_CAMPAIGN: foreign & ~rows["elsewhere"],
        NO_SUCH_OFFER: ~foreign & ~nameless & named.isna(),
        ANOTHER_OFFER: ~foreign & ~ours & named.notna(),
    }
    counts = {reason: int(rows.loc[which, "redeemed"].sum()) for reason, which in reasons.items()}
    return Redeemed(
        ours=_sums(frame, rows[ours], "redeemed").astype("Int64"),
        others=_sums(frame, rows[~ours], "redeemed").astype("Int64"),
        priced=_sums(frame, rows[ours], "priced").astype("Int64"),
        order_amount=_sums(frame, rows[ours], "order_amount").astype("Float64"),
        unmatched={reason: count for reason, count in counts.items() if count},
    )


def _named_offer(rows: pd.DataFrame, offers: Mapping[str, str]) -> pd.Series[str]:
    """The offer of the catalogue that a row names, by its id, else by its code; null for none."""
    by_id, by_code = (rows[name].astype("object").map(offers) for name in ("offer_id", "code"))
    return by_id.fillna(by_code)


def _sums(frame: pd.DataFrame, rows: pd.DataFrame, name: str) -> pd.Series[float]:
    return frame["customer_id"].map(rows.groupby("customer_id")[name].sum()).fillna(0)
