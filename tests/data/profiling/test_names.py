"""Column names are understood in the habits of many shops and languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.data.profiling.names import ROLES, name_score

NAMES = {
    "customer_id": "household_id CustomerID client_id kundennummer cliente user_id buyer email",
    "order_id": "InvoiceNo basket_id Bestellnummer order_id receipt_no pedido",
    "ordered_at": "transaction_timestamp InvoiceDate Datum fecha created_at Bestelldatum timestamp",
    "amount": "sales_value total revenue umsatz Betrag importe order_total montant net_amount",
    "unit_price": "Price UnitPrice Einzelpreis precio",
    "quantity": "Quantity qty Menge cantidad",
    "discount": "retail_disc Rabatt discount_amount",
    "currency": "currency_code Währung moneda",
    "channel": "channel Kanal",
    "store": "store_id Filiale tienda",
    "product_id": "StockCode sku product_id Artikelnummer",
    "category": "product_category Warengruppe commodity_desc product_category_name",
    "product_name": "Description product_name Artikelbezeichnung itemName",
}
PAIRS = [(role, name) for role, names in NAMES.items() for name in names.split()]


@pytest.mark.parametrize(("role", "name"), PAIRS)
def test_a_usual_name_points_to_its_role_first(role, name):
    assert max(ROLES, key=lambda other: name_score(other, name)) == role


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("ordered_at", "birth_date"),
        ("ordered_at", "updated_at"),
        ("ordered_at", "order_delivered_customer_date"),
        ("customer_id", "customer_name"),
        ("order_id", "order_status"),
        ("amount", "shipping_total"),
        ("discount", "discount_code"),
        ("product_name", "order_description"),
        ("product_name", "sub_commodity_desc"),
    ],
)
def test_a_name_that_speaks_of_something_else_does_not_convince(role, name):
    assert name_score(role, name) < 0.45


@given(st.text())
def test_every_name_has_a_score_between_nothing_and_one(name):
    assert all(0 <= name_score(role, name) <= 1 for role in ROLES)
