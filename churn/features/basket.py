"""The contents of the basket: size, prices, number of products and categories, novelty. Lines with
an amount above zero count; returned and free lines do not.
"""

import narwhals as nw

from churn.features.catalogue import feature, sums
from churn.features.clock import FeatureClock
from churn.features.expressions import ratio, within

RECENT_DAYS = 90
ENTROPY_ROUNDING = 1e-9

PRODUCT = ("order_lines.product_id",)
QUANTITY = ("order_lines.quantity",)
DISCOUNT = ("order_lines.discount",)
CATEGORY = ("order_lines.category",)


def _recent(name: str) -> nw.Expr:
    return within(RECENT_DAYS, nw.col(name), 0.0).sum()


sums(
    "lines",
    lines_total=lambda _: nw.col("lines").sum(),
    lines_in_90d=lambda _: _recent("lines"),
    line_spend=lambda _: nw.col("spend").sum(),
)
sums(
    "lines",
    needs=PRODUCT,
    product_lines_total=lambda _: nw.col("product_lines").sum(),
    product_lines_in_90d=lambda _: _recent("product_lines"),
    new_products_in_90d=lambda _: _recent("new_products"),
)
sums(
    "lines",
    needs=QUANTITY,
    units_total=lambda _: nw.col("units").sum(),
    counted_lines_total=lambda _: nw.col("counted_lines").sum(),
    counted_lines_in_90d=lambda _: _recent("counted_lines"),
    price_log_total=lambda _: nw.col("price_log_sum").sum(),
    price_log_in_90d=lambda _: _recent("price_log_sum"),
)
sums(
    "lines",
    needs=DISCOUNT,
    line_discount_total=lambda _: nw.col("discount").sum(),
    discounted_lines_total=lambda _: nw.col("discounted_lines").sum(),
)
sums(
    "lines",
    needs=CATEGORY,
    top_category_spend=lambda _: nw.col("category_total").max(),
    category_log_sum=lambda _: nw.col("entropy_change").sum(),
    line_spend_before_90d=lambda _: _earlier("spend"),
    category_log_sum_before_90d=lambda _: _earlier("entropy_change"),
)


def _earlier(name: str) -> nw.Expr:
    early = nw.when(nw.col("age_days") > RECENT_DAYS).then(nw.col(name))
    return early.otherwise(nw.lit(0.0)).sum()


@feature(family="basket", unit="lines per purchase day", over="row", needs=["order_lines"])
def lines_per_basket(_: FeatureClock) -> nw.Expr:
    """Lines bought divided by distinct purchase days; null without a line."""
    return ratio(nw.col("lines_total"), nw.col("purchase_days"))


@feature(family="basket", unit="ratio", over="row", needs=["order_lines"])
def lines_per_basket_trend_90d(_: FeatureClock) -> nw.Expr:
    """Lines per purchase day in the last 90 days divided by those of the lifetime; null without a
    purchase day in those days.
    """
    recent = ratio(nw.col("lines_in_90d"), nw.col("purchase_days_90d"))
    return ratio(recent, nw.col("lines_per_basket"))


@feature(family="basket", unit="units per purchase day", over="row", needs=QUANTITY)
def units_per_basket(_: FeatureClock) -> nw.Expr:
    """Units bought divided by distinct purchase days; null without a line. A quantity of 1,000 or
    more is a measure, such as grams, and counts as one unit.
    """
    return ratio(nw.col("units_total"), nw.col("purchase_days"))


@feature(family="basket", unit="currency per unit", over="row", needs=QUANTITY)
def typical_unit_price(_: FeatureClock) -> nw.Expr:
    """Geometric mean of the lines' amount per unit; lines without a quantity above zero are
    ignored, and a quantity of 1,000 or more counts as one unit.
    """
    return ratio(nw.col("price_log_total"), nw.col("counted_lines_total")).exp()


@feature(family="basket", unit="ratio", over="row", needs=QUANTITY)
def price_level_90d(_: FeatureClock) -> nw.Expr:
    """The typical unit price of the last 90 days divided by that of the lifetime; null without a
    line in those days.
    """
    recent = ratio(nw.col("price_log_in_90d"), nw.col("counted_lines_in_90d")).exp()
    return ratio(recent, nw.col("typical_unit_price"))


@feature(
    family="basket",
    unit="share",
    over="row",
    needs=DISCOUNT,
    controlled=True,
)
def line_discount_share(_: FeatureClock) -> nw.Expr:
    """Discounts of the lines bought divided by their amounts before discount."""
    discount = nw.col("line_discount_total")
    return ratio(discount, nw.col("line_spend") + discount)


@feature(family="basket", unit="share", over="row", needs=DISCOUNT, controlled=True)
def discounted_line_share(_: FeatureClock) -> nw.Expr:
    """Lines bought at a discount divided by all lines bought."""
    return ratio(nw.col("discounted_lines_total"), nw.col("lines_total"))


@feature(family="products", unit="products", over="lines", needs=PRODUCT, empty=0.0)
def distinct_products(_: FeatureClock) -> nw.Expr:
    """Distinct products bought so far."""
    return nw.col("new_products").sum()


@feature(family="products", unit="share", over="row", needs=PRODUCT)
def new_product_share_90d(_: FeatureClock) -> nw.Expr:
    """Products bought for the first time in the last 90 days divided by the lines of those days;
    null without a line in that period.
    """
    return ratio(nw.col("new_products_in_90d"), nw.col("product_lines_in_90d"))


@feature(family="products", unit="share", over="row", needs=PRODUCT)
def repeat_product_share(_: FeatureClock) -> nw.Expr:
    """Lines of products that were on an earlier line, divided by all lines bought."""
    lines = nw.col("product_lines_total")
    return ratio(lines - nw.col("distinct_products"), lines)


def _first_of_category() -> nw.Expr:
    return nw.col("category_gap_days").is_null()


def _counted(condition: nw.Expr) -> nw.Expr:
    return nw.when(condition).then(nw.lit(1)).otherwise(nw.lit(0)).sum()


@feature(
    family="categories",
    unit="categories",
    over="lines",
    needs=CATEGORY,
    empty=0.0,
)
def category_breadth(_: FeatureClock) -> nw.Expr:
    """Distinct categories bought so far; lines without a category count as one more."""
    return _counted(_first_of_category())


@feature(family="categories", unit="categories", over="lines", needs=CATEGORY, empty=0.0)
def category_breadth_90d(_: FeatureClock) -> nw.Expr:
    """Distinct categories bought in the last 90 days."""
    age_before = nw.col("age_days") + nw.col("category_gap_days")
    earliest = _first_of_category() | (age_before > RECENT_DAYS)
    return _counted((nw.col("age_days") <= RECENT_DAYS) & earliest)


@feature(family="categories", unit="share", over="row", needs=CATEGORY)
def breadth_recent_over_lifetime(_: FeatureClock) -> nw.Expr:
    """Categories bought in the last 90 days divided by all bought so far."""
    return ratio(nw.col("category_breadth_90d"), nw.col("category_breadth"))


@feature(family="categories", unit="categories", over="lines", needs=CATEGORY, empty=0.0)
def new_categories_90d(_: FeatureClock) -> nw.Expr:
    """Categories bought for the first time in the last 90 days."""
    return _counted((nw.col("age_days") <= RECENT_DAYS) & _first_of_category())


@feature(family="categories", unit="days", over="lines", needs=CATEGORY)
def newest_category_age_days(_: FeatureClock) -> nw.Expr:
    """Whole days since a category was last bought for the first time."""
    return nw.when(_first_of_category()).then(nw.col("age_days")).min()


@feature(family="categories", unit="days", over="lines", needs=CATEGORY)
def mean_category_gap_days(_: FeatureClock) -> nw.Expr:
    """Mean days between two purchase days of the same category; null without a second one."""
    return nw.col("category_gap_days").mean()


@feature(family="categories", unit="nats", over="row", needs=CATEGORY)
def category_entropy(_: FeatureClock) -> nw.Expr:
    """-sum p ln p over the categories, with p their share of total spend: 0 means a single
    category.
    """
    return _entropy(nw.col("line_spend"), nw.col("category_log_sum"))


@feature(family="categories", unit="nats", over="row", needs=CATEGORY)
def category_entropy_change_90d(_: FeatureClock) -> nw.Expr:
    """The entropy of categories now minus its value 90 days ago; null without a line by then."""
    before = nw.col("line_spend_before_90d")
    earlier = _entropy(before, nw.col("category_log_sum_before_90d"))
    change = nw.col("category_entropy") - earlier
    nothing = (change < ENTROPY_ROUNDING) & (change > -ENTROPY_ROUNDING)
    change = nw.when(nothing).then(nw.lit(0.0)).otherwise(change)
    return nw.when(before > 0).then(change)


@feature(family="categories", unit="share", over="row", needs=CATEGORY)
def top_category_share(_: FeatureClock) -> nw.Expr:
    """The largest category's share of total spend."""
    return ratio(nw.col("top_category_spend"), nw.col("line_spend"))


def _entropy(total: nw.Expr, log_sum: nw.Expr) -> nw.Expr:
    """The entropy of shares x / total, from the sum of x ln x: ln total - sum / total; 0 below the
    rounding error of a parallel sum, so that one category gives the same number on every run.
    """
    some = nw.when(total > 0).then(total)
    entropy = some.log() - log_sum / some
    return nw.when(entropy < ENTROPY_ROUNDING).then(nw.lit(0.0)).otherwise(entropy)
