"""Requests and answers of the API as strict schemas, with examples."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import CoreSchema, core_schema

MAX_ID = 300
MAX_ORDERS = 10_000
MAX_COLUMNS = 2_000
EVENT_KINDS = Literal[
    "email_sent",
    "email_open",
    "email_click",
    "unsubscribe",
    "visit",
    "cart",
    "ticket_opened",
    "ticket_closed",
    "complaint",
    "delivery_late",
    "review",
    "nps",
    "points_earned",
    "points_spent",
    "contact",
    "redemption",
]
Status = Literal["eligible", "lapsed", "new", "covered"]
CustomerId = Annotated[str, Field(min_length=1, max_length=MAX_ID, examples=["c0001"])]
Number = Annotated[float, Field(allow_inf_nan=False)]
Money = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
FIRST, LAST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class _Written:
    """How a date or time must be written. Pydantic alone also reads digits as a Unix timestamp, so
    that "20260914" would be a day in August 1970.
    """

    pattern: str
    format: str
    read: CoreSchema
    example: str

    def __get_pydantic_core_schema__(self, _: Any, __: Any) -> CoreSchema:
        written = core_schema.custom_error_schema(
            core_schema.str_schema(strict=True, pattern=self.pattern),
            custom_error_type=f"{self.format}_expected",
            custom_error_message=f"Input should be written as {self.example}",
        )
        return core_schema.chain_schema([written, self.read])

    def __get_pydantic_json_schema__(self, _: Any, __: Any) -> dict[str, Any]:
        return {"type": "string", "format": self.format, "pattern": self.pattern}


_DAY = "^(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
_TIME = r"[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
Moment = Annotated[
    dt.datetime,
    _Written(
        _DAY + _TIME,
        "date-time",
        core_schema.datetime_schema(strict=False, ge=FIRST, le=LAST, tz_constraint="aware"),
        "2026-09-14T11:05:00Z, with its offset and from 1900 on",
    ),
]
Day = Annotated[
    dt.date,
    _Written(
        _DAY + "$",
        "date",
        core_schema.date_schema(strict=False, ge=FIRST.date(), le=LAST.date()),
        "2026-09-14, from 1900 on",
    ),
]
Channel = Literal["email", "sms", "push", "post", "call", "ads"]


def _with(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra={"examples": [example]}
    )


class Order(BaseModel):
    """An order, or a return with a negative amount."""

    model_config = _with({"ordered_at": "2026-11-02T09:30:00Z", "amount": 39.9})
    ordered_at: Moment = Field(description="RFC 3339, with its offset from UTC; from 1900 to 2199.")
    amount: Money = Field(description="Paid by the customer, in the shop's currency.")
    discount: Money | None = None
    channel: str | None = Field(None, max_length=100)


class Event(BaseModel):
    """An event, a contact or a redemption."""

    model_config = _with({"at": "2026-11-01T18:00:00Z", "kind": "email_open"})
    at: Moment
    kind: EVENT_KINDS
    value: Money | None = Field(None, description="Of ratings and points.")
    ref: str | None = Field(None, max_length=100, description="The number of a ticket.")


_CUSTOMER: dict[str, Any] = {
    "customer_id": "c0001",
    "orders": [
        {"ordered_at": "2026-09-14T11:05:00Z", "amount": 25.0},
        {"ordered_at": "2026-11-02T09:30:00Z", "amount": 39.9},
    ],
}


class CustomerHistory(BaseModel):
    """A customer's complete history up to the date of the request."""

    model_config = _with(_CUSTOMER)
    customer_id: CustomerId | None = Field(
        None, description="Returned as it is; customers who were erased or object get no score."
    )
    orders: Annotated[list[Order], Field(max_length=MAX_ORDERS)]
    events: Annotated[list[Event], Field(max_length=MAX_ORDERS)] | None = Field(
        None, description="Required, if only as [], where the model has features of events."
    )


class HistoryRequest(BaseModel):
    """Customers to score from their histories."""

    model_config = _with({"as_of": "2026-11-30", "customers": [_CUSTOMER]})
    as_of: Day = Field(description="Exclusive: orders on this day or later are not seen.")
    customers: list[CustomerHistory]
    reasons: bool = Field(False, description="Whether to explain each score.")


class FeatureRequest(BaseModel):
    """Ready features of the model, by column names and rows; null where unknown."""

    model_config = _with({"features": ["recency_days", "…"], "rows": [[12.0, None]]})
    features: Annotated[list[str], Field(max_length=MAX_COLUMNS)]
    rows: list[list[Number | None]]
    statuses: list[Status] | None = Field(None, description="One for each row; default: eligible.")
    reasons: bool = False


class CustomersRequest(BaseModel):
    """Customers to look up."""

    model_config = _with({"customer_ids": ["c0001", "c0002"]})
    customer_ids: list[CustomerId]


class CustomerRequest(BaseModel):
    """One customer."""

    model_config = _with({"customer_id": "c0001"})
    customer_id: CustomerId


class UnsubscribeRequest(BaseModel):
    """A customer who withdraws from marketing."""

    model_config = _with({"customer_id": "c0001", "channels": ["email"]})
    customer_id: CustomerId
    channels: Annotated[list[Channel], Field(min_length=1, max_length=6)] | None = Field(
        None, description="Default: every channel."
    )


class DecideRequest(BaseModel):
    """A customer who is to get the offer that the plan has for them."""

    model_config = _with({"customer_id": "c0001", "reasons": True})
    customer_id: CustomerId
    campaign_id: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")] | None = Field(
        None, description="Default: the campaign of the newest plan."
    )
    reasons: bool = False


class Score(BaseModel):
    """What the model says of a customer; amounts within the horizon, in the shop's currency."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "eligible",
                    "churn_probability": 0.1369,
                    "probability_source": "model",
                    "decline_probability": 0.2114,
                    "expected_orders": 3.2,
                    "expected_margin": 24.1,
                    "value_at_risk": 3.5,
                    "reasons": ["raises: last order 21 days ago, usually every 6 days"],
                }
            ]
        }
    )
    status: Status
    churn_probability: float
    probability_source: str
    decline_probability: float | None
    expected_orders: float | None
    expected_margin: float | None
    value_at_risk: float | None
    reasons: list[str] | None = None


class ScoredCustomer(BaseModel):
    """A customer of the request, with a score or the reason why there is none."""

    customer_id: str | None
    score: Score | None
    unscored: Literal["no_score", "no_order_before_as_of"] | None = None
    ignored_orders: int = Field(0, description="Orders on the date of the request or later.")


class HistoryScores(BaseModel):
    """One entry for each customer of the request, in the same order."""

    model_id: str
    as_of: dt.date
    population_as_of: dt.date = Field(description="Date of the averages that features refer to.")
    customers: list[ScoredCustomer]


class FeatureScores(BaseModel):
    """One score for each row of the request, in the same order."""

    model_id: str
    scores: list[Score]


class BatchScore(Score):
    """A score of the last batch."""

    at_risk: bool
    risk_band: str
    segment: str


class LookedUp(BaseModel):
    """A customer with the score of the last batch, or without one."""

    customer_id: str
    score: BatchScore | None


class BatchScores(BaseModel):
    """One entry for each customer of the request, in the same order."""

    model_id: str | None
    as_of: dt.date | None
    run_id: str | None
    customers: list[LookedUp]


class OfferDecision(BaseModel):
    """An offer to show to the customer."""

    offer_id: str
    channel: str


class Decision(BaseModel):
    """The offer for a customer, or none with the code of the reason."""

    customer_id: str
    campaign_id: str | None
    as_of: dt.date | None = Field(description="The date of the plan.")
    offer: OfferDecision | None
    code: Literal["offered", "no_plan", "no_offer", "withdrawn", "sent_otherwise", "no_score"]
    score: BatchScore | None


class Withdrawn(BaseModel):
    """A channel from which the customer withdrew, and since when."""

    channel: str
    since: dt.datetime | None = Field(description="null: at an unknown moment, so always.")


class ConsentState(BaseModel):
    """What is on record here; the shop's own tables count in every plan, export and sending."""

    customer_id: str
    withdrawn: list[Withdrawn]
    objects_to_profiling: bool


class ModelFacts(BaseModel):
    """The model in use."""

    model_id: str
    features: list[str]
    needs: list[str] = Field(description="Tables that a history must have besides orders.")
    horizon_days: int
    lookback_days: int
    currency: str
    baseline: str | None = Field(description="The baseline that is active instead of the model.")
    trained_until: dt.date
