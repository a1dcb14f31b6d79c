"""Columns that say whether an order is a purchase, and the words in them, in shops' own languages.

Gathered from the exports of WooCommerce, Shopify, Magento, BigCommerce, PrestaShop, Shopware,
Stripe, Square, PayPal, Amazon, Etsy and of public data sets such as Olist's and KKBox's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["StatusColumn", "StatusKind", "counts_as_purchase", "plain_status", "status_columns"]

StatusKind: TypeAlias = Literal["word", "moment", "flag", "counter_flag", "refund"]

WORDS = (
    *("status", "order status", "financial status", "payment status", "transaction status"),
    *("orderstatus", "paymentstatus", "state", "order state", "payment state", "current state"),
    *("bestellstatus", "zahlungsstatus", "statut", "estado", "stato", "bestelstatus", "zustand"),
)
MOMENTS = ("cancelled at", "canceled at", "voided at", "cancelled date", "canceled date")
FLAGS = (
    *("is cancel", "is cancelled", "is canceled", "cancelled", "canceled", "cancel", "storniert"),
    *("test", "is test", "test order", "is test order", "voided", "is voided", "deleted"),
    *("is deleted", "is refunded", "is gift card", "gift card", "is giftcard"),
)
REFUNDS = (
    *("refund", "refunded", "refunded total", "total refunded", "refunded amount", "refund amount"),
    *("amount refunded", "total refund", "refund total", "total refund amount", "refunds"),
    *("base total refunded", "converted amount refunded", "order refund", "refunded price"),
    *("erstattet", "erstattung", "erstattungsbetrag", "montant remboursé", "reembolso"),
)
COUNTER_FLAGS = ("paid", "is paid", "captured", "valid", "is valid", "bezahlt")

_PURCHASES = (
    "complete completed paid processing processed shipped delivered fulfilled unfulfilled "
    "invoiced approved captured succeeded success successful authorized authorised confirmed "
    "accepted unshipped ready done settled sale sold charge payment shipping bezahlt "
    "abgeschlossen versendet versandt geliefert erledigt payée payee livrée livree expédiée "
    "expediee terminée terminee pagado completado enviado entregado pagato completato spedito "
    "consegnato betaald voltooid verzonden geleverd afgerond pago enviada entregue "
)
PURCHASES = frozenset(_PURCHASES.split())
_NO_PURCHASES = (
    "cancelled canceled cancel failed failure refunded refund pending draft declined denied "
    "voided void expired reversed reversal chargeback trash abandoned incomplete unavailable "
    "rejected returned error errored test fraud holded blocked disputed unpaid unclaimed "
    "disallowed uncaptured removed deleted invalid lost temporary held storniert annulliert "
    "abgebrochen erstattet rückerstattet rueckerstattet fehlgeschlagen ausstehend unbezahlt "
    "retourniert zurückgegeben annulée annulee remboursée remboursee échouée cancelado "
    "reembolsado fallido pendiente annullato rimborsato fallito geannuleerd terugbetaald "
    "mislukt "
)
NO_PURCHASES = frozenset(_NO_PURCHASES.split())
PHRASES: dict[str, bool] = {
    **dict.fromkeys(
        (
            *("partially paid", "partially shipped", "partially fulfilled", "partially refunded"),
            *("payment accepted", "awaiting fulfillment", "awaiting fulfilment"),
            *("awaiting shipment", "awaiting pickup", "in progress", "partially invoiced"),
            *("teilweise bezahlt", "teilweise geliefert", "partially returned"),
            *("preparation in progress", "zahlung eingegangen", "payment received"),
            *("remote payment accepted", "in transit", "out for delivery", "handed over"),
        ),
        True,
    ),
    **dict.fromkeys(
        (
            *("on hold", "pending payment", "awaiting payment", "checkout draft", "payment review"),
            *("payment error", "not paid", "auto draft", "manual verification required"),
            *("suspected fraud", "fully refunded", "charged back", "requires payment method"),
            *("awaiting check payment", "awaiting bank wire payment", "payment failed"),
            *("en attente", "in attesa", "zahlung ausstehend", "manual refund"),
        ),
        False,
    ),
}


@dataclass(frozen=True)
class StatusColumn:
    """A column that says whether an order is a purchase: in words, by a moment at which it was
    cancelled, as a flag that speaks against it, or for it; or how much was paid back.
    """

    name: str
    kind: StatusKind


def status_columns(names: Iterable[str]) -> list[StatusColumn]:
    """Those of the columns that say whether an order is a purchase, in their order.

    >>> [(c.name, c.kind) for c in status_columns(["Name", "Financial Status", "Cancelled at"])]
    [('Financial Status', 'word'), ('Cancelled at', 'moment')]
    """
    kinds: tuple[tuple[tuple[str, ...], StatusKind], ...] = (
        (WORDS, "word"),
        (MOMENTS, "moment"),
        (FLAGS, "flag"),
        (COUNTER_FLAGS, "counter_flag"),
        (REFUNDS, "refund"),
    )
    return [
        StatusColumn(name, kind)
        for name in names
        for words, kind in kinds
        if _plain_name(name) in words
    ]


def plain_status(word: str) -> str:
    """A status in lower case, with spaces between its words and without WooCommerce's prefix.

    >>> plain_status("wc-on-hold"), plain_status(" Partially_Refunded ")
    ('on hold', 'partially refunded')
    """
    plain = re.sub(r"[\s_-]+", " ", word.strip().lower())
    return plain.removeprefix("wc ")


def counts_as_purchase(word: str) -> bool | None:
    """Whether a status means that the order counts; None where the word is not known.

    >>> [counts_as_purchase(word) for word in ("Completed", "wc-cancelled", "on-hold", "foo")]
    [True, False, False, None]
    """
    plain = plain_status(word)
    if plain in PHRASES:
        return PHRASES[plain]
    if plain in PURCHASES:
        return True
    return False if plain in NO_PURCHASES else None


def _plain_name(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\s_\-:./]+", " ", spaced).strip().lower()
