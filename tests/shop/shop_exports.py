"""Orders as exported by shop systems and payment services: real headers, invented values.

Headers and notations are those of the systems; every sum of money in a row differs, so that a
wrong column shows in the total.
"""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

ORDERS = 24
CUSTOMERS = 7
Cell = Callable[[int], str]


@dataclass(frozen=True)
class Export:
    """A system's export: what `init` has to make of it. `lines` rows an order are written; the
    cells of `first_only` stand on the first of them.
    """

    name: str
    header: str
    cells: Mapping[str, Cell]
    columns: Mapping[str, str]
    grain: str = "order"
    where: str | None = None
    system: str | None = None
    delimiter: str = ","
    lines: int = 1
    first_only: tuple[str, ...] = ()

    def text(self) -> str:
        """The file."""
        held = io.StringIO()
        names = self.header.split("|")
        writer = csv.writer(held, delimiter=self.delimiter)
        writer.writerow(names)
        for order in range(ORDERS):
            for line in range(1 + (self.lines - 1) * (order % 2)):
                writer.writerow(self._row(names, order, line))
        return held.getvalue()

    def _row(self, names: list[str], order: int, line: int) -> list[str]:
        left_empty = self.first_only if line else ()
        return [
            self.cells[name](order) if name in self.cells and name not in left_empty else ""
            for name in names
        ]


def amount(order: int) -> float:
    """What the customer paid."""
    return 40.0 + order


TOTAL = sum(amount(order) for order in range(ORDERS))


def money(sign: str = "", add: float = 0.0, *, comma: bool = False) -> Cell:
    def cell(order: int) -> str:
        text = f"{sign}{amount(order) + add:.2f}"
        return text.replace(".", ",") if comma else text

    return cell


def const(text: str) -> Cell:
    return lambda _: text


def at(pattern: str) -> Cell:
    def cell(order: int) -> str:
        return (datetime(2024, 1, 20, 10, 15) + timedelta(days=13 * order)).strftime(pattern)

    return cell


def customer(pattern: str) -> Cell:
    return lambda order: pattern.format(order % CUSTOMERS + 1)


def number(pattern: str) -> Cell:
    return lambda order: pattern.format(1000 + order)


EMAIL = customer("c{}@example.com")

EXPORTS = (
    Export(
        "shopify",
        "Name|Email|Financial Status|Paid at|Fulfillment Status|Fulfilled at|Accepts Marketing|"
        "Currency|Subtotal|Shipping|Taxes|Total|Discount Code|Discount Amount|Shipping Method|"
        "Created at|Lineitem quantity|Lineitem name|Lineitem price|Lineitem compare at price|"
        "Lineitem sku|Lineitem requires shipping|Lineitem taxable|Lineitem fulfillment status|"
        "Billing Name|Notes|Cancelled at|Payment Method|Refunded Amount|Vendor|"
        "Outstanding Balance|Id|Tags|Risk Level|Source|Lineitem discount|Tax 1 Name|Tax 1 Value",
        {
            "Name": number("#{}"),
            "Email": EMAIL,
            "Financial Status": const("paid"),
            "Paid at": at("%Y-%m-%d %H:%M:%S +0100"),
            "Accepts Marketing": const("yes"),
            "Currency": const("EUR"),
            "Subtotal": money(add=-9),
            "Shipping": const("4.90"),
            "Taxes": const("4.10"),
            "Total": money(),
            "Discount Amount": const("1.00"),
            "Created at": at("%Y-%m-%d %H:%M:%S +0100"),
            "Lineitem quantity": const("2"),
            "Lineitem name": customer("Candle {}"),
            "Lineitem price": money(add=-30),
            "Lineitem sku": customer("SKU-{}"),
            "Billing Name": customer("Ann {}"),
            "Refunded Amount": const("0.00"),
            "Outstanding Balance": const("0.00"),
            "Id": number("55{}"),
            "Source": const("web"),
        },
        {"customer_id": "Email", "order_id": "Name", "ordered_at": "Created at", "amount": "Total"},
        where="Total is not null",
        system="a Shopify orders export",
        lines=3,
        first_only=(
            *("Financial Status", "Paid at", "Accepts Marketing", "Currency", "Subtotal"),
            *("Shipping", "Taxes", "Total", "Discount Amount", "Refunded Amount", "Id", "Source"),
            *("Outstanding Balance", "Billing Name"),
        ),
    ),
    Export(
        "bigcommerce",
        "Order ID|Customer ID|Customer Name|Customer Email|Order Date|Order Time|Order Status|"
        "Subtotal (inc tax)|Subtotal (ex tax)|Tax Total|Shipping Cost (inc tax)|"
        "Shipping Cost (ex tax)|Handling Cost (inc tax)|Store Credit Redeemed|"
        "Gift Certificate Amount Redeemed|Order Total (inc tax)|Order Total (ex tax)|"
        "Refund Amount|Total Quantity|Total Shipped|Order Currency Code|Exchange Rate",
        {
            "Order ID": number("{}"),
            "Customer ID": customer("{}"),
            "Customer Email": EMAIL,
            "Order Date": at("%d/%m/%Y"),
            "Order Time": at("%H:%M:%S"),
            "Order Status": const("Completed"),
            "Subtotal (inc tax)": money(add=-5),
            "Subtotal (ex tax)": money(add=-9),
            "Tax Total": const("4.00"),
            "Shipping Cost (inc tax)": const("5.00"),
            "Shipping Cost (ex tax)": const("4.50"),
            "Order Total (inc tax)": money(),
            "Order Total (ex tax)": money(add=-4),
            "Refund Amount": const("0.00"),
            "Total Quantity": const("2"),
            "Total Shipped": const("2"),
            "Order Currency Code": const("AUD"),
            "Exchange Rate": const("1.0000"),
        },
        {
            "customer_id": "Customer ID",
            "order_id": "Order ID",
            "ordered_at": "Order Date",
            "amount": "Order Total (inc tax)",
        },
        system="a BigCommerce orders export",
    ),
    Export(
        "woocommerce advanced order export",
        "Order Number|Order Status|Order Date|Customer Note|First Name (Billing)|"
        "Email (Billing)|Payment Method Title|Cart Discount Amount|Order Subtotal Amount|"
        "Shipping Method Title|Order Shipping Amount|Order Refund Amount|Order Total Amount|"
        "Order Total Tax Amount|SKU|Item #|Item Name|Quantity (- Refund)|Item Cost|Coupon Code|"
        "Discount Amount|Discount Amount Tax",
        {
            "Order Number": number("{}"),
            "Order Status": const("Completed"),
            "Order Date": at("%Y-%m-%d %H:%M"),
            "Email (Billing)": EMAIL,
            "Cart Discount Amount": const("2.00"),
            "Order Subtotal Amount": money(add=-8),
            "Order Shipping Amount": const("4.00"),
            "Order Refund Amount": const("0.00"),
            "Order Total Amount": money(),
            "Order Total Tax Amount": const("4.00"),
            "SKU": customer("SKU-{}"),
            "Item Name": customer("Candle {}"),
            "Quantity (- Refund)": const("2"),
            "Item Cost": money(add=-25),
            "Discount Amount": const("1.00"),
        },
        {
            "customer_id": "Email (Billing)",
            "order_id": "Order Number",
            "ordered_at": "Order Date",
            "amount": "Order Total Amount",
        },
        system="a WooCommerce export (Advanced Order Export)",
        lines=2,
    ),
    Export(
        "woocommerce csv export",
        "order_id|order_number|date|status|shipping_total|shipping_tax_total|fee_total|"
        "fee_tax_total|tax_total|cart_discount|order_discount|discount_total|order_total|"
        "order_currency|payment_method|customer_id|billing_first_name|billing_email|refunded_total",
        {
            "order_id": number("{}"),
            "order_number": number("{}"),
            "date": at("%Y-%m-%d %H:%M:%S"),
            "status": const("completed"),
            "shipping_total": const("4.00"),
            "tax_total": const("3.00"),
            "discount_total": const("2.00"),
            "order_total": money(),
            "order_currency": const("USD"),
            "customer_id": customer("{}"),
            "billing_email": EMAIL,
            "refunded_total": const("0.00"),
        },
        {
            "customer_id": "customer_id",
            "order_id": "order_number",
            "ordered_at": "date",
            "amount": "order_total",
        },
        system="a WooCommerce export (Customer/Order CSV Export)",
    ),
    Export(
        "woocommerce analytics",
        "Date|Order #|Status|Customer|Customer type|Product(s)|Items sold|Coupon(s)|N. Revenue|"
        "Attribution",
        {
            "Date": at("%Y-%m-%d %H:%M:%S"),
            "Order #": number("{}"),
            "Status": const("completed"),
            "Customer": customer("Ann Shaw {}"),
            "Customer type": const("returning"),
            "Items sold": const("2"),
            "N. Revenue": money(),
        },
        {
            "customer_id": "Customer",
            "order_id": "Order #",
            "ordered_at": "Date",
            "amount": "N. Revenue",
        },
        system="a WooCommerce Analytics orders export",
    ),
    Export(
        "magento grid",
        "ID|Purchase Point|Purchase Date|Bill-to Name|Ship-to Name|Grand Total (Base)|"
        "Grand Total (Purchased)|Status|Billing Address|Shipping Address|Shipping Information|"
        "Customer Email|Customer Group|Subtotal|Shipping and Handling|Customer Name|"
        "Payment Method|Total Refunded",
        {
            "ID": number("00000{}"),
            "Purchase Point": const("Main Website"),
            "Purchase Date": at("%b %d, %Y %I:%M:%S %p"),
            "Grand Total (Base)": money(),
            "Grand Total (Purchased)": money(add=12),
            "Status": const("complete"),
            "Customer Email": EMAIL,
            "Subtotal": money(add=-6),
            "Shipping and Handling": const("6.00"),
            "Total Refunded": const("0.00"),
        },
        {
            "customer_id": "Customer Email",
            "order_id": "ID",
            "ordered_at": "Purchase Date",
            "amount": "Grand Total (Base)",
        },
        system="a Magento orders export",
    ),
    Export(
        "magento table",
        "entity_id|state|status|store_id|customer_id|base_discount_amount|base_grand_total|"
        "base_shipping_amount|base_subtotal|base_tax_amount|base_total_paid|base_total_refunded|"
        "discount_amount|grand_total|shipping_amount|subtotal|tax_amount|total_due|total_paid|"
        "total_refunded|total_qty_ordered|subtotal_incl_tax|increment_id|order_currency_code|"
        "customer_email|created_at|updated_at",
        {
            "entity_id": number("{}"),
            "status": const("complete"),
            "store_id": const("1"),
            "customer_id": customer("{}"),
            "grand_total": money(),
            "base_grand_total": money(add=7),
            "subtotal": money(add=-6),
            "subtotal_incl_tax": money(add=-3),
            "tax_amount": const("3.00"),
            "total_paid": money(add=-1),
            "total_due": const("1.00"),
            "total_refunded": const("0.00"),
            "total_qty_ordered": const("2"),
            "shipping_amount": const("3.00"),
            "increment_id": number("00000{}"),
            "order_currency_code": const("EUR"),
            "customer_email": EMAIL,
            "created_at": at("%Y-%m-%d %H:%M:%S"),
            "updated_at": at("%Y-%m-%d 23:00:00"),
        },
        {
            "customer_id": "customer_id",
            "order_id": "increment_id",
            "ordered_at": "created_at",
            "amount": "grand_total",
        },
        system="a Magento sales_order table",
    ),
    Export(
        "stripe",
        "id|Created date (UTC)|Amount|Amount Refunded|Currency|Captured|Converted Amount|"
        "Converted Amount Refunded|Converted Currency|Decline Reason|Description|Fee|"
        "Refunded date (UTC)|Statement Descriptor|Status|Seller Message|Taxes On Fee|Card ID|"
        "Customer ID|Customer Description|Customer Email|Invoice ID|Transfer",
        {
            "id": number("ch_{}"),
            "Created date (UTC)": at("%Y-%m-%d %H:%M:%S"),
            "Amount": money(),
            "Amount Refunded": const("0.00"),
            "Currency": const("eur"),
            "Captured": const("true"),
            "Converted Amount": money(add=2),
            "Converted Amount Refunded": const("0.00"),
            "Converted Currency": const("usd"),
            "Fee": const("1.20"),
            "Status": const("Paid"),
            "Taxes On Fee": const("0.20"),
            "Customer ID": customer("cus_{}"),
            "Customer Email": EMAIL,
        },
        {
            "customer_id": "Customer ID",
            "order_id": "id",
            "ordered_at": "Created date (UTC)",
            "amount": "Amount",
        },
        system="a Stripe payments export",
    ),
    Export(
        "square transactions",
        "Date|Time|Time Zone|Gross Sales|Discounts|Service Charges|Net Sales|Gift Card Sales|Tax|"
        "Tip|Partial Refunds|Total Collected|Source|Card|Card Entry Methods|Cash|"
        "Square Gift Card|Other Tender|Fees|Net Total|Transaction ID|Payment ID|Card Brand|"
        "Device Name|Staff Name|Details|Description|Event Type|Location|Customer ID|"
        "Customer Name|Customer Reference ID",
        {
            "Date": at("%Y-%m-%d"),
            "Time": at("%H:%M:%S"),
            "Gross Sales": money("$", -7),
            "Discounts": const("$0.00"),
            "Service Charges": const("$0.00"),
            "Net Sales": money("$", -7),
            "Gift Card Sales": const("$0.00"),
            "Tax": const("$3.00"),
            "Tip": const("$4.00"),
            "Partial Refunds": const("$0.00"),
            "Total Collected": money("$"),
            "Card": money("$"),
            "Cash": const("$0.00"),
            "Fees": const("-$1.10"),
            "Net Total": money("$", -1.1),
            "Transaction ID": number("TX{}"),
            "Payment ID": number("PAY{}"),
            "Event Type": const("Payment"),
            "Location": const("Main Street"),
            "Customer ID": customer("SQ{}"),
        },
        {
            "customer_id": "Customer ID",
            "order_id": "Transaction ID",
            "ordered_at": "Date",
            "amount": "Total Collected",
        },
        system="a Square transactions export",
    ),
    Export(
        "etsy orders",
        "Sale Date|Order ID|Buyer User ID|Full Name|First Name|Last Name|Number of Items|"
        "Payment Method|Date Shipped|Street 1|Ship City|Ship Country|Currency|Order Value|"
        "Coupon Code|Coupon Details|Discount Amount|Shipping Discount|Shipping|Sales Tax|"
        "Order Total|Status|Card Processing Fees|Order Net|Adjusted Order Total|"
        "Adjusted Card Processing Fees|Adjusted Net Order Amount|Buyer|Order Type|SKU",
        {
            "Sale Date": at("%m/%d/%y"),
            "Order ID": number("29{}"),
            "Buyer User ID": customer("buyer{}"),
            "Full Name": customer("Ann {}"),
            "Number of Items": const("2"),
            "Date Shipped": at("%m/%d/%Y"),
            "Currency": const("USD"),
            "Order Value": money(add=-4),
            "Discount Amount": const("1.00"),
            "Shipping": const("3.00"),
            "Sales Tax": const("2.00"),
            "Order Total": money(),
            "Card Processing Fees": const("1.30"),
            "Order Net": money(add=-1.3),
            "Buyer": customer("buyer{}"),
            "SKU": number("S{}"),
        },
        {
            "customer_id": "Buyer User ID",
            "order_id": "Order ID",
            "ordered_at": "Sale Date",
            "amount": "Order Total",
        },
        system="an Etsy sold orders export",
    ),
    Export(
        "etsy items",
        "Sale Date|Item Name|Buyer|Quantity|Price|Coupon Code|Coupon Details|Discount Amount|"
        "Shipping Discount|Order Shipping|Order Sales Tax|Item Total|Currency|Transaction ID|"
        "Listing ID|Date Paid|Date Shipped|Ship Name|Ship City|Ship Country|Order Status|"
        "Variations|Order Type|Order ID|SKU",
        {
            "Sale Date": at("%m/%d/%y"),
            "Item Name": customer("Candle {}"),
            "Buyer": customer("Ann {}"),
            "Quantity": const("2"),
            "Price": money(add=-31),
            "Discount Amount": const("0"),
            "Order Shipping": const("4.20"),
            "Order Sales Tax": const("0"),
            "Item Total": money(),
            "Currency": const("USD"),
            "Transaction ID": number("TR{}"),
            "Listing ID": customer("95307430{}"),
            "Date Paid": at("%m/%d/%Y"),
            "Order ID": number("29{}"),
        },
        {
            "customer_id": "Buyer",
            "order_id": "Order ID",
            "ordered_at": "Sale Date",
            "amount": "Item Total",
        },
        system="an Etsy sold order items export",
    ),
    Export(
        "amazon",
        "amazon-order-id|merchant-order-id|purchase-date|last-updated-date|order-status|"
        "fulfillment-channel|sales-channel|product-name|sku|asin|item-status|quantity|currency|"
        "item-price|item-tax|shipping-price|shipping-tax|gift-wrap-price|item-promotion-discount|"
        "ship-promotion-discount|buyer-email|buyer-name",
        {
            "amazon-order-id": number("701-{}"),
            "purchase-date": at("%Y-%m-%dT%H:%M:%S+00:00"),
            "last-updated-date": at("%Y-%m-%dT%H:%M:%S+00:00"),
            "order-status": const("Shipped"),
            "sales-channel": const("Amazon.de"),
            "product-name": customer("Candle {}"),
            "sku": customer("SKU-{}"),
            "asin": customer("B00{}"),
            "quantity": const("2"),
            "currency": const("EUR"),
            "item-price": money(),
            "item-tax": const("3.10"),
            "shipping-price": const("2.00"),
            "item-promotion-discount": const("0.50"),
            "buyer-email": customer("x{}@marketplace.example"),
        },
        {
            "customer_id": "buyer-email",
            "order_id": "amazon-order-id",
            "ordered_at": "purchase-date",
            "amount": "item-price",
        },
        system="an Amazon orders report",
        delimiter="\t",
    ),
    Export(
        "paypal",
        "Date|Time|TimeZone|Name|Type|Status|Currency|Gross|Fee|Net|From Email Address|"
        "To Email Address|Transaction ID|Shipping Address|Item Title|Shipping and Handling Amount|"
        "Insurance Amount|Sales Tax|Reference Txn ID|Invoice Number|Quantity|Receipt ID|Balance|"
        "Country Code|Balance Impact",
        {
            "Date": at("%d/%m/%Y"),
            "Time": at("%H:%M:%S"),
            "TimeZone": const("CET"),
            "Name": customer("Ann {}"),
            "Type": const("Express Checkout Payment"),
            "Status": const("Completed"),
            "Currency": const("EUR"),
            "Gross": money(),
            "Fee": const("-1.20"),
            "Net": money(add=-1.2),
            "From Email Address": EMAIL,
            "To Email Address": const("shop@example.com"),
            "Transaction ID": number("9XY{}"),
            "Shipping and Handling Amount": const("4.00"),
            "Balance": number("{}.50"),
            "Balance Impact": const("Credit"),
        },
        {
            "customer_id": "From Email Address",
            "order_id": "Transaction ID",
            "ordered_at": "Date",
            "amount": "Gross",
        },
        system="a PayPal activity export",
    ),
    Export(
        "lightspeed",
        "Date|Receipt Number|Line Type|Customer Code|Customer Name|Note|Quantity|Subtotal|"
        "Sales Tax|Discount|Loyalty|Total|Paid|Details|Register|User|Status|Sku",
        {
            "Date": at("%Y-%m-%d %H:%M:%S"),
            "Receipt Number": number("{}"),
            "Line Type": const("Sale"),
            "Customer Code": customer("Ann-{}"),
            "Quantity": const("2"),
            "Subtotal": money(add=-5),
            "Sales Tax": const("5.00"),
            "Discount": const("0.00"),
            "Total": money(),
            "Paid": money(add=0.5),
            "Register": const("Main"),
            "Status": const("Closed"),
        },
        {
            "customer_id": "Customer Code",
            "order_id": "Receipt Number",
            "ordered_at": "Date",
            "amount": "Total",
        },
        system="a Lightspeed sales export (X-Series)",
    ),
    Export(
        "shopware 5",
        "orderId|number|customerId|status|cleared|orderTime|invoiceAmount|invoiceAmountNet|"
        "invoiceShipping|invoiceShippingNet|currency|articleNumber|articleName|price|quantity|"
        "email|customerNumber",
        {
            "orderId": number("{}"),
            "number": number("2{}"),
            "customerId": customer("{}"),
            "status": const("2"),
            "cleared": const("12"),
            "orderTime": at("%Y-%m-%d %H:%M:%S"),
            "invoiceAmount": money(),
            "invoiceAmountNet": money(add=-6),
            "invoiceShipping": const("3.90"),
            "invoiceShippingNet": const("3.28"),
            "currency": const("EUR"),
            "articleNumber": customer("SW{}"),
            "articleName": customer("Candle {}"),
            "price": money(add=-30),
            "quantity": const("1"),
            "email": EMAIL,
            "customerNumber": customer("2000{}"),
        },
        {
            "customer_id": "customerNumber",
            "order_id": "number",
            "ordered_at": "orderTime",
            "amount": "invoiceAmount",
        },
        system="a Shopware 5 orders export",
        delimiter=";",
        lines=2,
    ),
    Export(
        "shopware 6",
        "id|order_number|order_date_time|customer_number|customer_email|amount_total|amount_net|"
        "position_price|shipping_total|order_state|payment_state|delivery_state",
        {
            "id": number("a0f{}"),
            "order_number": number("{}"),
            "order_date_time": at("%Y-%m-%dT%H:%M:%S.000+00:00"),
            "customer_number": customer("1000{}"),
            "customer_email": EMAIL,
            "amount_total": money(),
            "amount_net": money(add=-6),
            "position_price": money(add=-4),
            "shipping_total": const("4.00"),
            "order_state": const("Done"),
            "payment_state": const("Paid"),
        },
        {
            "customer_id": "customer_number",
            "order_id": "order_number",
            "ordered_at": "order_date_time",
            "amount": "amount_total",
        },
        system="a Shopware 6 orders export",
        delimiter=";",
    ),
    Export(
        "prestashop table",
        "id_order|reference|id_shop|id_customer|current_state|payment|total_discounts|total_paid|"
        "total_paid_tax_incl|total_paid_tax_excl|total_paid_real|total_products|"
        "total_products_wt|total_shipping|total_wrapping|date_add|date_upd",
        {
            "id_order": number("{}"),
            "reference": number("XKB{}"),
            "id_shop": const("1"),
            "id_customer": customer("{}"),
            "current_state": const("5"),
            "total_discounts": const("1.00"),
            "total_paid": money(),
            "total_paid_tax_incl": money(),
            "total_paid_tax_excl": money(add=-6),
            "total_paid_real": money(add=-1),
            "total_products": money(add=-9),
            "total_products_wt": money(add=-5),
            "total_shipping": const("4.00"),
            "date_add": at("%Y-%m-%d %H:%M:%S"),
            "date_upd": at("%Y-%m-%d 23:00:00"),
        },
        {
            "customer_id": "id_customer",
            "order_id": "reference",
            "ordered_at": "date_add",
            "amount": "total_paid_tax_incl",
        },
        system="a PrestaShop orders table",
        delimiter=";",
    ),
    Export(
        "prestashop list",
        "ID|Reference|New client|Delivery|Customer|Total|Payment|Status|Date",
        {
            "ID": number("{}"),
            "Reference": number("XKB{}"),
            "New client": const("0"),
            "Customer": customer("A. Shaw {}"),
            "Total": money("€"),
            "Payment": const("Bank wire"),
            "Status": const("Delivered"),
            "Date": at("%Y-%m-%d %H:%M:%S"),
        },
        {
            "customer_id": "Customer",
            "order_id": "Reference",
            "ordered_at": "Date",
            "amount": "Total",
        },
        system="a PrestaShop orders list",
        delimiter=";",
    ),
    Export(
        "a till, in German",
        "Rechnungsnummer|Datum|Kundennr|Nettobetrag|MwSt|Versandkosten|Gesamtbetrag (inkl. MwSt)|"
        "Gutschein|Erstattungsbetrag",
        {
            "Rechnungsnummer": number("RE{}"),
            "Datum": at("%d.%m.%Y"),
            "Kundennr": customer("K{}"),
            "Nettobetrag": money(add=-8, comma=True),
            "MwSt": const("5,10"),
            "Versandkosten": const("2,90"),
            "Gesamtbetrag (inkl. MwSt)": money(comma=True),
            "Gutschein": const("0,00"),
            "Erstattungsbetrag": const("0,00"),
        },
        {
            "customer_id": "Kundennr",
            "order_id": "Rechnungsnummer",
            "ordered_at": "Datum",
            "amount": "Gesamtbetrag (inkl. MwSt)",
        },
        delimiter=";",
    ),
)
