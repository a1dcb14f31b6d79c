"""What is said of each family of features: data, in one language."""

from collections.abc import Mapping
from math import isnan
from string import Formatter
from typing import Any

__all__ = ["SENTENCES", "sentence"]

Pair = tuple[str, str]  # where the family raises the risk, and where it protects

# By family, from the telling to the general: the first of which all numbers are known is said.
SENTENCES: dict[str, tuple[Pair, ...]] = {
    "recency": (
        (
            "Last order {recency} ago; usually every {gap}.",
            "Last order only {recency} ago; usually every {gap}.",
        ),
    ),
    "frequency": (
        (
            "Bought on {purchase_days_90d:.0f} of the last 90 days.",
            "Bought on as many as {purchase_days_90d:.0f} of the last 90 days.",
        ),
    ),
    "money": (
        (
            "Spent {net_spend_90d:,.2f} in the last 90 days.",
            "Spent as much as {net_spend_90d:,.2f} in the last 90 days.",
        ),
    ),
    "tenure": (("First order {tenure} ago.", "A customer for {tenure}."),),
    "activity": (
        (
            "Active in {active_window_share:.0%} of the recent half-horizons.",
            "Active in as many as {active_window_share:.0%} of the recent half-horizons.",
        ),
    ),
    "regularity": (("Buys at irregular times.", "Buys at regular times."),),
    "trend": (("Buys less than before.", "Buys at least as much as before."),),
    "lifetime": (
        (
            "Only {p_alive:.0%} likely to be active still, by the pattern of orders.",
            "{p_alive:.0%} likely to be active still, by the pattern of orders.",
        ),
    ),
    "returns": (
        (
            "Returned goods for {return_share:.0%} of what was bought.",
            "Returned goods for only {return_share:.0%} of what was bought.",
        ),
        ("Returns goods in an unusual measure.", "Returns goods in a usual measure."),
    ),
    "habits": (
        ("Keeps to no days of the week or season.", "Keeps to days of the week or season."),
    ),
    "lapses": (
        (
            "Has stayed away {past_lapses:.0f} times before.",
            "Has stayed away only {past_lapses:.0f} times before.",
        ),
    ),
    "first_order": (("Began as customers do who leave early.", "Began as customers do who stay."),),
    "basket": (
        (
            "Baskets of {lines_per_basket:.1f} lines, unlike those of customers who stay.",
            "Baskets of {lines_per_basket:.1f} lines, like those of customers who stay.",
        ),
    ),
    "products": (
        (
            "{new_product_share_90d:.0%} of the products of the last 90 days were new to them.",
            "{new_product_share_90d:.0%} of the products of the last 90 days were new to them.",
        ),
        (
            "Bought {distinct_products:.0f} products so far.",
            "Bought as many as {distinct_products:.0f} products so far.",
        ),
    ),
    "categories": (
        (
            "Bought from {category_breadth_90d:.0f} categories in the last 90 days.",
            "Bought from as many as {category_breadth_90d:.0f} categories in the last 90 days.",
        ),
    ),
    "engagement": (
        (
            "Last opened an e-mail {last_email_open_days:.0f} days ago.",
            "Opened an e-mail only {last_email_open_days:.0f} days ago.",
        ),
        (
            "Last visited {last_visit_days:.0f} days ago.",
            "Visited only {last_visit_days:.0f} days ago.",
        ),
        ("Little interest in messages and pages.", "Interest in messages and pages."),
    ),
    "service": (
        (
            "{tickets_open:.0f} tickets are open; {complaints_90d:.0f} complaints in 90 days.",
            "{tickets_open:.0f} tickets are open; {complaints_90d:.0f} complaints in 90 days.",
        ),
        ("Service was not as it should be.", "No trouble with service."),
    ),
    "loyalty": (("Makes little of points and offers.", "Makes use of points and offers."),),
    "subscription": (
        (
            "Has cancelled; the subscription ends in {cancelled_and_ends}.",
            "Has not cancelled; the subscription ends in {days_to_expiry:.0f} days.",
        ),
        (
            "The subscription ends in {days_to_expiry:.0f} days after {renewals_so_far:.0f} "
            "renewals.",
            "The subscription was renewed {renewals_so_far:.0f} times.",
        ),
    ),
    "acquisition": (("Came by a way on which few stay.", "Came by a way on which many stay."),),
}


def sentence(family: str, words: Mapping[str, Any], *, raises: bool) -> str:
    """The first sentence of the family whose numbers are all known.

    >>> sentence("lapses", {"past_lapses": 2.0}, raises=True)
    'Has stayed away 2 times before.'
    >>> sentence("my own", {}, raises=False)
    'Like customers who stay in: my own.'
    """
    for raising, protecting in SENTENCES.get(family, ()):
        text = raising if raises else protecting
        if all(_known(words.get(name)) for _, name, _, _ in Formatter().parse(text) if name):
            return text.format(**words)
    return f"{'Unlike' if raises else 'Like'} customers who stay in: {family}."


def _known(value: Any) -> bool:
    """Whether there is a value: neither None nor NaN."""
    return value is not None and not (isinstance(value, float) and isnan(value))
