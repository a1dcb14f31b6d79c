"""Reasons in words: sentences of the feature families that weigh most for a customer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from churn.features.clock import WINDOWS_DAYS, FeatureClock
from churn.scoring.language import Language

MANY = float("inf")

_SILENCE = (
    *("recency_days", "overdue_ratio", "overdue_z", "recency_over_longest_gap"),
    *("expected_gap_days", "mean_gap_days", "gap_deviation_days"),
    *("last_purchase_position", "last_gap_over_mean"),
)
_BASKET = ("average_basket", "last_basket_over_average", "typical_basket")
_RETURNS = ("return_share", "returned_90d", "return_days", "last_return_days")
_LAPSES = ("past_lapses", "past_lapse_share", "last_return_from_lapse_days")
_LEFT = ("last_unsubscribe_days", "unsubscribes")
_TICKETS = ("tickets_opened_90d", "tickets_open", "mean_days_to_close", "last_ticket_days")
_COMPLAINTS = ("complaints_90d", "last_complaint_days")
_LATE = ("late_deliveries_90d", "last_late_delivery_days", "late_delivery_share")
_REDEEMED = ("redemptions_total", "redemptions_90d", "redemption_rate", "last_redemption_days")
_TERMS = ("is_cancelled", "last_cancellation_days", "days_to_expiry", "renewals_so_far")
_POINTS = ("points_balance", "points_earned_90d")


@dataclass(frozen=True)
class Topic:
    """One sentence of a family: its key in a language, and the features that it speaks for.

    `when` limits a feature to a range, both ends included: "the only order so far" is true of
    those with one purchase day. Where the feature is unknown the sentence is not said.
    """

    key: str
    features: tuple[str, ...]
    when: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def holds(self, words: Mapping[str, Any]) -> bool:
        """Whether the sentence is true of a customer with these numbers.

        >>> Topic("none", ("return_days",), {"return_days": (0, 0)}).holds({"return_days": 2.0})
        False
        """
        return all(
            words.get(name) is not None and least <= words[name] <= most
            for name, (least, most) in self.when.items()
        )


def _windows(prefix: str, days: tuple[int, ...] = WINDOWS_DAYS) -> tuple[str, ...]:
    return tuple(f"{prefix}_{length}d" for length in days)


_COUNTS_LATELY = (*_windows("purchase_days", (7, 14)), "decayed_days_short")
_COUNTS_RECENT = (*_windows("purchase_days", (30, 60, 90)), "decayed_days_medium")
_COUNTS_LONG = (
    *(*_windows("purchase_days", (180, 365)), "decayed_days_long"),
    *("purchase_days", "orders_count"),
)
_COUNTS = (*_COUNTS_LATELY, *_COUNTS_RECENT, *_COUNTS_LONG)
_SPENT_LATELY = (*_windows("net_spend", (7, 14)), "decayed_spend_short")
_SPENT_LONGER = (
    *("net_spend", "net_spend_three_horizons", *_windows("net_spend", (30, 60, 90, 180, 365))),
    *("decayed_spend_medium", "decayed_spend_long"),
)
_OPENS = (
    *(*_windows("email_opens", (30, 90)), "last_email_open_days"),
    *("email_open_rate_90d", "email_open_rate_trend"),
)
_CLICKS = (*_windows("email_clicks", (30, 90)), "last_email_click_days", "email_click_rate_90d")
_VISITS = (*_windows("visits", (7, 30, 90)), "last_visit_days", "visit_trend")
_CARTS = (*_windows("carts", (30, 90)), "last_cart_days", "purchase_days_per_cart_90d")

# Of the topics that are true of a customer the one is told whose features weigh most; of topics
# that speak for the same features the first. Gaps are told with recency.
TOPICS: dict[str, tuple[Topic, ...]] = {
    "recency": (
        Topic("usual", _SILENCE, {"purchase_days": (3, MANY)}),
        Topic("second", _SILENCE, {"purchase_days": (2, 2)}),
        Topic("single", _SILENCE, {"purchase_days": (1, 1)}),
        Topic("plain", _SILENCE),
    ),
    "frequency": (
        Topic("lately", _COUNTS_LATELY, {"purchase_days_60d": (1, MANY)}),
        Topic("recent", _COUNTS_RECENT, {"purchase_days_90d": (1, MANY)}),
        Topic("long", _COUNTS_LONG, {"purchase_days_180d": (1, MANY)}),
        Topic("ever", _COUNTS, {"purchase_days_180d": (0, 0)}),
    ),
    "money": (
        Topic("lately", _SPENT_LATELY, {"net_spend_14d": (0, MANY), "net_spend_60d": (0, MANY)}),
        Topic("recent", _SPENT_LONGER, {"net_spend_90d": (-0.005, MANY)}),
        Topic("returned", _SPENT_LONGER, {"net_spend_90d": (-MANY, -0.005)}),
        Topic("ever", _SPENT_LONGER),
        Topic("basket", _BASKET, {"purchase_days": (2, MANY)}),
        Topic("single_basket", _BASKET, {"purchase_days": (1, 1)}),
    ),
    "tenure": (Topic("since", ("tenure_days",)),),
    "activity": (Topic("share", ("active_window_share",)),),
    "regularity": (
        Topic(
            "gaps", ("gap_variation", "log_regularity", "clumpiness"), {"gap_variation": (0, MANY)}
        ),
    ),
    "trend": (
        Topic("pace", ("acceleration",)),
        Topic("spend", ("spend_trend",)),
    ),
    "lifetime": (
        Topic("alive", ("p_alive",), {"purchase_days": (2, MANY)}),
        Topic(
            "orders",
            (
                *("expected_purchase_days", "p_no_purchase_in_horizon"),
                *("expected_day_spend", "expected_spend_in_horizon"),
            ),
        ),
    ),
    "returns": (
        Topic("some", _RETURNS, {"return_days": (1, MANY), "return_share": (0, MANY)}),
        Topic("none", _RETURNS, {"return_days": (0, 0)}),
    ),
    "habits": (
        Topic("weekday", ("main_weekday_share", "weekday_entropy"), {"purchase_days": (2, MANY)}),
        Topic("weekend", ("weekend_share",)),
        Topic("season", ("purchase_days_same_season",)),
    ),
    "lapses": (
        Topic("some", _LAPSES, {"past_lapses": (1, MANY)}),
        Topic("none", _LAPSES, {"past_lapses": (0, 0), "purchase_days": (2, MANY)}),
    ),
    "first_order": (
        Topic("basket", ("first_basket_over_average",), {"purchase_days": (2, MANY)}),
        Topic("second", ("first_gap_days",)),
        Topic("channel", ("first_channel_share",)),
    ),
    "basket": (
        Topic("lines", ("lines_per_basket", "units_per_basket")),
        Topic("trend", ("lines_per_basket_trend_90d",)),
        # Weighed goods and fuel have units of their own: a level far from 1 tells of them.
        Topic("prices", ("price_level_90d", "typical_unit_price"), {"price_level_90d": (0.5, 2)}),
    ),
    "products": (
        Topic("breadth", ("distinct_products",)),
        Topic("fresh", ("new_product_share_90d",)),
        Topic("repeats", ("repeat_product_share",)),
    ),
    "categories": (
        Topic(
            "breadth",
            ("category_breadth", "category_breadth_90d", "breadth_recent_over_lifetime"),
        ),
        Topic("fresh", ("new_categories_90d", "newest_category_age_days")),
        Topic("return", ("mean_category_gap_days",)),
        Topic("mix", ("category_entropy", "category_entropy_change_90d", "top_category_share")),
    ),
    "engagement": (
        Topic("opens", _OPENS, {"email_opens_90d": (1, MANY)}),
        Topic("no_opens", _OPENS, {"email_opens_90d": (0, 0)}),
        Topic("clicks", _CLICKS, {"email_clicks_90d": (1, MANY)}),
        Topic("no_clicks", _CLICKS, {"email_clicks_90d": (0, 0)}),
        Topic("visits", _VISITS, {"visits_90d": (1, MANY)}),
        Topic("no_visits", _VISITS, {"visits_90d": (0, 0)}),
        Topic("carts", _CARTS, {"carts_90d": (1, MANY)}),
        Topic("no_carts", _CARTS, {"carts_90d": (0, 0)}),
        Topic("unsubscribed", _LEFT, {"unsubscribes": (1, MANY)}),
        Topic("subscribed", _LEFT, {"unsubscribes": (0, 0)}),
    ),
    "service": (
        Topic("open_tickets", _TICKETS, {"tickets_open": (1, MANY)}),
        Topic("tickets", _TICKETS),
        Topic("complaints", _COMPLAINTS, {"complaints_90d": (1, MANY)}),
        Topic("no_complaints", _COMPLAINTS, {"complaints_90d": (0, 0)}),
        Topic("late", _LATE),
        Topic("rating", ("last_review", "last_review_days", "mean_review")),
        Topic("nps", ("last_nps", "last_nps_days")),
    ),
    "loyalty": (
        Topic("balance", _POINTS, {"points_balance": (0, MANY)}),
        Topic("spent", ("points_spent_90d", "last_points_spent_days")),
        Topic("redeemed", _REDEEMED, {"redemptions_total": (1, MANY)}),
        Topic("redeemed_none", _REDEEMED, {"redemptions_total": (0, 0)}),
    ),
    "subscription": (
        Topic("cancelled", _TERMS, {"is_cancelled": (1, 1), "days_to_expiry": (0, MANY)}),
        Topic("renewed", _TERMS, {"days_to_expiry": (0, MANY)}),
        Topic("since", ("subscription_tenure_days",)),
        Topic("plan", ("plan_days",)),
    ),
    "acquisition": (
        Topic("source", ("acquisition_share",)),
        Topic("start", ("days_to_first_purchase",)),
    ),
}


Words = Mapping[str, Any]


def sentence(family: str, words: Words, weights: Mapping[str, float], speech: Language) -> str:
    """The family's sentence whose features weigh most, of those that are true and known.

    `weights` are the features' log-odds in the direction that is told. Where no sentence speaks
    for what weighs, the family as a whole is named.

    >>> from churn.scoring.language import language
    >>> words = {"return_days": 1.0, "return_share": 0.2}
    >>> sentence("returns", words, {"return_share": 0.3}, language("en"))
    'Returned goods on 1 day, 20% of the value bought.'
    """
    for _, said in _sayings(family, words, weights, speech):
        return said
    named = {"family": family_name(family, speech)}
    return str(speech.say(speech.texts["marks"]["general"], named))


def sentence_pair(
    family: str, before: Words, now: Words, weights: Mapping[str, float], speech: Language
) -> tuple[str, str] | None:
    """One sentence, true of two rows of a customer, with the numbers of each; None without one.

    >>> from churn.scoring.language import language
    >>> before, now = {"return_days": 1.0, "return_share": 0.2}, {"return_days": 0.0}
    >>> sentence_pair("returns", before, now, {"return_share": 0.3}, language("en")) is None
    True
    """
    then = dict(_sayings(family, before, weights, speech))
    both = (
        (then[key], said) for key, said in _sayings(family, now, weights, speech) if key in then
    )
    return next(both, None)


def family_name(family: str, speech: Language) -> str:
    """What a family is called; a user's own family by its own name.

    >>> from churn.scoring.language import language
    >>> family_name("tenure", language("en")), family_name("shoe_sizes", language("de"))
    ('time as a customer', 'shoe sizes')
    """
    known = speech.texts["families"].get(family)
    return family.replace("_", " ") if known is None else str(known["name"])


def rule_sentence(rule: str, words: Words, speech: Language) -> str | None:
    """What a baseline that stands in for the model looks at, in the customer's numbers."""
    return speech.say(speech.texts["rules"][rule], words)


def status_sentence(status: str, words: Words, speech: Language) -> str | None:
    """What is known of a customer for whom the model does not speak."""
    texts = speech.texts["statuses"]
    keys = [status, "young", "new"] if status != "new" else ["young", "new"]
    said = (speech.say(texts[key], words) for key in keys if key in texts)
    return next((text for text in said if text is not None), None)


def spoken(record: Words, clock: FeatureClock, currency: str) -> dict[str, Any]:
    """A row of features with the lengths of time and the currency that sentences name."""
    lengths = {
        "horizon_days": clock.horizon_days,
        "lookback_days": clock.lookback_days,
        "half_horizon_days": clock.window_days,
        "earlier_days": round(1.5 * clock.horizon_days),
        "two_horizons_days": 2 * clock.horizon_days,
    }
    return {**record, **lengths, "currency": currency}


def _sayings(
    family: str, words: Words, weights: Mapping[str, float], speech: Language
) -> Iterator[tuple[str, str]]:
    """Key and sentence of the topics that weigh, are true and known; the heaviest first."""
    texts = speech.texts["families"].get(family, {})
    for topic in sorted(TOPICS.get(family, ()), key=lambda one: -_weight(one, weights)):
        if _weight(topic, weights) > 0 and topic.holds(words):
            said = speech.say(texts[topic.key], words)
            if said is not None:
                yield topic.key, said


def _weight(topic: Topic, weights: Mapping[str, float]) -> float:
    return sum(weights.get(name, 0.0) for name in topic.features)
