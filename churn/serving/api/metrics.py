"""Figures of the service for Prometheus; no label ever holds an id of a customer or a key."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
OTHER = "other"
"""The route of requests for unknown paths."""


class Metrics:
    """Counters of one process, in a registry of their own."""

    @cached_property
    def registry(self) -> CollectorRegistry:
        """The registry that `/metrics` shows."""
        from prometheus_client import CollectorRegistry

        return CollectorRegistry()

    @cached_property
    def _requests(self) -> Counter:
        from prometheus_client import Counter

        names = ("route", "status")
        text = "Requests by route and status."
        return Counter("churn_requests", text, names, registry=self.registry)

    @cached_property
    def _seconds(self) -> Histogram:
        from prometheus_client import Histogram

        text = "Time until the answer was sent, by route."
        return Histogram(
            "churn_request_seconds", text, ("route",), buckets=SECONDS, registry=self.registry
        )

    @cached_property
    def _rows(self) -> Counter:
        from prometheus_client import Counter

        text = "Scored rows by route."
        return Counter("churn_rows", text, ("route",), registry=self.registry)

    @cached_property
    def _events(self) -> Counter:
        from prometheus_client import Counter

        text = "Models and scores that were loaded, and those that were refused as damaged."
        return Counter("churn_loads", text, ("outcome",), registry=self.registry)

    @cached_property
    def _model(self) -> Gauge:
        from prometheus_client import Gauge

        text = "1 for the model in use."
        return Gauge("churn_model_info", text, ("model_id",), registry=self.registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Counts a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def scored(self, route: str, rows: int) -> None:
        """Counts scored rows."""
        self._rows.labels(route).inc(rows)

    def loaded(self, outcome: str) -> None:
        """Counts a load of a model or of scores."""
        self._events.labels(outcome).inc()

    def uses(self, model_id: str) -> None:
        """States the model in use."""
        self._model.clear()
        self._model.labels(model_id).set(1)

    def shown(self) -> bytes:
        """All of it in the text format of Prometheus."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)
