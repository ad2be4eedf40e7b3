"""Prometheus metrics, by tenant and model; times in seconds."""

from __future__ import annotations

import re

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from frontend.generation import Generation

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ANONYMOUS = "anonymous"
OTHER = "other"
_UNSAFE = re.compile(r"[^A-Za-z0-9._@:/-]")
_MAX_LABEL = 64
# Wide enough for a tiny CPU model (a millisecond a token) and for a queue in front of a large one.
_TTFT = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_ITL = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 5)
_DURATION = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)


class Tenants:
    """Tenant labels, bounded: their number is a cost for whoever stores the metrics."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[str, str] = {ANONYMOUS: ANONYMOUS}

    def label(self, header: str | None) -> str:
        """The label for a trusted ``x-client-id`` header."""
        if not header:
            return ANONYMOUS
        known = self._known.get(header)
        if known is not None:
            return known
        if len(self._known) > self._limit:
            return OTHER
        label = _UNSAFE.sub("_", header[:_MAX_LABEL])
        self._known[header[: _MAX_LABEL * 4]] = label
        return label


class Metrics:
    """The registry of one server and what it counts."""

    def __init__(self, model: str) -> None:
        disable_created_metrics()  # they double the series and nobody here reads them
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # CPU, memory, open files
        self._model = model
        by = ("tenant", "model")
        self._requests = Counter(
            "llmops_requests", "Requests answered, by status (499: the client left)", (*by, "route", "code"),
            registry=self.registry,
        )  # fmt: skip
        self._ttft = Histogram(
            "llmops_time_to_first_token_seconds", "From request to first token", by, buckets=_TTFT,
            registry=self.registry,
        )  # fmt: skip
        self._itl = Histogram(
            "llmops_inter_token_latency_seconds", "Between generated tokens, streaming only", by, buckets=_ITL,
            registry=self.registry,
        )  # fmt: skip
        self._duration = Histogram(
            "llmops_request_duration_seconds", "From request to last byte", (*by, "route"), buckets=_DURATION,
            registry=self.registry,
        )  # fmt: skip
        self._tokens = Counter(
            "llmops_tokens", "Tokens taken in and generated", (*by, "direction"), registry=self.registry
        )
        self._inflight = Gauge(
            "llmops_inflight_requests", "Requests being answered", ("model",), registry=self.registry
        )
        self._inflight_child = self._inflight.labels(model)

    def inflight(self, count: int) -> None:
        """Publish the number of requests being answered."""
        self._inflight_child.set(count)

    def request(self, tenant: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(tenant, self._model, route, str(status)).inc()
        self._duration.labels(tenant, self._model, route).observe(seconds)

    def generation(self, tenant: str, started: float, generation: Generation) -> None:
        """Book one generation, whether or not it came to its end."""
        self._tokens.labels(tenant, self._model, "input").inc(generation.prompt_tokens)
        self._tokens.labels(tenant, self._model, "output").inc(generation.completion_tokens)
        if generation.first_token_at is not None:
            self._ttft.labels(tenant, self._model).observe(generation.first_token_at - started)
        if generation.gaps:
            observe = self._itl.labels(tenant, self._model).observe
            for seconds, tokens in generation.gaps:
                # Tokens that came together share the wait for them.
                for _ in range(tokens):
                    observe(seconds / tokens)

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
