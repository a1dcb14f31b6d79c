"""All rows on one customer, in the connected tables, the ledger and written files, explained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from churn.data.contracts import TABLES
from churn.data.tables import Tables
from churn.errors import ChurnError
from churn.offers.suppression import Suppression
from churn.privacy.erase_files import AddressesUnknownError, FileEraser
from churn.results.spreadsheets import unguarded
from churn.results.workbook import as_table, cells_of
from churn.storage.erasures import rows_of
from churn.storage.ledger import Ledger

PURPOSES = (
    "To predict which customers are likely to stop buying, to choose offers and product "
    "recommendations, and to measure the effect of offers. Scores are used for offers only; they "
    "never lead to a worse price or worse terms."
)
LOGIC = (
    "From the customer's purchases and activity before a date, a model fitted on the history of "
    "all customers estimates the probability of no purchase in the following period, and the "
    "margin at stake. The reasons given are the factors with the largest weight in this estimate; "
    "they are associated with the risk and are not necessarily its cause. An offer is selected if "
    "it is expected to earn more than it costs, within the budget and the customer's consent. Some "
    "customers, chosen at random, get no offers, so that the effect of offers can be measured. No "
    "decision with legal effect is made."
)
RETENTION = (
    "Rows of the shop's tables are read in each run and not stored. Plans, messages and random "
    "assignments are kept in the ledger, and scores, plans and lists in their files, until the "
    "shop deletes them or erases the customer with `churn forget`. After an erasure, only a keyed "
    "hash and the date are kept, so that the customer is not imported again."
)
RIGHTS = (
    "The customer may have incorrect data corrected, object to direct marketing and to profiling "
    "for it, withdraw consent, have the data erased, receive a copy of the data, and lodge a "
    "complaint with a supervisory authority."
)
ARM_MEANINGS = {
    "treatment": "got the offer that the plan selected",
    "holdout": "randomly selected to get no offers, so that the effect of offers can be measured",
    "control": "randomly selected to get no offer of this campaign, so that it can be measured",
    "explore": "randomly assigned an offer, or none, so that its effect can be estimated",
}
FIELDS = {
    "customer_id": "the shop's id of the customer",
    "order_id": "the shop's id of the order",
    "ordered_at": "when the order was placed",
    "amount": "amount of the order or line",
    "discount": "discount on the order or line",
    "currency": "currency of the amounts",
    "channel": "channel of an order, an event, a consent, an offer or a message",
    "store": "the store",
    "product_id": "the shop's id of the product",
    "category": "category of a product or cost",
    "product_name": "name of the product",
    "quantity": "quantity",
    "unit_cost": "cost of goods of one unit",
    "loaded_at": "when the row was loaded",
    "superseded_at": "when a newer version of the order was loaded",
    "signed_up_at": "when the customer signed up",
    "birth_date": "date of birth",
    "region": "where the customer lives",
    "acquisition_source": "how the customer was acquired",
    "loyalty_tier": "tier in the loyalty programme",
    "email": "e-mail address",
    "phone": "phone number",
    "occurred_at": "when the event happened",
    "event_type": "type of the event, e.g. a visit or a complaint",
    "value": "value of the event",
    "ref": "what the event refers to",
    "campaign_id": "the campaign",
    "contacted_at": "when the customer was contacted",
    "offer_id": 'the offer; "none" means no offer',
    "arm": "how the offer was assigned: by the plan or at random",
    "arm_means": "meaning of the arm",
    "propensity": "probability with which this customer was assigned this offer",
    "lot": "the offers that the customer could have been assigned",
    "redeemed_at": "when the offer was redeemed",
    "purpose": "purpose of the consent or refusal",
    "granted": "whether consent was given",
    "changed_at": "when it was given or refused",
    "started_at": "when the subscription started",
    "expires_at": "when the subscription ends",
    "cancelled_at": "when the subscription was cancelled",
    "run_id": "the run that wrote the row",
    "as_of": "the reference date: only data from before it was used",
    "horizon_days": "length of the prediction period in days",
    "status": "eligible: scored by the model; otherwise new, lapsed or covered by a subscription",
    "churn_probability": "probability of no purchase (or no renewal) in the horizon",
    "probability_source": "source of the probability: the model, a baseline, or a group's rate",
    "decline_probability": "probability of spending less than half of the usual in the horizon",
    "expected_orders": "orders expected in the horizon",
    "expected_margin": "margin expected in the horizon, in the currency",
    "value_at_risk": "margin lost if the customer lapses, times the probability, in the currency",
    "risk_band": "high: among the customers to contact first; medium; low",
    "at_risk": "whether the customer is among those to contact first",
    "segment": "the customer's group by recency, frequency and monetary value",
    "reasons": "the factors with the largest weight in the estimate, with their direction",
    "reason_families": "the types of reasons for a higher risk, strongest first",
    "change": "the change since the previous scores",
    "since": "the date of the previous scores",
    "probability_before": "the probability in the previous scores",
    "moved": "the factor that raised the estimate most since then",
    "model_id": "the model",
    "effect": "expected change of the retention probability due to the offer",
    "effect_low": "lower bound of the effect",
    "effect_source": "whether the effect was assumed, measured, or combined from both",
    "expected_gain": "margin that the offer is expected to retain",
    "expected_cost": "expected cost of the offer",
    "expected_value": "expected gain minus expected cost",
    "suppression": "why there is no offer, as a code",
    "suppression_means": "meaning of the code",
    "expires_on": "last day of the offer",
    "intended_offer_id": 'the offer that the plan would make without any random draw; "none": none',
    "experiment": "global: no offers in any campaign; otherwise the campaign",
    "member": "1: held out; 0: not",
    "member_means": "meaning of member",
    "assigned_on": "date of the random assignment",
    "withdrawn_at": "when the customer first unsubscribed from the channel",
    "again_at": "when the customer last unsubscribed from it",
    "told": "sequence number of the refusals",
    "in_doubt": "1: the clock was wrong when it arrived, so no older or later consent counts",
    "undated": "a refusal with an unreadable date, which therefore always applies",
    "everywhere": "a refusal that applies to every channel",
    "source": "how it was received; for a recommendation: learnt, or best sellers",
    "rank": "position in the list of recommendations",
    "name": "name of the product",
    "kind": "repeat: bought before; new: not bought before",
    "score": "for a recommendation, the probability of buying the product; else the score given",
    "surveyed_at": "when the customer was asked, or responded",
    "reviewed_at": "when the review was written",
    "scale": "scale of the score, e.g. nps",
    "wave": "the round of the survey",
    "answered": "whether the shop has replied",
    "because": "the reason for the recommendation",
    "code": "the coupon code that the customer was given, or redeemed",
    "exported_on": "the date of the list",
    "audience": "the advertising platform that got hashed addresses; list: a campaign tool",
}


def meanings(names: set[str]) -> dict[str, str]:
    """The meaning of each field, or where to find it."""
    other = "see the documentation of the product, or ask the shop"
    return {name: FIELDS.get(name, other) for name in sorted(names)}


Row = dict[str, Any]
MEANINGS = {str(code): code.meaning for code in Suppression}


def table_rows(tables: Tables, customer_id: str) -> dict[str, list[Row]]:
    """The customer's rows by table, with the columns of the contracts; times in UTC, ISO 8601."""
    rows = {
        name: _rows_of(tables, name, nw.col("customer_id") == customer_id)
        for name in TABLES
        if tables.has(name) and "customer_id" in tables.columns(name)
    }
    if tables.has("order_lines"):
        order_ids = [row["order_id"] for row in rows["orders"]]
        rows["order_lines"] = _rows_of(tables, "order_lines", nw.col("order_id").is_in(order_ids))
    return rows


def _rows_of(tables: Tables, name: str, condition: nw.Expr) -> list[Row]:
    rows = tables.engine.collect(tables.frame(name).filter(condition)).to_pylist()
    return [_contract_row(name, row) for row in rows]


def _contract_row(table: str, row: Row) -> Row:
    happened = TABLES[table].happened
    values = {}
    for name, value in row.items():
        if name.endswith("local_day"):
            continue  # the local date of a time that is included
        if name == "day" or name.endswith("_day"):
            column = happened or name if name == "day" else name.removesuffix("_day") + "_at"
            values["birth_date" if column == "birth_date_at" else column] = _iso_time(value)
        else:
            values[name] = plain(value)
    return values


def _iso_time(days: object) -> str | None:
    if days is None:
        return None
    since_1970 = timedelta(milliseconds=round(float(str(days)) * 86_400_000))
    return (datetime(1970, 1, 1, tzinfo=UTC) + since_1970).isoformat()


def ledger_rows(ledger: Ledger, customer_id: str) -> dict[str, list[Row]]:
    """The ledger's rows on the customer by table, with the meanings of their codes."""
    return {
        table: [explained({key: plain(value) for key, value in row.items()}) for row in rows]
        for table, rows in rows_of(ledger, customer_id).items()
    }


def explained(row: Row) -> Row:
    """The row with the meaning of its codes."""
    meaning = {}
    if row.get("arm") in ARM_MEANINGS:
        meaning["arm_means"] = ARM_MEANINGS[row["arm"]]
    if row.get("suppression") in MEANINGS:
        meaning["suppression_means"] = MEANINGS[row["suppression"]]
    if "member" in row and "experiment" in row:
        meaning["member_means"] = (
            "randomly selected to get no offers" if row["member"] else "not selected, gets offers"
        )
    return {**row, **meaning}


def file_rows(paths: list[Path], eraser: FileEraser, customer_id: str) -> Iterator[Row]:
    """Name and rows of each file that contains the customer; for audiences, the number of rows."""
    for path in paths:
        try:
            count = eraser.erase(path)
        except AddressesUnknownError:
            continue  # an audience: without an address the customer cannot be in it
        except ChurnError as failure:
            yield {"file": str(path), "could_not_be_read": str(failure)}
            continue
        if count and path.suffix != ".json":
            yield {"file": str(path), "count": count, "rows": list(_rows(path, customer_id))}


def _rows(path: Path, customer_id: str) -> Iterator[Row]:
    if path.suffix == ".csv":
        as_text = pa_csv.ConvertOptions(column_types={"customer_id": pa.string()})
        long = pa_csv.ParseOptions(newlines_in_values=True)
        table = pa_csv.read_csv(path, parse_options=long, convert_options=as_text)
        if "customer_id" in table.column_names:
            position = table.column_names.index("customer_id")
            ids = unguarded(table["customer_id"])
            table = table.set_column(position, "customer_id", ids)
    elif path.suffix == ".xlsx":
        table = as_table(*cells_of(path))
    else:
        table = pq.read_table(path)
    if "customer_id" in table.column_names:
        for row in table.filter(pc.equal(table["customer_id"], customer_id)).to_pylist():
            yield explained({key: plain(value) for key, value in row.items()})


def plain(value: Any) -> Any:
    """The value as JSON: times and dates as ISO 8601, NaN and infinity as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
