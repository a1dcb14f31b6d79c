"""From scores to a plan: for each customer one offer or none, with its worth or the reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from churn.errors import DataError
from churn.files.manifests import publish_with_manifest
from churn.retention.effects import offer_worth
from churn.retention.holdout import hash_position, in_holdout
from churn.retention.offers import NO_OFFER
from churn.retention.policy import NOTHING, assign
from churn.retention.suppression import Suppression, build_gates, suppression_codes

if TYPE_CHECKING:
    from datetime import date

    from churn.retention.effects import Worth
    from churn.retention.offers import Offers
    from churn.retention.policy import Assignment
    from churn.retention.suppression import Consent

__all__ = ["PLAN_SCHEMA", "Plan", "assign_offers"]

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

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SCORES = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("status", pa.string()),
        pa.field("churn_probability", pa.float64()),
        pa.field("value_at_risk", pa.float64()),
        pa.field("currency", pa.string()),
    ]
)
_CONSENTS = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("channel", pa.string(), nullable=False),
        pa.field("purpose", pa.string(), nullable=False),
        pa.field("granted", pa.bool_(), nullable=False),
    ]
)
_CONTACTS = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("offer_id", pa.string()),
        pa.field("days_since", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Plan:
    """The plan's table (`PLAN_SCHEMA`, one row per scored customer, in their order) and its totals.

    `summary` counts customers per offer and per suppression code and holds, in `currency`, the
    expected gain, cost and value, the budget (None where unlimited), `lambda` (the value of one
    more unit of budget) and `dual_gap` (how far the best possible plan may lie above this one).
    """

    table: pa.Table
    summary: dict[str, Any]

    def to_parquet(self, path: str | Path) -> None:
        """Writes the table, whole or not at all, with a manifest that holds the totals."""
        with publish_with_manifest(Path(path), self.summary) as temporary:
            pq.write_table(self.table, temporary)


def assign_offers(  # noqa: PLR0913  # a decision has this many inputs, and each must be said
    scores: pa.Table,
    offers: Offers,
    *,
    budget: float,
    holdout_share: float,
    holdout_salt: str,
    consent: Consent,
    consents: pa.Table | None,
    contacts: pa.Table | None,
    as_of: date,
    currency: str,
    run_id: str,
) -> Plan:
    """The offers with the highest total expected value whose expected cost keeps the budget.

    The value of an offer is its effect on P(retained) times the margin at stake, minus what
    redemptions and the contact cost. `consent` "required" admits an offer only where marketing is
    granted on its channel; "assumed" wherever it is not refused. `consents` (customer_id, channel,
    purpose, granted) is the latest state; `contacts` (customer_id, offer_id, days_since) are all
    earlier ones. The arm follows the holdout's hash alone: everyone else is "treatment", offer or
    none. The policy draws no lots, so each arm has propensity 1. DataError where the scores hold a
    customer twice, a probability outside 0 to 1 or another currency.
    """
    scores = _conform(scores, _SCORES, what="scores")
    _check_scores(scores, currency=currency)
    customer_ids = scores["customer_id"].to_pylist()
    gates = build_gates(
        scores,
        offers.offers,
        held_out=in_holdout(customer_ids, share=holdout_share, salt=holdout_salt),
        consent=consent,
        consents=None if consents is None else _conform(consents, _CONSENTS, what="consents"),
        contacts=None if contacts is None else _conform(contacts, _CONTACTS, what="contacts"),
    )
    probability = scores["churn_probability"].to_numpy()
    base_rate = _base_rate(probability, scores["status"])
    worth = offer_worth(
        probability, scores["value_at_risk"].to_numpy(), offers.offers, base_rate=base_rate
    )
    assignment = assign(
        np.where(gates.open, worth.value, np.nan),
        worth.cost,
        budget=budget,
        ties=hash_position(customer_ids, salt=f"{holdout_salt}/ties/{as_of}"),
    )
    columns = {
        "customer_id": scores["customer_id"],
        **_constants(scores.num_rows, run_id=run_id, campaign_id=offers.campaign_id, as_of=as_of),
        **_arms(gates.held_out),
        **_terms(offers, assignment.choice, as_of=as_of),
        **_expectations(worth, assignment.choice),
        "suppression": suppression_codes(gates, worth.value, assignment.choice),
    }
    table = pa.table([columns[name] for name in PLAN_SCHEMA.names], names=PLAN_SCHEMA.names)
    table = table.cast(PLAN_SCHEMA)
    totals = _totals(assignment, budget=budget, base_rate=base_rate)
    return Plan(table, _counts(table, offers) | totals | {"currency": currency, "consent": consent})


def _base_rate(probability: Floats, status: pa.ChunkedArray) -> float:
    """The mean churn probability of the eligible; of everyone, where nobody is eligible."""
    eligible = np.asarray(pc.fill_null(pc.equal(status, "eligible"), False), dtype=bool)
    known = ~np.isnan(probability)
    chosen = probability[known & eligible] if (known & eligible).any() else probability[known]
    return float(chosen.mean()) if len(chosen) else float("nan")


def _constants(rows: int, **values: object) -> dict[str, pa.Array]:
    return {name: pa.repeat(pa.scalar(value), rows) for name, value in values.items()}


def _arms(held_out: Bools) -> dict[str, pa.Array]:
    arm = pa.array(["treatment", "holdout"]).take(pa.array(held_out.astype(int)))
    return {"arm": arm, "propensity": pa.array(np.ones(len(held_out)))}


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
    no_source = pa.scalar(None, pa.string())
    at = np.arange(len(choice)), choice
    gain, cost = (np.where(nothing, 0.0, matrix[at]) for matrix in (worth.gain, worth.cost))
    return {
        "effect": pa.array(np.where(nothing, 0.0, worth.effects.mean[at])),
        "effect_low": pa.array(np.where(nothing, 0.0, worth.effects.low[at])),
        "effect_source": pc.if_else(pa.array(nothing), no_source, worth.effects.source),
        "expected_gain": pa.array(gain),
        "expected_cost": pa.array(cost),
        "expected_value": pa.array(gain - cost),
    }


def _counts(table: pa.Table, offers: Offers) -> dict[str, Any]:
    offered, suppressed = _value_counts(table["offer_id"]), _value_counts(table["suppression"])
    return {
        "campaign_id": offers.campaign_id,
        "customers": table.num_rows,
        "held_out": _value_counts(table["arm"]).get("holdout", 0),
        "offers": {
            name: offered.get(name, 0) for name in [*(o.offer_id for o in offers), NO_OFFER]
        },
        "suppressed": {str(code): suppressed[code] for code in Suppression if code in suppressed},
    }


def _totals(assignment: Assignment, *, budget: float, base_rate: float) -> dict[str, Any]:
    return {
        "expected_gain": assignment.value + assignment.cost,
        "expected_cost": assignment.cost,
        "expected_value": assignment.value,
        "budget": budget if np.isfinite(budget) else None,
        "lambda": assignment.lambda_,
        "dual_gap": assignment.upper_bound - assignment.value,
        "base_rate": None if np.isnan(base_rate) else base_rate,
    }


def _value_counts(words: pa.ChunkedArray) -> dict[str, int]:
    return {row["values"]: row["counts"] for row in pc.value_counts(words).to_pylist()}


def _conform(table: pa.Table, schema: pa.Schema, *, what: str) -> pa.Table:
    """The schema's columns in its types; DataError where one is missing, wrong or has gaps."""
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


def _check_scores(scores: pa.Table, *, currency: str) -> None:
    ids = scores["customer_id"]
    repeated = scores.num_rows - pc.count_distinct(ids).as_py()
    if repeated:
        raise DataError(
            "the scores must hold every customer_id once",
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
    foreign = sorted(set(_value_counts(pc.drop_null(scores["currency"]))) - {currency})
    if foreign:
        raise DataError(
            f"the scores must be in the currency of the offers, {currency}",
            got=foreign,
            fix="Convert the orders first, or state the catalogue in that currency.",
        )
