"""Why a list holds nobody, in one sentence with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping

CONNECT = (
    "connect [data.consents] (it can be read out of a column such as accepts_marketing), or set "
    '[offers] consent = "assumed" where the law lets you'
)
HELD = {
    "erased": "are for customers who were erased since",
    "other_offer": "are other offers than the one that was asked for",
    "other_channel": "go out on another channel",
    "objected": "are for customers who refuse profiling",
    "consent_refused": "are for customers who refuse marketing on the channel",
    "consent_unknown": "have no consent to marketing on record",
    "preference": "are not wanted, by the customers' preferences",
    "expired": "ended before the date",
    "no_identifier": "are for customers without an e-mail address or phone number",
    "repeated_identifier": "are for addresses that stand in the audience already",
    "no_address": "are for customers without an e-mail address",
    "bad_address": "are for addresses that cannot be written to",
    "refused_address": "are for addresses of which another customer refuses e-mails",
    "same_address": "are for addresses that get it as another customer",
    "sent_before": "were sent before",
    "maybe_sent": "may have arrived before",
    "failed_before": "were refused for good before",
    "beyond_limit": "are beyond the limit",
}
"""What is said of offers that were left out, by code."""

FIXES = {
    "other_channel": "offer something on that channel in the catalogue",
    "consent_unknown": CONNECT,
    "expired": "make a new plan, or pass an earlier --date",
    "no_identifier": "map email or phone in [data.customers.columns]",
    "no_address": "map email in [data.customers.columns]",
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


def why_nothing_goes_out(offered: int, left_out: Mapping[str, int]) -> str:
    """The sentence for a plan of which nothing goes out; `left_out` by code (see `HELD`).

    >>> why_nothing_goes_out(5, {"expired": 3, "preference": 2})[:46]
    '0 of 5 offers: 3 ended before the date, 2 are '
    """
    if not offered:
        return "the plan offers nothing to anybody: `churn plan` says why"
    return _sentence(f"0 of {offered:,} offers", left_out, HELD, FIXES)


def why_nobody_gets_one(
    customers: int, suppressed: Mapping[str, int], meanings: Mapping[str, str]
) -> str:
    """The sentence for a plan without an offer; `suppressed` by code, whose `meanings` are given.

    >>> why_nobody_gets_one(3, {"cooldown": 3}, {"cooldown": "too soon"})
    '0 of 3 customers get an offer: 3 x too soon; wait, or shorten cooldown_days in the catalogue'
    """
    told = {code: f"x {meaning}" for code, meaning in meanings.items()}
    return _sentence(f"0 of {customers:,} customers get an offer", suppressed, told, SUPPRESSED)


def _sentence(
    what: str, counts: Mapping[str, int], told: Mapping[str, str], fixes: Mapping[str, str]
) -> str:
    """The counts, most frequent first, and the fix of the first that has one."""
    ordered = sorted((code for code in counts if counts[code]), key=lambda code: -counts[code])
    reasons = ", ".join(f"{counts[code]:,} {told[code]}" for code in ordered)
    fix = next((fixes[code] for code in ordered if code in fixes), "")
    return f"{what}: {reasons}" + (f"; {fix}" if fix else "")
