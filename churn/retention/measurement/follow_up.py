"""What each customer who was sent an offer made of it, and what to do next."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["ANSWERS", "answers_of"]

# In this order: the first that holds of a customer is the answer.
ANSWERS = {
    "not_sent": "find out why it was not delivered",
    "unsubscribed": "do not write again; see that the consent is withdrawn",
    "redeemed": "thank; no further discount now",
    "redeemed_other": "redeemed something else than was sent: look at its offer, campaign or code",
    "bought": "bought without redeeming: no discount was needed",
    "bought_somehow": "whether with the offer is not known: connect [data.redemptions]",
    "opened": "opened and did not buy: ask what is missing, or remind once",
    "ignored": "try another channel or offer; the same again will not do",
    "did_not_buy": "whether it was opened is not known: connect [data.events]",
}


def answers_of(rows: pd.DataFrame) -> tuple[pd.Series[str], pd.Series[str]]:
    """The answer of each row and the next step; both null where no offer was planned.

    `rows` have `offered`, `sent`, `retained`, and `redemptions`, `other_redemptions`, `opened` and
    `unsubscribed`, which are null where the shop's tables do not tell.
    """
    holds = {
        "not_sent": ~rows["sent"],
        "unsubscribed": rows["unsubscribed"].fillna(0) > 0,
        "redeemed": rows["redemptions"].fillna(0) > 0,
        "redeemed_other": rows["other_redemptions"].fillna(0) > 0,
        "bought": (rows["retained"] > 0) & rows["redemptions"].notna(),
        "bought_somehow": rows["retained"] > 0,
        "opened": rows["opened"].fillna(0) > 0,
        "ignored": rows["opened"].notna(),
        "did_not_buy": rows["offered"],
    }
    conditions = [np.asarray(rows["offered"] & holds[name], dtype=bool) for name in ANSWERS]
    answer = pd.Series(
        np.select(conditions, [*ANSWERS], default=""), index=rows.index, dtype="object"
    ).replace({"": None})
    return answer, answer.map(ANSWERS)
