"""The plan as a table: one row per scored customer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.retention.arms import ARMS
from churn.retention.offers import NO_OFFER
from churn.retention.policy import NOTHING

if TYPE_CHECKING:
    from datetime import date

    from churn.retention.arms import Arms
    from churn.retention.effects import Worth
    from churn.retention.offers import Offers

__all__ = ["PLAN_SCHEMA", "plan_table"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PLAN_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("run_id", pa.string()),
        ("campaign_id", pa.string()),
        ("as_of", pa.date32()),
        ("offer_id", pa.string()),
        ("channel", pa.string()),
        ("arm", pa.string()),
        ("propensity", pa.float64()),
        ("lot", pa.string()),
        ("effect", pa.float64()),
        ("effect_low", pa.float64()),
        ("effect_source", pa.string()),
        ("expected_gain", pa.float64()),
        ("expected_cost", pa.float64()),
        ("expected_value", pa.float64()),
        ("suppression", pa.string()),
        ("expires_on", pa.date32()),
    ]
)


def plan_table(  # noqa: PLR0913 - what a row is made of
    customer_id: pa.ChunkedArray,
    offers: Offers,
    worth: Worth,
    choice: Ints,
    *,
    arms: Arms,
    propensity: Floats,
    lots: list[str | None],
    suppression: pa.Array,
    facts: Mapping[str, object],
) -> pa.Table:
    """`PLAN_SCHEMA`, in the order of the customers; `facts` are the same in every row."""
    columns = {
        "customer_id": customer_id,
        **{name: pa.repeat(pa.scalar(value), len(choice)) for name, value in facts.items()},
        **_terms(offers, choice, as_of=facts["as_of"]),  # type: ignore[arg-type]
        "arm": pa.array(ARMS).take(pa.array(arms.arm)),
        "propensity": pa.array(propensity),
        "lot": pa.array(lots, pa.string()),
        **_expectations(worth, choice),
        "suppression": suppression,
    }
    table = pa.table([columns[name] for name in PLAN_SCHEMA.names], names=PLAN_SCHEMA.names)
    return table.cast(PLAN_SCHEMA)


def _terms(offers: Offers, choice: Ints, *, as_of: date) -> dict[str, pa.Array]:
    """What is offered, where and until when; the last two are null for "none"."""
    chosen = pa.array(np.where(choice == NOTHING, len(offers), choice))
    expires_on = [as_of + timedelta(days=offer.expires_after_days) for offer in offers]
    return {
        "offer_id": pa.array([*(offer.offer_id for offer in offers), NO_OFFER]).take(chosen),
        "channel": pa.array([*(offer.channel for offer in offers), None]).take(chosen),
        "expires_on": pa.array([*expires_on, None], pa.date32()).take(chosen),
    }


def _expectations(worth: Worth, choice: Ints) -> dict[str, pa.Array]:
    """Effect and money of the chosen offers; all 0 for "none", without a source of the effect."""
    nothing = choice == NOTHING
    at = np.arange(len(choice)), choice
    gain, cost = (np.where(nothing, 0.0, matrix[at]) for matrix in (worth.gain, worth.cost))
    sources = pa.array([*worth.effects.source, None], pa.string())
    return {
        "effect": pa.array(np.where(nothing, 0.0, worth.effects.mean[at])),
        "effect_low": pa.array(np.where(nothing, 0.0, worth.effects.low[at])),
        "effect_source": sources.take(pa.array(np.where(nothing, len(sources) - 1, choice))),
        "expected_gain": pa.array(gain),
        "expected_cost": pa.array(cost),
        "expected_value": pa.array(gain - cost),
    }


def counted(words: pa.ChunkedArray) -> dict[str, int]:
    """How often each word occurs."""
    return {row["values"]: row["counts"] for row in pc.value_counts(words).to_pylist()}
