"""Every row on one customer: in the connected tables, the ledger, and the written files."""

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
    "To tell which customers are likely to stop buying, to choose who gets which offer and "
    "which products to name, and to measure what offers change. Scores steer offers only: they "
    "never make a price or a term worse."
)
LOGIC = (
    "From what the customer bought and did before a date, a model that learnt from the past of all "
    "customers estimates the probability of no purchase in the time that follows, and what would "
    "be lost. The reasons given are what weighed most in that estimate; they go along with the "
    "risk and need not cause it. An offer is chosen where it is expected to earn more than it "
    "costs, within a budget and consent. Some customers are kept without offers by lot, so that "
    "the effect of offers can be measured. No decision with legal effect is made."
)
RETENTION = (
    "Rows of the shop's tables are read anew at each run and not kept. What was planned, sent and "
    "drawn by lot stays in the ledger, and scores, plans and lists stay in their files, until the "
    "shop deletes them or erases the customer with `churn forget`. Of an erased customer a keyed "
    "hash and the date stay, so that they do not come back."
)
RIGHTS = (
    "The customer may have wrong data corrected, object to direct marketing and to profiling for "
    "it, withdraw a consent, have the data erased, receive it, and complain to a supervisory "
    "authority."
)
ARMS_IN_WORDS = {
    "treatment": "got what the plan chose",
    "holdout": "kept without any offer by lot, so that the effect of offers can be measured",
    "control": "kept without an offer of this campaign by lot, so that it can be measured",
    "explore": "drew an offer, or none, by lot, so that the effect of offers can be learnt",
}
FIELDS = {
    "customer_id": "the shop's name for the customer",
    "order_id": "the shop's name for the order",
    "ordered_at": "when the order was placed",
    "amount": "money of the order or line",
    "discount": "money taken off",
    "currency": "in which money",
    "channel": "by which way: of an order, an event, a consent, an offer or a message",
    "store": "in which store",
    "product_id": "the shop's name for the product",
    "category": "kind of product or cost",
    "product_name": "name of the product",
    "quantity": "how many or how much",
    "loaded_at": "when the row arrived",
    "superseded_at": "when a newer version of the order arrived",
    "signed_up_at": "when the customer signed up",
    "birth_date": "date of birth",
    "region": "where the customer lives",
    "acquisition_source": "how the customer came to the shop",
    "loyalty_tier": "level in the loyalty programme",
    "email": "e-mail address",
    "phone": "phone number",
    "occurred_at": "when the event happened",
    "event_type": "what happened, e.g. a visit, a complaint",
    "value": "the number that belongs to the event",
    "ref": "what the event refers to",
    "campaign_id": "the campaign",
    "contacted_at": "when the customer was contacted",
    "offer_id": 'the offer; "none" is no offer',
    "arm": "what decided about the offer: the plan, or a lot",
    "arm_means": "the arm in words",
    "propensity": "probability that this customer got this offer, over all draws of the lots",
    "lot": "what the customer could have drawn",
    "redeemed_at": "when the offer was used",
    "purpose": "what was agreed to or refused",
    "granted": "whether it was agreed to",
    "changed_at": "when it was said",
    "started_at": "when the subscription began",
    "expires_at": "when the subscription ends",
    "cancelled_at": "when the subscription was cancelled",
    "run_id": "the run of the product that wrote the row",
    "as_of": "the date on which the row stands: only what was known before it counts",
    "horizon_days": "the days ahead that are meant",
    "status": "eligible: judged by the model; else new, lapsed or covered by a subscription",
    "churn_probability": "probability of no purchase (or no renewal) in the horizon",
    "probability_source": "what gave the probability: the model, a rule, or the rate of a group",
    "decline_probability": "probability of spending less than half of the usual in the horizon",
    "expected_orders": "orders expected in the horizon",
    "expected_margin": "margin expected in the horizon, in the currency",
    "value_at_risk": "margin that a lapse would cost, times its probability, in the currency",
    "risk_band": "high: among those to look after first; medium; low",
    "at_risk": "whether the customer is among those to look after first",
    "segment": "the customer's group by recency, frequency and money",
    "reasons": "what weighed most in the estimate; + raises the risk, - lowers it",
    "reason_families": "the kinds of reasons for a higher risk, the strongest first",
    "change": "what changed since the scores before",
    "since": "the date of the scores before",
    "probability_before": "the probability in the scores before",
    "moved": "what rose most in the estimate since then",
    "model_id": "the model",
    "effect": "expected change of the probability to stay by the offer",
    "effect_low": "its lower bound",
    "effect_source": "whether the effect was measured or assumed",
    "expected_gain": "margin that the offer is expected to keep",
    "expected_cost": "what the offer is expected to cost",
    "expected_value": "the one less the other",
    "suppression": "why there is no offer, as a code",
    "suppression_means": "the same in words",
    "expires_on": "last day of the offer",
    "experiment": "global: no offers in any campaign; else the campaign",
    "member": "1: kept without offers; 0: not",
    "member_means": "the same in words",
    "assigned_on": "when the lot was drawn",
    "withdrawn_at": "when marketing on the channel was first refused to us",
    "again_at": "when it was last refused to us",
    "told": "a number by the order in which refusals arrived",
    "in_doubt": "1: the clock was wrong when it arrived, so no older or later consent counts",
    "undated": "a refusal whose date cannot be read: it holds at any time",
    "everywhere": "a refusal that holds on every channel",
    "source": "by what way it was said; what made a recommendation: baskets, or best sellers",
    "rank": "place in the list of recommendations",
    "name": "name of the product",
    "kind": "repeat: bought before; new: not",
    "score": "probability of buying the product in the horizon",
    "because": "what the recommendation stands on",
    "code": "the coupon code that the customer was given, or used",
    "exported_on": "the date of the list",
    "audience": "to which advertising platform as hashes; list: to a campaign tool",
}


def meanings(names: set[str]) -> dict[str, str]:
    """The meaning of each field that occurs; of features and others where it is to be found."""
    other = "see the documentation of the product, or ask the shop"
    return {name: FIELDS.get(name, other) for name in sorted(names)}


Row = dict[str, Any]
MEANINGS = {str(code): code.meaning for code in Suppression}


def table_rows(tables: Tables, customer_id: str) -> dict[str, list[Row]]:
    """The customer's rows by table, under the names of the contracts; times in UTC, ISO 8601."""
    mine = {
        name: nw.col("customer_id") == customer_id
        for name in TABLES
        if tables.has(name) and "customer_id" in tables.columns(name)
    }
    found = {name: _rows_of(tables, name, condition) for name, condition in mine.items()}
    if tables.has("order_lines"):
        theirs = [row["order_id"] for row in found["orders"]]
        found["order_lines"] = _rows_of(tables, "order_lines", nw.col("order_id").is_in(theirs))
    return found


def _rows_of(tables: Tables, name: str, condition: nw.Expr) -> list[Row]:
    rows = tables.engine.collect(tables.frame(name).filter(condition)).to_pylist()
    return [_in_words_of_the_contract(name, row) for row in rows]


def _in_words_of_the_contract(table: str, row: Row) -> Row:
    happened = TABLES[table].happened
    told = {}
    for name, value in row.items():
        if name.endswith("local_day"):
            continue  # the date of a time that is told
        if name == "day" or name.endswith("_day"):
            named = happened or name if name == "day" else name.removesuffix("_day") + "_at"
            told["birth_date" if named == "birth_date_at" else named] = _moment(value)
        else:
            told[name] = plain(value)
    return told


def _moment(days: object) -> str | None:
    if days is None:
        return None
    since_1970 = timedelta(milliseconds=round(float(str(days)) * 86_400_000))
    return (datetime(1970, 1, 1, tzinfo=UTC) + since_1970).isoformat()


def ledger_rows(ledger: Ledger, customer_id: str) -> dict[str, list[Row]]:
    """The ledger's rows on the customer by table, with arms and lots in words."""
    return {
        table: [explained({key: plain(value) for key, value in row.items()}) for row in rows]
        for table, rows in rows_of(ledger, customer_id).items()
    }


def explained(row: Row) -> Row:
    """The row with the meaning of its codes beside them."""
    more = {}
    if row.get("arm") in ARMS_IN_WORDS:
        more["arm_means"] = ARMS_IN_WORDS[row["arm"]]
    if row.get("suppression") in MEANINGS:
        more["suppression_means"] = MEANINGS[row["suppression"]]
    if "member" in row and "experiment" in row:
        kept = "kept without offers by lot" if row["member"] else "drawn, and not kept without"
        more["member_means"] = kept
    return {**row, **more}


def file_rows(paths: list[Path], eraser: FileEraser, customer_id: str) -> Iterator[Row]:
    """Each file that holds the customer: its name and their rows; of an audience, their number."""
    for path in paths:
        try:
            count = eraser.erase(path)
        except AddressesUnknownError:
            continue  # an audience, and nothing that could stand in it
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
            place = table.column_names.index("customer_id")
            ids = unguarded(table["customer_id"])
            table = table.set_column(place, "customer_id", ids)
    elif path.suffix == ".xlsx":
        table = as_table(*cells_of(path))
    else:
        table = pq.read_table(path)
    if "customer_id" in table.column_names:
        for row in table.filter(pc.equal(table["customer_id"], customer_id)).to_pylist():
            yield explained({key: plain(value) for key, value in row.items()})


def plain(value: Any) -> Any:
    """The value as JSON can hold it: times and dates as ISO 8601, no number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
