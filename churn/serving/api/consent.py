"""Consent and decisions over HTTP, within the transactions of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from churn.offers.catalogue import NO_OFFER
from churn.offers.rules import CHANNELS
from churn.serving.api.problems import ProblemError, to_json
from churn.serving.api.schemas import DecideRequest
from churn.storage.decisions import (
    KeyReusedError,
    PlannedOffer,
    decide_once,
    hand_out,
    planned_offer,
    withdrawn_since,
)
from churn.storage.ledger import Ledger
from churn.storage.objections import objections
from churn.storage.withdrawals import record_withdrawal, withdrawals_of

OFFERED = ("treatment", "explore")


def consent_of(ledger: Ledger, customer_id: str) -> bytes:
    """What is on record here about a customer, as JSON."""
    found = withdrawals_of(ledger, customer_id)
    return to_json(
        {
            "customer_id": customer_id,
            "withdrawn": [
                {"channel": one.channel, "since": None if one.in_doubt else one.withdrawn_at}
                for one in found
            ],
            "objects_to_profiling": customer_id in objections(ledger),
        }
    )


def unsubscribe(ledger: Ledger, customer_id: str, channels: Sequence[str] | None) -> None:
    """Withdraws the customer from these channels, or from all."""
    with ledger.changing():
        for channel in channels or CHANNELS:
            record_withdrawal(ledger, customer_id, channel, source="api")


def decide(
    ledger: Ledger,
    *,
    key: str,
    customer_id: str,
    request: DecideRequest,
    score: dict[str, Any] | None,
    allowed: bool,
    run_id: str,
) -> bytes:
    """The decision for a request, the same for every repetition of it; it contacts at most once.

    Nothing is recorded of customers who must not be scored.
    """
    if not allowed:
        return _decision(request, None, "no_score", None)

    def answer() -> str:
        offer = planned_offer(ledger, customer_id, request.campaign_id)
        code = _code(ledger, offer, run_id=run_id)
        return _decision(request, offer, code, score).decode()

    try:
        text, _ = decide_once(ledger, key, customer_id, request.model_dump_json().encode(), answer)
    except KeyReusedError as failure:
        raise ProblemError(422, "key-reused", str(failure)) from None
    return text.encode()


def _code(ledger: Ledger, offer: PlannedOffer | None, *, run_id: str) -> str:
    """Whether the customer is offered something, and else why not; records the contact."""
    if offer is None:
        return "no_plan"
    row = offer.row
    if row.offer_id == NO_OFFER or row.arm not in OFFERED or row.channel is None:
        return "no_offer"
    if withdrawn_since(ledger, row.customer_id, row.channel, offer.planned_at):
        return "withdrawn"
    return "offered" if hand_out(ledger, offer, run_id) else "sent_otherwise"


def _decision(
    request: DecideRequest, offer: PlannedOffer | None, code: str, score: dict[str, Any] | None
) -> bytes:
    row = None if offer is None else offer.row
    offered = None
    if row is not None and code == "offered":
        offered = {"offer_id": row.offer_id, "channel": row.channel}
    return to_json(
        {
            "customer_id": request.customer_id,
            "campaign_id": None if row is None else row.campaign_id,
            "as_of": None if row is None else row.as_of,
            "offer": offered,
            "code": code,
            "score": score,
        }
    )
