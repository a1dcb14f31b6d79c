"""The plan as a table with one row per scored customer, and checks of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from churn.arrays import Ints
from churn.errors import DataError
from churn.offers.allocation.knapsack import NOTHING
from churn.offers.arms import ARMS, choice_sets, propensities
from churn.offers.catalogue import NO_OFFER

if TYPE_CHECKING:
    from datetime import date

    from churn.offers.arms import Arms
    from churn.offers.catalogue import Offers
    from churn.offers.choice import Decided
    from churn.offers.effects import Worth

SCORES = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("status", pa.string()),
        pa.field("churn_probability", pa.float64()),
        pa.field("value_at_risk", pa.float64()),
        pa.field("currency", pa.string()),
    ]
)
CONSENTS = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("purpose", pa.string(), nullable=False),
        pa.field("granted", pa.bool_(), nullable=False),
    ]
)
CONTACTS = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("offer_id", pa.string()),
        pa.field("days_since", pa.float64(), nullable=False),
    ]
)
_PEOPLE = {
    "segment": pa.string(),
    "reason_families": pa.list_(pa.string()),
    "birth_date": pa.date32(),
    "owed_service": pa.bool_(),
    "group": pa.string(),
}

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
        ("intended_offer_id", pa.string()),
    ]
)


def people_of(scores: pa.Table, people: pa.Table | None) -> pa.Table:
    """One row per score with status and other attributes: segment and reason_families of the
    scores; birth_date, owed_service and group of `people`, joined by customer_id.
    """
    found = {"status": scores["status"]}
    found |= {name: scores[name] for name in _PEOPLE if name in scores.column_names}
    if people is not None:
        place = pc.index_in(scores["customer_id"], value_set=people["customer_id"])
        named = [name for name in _PEOPLE if name in people.column_names]
        found |= {name: people[name].take(place) for name in named}
    return pa.table(
        {name: column.cast(_PEOPLE.get(name, pa.string())) for name, column in found.items()}
    )


def order_amount_of(scores: pa.Table, order_amounts: pa.Table) -> NDArray[np.float64]:
    """The order amount of each scored customer; without one, the median of the others, which is
    robust against giant orders. 0 if nobody has one.
    """
    place = pc.index_in(scores["customer_id"], value_set=order_amounts["customer_id"])
    known = order_amounts["order_amount"].take(place).to_numpy(zero_copy_only=False)
    everyone = order_amounts["order_amount"].to_numpy()
    middle = float(np.median(everyone)) if len(everyone) else 0.0
    return np.where(np.isnan(known.astype(float)), middle, known.astype(float))


def conform(table: pa.Table, schema: pa.Schema, *, what: str) -> pa.Table:
    """The schema's columns in its types. Raises DataError if one is missing, wrong or has gaps."""
    missing = [name for name in schema.names if name not in table.column_names]
    if missing:
        raise DataError(
            f"table '{what}' lacks column(s) {missing}; it has {table.column_names}",
            fix="Pass the table with those columns.",
        )
    gaps = [f.name for f in schema if not f.nullable and table[f.name].null_count]
    if gaps:
        raise DataError(
            f"table '{what}' has empty values in column(s) {gaps}",
            fix="Complete or drop those rows.",
        )
    chosen = table.select(schema.names)
    try:
        return chosen.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"table '{what}' must have the types {_types(schema)}",
            got=_types(chosen.schema),
            fix="Convert the columns.",
        ) from error


def _types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def check_scores(scores: pa.Table, *, currency: str) -> None:
    """Raises DataError for a repeated customer, an invalid probability, or another currency."""
    ids = scores["customer_id"]
    repeated = scores.num_rows - pc.count_distinct(ids).as_py()
    if repeated:
        raise DataError(
            "the scores must contain every customer_id once",
            got=f"{repeated} repeated",
            fix="Score one snapshot and pass its table unchanged.",
        )
    probability = scores["churn_probability"].to_numpy()
    outside = int(((probability < 0) | (probability > 1)).sum())
    if outside:
        raise DataError(
            "churn_probability must be between 0 and 1",
            got=f"{outside} value(s) outside",
            fix="Pass calibrated probabilities, not margins.",
        )
    foreign = sorted(set(pc.unique(pc.drop_null(scores["currency"])).to_pylist()) - {currency})
    if foreign:
        raise DataError(
            f"the scores must be in the currency of the offers, {currency}",
            got=foreign,
            fix="Convert the orders first, or state the catalogue in that currency.",
        )


def plan_table(
    customer_id: pa.ChunkedArray,
    offers: Offers,
    worth: Worth,
    decided: Decided,
    *,
    arms: Arms,
    suppression: pa.Array,
    facts: Mapping[str, object],
) -> pa.Table:
    """`PLAN_SCHEMA`, in the order of the customers; `facts` are the same in every row."""
    choice, intended = decided.choice, decided.intended
    names = [offer.offer_id for offer in offers]
    columns = {
        "customer_id": customer_id,
        **{name: pa.repeat(pa.scalar(value), len(choice)) for name, value in facts.items()},
        **_terms(offers, choice, as_of=facts["as_of"]),  # type: ignore[arg-type]
        "arm": pa.array(ARMS).take(pa.array(arms.arm)),
        "propensity": pa.array(propensities(arms, choice, intended, decided.spare)),
        "lot": pa.array(choice_sets(arms, intended, names, decided.spare), pa.string()),
        **_expectations(worth, choice),
        "suppression": suppression,
        "intended_offer_id": _offer_ids(offers, intended),
    }
    table = pa.table([columns[name] for name in PLAN_SCHEMA.names], names=PLAN_SCHEMA.names)
    return table.cast(PLAN_SCHEMA)


def _terms(offers: Offers, choice: Ints, *, as_of: date) -> dict[str, pa.Array]:
    """Offer, channel and expiry; the last two are null for "none"."""
    chosen = pa.array(np.where(choice == NOTHING, len(offers), choice))
    expires_on = [as_of + timedelta(days=offer.expires_after_days) for offer in offers]
    return {
        "offer_id": _offer_ids(offers, choice),
        "channel": pa.array([*(offer.channel for offer in offers), None]).take(chosen),
        "expires_on": pa.array([*expires_on, None], pa.date32()).take(chosen),
    }


def _offer_ids(offers: Offers, choice: Ints) -> pa.Array:
    names = pa.array([*(offer.offer_id for offer in offers), NO_OFFER])
    return names.take(pa.array(np.where(choice == NOTHING, len(offers), choice)))


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
    """The count of each value."""
    return {row["values"]: row["counts"] for row in pc.value_counts(words).to_pylist()}
