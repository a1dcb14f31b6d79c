"""Shop systems and payment services that are recognised by the headers of their exports.

Names are compared in lower case with a space for every other sign. Each role lists the columns that
may have it, best first.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Roles = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class System:
    """An export of a system: the columns that occur together in no other, and their roles.

    `without` are columns of another export of the same system.
    """

    name: str
    signature: tuple[str, ...]
    roles: Roles = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def gives_totals(self) -> bool:
        """Whether its amount is an order's total even if rows are lines."""
        return "unit_price" in self.roles or "product_id" not in self.roles


def _system(name: str, signature: str, *, without: str = "", **roles: str) -> System:
    return System(
        name,
        tuple(each.strip() for each in signature.split(",")),
        {role: tuple(each.strip() for each in names.split(",")) for role, names in roles.items()},
        tuple(each.strip() for each in without.split(",") if each),
    )


SYSTEMS = (
    _system(
        "a Shopify orders export",
        "name, email, financial status, lineitem name",
        customer_id="email, customer id",
        order_id="name",
        ordered_at="created at, paid at",
        amount="total",
        refund="refunded amount",
        currency="currency",
        channel="source",
        product_id="lineitem sku, lineitem name",
        product_name="lineitem name",
        quantity="lineitem quantity",
        unit_price="lineitem price",
    ),
    _system(
        "a BigCommerce orders export",
        "order id, order status, order total inc tax",
        customer_id="customer id, customer email",
        order_id="order id",
        ordered_at="order date",
        amount="order total inc tax",
        refund="refund amount",
        currency="order currency code",
    ),
    _system(
        "a WooCommerce export (Advanced Order Export)",
        "order number, order status, order date, order total amount",
        customer_id="customer user id, email billing",
        order_id="order number",
        ordered_at="order date",
        amount="order total amount",
        refund="order refund amount",
        currency="order currency",
        product_id="sku, item name",
        product_name="item name",
        quantity="quantity refund, quantity",
        unit_price="item cost",
    ),
    _system(
        "a WooCommerce export (Customer/Order CSV Export)",
        "order number, order total, billing email, shipping total",
        customer_id="customer id, billing email",
        order_id="order number formatted, order number, order id",
        ordered_at="date, order date",
        amount="order total",
        refund="refunded total",
        currency="order currency",
        discount="discount total",
    ),
    _system(
        "a WooCommerce Analytics orders export",
        "date, order, status, customer, customer type, n revenue",
        customer_id="customer",
        order_id="order",
        ordered_at="date",
        amount="n revenue, net sales",
    ),
    _system(
        "a Magento orders export",
        "purchase point, purchase date, grand total base",
        customer_id="customer email, bill to name",
        order_id="id",
        ordered_at="purchase date",
        amount="grand total base",
        refund="total refunded",
        store="purchase point",
    ),
    _system(
        "a Magento sales_order table",
        "increment id, grand total, created at",
        customer_id="customer id, customer email",
        order_id="increment id",
        ordered_at="created at",
        amount="grand total, base grand total",
        refund="total refunded, base total refunded",
        currency="order currency code",
        store="store id",
    ),
    _system(
        "a Stripe payments export",
        "id, created date utc, amount, amount refunded",
        customer_id="customer id, customer email",
        order_id="id",
        ordered_at="created date utc",
        amount="amount",
        refund="amount refunded",
        currency="currency",
    ),
    _system(
        "a Stripe payments export",
        "id, created utc, amount, amount refunded",
        customer_id="customer id, customer email",
        order_id="id",
        ordered_at="created utc",
        amount="amount",
        refund="amount refunded",
        currency="currency",
    ),
    _system(
        "a Square transactions export",
        "transaction id, total collected, net total",
        customer_id="customer id, customer reference id, customer name",
        order_id="transaction id",
        ordered_at="date",
        amount="total collected",
        store="location",
    ),
    _system(
        "a Square items export",
        "item, qty, price point name, transaction id, net sales",
        customer_id="customer id, customer reference id, customer name",
        order_id="transaction id",
        ordered_at="date",
        amount="net sales",
        product_id="sku, item",
        product_name="item",
        category="category",
        quantity="qty",
        store="location",
    ),
    _system(
        "an Etsy sold orders export",
        "sale date, order id, order value, order total, order net",
        customer_id="buyer user id, buyer, full name",
        order_id="order id",
        ordered_at="sale date",
        amount="order total",
        currency="currency",
    ),
    _system(
        "an Etsy sold order items export",
        "sale date, item name, buyer, item total, listing id",
        customer_id="buyer, ship name",
        order_id="order id",
        ordered_at="sale date",
        amount="item total",
        currency="currency",
        product_id="listing id",
        product_name="item name",
        quantity="quantity",
    ),
    _system(
        "an Amazon orders report",
        "purchase date, item price, shipping price, item tax",
        customer_id="buyer email, buyer name, recipient name",
        order_id="amazon order id, order id",
        ordered_at="purchase date",
        amount="item price",
        currency="currency",
        channel="sales channel",
        product_id="sku, asin",
        product_name="product name",
        quantity="quantity, quantity purchased, quantity shipped",
    ),
    _system(
        "a PayPal activity export",
        "date, time, gross, fee, net, transaction id, from email address",
        customer_id="from email address, name",
        order_id="transaction id",
        ordered_at="date",
        amount="gross",
        currency="currency",
    ),
    _system(
        "a Lightspeed sales export (X-Series)",
        "receipt number, line type, customer code, total, paid",
        customer_id="customer code, customer name",
        order_id="receipt number",
        ordered_at="date",
        amount="total",
        store="register",
    ),
    _system(
        "a Lightspeed sales export (R-Series)",
        "sale id, completed, customer, subtotal, total",
        customer_id="customer id, customer",
        order_id="sale id",
        ordered_at="completed, date",
        amount="total",
        store="shop",
    ),
    _system(
        "a Shopware 6 orders export",
        "order number, amount total, order date time",
        customer_id="customer number, customer id, order customer customer number, "
        "order customer email",
        order_id="order number",
        ordered_at="order date time",
        amount="amount total",
    ),
    _system(
        "a Shopware 5 orders export",
        "order time, invoice amount, invoice amount net",
        customer_id="customer number, customer id, email",
        order_id="number, order number, order id",
        ordered_at="order time",
        amount="invoice amount",
        currency="currency",
        product_id="article number",
        product_name="article name",
        quantity="quantity",
        unit_price="price",
    ),
    _system(
        "a PrestaShop orders table",
        "id order, reference, total paid",
        customer_id="id customer, customer",
        order_id="reference, id order",
        ordered_at="date add",
        amount="total paid tax incl, total paid",
        store="id shop",
    ),
    _system(
        "a PrestaShop orders table",
        "id order, reference, total paid tax incl",
        customer_id="id customer, customer",
        order_id="reference, id order",
        ordered_at="date add",
        amount="total paid tax incl",
    ),
    _system(
        "a PrestaShop orders list",
        "id, reference, new client, customer, total, payment",
        customer_id="customer",
        order_id="reference",
        ordered_at="date",
        amount="total",
    ),
)


def plain_name(name: str) -> str:
    """The name in lower case, words separated by spaces.

    >>> plain_name("Order Total (inc tax)"), plain_name("invoiceAmountNet")
    ('order total inc tax', 'invoice amount net')
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.findall(r"\w+", spaced.replace("_", " ").casefold()))


def system_of(names: Iterable[str]) -> System | None:
    """The system whose export has such a header, the one with the most columns in common."""
    there = {plain_name(name) for name in names}
    fitting = [
        system
        for system in SYSTEMS
        if there.issuperset(system.signature) and not there.intersection(system.without)
    ]
    return max(fitting, key=lambda system: len(system.signature), default=None)


def columns_for(system: System, names: Iterable[str]) -> Mapping[str, list[str]]:
    """Their columns that may have each of our roles, best first."""
    there = {plain_name(name): name for name in reversed(list(names))}
    return {
        role: [there[name] for name in wanted if name in there]
        for role, wanted in system.roles.items()
    }
