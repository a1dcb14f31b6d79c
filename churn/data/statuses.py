"""Status columns of orders: a warning if cancelled or unpaid orders count as purchases."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from churn.data.casts import NUMERIC, cast_sql
from churn.data.contracts import Column, Kind
from churn.data.engines.base import Engine, identifier, literal
from churn.data.settings import TableSource

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

SHOWN_WORDS = 4
MOST_WORDS = 50


@dataclass(frozen=True)
class StatusColumn:
    """A column that shows whether an order is a purchase: by words, by the time at which it was
    cancelled, as a flag against or in favour of it, or by the amount refunded.
    """

    name: str
    kind: StatusKind


def status_columns(names: Iterable[str]) -> list[StatusColumn]:
    """The columns that show whether an order is a purchase, in their order.

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
    """Whether a status means that the order counts; None if the word is unknown.

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


@dataclass(frozen=True)
class StatusCheck:
    """The columns of the orders that show whether a row is a purchase, and that `where` ignores."""

    columns: tuple[StatusColumn, ...]
    types: Mapping[str, str]
    source: TableSource
    timezone: str

    @classmethod
    def of(
        cls,
        table: str,
        types: Mapping[str, str],
        source: TableSource,
        timezone: str,
        *,
        used: Collection[str],
    ) -> StatusCheck:
        """The check for that table; it does nothing unless the table is `orders`."""
        found = status_columns(types) if table == "orders" else []
        spare = tuple(column for column in found if column.name not in used)
        return cls(spare, types, source, timezone)

    @property
    def extras(self) -> dict[str, str]:
        """The extra columns selected until rows are counted: our name → SQL."""
        return {f"status_{i}": self._sql(column) for i, column in enumerate(self.columns)}

    def _sql(self, column: StatusColumn) -> str:
        """The word, or the name of a column that marks the order as not a purchase."""
        text = f"nullif(lower(trim(CAST({identifier(column.name)} AS VARCHAR))), '')"
        if column.kind == "word":
            return text
        said = f"{text} IS NOT NULL"
        if column.kind != "moment" and self._may_be_cast(column):
            kind: Kind = "number" if column.kind == "refund" else "flag"
            ours, types = Column(column.name, kind), dict(self.types)
            said = cast_sql(ours, column.name, types, self.source, self.timezone)
            said = {"flag": said, "refund": f"{said} <> 0"}.get(column.kind, f"NOT ({said})")
        return f"CASE WHEN {said} THEN {literal('')} END"

    def _may_be_cast(self, column: StatusColumn) -> bool:
        kind = self.types[column.name]
        return kind in ("BOOLEAN", "VARCHAR") or NUMERIC.match(kind) is not None

    def warnings(self, engine: Engine) -> tuple[str, ...]:
        """A warning for each column that marks some rows as not purchases, or that holds an unknown
        word.
        """
        checked = zip(self.columns, self.extras, strict=True)
        return tuple(text for column, name in checked if (text := _warning(engine, column, name)))


def _warning(engine: Engine, column: StatusColumn, name: str) -> str | None:
    found = engine.rows(
        f"SELECT {name} AS v, count(*) AS n FROM orders WHERE {name} IS NOT NULL "
        f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_WORDS}"
    )
    counts = {str(row["v"]): int(str(row["n"])) for row in found}
    if column.kind == "word":
        return _of_words(column.name, counts)
    rows = sum(counts.values())
    if not rows:
        return None
    if column.kind == "refund":
        return (
            f"{column.name!r} holds refunds in {rows:,} rows, which are not subtracted; "
            f"subtract them with [data.orders.columns] refund = {json.dumps(column.name)}"
        )
    wanted = {"moment": f"{_quoted(column.name)} is null", "counter_flag": _quoted(column.name)}
    where = wanted.get(column.kind, f"not {_quoted(column.name)}")
    return (
        f"{column.name!r} marks {rows:,} rows as not purchases, but they count as purchases; "
        f"exclude them with [data.orders] where = '{where}'"
    )


def _of_words(name: str, counts: Mapping[str, int]) -> str | None:
    """The status words, if all values are statuses and not all of them mean a purchase."""
    if len(counts) == MOST_WORDS:  # names of states, say
        return None
    against = {word: n for word, n in counts.items() if counts_as_purchase(word) is False}
    unknown = {word for word in counts if counts_as_purchase(word) is None}
    if not against:
        return None if len(unknown) == len(counts) or not unknown else _unknown(name, len(unknown))
    shown = ", ".join(f"{n:,} {word}" for word, n in list(against.items())[:SHOWN_WORDS])
    kept = ", ".join(f"'{word}'" for word in counts if counts_as_purchase(word))
    return (
        f"{name!r} marks {sum(against.values()):,} rows as not purchases ({shown}), "
        f"but they count as purchases: exclude them with [data.orders] "
        f'where = "{_quoted(name)} in ({kept or "…"})"'
    )


def _unknown(name: str, words: int) -> str:
    return (
        f"{name!r} holds {words:,} unknown statuses, and all rows count: select the "
        "purchases with [data.orders] where"
    )


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'
