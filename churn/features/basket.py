"""The contents of the basket: size, prices, number of products and categories, novelty. Lines with
an amount above zero count; returned and free lines do not.
"""

import numpy as np

from churn.arrays import Floats
from churn.data.history.lines import Lines
from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.formulas import Row, ratio

RECENT_DAYS = 90
ENTROPY_ROUNDING = 1e-9

PRODUCT = ("order_lines.product_id",)
QUANTITY = ("order_lines.quantity",)
DISCOUNT = ("order_lines.discount",)
CATEGORY = ("order_lines.category",)


def _log_price(lines: Lines, days: float = np.inf) -> Floats:
    """The sum of the logarithms of amount per unit, of lines with a quantity."""
    counted = lines.counted & lines.within(days)
    return lines.total(np.log(lines.amount) - np.log(lines.units), counted)


sums(
    "lines",
    lines_total=lambda lines, _: lines.count(),
    lines_in_90d=lambda lines, _: lines.count(lines.within(RECENT_DAYS)),
    line_spend=lambda lines, _: lines.total(lines.amount),
)
sums(
    "lines",
    needs=PRODUCT,
    product_lines_total=lambda lines, _: lines.count(lines.has_product),
    product_lines_in_90d=lambda lines, _: lines.count(lines.has_product & lines.within(90)),
    new_products_in_90d=lambda lines, _: lines.products.count(
        lines.products.firsts(lines.within(RECENT_DAYS))
    ),
)
sums(
    "lines",
    needs=QUANTITY,
    units_total=lambda lines, _: lines.total(lines.units, lines.counted),
    counted_lines_total=lambda lines, _: lines.count(lines.counted),
    counted_lines_in_90d=lambda lines, _: lines.count(lines.counted & lines.within(RECENT_DAYS)),
    price_log_total=lambda lines, _: _log_price(lines),
    price_log_in_90d=lambda lines, _: _log_price(lines, RECENT_DAYS),
)
sums(
    "lines",
    needs=DISCOUNT,
    line_discount_total=lambda lines, _: lines.total(lines.discount),
    discounted_lines_total=lambda lines, _: lines.count(lines.discount > 0),
)
sums(
    "lines",
    needs=CATEGORY,
    top_category_spend=lambda lines, _: lines.categories.most(
        lines.categories.totals(lines.amount)
    ),
    category_log_sum=lambda lines, _: _log_sum(lines, lines.amount),
    line_spend_before_90d=lambda lines, _: lines.total(_before_90d(lines)),
    category_log_sum_before_90d=lambda lines, _: _log_sum(lines, _before_90d(lines)),
)


def _before_90d(lines: Lines) -> Floats:
    return np.where(lines.within(RECENT_DAYS), 0.0, lines.amount)


def _log_sum(lines: Lines, amount: Floats) -> Floats:
    """The sum of x ln x over the customer's categories, x their totals."""
    totals = lines.categories.totals(amount)
    return lines.categories.total(totals * np.log(np.where(totals > 0, totals, 1.0)))


@feature(family="basket", unit="lines per purchase day", over="row", needs=["order_lines"])
def lines_per_basket(row: Row, _: FeatureClock) -> Floats:
    """Lines bought divided by distinct purchase days; null without a line."""
    return ratio(row["lines_total"], row["purchase_days"])


@feature(family="basket", unit="ratio", over="row", needs=["order_lines"])
def lines_per_basket_trend_90d(row: Row, _: FeatureClock) -> Floats:
    """Lines per purchase day in the last 90 days divided by those of the lifetime; null without a
    purchase day in those days.
    """
    recent = ratio(row["lines_in_90d"], row["purchase_days_90d"])
    return ratio(recent, row["lines_per_basket"])


@feature(family="basket", unit="units per purchase day", over="row", needs=QUANTITY)
def units_per_basket(row: Row, _: FeatureClock) -> Floats:
    """Units bought divided by distinct purchase days; null without a line. A quantity of 1,000 or
    more is a measure, such as grams, and counts as one unit.
    """
    return ratio(row["units_total"], row["purchase_days"])


@feature(family="basket", unit="currency per unit", over="row", needs=QUANTITY)
def typical_unit_price(row: Row, _: FeatureClock) -> Floats:
    """Geometric mean of the lines' amount per unit; lines without a quantity above zero are
    ignored, and a quantity of 1,000 or more counts as one unit.
    """
    return np.exp(ratio(row["price_log_total"], row["counted_lines_total"]))


@feature(family="basket", unit="ratio", over="row", needs=QUANTITY)
def price_level_90d(row: Row, _: FeatureClock) -> Floats:
    """The typical unit price of the last 90 days divided by that of the lifetime; null without a
    line in those days.
    """
    recent = np.exp(ratio(row["price_log_in_90d"], row["counted_lines_in_90d"]))
    return ratio(recent, row["typical_unit_price"])


@feature(family="basket", unit="share", over="row", needs=DISCOUNT, controlled=True)
def line_discount_share(row: Row, _: FeatureClock) -> Floats:
    """Discounts of the lines bought divided by their amounts before discount."""
    discount = row["line_discount_total"]
    return ratio(discount, row["line_spend"] + discount)


@feature(family="basket", unit="share", over="row", needs=DISCOUNT, controlled=True)
def discounted_line_share(row: Row, _: FeatureClock) -> Floats:
    """Lines bought at a discount divided by all lines bought."""
    return ratio(row["discounted_lines_total"], row["lines_total"])


@feature(family="products", unit="products", over="lines", needs=PRODUCT, empty=0.0)
def distinct_products(lines: Lines, _: FeatureClock) -> Floats:
    """Distinct products bought so far."""
    return lines.products.count()


@feature(family="products", unit="share", over="row", needs=PRODUCT)
def new_product_share_90d(row: Row, _: FeatureClock) -> Floats:
    """Products bought for the first time in the last 90 days divided by the lines of those days;
    null without a line in that period.
    """
    return ratio(row["new_products_in_90d"], row["product_lines_in_90d"])


@feature(family="products", unit="share", over="row", needs=PRODUCT)
def repeat_product_share(row: Row, _: FeatureClock) -> Floats:
    """Lines of products that were on an earlier line, divided by all lines bought."""
    lines = row["product_lines_total"]
    return ratio(lines - row["distinct_products"], lines)


@feature(family="categories", unit="categories", over="lines", needs=CATEGORY, empty=0.0)
def category_breadth(lines: Lines, _: FeatureClock) -> Floats:
    """Distinct categories bought so far; lines without a category count as one more."""
    return lines.categories.count()


@feature(family="categories", unit="categories", over="lines", needs=CATEGORY, empty=0.0)
def category_breadth_90d(lines: Lines, _: FeatureClock) -> Floats:
    """Distinct categories bought in the last 90 days."""
    return lines.categories.count(lines.categories.lasts(lines.within(RECENT_DAYS)))


@feature(family="categories", unit="share", over="row", needs=CATEGORY)
def breadth_recent_over_lifetime(row: Row, _: FeatureClock) -> Floats:
    """Categories bought in the last 90 days divided by all bought so far."""
    return ratio(row["category_breadth_90d"], row["category_breadth"])


@feature(family="categories", unit="categories", over="lines", needs=CATEGORY, empty=0.0)
def new_categories_90d(lines: Lines, _: FeatureClock) -> Floats:
    """Categories bought for the first time in the last 90 days."""
    return lines.categories.count(lines.categories.firsts(lines.within(RECENT_DAYS)))


@feature(family="categories", unit="days", over="lines", needs=CATEGORY)
def newest_category_age_days(lines: Lines, _: FeatureClock) -> Floats:
    """Whole days since a category was last bought for the first time."""
    return lines.categories.least(lines.categories.firsts(lines.age_days))


@feature(family="categories", unit="days", over="lines", needs=CATEGORY)
def mean_category_gap_days(lines: Lines, _: FeatureClock) -> Floats:
    """Mean days between two purchase days of the same category; null without a second one."""
    pairs = lines.categories
    span = pairs.firsts(lines.age_days) - pairs.lasts(lines.age_days)
    return ratio(pairs.total(span), pairs.total(pairs.distinct(lines.local_day) - 1))


@feature(family="categories", unit="nats", over="row", needs=CATEGORY)
def category_entropy(row: Row, _: FeatureClock) -> Floats:
    """-sum p ln p over the categories, with p their share of total spend: 0 means a single
    category.
    """
    return _entropy(row["line_spend"], row["category_log_sum"])


@feature(family="categories", unit="nats", over="row", needs=CATEGORY)
def category_entropy_change_90d(row: Row, _: FeatureClock) -> Floats:
    """The entropy of categories now minus its value 90 days ago; null without a line by then."""
    before = row["line_spend_before_90d"]
    change = row["category_entropy"] - _entropy(before, row["category_log_sum_before_90d"])
    change = np.where(np.abs(change) < ENTROPY_ROUNDING, 0.0, change)
    return np.where(before > 0, change, np.nan)


@feature(family="categories", unit="share", over="row", needs=CATEGORY)
def top_category_share(row: Row, _: FeatureClock) -> Floats:
    """The largest category's share of total spend."""
    return ratio(row["top_category_spend"], row["line_spend"])


def _entropy(total: Floats, log_sum: Floats) -> Floats:
    """The entropy of shares x / total, from the sum of x ln x: ln total - sum / total; 0 below the
    rounding error of a sum, so that one category gives the same number on every run.
    """
    some = np.where(total > 0, total, np.nan)
    entropy = np.log(some) - log_sum / some
    return np.where(entropy < ENTROPY_ROUNDING, 0.0, entropy)
