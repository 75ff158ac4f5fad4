"""Trace context of requests and webhooks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clipengine.basis import tracing
from clipengine.basis.tracing import parse_traceparent
from clipengine.errors import StartupError
from clipengine.otel import OpenTelemetry
from clipengine.server import traces
from clipengine.settings.settings import Settings

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("flags", ["00", "01", "03", "ff"])
def test_traceparent_of_version_00_is_accepted(flags: str) -> None:
    value = f"00-{TRACE}-{PARENT}-{flags}"
    assert parse_traceparent([value]) == value


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01, 00-{TRACE}-{PARENT}-01"],
        [f"00-{'0' * 32}-{PARENT}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{PARENT}-01"],
        [f"00-{TRACE[1:]}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}0-01"],
        [f"00-{TRACE}-{PARENT}-1"],
        [f"00-{TRACE}-{PARENT}"],
        [f"00-{TRACE}-{PARENT}-01-more"],
        [f"01-{TRACE}-{PARENT}-01"],
        [f"ff-{TRACE}-{PARENT}-01"],
        [f" 00-{TRACE}-{PARENT}-01"],
        [f"00-{TRACE}-{PARENT}-01\n"],
        [f"00-{TRACE.replace('0', '٠')}-{PARENT}-01"],
        ["0" * 100_000],
    ],
    ids=lambda values: values[0][:60] if values else "none",
)
def test_any_other_traceparent_is_ignored(values: list[str]) -> None:
    assert parse_traceparent(values) is None


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Record spans in memory."""
    made, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    tracing.use(OpenTelemetry(provider))
    yield made
    tracing.shut_down()


def test_span_is_a_child_of_its_parent_even_inside_another_span(exporter: InMemorySpanExporter) -> None:
    with tracing.span("outer", None, "server", {}), tracing.span("job", f"00-{TRACE}-{PARENT}-01", "consumer", {}):
        inner = tracing.current(otherwise=None)
    job, outer = exporter.get_finished_spans()
    assert job.parent is not None
    assert (f"{job.context.trace_id:032x}", f"{job.parent.span_id:016x}") == (TRACE, PARENT)
    assert inner == f"00-{TRACE}-{job.context.span_id:016x}-01"
    assert outer.parent is None


def test_failed_span_has_the_error_code_and_no_text_of_the_exception(exporter: InMemorySpanExporter) -> None:
    def fail() -> None:
        with tracing.span("job", None, "internal", {"attempt": 2}):
            tracing.set_error("storage_denied")
            raise ValueError("secret")

    with pytest.raises(ValueError, match="secret"):
        fail()
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {}) == {"attempt": 2, "error.type": "storage_denied"}
    assert not span.status.is_ok
    assert (span.status.description, span.events) == (None, ())


def test_span_of_a_caller_that_does_not_sample_is_passed_on_but_not_recorded(exporter: InMemorySpanExporter) -> None:
    with tracing.span("job", f"00-{TRACE}-{PARENT}-00", "consumer", {}):
        current = tracing.current(otherwise=None)
    assert current is not None
    assert (current[:36], current[-3:]) == (f"00-{TRACE}-", "-00")
    assert exporter.get_finished_spans() == ()


def test_wait_that_begins_in_the_future_has_no_length(exporter: InMemorySpanExporter) -> None:
    tracing.record_wait("clip.queue", None, {}, since_ms=10**14)
    (span,) = exporter.get_finished_spans()
    assert span.start_time == span.end_time


def test_without_a_tracer_the_traceparent_of_the_caller_is_passed_on() -> None:
    with tracing.span("job", None, "server", {}):
        tracing.set_error("internal")
        assert tracing.current(otherwise="given") == "given"


@pytest.mark.exhaustive
def test_server_and_worker_do_not_import_opentelemetry() -> None:
    code = "import sys; from clipengine.cli.operator import serve, worker; print('opentelemetry' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_tracing_without_the_extra_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clipengine.otel", None)
    with pytest.raises(StartupError, match="not installed") as caught:
        traces.set_up(Settings.model_validate({"server": {"tracing": True}}))
    assert ".whl[otel]'" in caught.value.hint
    assert not tracing.is_on()
