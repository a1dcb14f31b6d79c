"""The answers of the API: each route reads a request strictly and returns JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from churn.errors import ModelError
from churn.serving.api import schemas
from churn.serving.api.batch import Batch, Batches
from churn.serving.api.batching import Rounds
from churn.serving.api.champion import Champion, LoadedModel
from churn.serving.api.consent import consent_of, decide, unsubscribe
from churn.serving.api.inference import (
    BINARY_HEADER,
    MODEL_NAME,
    inference_of,
    inferred,
    metadata,
)
from churn.serving.api.limits import body_of
from churn.serving.api.metrics import Metrics
from churn.serving.api.problems import ProblemError, invalid, to_json
from churn.serving.api.records import LedgerThread
from churn.serving.api.scoring import (
    NO_ORDER,
    NO_SCORE,
    Explaining,
    FeatureTask,
    HistoryTask,
    feature_task,
    history_of,
    score_histories,
    score_rows,
)
from churn.serving.api.settings import ApiLimits, ApiSources
from churn.storage.ledger import Ledger
from churn.storage.objections import record_objection

if TYPE_CHECKING:
    from starlette.requests import Request

Model = TypeVar("Model", bound=BaseModel)
MAX_KEY = 200
_KNOWN = frozenset(
    name
    for kind in vars(schemas).values()
    if isinstance(kind, type) and issubclass(kind, BaseModel)
    for name in kind.model_fields
)
_ADAPTERS: dict[type[BaseModel], TypeAdapter[Any]] = {}


@dataclass
class Routes:
    """What the routes share: the model, the batch, the ledger and the limits."""

    limits: ApiLimits
    sources: ApiSources
    champion: Champion
    batches: Batches
    records: LedgerThread
    metrics: Metrics
    draining: bool = False
    _built: tuple[LoadedModel, Batch | None, Any, date] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        explaining = self.explaining
        self.of_histories = Rounds[HistoryTask, list[dict[str, Any] | None]](
            partial(score_histories, explaining=explaining)
        )
        self.of_features = Rounds[FeatureTask, list[dict[str, Any]]](
            partial(score_rows, explaining=explaining)
        )

    @property
    def explaining(self) -> Explaining:
        """The currency and language of reasons."""
        return Explaining(self.sources.currency, self.sources.language)

    @property
    def loaded(self) -> LoadedModel:
        """The model in use; ProblemError 503 without one."""
        found = self.champion.current
        if found is None:
            refusal = self.champion.refusal
            detail = f"No model is loaded: {refusal}" if refusal else "No model is loaded yet."
            raise ProblemError(503, "no-model", detail, headers={"retry-after": "5"})
        return found

    async def score_histories(self, request: Request) -> bytes:
        """`POST /v1/score`."""
        asked = await self.read(request, schemas.HistoryRequest)
        self.check_rows(asked.customers)
        loaded = self.loaded
        features, population_as_of = self._features(loaded)
        needs = _needs(features)
        restrictions = None
        if any(customer.customer_id is not None for customer in asked.customers):
            restrictions = await self.records.restricted()
        same = self.sources.same_customer
        allowed = [
            restrictions is None
            or customer.customer_id is None
            or restrictions.allows(same(customer.customer_id))
            for customer in asked.customers
        ]
        histories = [
            history_of(customer, needs)
            for customer, ok in zip(asked.customers, allowed, strict=True)
            if ok
        ]
        task = HistoryTask(loaded, features, asked.as_of, histories, asked.reasons)
        scores = iter(await self.of_histories.do(task))
        self.metrics.scored(request.url.path, len(histories))
        zone = features.day_timezone
        return to_json(
            {
                "model_id": loaded.model_id,
                "as_of": asked.as_of,
                "population_as_of": population_as_of,
                "customers": [
                    _scored(customer, next(scores) if ok else None, ok, asked.as_of, zone)
                    for customer, ok in zip(asked.customers, allowed, strict=True)
                ],
            }
        )

    async def score_features(self, request: Request) -> bytes:
        """`POST /v1/score/features`."""
        asked = await self.read(request, schemas.FeatureRequest)
        self.check_rows(asked.rows)
        loaded = self.loaded
        scores = await self.of_features.do(feature_task(loaded, asked))
        self.metrics.scored(request.url.path, len(scores))
        return to_json({"model_id": loaded.model_id, "scores": scores})

    async def look_up(self, request: Request) -> bytes:
        """`POST /v1/scores`."""
        asked = await self.read(request, schemas.CustomersRequest)
        self.check_rows(asked.customer_ids)
        batch = self.batches.current
        rows = await self._from_batch(batch, asked.customer_ids)
        return to_json(
            {
                "model_id": None if batch is None else batch.model_id,
                "as_of": None if batch is None else batch.as_of,
                "run_id": None if batch is None else batch.facts.get("run_id"),
                "customers": [
                    {"customer_id": name, "score": row}
                    for name, row in zip(asked.customer_ids, rows, strict=True)
                ],
            }
        )

    async def decide(self, request: Request) -> bytes:
        """`POST /v1/decide`."""
        key = request.headers.get("idempotency-key", "")
        if not 0 < len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
            detail = (
                f"Send an Idempotency-Key of 1 to {MAX_KEY} printable ASCII characters; repeat it "
                "in retries."
            )
            raise ProblemError(400, "no-idempotency-key", detail)
        asked = await self.read(request, schemas.DecideRequest)
        customer = self.sources.same_customer(asked.customer_id)
        (score,) = await self._from_batch(self.batches.current, [asked.customer_id])
        if score is not None and not asked.reasons:
            score["reasons"] = None

        def decided(ledger: Ledger) -> bytes:
            allowed = self.records.restrictions.allows(customer)
            return decide(
                ledger,
                key=f"{request.state.key_prefix}:{key}",
                customer_id=customer,
                request=asked,
                score=score,
                allowed=allowed,
                run_id=self.sources.run_id,
            )

        return await self.records.run(decided)

    async def consent(self, request: Request) -> bytes:
        """`POST /v1/consent`."""
        asked = await self.read(request, schemas.CustomerRequest)
        customer = self.sources.same_customer(asked.customer_id)
        return await self.records.run(lambda ledger: consent_of(ledger, customer))

    async def unsubscribe(self, request: Request) -> bytes:
        """`POST /v1/unsubscribe`."""
        asked = await self.read(request, schemas.UnsubscribeRequest)
        customer = self.sources.same_customer(asked.customer_id)
        channels: Sequence[str] | None = asked.channels

        def record(ledger: Ledger) -> bytes:
            if not self.records.restrictions.is_erased(customer):
                unsubscribe(ledger, customer, channels)
            return consent_of(ledger, customer)

        return await self.records.run(record)

    async def objection(self, request: Request) -> bytes:
        """`POST /v1/objection`."""
        asked = await self.read(request, schemas.CustomerRequest)
        customer = self.sources.same_customer(asked.customer_id)

        def record(ledger: Ledger) -> bytes:
            if not self.records.restrictions.is_erased(customer):
                record_objection(ledger, customer, source="api")
                self.records.reread()
            return consent_of(ledger, customer)

        return await self.records.run(record)

    async def model(self, _: Request) -> bytes:
        """`GET /v1/model`."""
        loaded = self.loaded
        model = loaded.model
        facts = schemas.ModelFacts(
            model_id=loaded.model_id,
            features=list(model.feature_names_),
            needs=sorted(_needs(loaded.history_features, default=frozenset({"other tables"}))),
            horizon_days=model.clock_.horizon_days,
            lookback_days=model.clock_.lookback_days,
            currency=self.sources.currency,
            baseline=model.stand_in,
            trained_until=loaded.trained_until,
        )
        return to_json(facts)

    async def server_metadata(self, _: Request) -> bytes:
        """`GET /v2`."""
        from importlib.metadata import version

        extensions = ["binary_tensor_data"]
        return to_json({"name": "churn", "version": version("churnwise"), "extensions": extensions})

    async def live(self, _: Request) -> bytes:
        """`GET /livez`."""
        return b'{"live":true}'

    async def ready(self, _: Request) -> bytes:
        """`GET /readyz`; problem 503 while stopping, or without a model."""
        if self.draining:
            raise ProblemError(
                503, "stopping", "The service is stopping.", headers={"retry-after": "5"}
            )
        loaded = self.loaded
        await self.records.restricted()
        return to_json({"ready": True, "model_id": loaded.model_id})

    async def model_metadata(self, request: Request) -> bytes:
        """`GET /v2/models/churn`."""
        return to_json(metadata(self._named(request)))

    async def model_ready(self, request: Request) -> bytes:
        """`GET /v2/models/churn/ready`."""
        loaded = self._named(request, unknown=404)
        return to_json({"name": MODEL_NAME, "ready": not self.draining, "id": loaded.model_id})

    async def infer(self, request: Request) -> bytes:
        """`POST /v2/models/churn/infer`."""
        loaded = self._named(request)
        header = request.headers.get(BINARY_HEADER)
        body = await self._body(request, binary=header is not None)
        asked, rows = inference_of(loaded, body, header, self.limits.max_rows)
        return to_json(inferred(loaded, asked, await self.of_features.do(rows)))

    async def read(self, request: Request, kind: type[Model]) -> Model:
        """The request's body as that schema; ProblemError 4xx for anything else."""
        body = await self._body(request)
        adapter = _ADAPTERS.setdefault(kind, TypeAdapter(kind))
        try:
            found: Model = adapter.validate_json(body)
        except ValidationError as failure:
            raise invalid(failure, _KNOWN) from None
        return found

    async def _body(self, request: Request, *, binary: bool = False) -> bytes:
        limits = self.limits
        return await body_of(
            request, limits.max_body_bytes, seconds=limits.body_seconds, binary=binary
        )

    def check_rows(self, rows: Sequence[object]) -> None:
        """ProblemError 422 for too many rows."""
        if len(rows) > self.limits.max_rows:
            detail = f"A request may have at most {self.limits.max_rows:,} rows."
            raise ProblemError(422, "too-many-rows", detail)

    async def _from_batch(
        self, batch: Batch | None, names: Sequence[str]
    ) -> list[dict[str, Any] | None]:
        """The scores in the batch; none for customers who were erased or object since."""
        restrictions = await self.records.restricted()
        if batch is None:
            return [None] * len(names)
        ids = [self.sources.same_customer(name) for name in names]
        return [batch.of(name) if restrictions.allows(name) else None for name in ids]

    def _features(self, loaded: LoadedModel) -> tuple[Any, date]:
        """The builder with the averages of the last batch of this model, else those of training."""
        batch = self.batches.current
        if self._built is None or self._built[:2] != (loaded, batch):
            own = batch is not None and batch.model_id == loaded.model_id and batch.population
            if batch is not None and own:
                built = loaded.features_with(batch.population or {})
                self._built = (loaded, batch, built, batch.as_of)
            else:
                built = loaded.history_features
                self._built = (loaded, batch, built, loaded.trained_until)
        return self._built[2], self._built[3]

    def _named(self, request: Request, *, unknown: int = 400) -> LoadedModel:
        """The model that the path names; a problem of status `unknown` if it is not in use.

        The Open Inference Protocol answers 404 where readiness is asked for, and else 400.
        """
        if request.path_params.get("name") != MODEL_NAME:
            raise ProblemError(unknown, "unknown-model", f"The only model is {MODEL_NAME!r}.")
        version, loaded = request.path_params.get("version"), self.loaded
        if version not in (None, loaded.model_id):
            detail = "That version of the model is not in use."
            raise ProblemError(unknown, "unknown-version", detail)
        return loaded


def _needs(features: Any, default: frozenset[str] | None = None) -> frozenset[str]:
    """The tables of events that histories must have; problem 409 for a model of other tables."""
    try:
        found: frozenset[str] = features.needs
        _ = features.plan
    except ModelError as failure:
        if default is not None:
            return default
        raise ProblemError(409, "not-from-histories", str(failure)) from None
    return found


def _scored(
    customer: schemas.CustomerHistory,
    score: dict[str, Any] | None,
    allowed: bool,
    as_of: date,
    day_timezone: str,
) -> dict[str, Any]:
    from churn.data.days import midnight, moment_of

    begins = moment_of(midnight(as_of, day_timezone))
    late = sum(order.ordered_at >= begins for order in customer.orders)
    reason = None if score is not None else NO_ORDER if allowed else NO_SCORE
    return {
        "customer_id": customer.customer_id,
        "score": score,
        "unscored": reason,
        "ignored_orders": late,
    }
