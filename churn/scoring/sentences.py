"""Sentences of the reasons: for each feature family the topics that describe a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from churn.arrays import Bools, Floats, Ints
from churn.features.clock import WINDOWS_DAYS, FeatureClock
from churn.scoring.language import Language, Texts, Values

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
    """One sentence of a family: its key in a language, and the features that it describes.

    `when` restricts features to ranges, both ends included: "the only order so far" requires
    exactly one purchase day. An unknown feature rules the sentence out.
    """

    key: str
    features: tuple[str, ...]
    when: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def applies(self, values: Values, rows: int) -> Bools:
        """For which rows of values the sentence is true, shape (rows,).

        >>> topic = Topic("none", ("return_days",), {"return_days": (0, 0)})
        >>> topic.applies({"return_days": np.array([2.0, 0.0])}, 2)
        array([False,  True])
        """
        found = np.ones(rows, dtype=bool)
        for name, (low, high) in self.when.items():
            value = values.get(name, np.nan)
            found &= (low <= value) & (value <= high)
        return found


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

# Among the topics that apply, the one whose features contribute most is used; the first one if
# they describe the same features. Gaps belong to recency.
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
        # A level far from 1 indicates goods sold by weight or volume, not a change of prices.
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


def sentences(
    family: str, values: Values, weights: Mapping[str, Floats], lang: Language, *, rows: int
) -> Texts:
    """For each row the family's sentence whose features contribute most, among those that are true
    and known, shape (rows,).

    `values` are the customers' numbers, an array per feature, and what all rows have in common.
    `weights` are the features' log-odds in the direction of the reason. If no sentence has a
    positive weight, the family as a whole is named.

    >>> from churn.scoring.language import load_language
    >>> values = {"return_days": np.array([1.0]), "return_share": np.array([0.2])}
    >>> weights = {"return_share": np.array([0.3])}
    >>> sentences("returns", values, weights, load_language("en"), rows=1).tolist()
    ['Returned goods on 1 day, 20% of the value bought.']
    """
    general = lang.render(lang.texts["labels"]["general"], {"family": family_name(family, lang)})
    chosen = _chosen_topics(family, (values,), weights, lang, rows)
    (texts,) = _texts(family, (values,), chosen, lang)
    texts[chosen < 0] = general
    return texts


def sentence_pairs(
    family: str,
    before: Values,
    now: Values,
    weights: Mapping[str, Floats],
    lang: Language,
    *,
    rows: int,
) -> tuple[Texts, Texts]:
    """The same sentence for two days of each customer; None where no sentence is true for both.

    >>> from churn.scoring.language import load_language
    >>> before = {"return_days": np.array([1.0]), "return_share": np.array([0.2])}
    >>> now, weights = {"return_days": np.array([0.0])}, {"return_share": np.array([0.3])}
    >>> sentence_pairs("returns", before, now, weights, load_language("en"), rows=1)
    (array([None], dtype=object), array([None], dtype=object))
    """
    chosen = _chosen_topics(family, (before, now), weights, lang, rows)
    earlier, later = _texts(family, (before, now), chosen, lang)
    return earlier, later


def family_name(family: str, lang: Language) -> str:
    """The name of a family in this language; a user's own family keeps its own name.

    >>> from churn.scoring.language import load_language
    >>> family_name("tenure", load_language("en")), family_name("shoe_sizes", load_language("de"))
    ('time as a customer', 'shoe sizes')
    """
    texts = lang.texts["families"].get(family)
    return family.replace("_", " ") if texts is None else str(texts["name"])


def baseline_sentences(baseline: str, values: Values, lang: Language, *, rows: int) -> Texts:
    """What a baseline that is used as fallback model looks at, with each customer's values; None
    where one of them is unknown.
    """
    return _first_known([lang.texts["baselines"][baseline]], values, lang, rows)


def status_sentences(status: str, values: Values, lang: Language, *, rows: int) -> Texts:
    """What is known about customers of that status, whom the model does not score."""
    templates = lang.texts["statuses"]
    keys = [status, "young", "new"] if status != "new" else ["young", "new"]
    return _first_known([templates[key] for key in keys if key in templates], values, lang, rows)


def rows_of(values: Values, rows: Any) -> dict[str, Any]:
    """The values of some rows, by a mask or by their places."""
    return {
        name: value[rows] if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


def sentence_values(columns: Values, clock: FeatureClock, currency: str) -> dict[str, Any]:
    """Columns of features with the periods in days and the currency that sentences mention."""
    lengths = {
        "horizon_days": clock.horizon_days,
        "lookback_days": clock.lookback_days,
        "half_horizon_days": clock.window_days,
        "earlier_days": round(1.5 * clock.horizon_days),
        "two_horizons_days": 2 * clock.horizon_days,
    }
    return {**columns, **lengths, "currency": currency}


def _chosen_topics(
    family: str,
    days: Sequence[Values],
    weights: Mapping[str, Floats],
    lang: Language,
    rows: int,
) -> Ints:
    """The place in `TOPICS` of the topic with the largest positive weight among those that are true
    and known on each of the days; -1 for none, shape (rows,).
    """
    templates = lang.texts["families"].get(family, {})
    best, chosen = np.zeros(rows), np.full(rows, -1)
    for place, topic in enumerate(TOPICS.get(family, ())):
        weight = _weight(topic, weights)
        usable = weight > best
        for values in days if np.any(usable) else ():
            usable &= topic.applies(values, rows) & lang.known(templates[topic.key], values, rows)
        best, chosen = np.where(usable, weight, best), np.where(usable, place, chosen)
    return chosen


def _weight(topic: Topic, weights: Mapping[str, Floats]) -> Any:
    return sum((weights[name] for name in topic.features if name in weights), 0.0)


def _texts(family: str, days: Sequence[Values], chosen: Ints, lang: Language) -> list[Texts]:
    """The chosen topics' sentences on each of the days; None where none was chosen."""
    found = [np.full(len(chosen), None, dtype=object) for _ in days]
    for place in np.unique(chosen[chosen >= 0]):
        own = np.flatnonzero(chosen == place)
        template = lang.texts["families"][family][TOPICS[family][place].key]
        for texts, values in zip(found, days, strict=True):
            texts[own] = lang.rendered(template, rows_of(values, own), len(own))
    return found


def _first_known(templates: Sequence[str], values: Values, lang: Language, rows: int) -> Texts:
    """Each row's first template of which all values are known; None without one."""
    texts = np.full(rows, None, dtype=object)
    is_open = np.ones(rows, dtype=bool)
    for template in templates:
        own = np.flatnonzero(is_open & lang.known(template, values, rows))
        if len(own):
            texts[own] = lang.rendered(template, rows_of(values, own), len(own))
        is_open[own] = False
    return texts
