"""Spans of OpenTelemetry. The only importer of its packages, which the extra `otel` installs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from clipengine import __version__
from clipengine.basis.tracing import Fields, Kind

_SHUT_DOWN_SECONDS = 1.5  # within the time that a stop may take
_PROPAGATOR = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Tracer that records spans with a provider of the SDK. Thread-safe."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("clipengine", __version__)

    @classmethod
    def exporting(cls) -> OpenTelemetry:
        """Return a tracer that exports over OTLP/HTTP in the background. The variables OTEL_* configure it."""
        named = Resource({"service.name": "clipengine", "service.version": __version__})
        resource = Resource.create().merge(named).merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    @contextmanager
    def span(self, name: str, parent: str | None, kind: Kind, attributes: Fields) -> Iterator[None]:
        span = self._tracer.start_span(name, _context(parent), SpanKind[kind.upper()], attributes)
        # Errors are recorded with their codes (`set_error`); texts of exceptions may contain addresses.
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            yield

    def record_wait(self, name: str, parent: str | None, attributes: Fields, *, since_ms: int) -> None:
        now = time.time_ns()
        began = min(since_ms * 1_000_000, now)
        self._tracer.start_span(name, _context(parent), attributes=attributes, start_time=began).end(now)

    def current(self) -> str | None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    def set_attribute(self, name: str, value: str | int) -> None:
        trace.get_current_span().set_attribute(name, value)

    def set_error(self, code: str) -> None:
        span = trace.get_current_span()
        span.set_attribute("error.type", code)
        span.set_status(Status(StatusCode.ERROR))

    def shut_down(self) -> None:
        """Export the remaining spans. An unreachable collector must not delay the stop of the engine."""
        thread = threading.Thread(target=self._provider.shutdown, name="trace-export", daemon=True)
        thread.start()
        thread.join(_SHUT_DOWN_SECONDS)


def _context(parent: str | None) -> Context:
    """Return a context with this parent, independent of the current span."""
    return _PROPAGATOR.extract({"traceparent": parent} if parent else {}, Context())
