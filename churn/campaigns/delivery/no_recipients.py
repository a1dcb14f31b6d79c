"""Why a list is empty, in one sentence with a fix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from churn.campaigns.delivery.transport import Recipient

CONNECT = (
    "connect [data.consents] (a column such as accepts_marketing is enough), or set "
    '[offers] consent = "assumed" if that is legal'
)
HELD = {
    "erased": "are for customers erased since then",
    "other_offer": "are not the requested offer",
    "other_channel": "use another channel",
    "objected": "are for customers who object to profiling",
    "consent_refused": "are for customers who refuse marketing on the channel",
    "consent_unknown": "have no consent to marketing on record",
    "preference": "are not wanted, by the customers' preferences",
    "expired": "expired before the date",
    "no_identifier": "are for customers without an e-mail address or phone number",
    "repeated_identifier": "are for addresses already in the audience",
    "no_address": "are for customers with no {address}",
    "bad_address": "are for invalid addresses",
    "refused_address": "are for addresses for which another customer refuses {messages}",
    "same_address": "are for addresses that get it for another customer",
    "sent_before": "were sent before",
    "maybe_sent": "may have arrived before",
    "failed_before": "were rejected permanently before",
    "beyond_limit": "are beyond the limit",
}
"""The phrase for offers that were left out, by code."""

FIXES = {
    "other_channel": "offer something on that channel in the catalogue",
    "consent_unknown": CONNECT,
    "expired": "make a new plan, or pass an earlier --date",
    "no_identifier": "map email or phone in [data.customers.columns]",
    "no_address": "map {column} in [data.customers.columns]",
}
SUPPRESSED = {
    "status_not_served": "add an offer for their statuses to the catalogue",
    "no_occasion": "add an offer for any occasion to the catalogue",
    "consent_unknown": CONNECT,
    "cooldown": "wait, or shorten cooldown_days in the catalogue",
    "frequency_cap": "wait, or raise [offers] max_contacts",
    "value_not_positive": "put your own costs and effects into the catalogue",
    "budget_exhausted": "raise [offers] budget",
    "capacity_exhausted": "raise capacity in the catalogue",
}


def why_nothing_goes_out(
    offered: int, left_out: Mapping[str, int], recipient: Recipient | None = None
) -> str:
    """The sentence for a plan of which nothing is sent; `left_out` by code (see `HELD`).

    >>> why_nothing_goes_out(5, {"expired": 3, "preference": 2})[:46]
    '0 of 5 offers: 3 expired before the date, 2 ar'
    """
    if not offered:
        return "the plan contains no offers: `churn plan` shows why"
    sentence = _sentence(f"0 of {offered:,} offers", left_out, HELD, FIXES)
    return sentence if recipient is None else recipient.worded(sentence)


def why_nobody_gets_one(
    customers: int, suppressed: Mapping[str, int], meanings: Mapping[str, str]
) -> str:
    """The sentence for a plan without an offer; `suppressed` by code, with their `meanings`.

    >>> why_nobody_gets_one(3, {"cooldown": 3}, {"cooldown": "too soon"})
    '0 of 3 customers get an offer: 3 x too soon; wait, or shorten cooldown_days in the catalogue'
    """
    phrases = {code: f"x {meaning}" for code, meaning in meanings.items()}
    return _sentence(f"0 of {customers:,} customers get an offer", suppressed, phrases, SUPPRESSED)


def _sentence(
    what: str, counts: Mapping[str, int], phrases: Mapping[str, str], fixes: Mapping[str, str]
) -> str:
    """The counts, most frequent first, and the fix of the first that has one."""
    ordered = sorted((code for code in counts if counts[code]), key=lambda code: -counts[code])
    reasons = ", ".join(f"{counts[code]:,} {phrases[code]}" for code in ordered)
    fix = next((fixes[code] for code in ordered if code in fixes), "")
    return f"{what}: {reasons}" + (f"; {fix}" if fix else "")
