"""The parts of `churn serve`, loaded: the unsubscribe page, the pages of the shop, the API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.campaigns.delivery.settings import is_loopback
from churn.commands.session import on_record
from churn.config import Settings, load_settings
from churn.errors import ConfigError, check_extra
from churn.features.plugins import load_own_features
from churn.results.job_result import JobResult
from churn.serving.application import Part, create_app
from churn.storage.withdrawals import withdrawals

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from churn.modeling.model import ChurnModel

UNENCRYPTED = "served without encryption: put a reverse proxy in front of it"


@dataclass(frozen=True)
class ServedPart:
    """A part that is switched on: what it is called, its path, and what to do when stopping."""

    part: Part
    what: str
    path: str
    stopping: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class OpenedService:
    """The parts of a service whose run is on record in the ledger, as one application."""

    run_id: str
    parts: list[ServedPart]
    app: ASGIApp
    drain_seconds: float
    notes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def stopping(self) -> None:
        """Tells each part that the service is about to stop."""
        for part in self.parts:
            part.stopping()

    def result(self) -> JobResult:
        """The result of the command, once the service has ended."""
        return JobResult(
            command="serve",
            run_id=self.run_id,
            rows=self.facts,
            metrics=self.facts,
            warnings=self.notes,
        )


@contextmanager
def opened(config: Path, *, host: str) -> Iterator[OpenedService]:
    """The parts that `[serving]` switches on; their work in the background ends with the block.

    The run is done or failed when the block ends.
    """
    settings = load_settings(config)
    facts: dict[str, Any] = {}
    with on_record("serve", settings, facts) as (ledger, run_id), ExitStack() as running:
        before = len(withdrawals(ledger))
        parts = _parts(config, settings, host, run_id, running)
        yield OpenedService(
            run_id=run_id,
            parts=parts,
            app=create_app([served.part for served in parts]),
            drain_seconds=settings.serving.drain_seconds if settings.serving.api else 0.0,
            notes=() if is_loopback(host) else (UNENCRYPTED,),
            facts=facts,
        )
        facts["new_withdrawals"] = len(withdrawals(ledger)) - before


def _parts(
    config: Path, settings: Settings, host: str, run_id: str, running: ExitStack
) -> list[ServedPart]:
    """The parts that `[serving]` switches on; those that work in the background have begun."""
    switches = settings.serving
    # First, because its model is loaded while the others are prepared.
    api = [_api(settings, run_id, running)] if switches.api else []
    parts = []
    if switches.unsubscribe:
        parts.append(_unsubscribe(settings))
    if switches.pages:
        from churn.commands.serve_pages import pages_part, said_of_pages

        pages = pages_part(config, settings, running, host=host)
        if pages is not None:
            parts.append(ServedPart(pages, said_of_pages(settings), "/"))
    parts += api
    if not parts:
        rule = "[serving] must switch on at least one part that can be served"
        raise ConfigError(rule, got="pages, and nothing published", fix="Run `churn publish`.")
    return parts


def _unsubscribe(settings: Settings) -> ServedPart:
    from churn.serving.unsubscribe import create_unsubscribe_app

    email = settings.delivery.email
    shop, language = ("", "en") if email is None else (email.shop, email.language)
    app = create_unsubscribe_app(settings.ledger_path, shop=shop, language=language)
    part = Part(app, frozenset({"unsubscribe"}))
    return ServedPart(part, "the unsubscribe page", "/unsubscribe/")


def _api(settings: Settings, run_id: str, running: ExitStack) -> ServedPart:
    check_extra("serve", "prometheus_client", what="the API of `churn serve`")
    from churn.commands.agreement import check_agreement
    from churn.modeling.bundle import load_bundle
    from churn.modeling.manifest import CHAMPION
    from churn.serving.api.service import SEGMENTS, Api
    from churn.serving.api.settings import ApiLimits, ApiSources

    if settings.features.module is not None:
        load_own_features(settings.path(settings.features.module))
    switches = settings.serving
    champion = settings.path(settings.model.directory) / CHAMPION

    def load_model() -> ChurnModel:
        model = load_bundle(champion, threads=1, signing_key=settings.model.signing_key)
        check_agreement(settings, model)
        return model

    api = Api(
        ApiSources(
            champion=champion,
            load_model=load_model,
            scores=settings.path(switches.scores),
            ledger=settings.ledger_path,
            run_id=run_id,
            currency=settings.data.currency,
            day_timezone=settings.data.day_timezone,
            language=settings.scoring.language,
            same_customer=settings.same_customer,
            erasure_key=settings.privacy.key,
        ),
        ApiLimits(
            max_rows=switches.max_rows,
            max_body_bytes=switches.max_body_bytes,
            requests_per_minute=switches.requests_per_minute,
            timeout_seconds=switches.timeout_seconds,
        ),
    )
    api.start()
    running.callback(api.stop)
    return ServedPart(Part(api, SEGMENTS), "the API", "/v1/", api.stopping)
