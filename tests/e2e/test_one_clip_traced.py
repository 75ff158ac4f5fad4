"""One clip through a real server: its ids are fields of the log lines of every job, and its spans one trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.receiver import Receiver
from tests.support.server import LOOPBACK_ALLOWED, RunningServer, running_server


def _log(server: RunningServer) -> list[dict[str, Any]]:
    """Return the lines of the server's log. Call it after the server has stopped."""
    return [json.loads(line) for line in server.log.read_text().splitlines()]


@pytest.mark.outage
def test_log_lines_of_every_job_carry_the_ids_of_the_clip(film: Path, tmp_path: Path) -> None:
    env = {**LOOPBACK_ALLOWED, "CLIPENGINE_SERVER__LOG_FORMAT": "json"}
    with Receiver() as receiver, running_server(tmp_path / "data", env=env) as server:
        client = server.client()
        recording = client.recordings.upload(film)
        client.recordings.wait(recording.recording_id, timeout=300)
        made = client.clips.create(recording.recording_id, "goal", 1.0, 2.0, webhook_url=receiver.url)
        assert client.clips.wait(made.clip_id, timeout=300).status == "complete"
        receiver.wait_for(1)
        (delivery,) = client.clips.deliveries(made.clip_id).data
        server.stop()
    lines = _log(server)
    engine = {line["engine"] for line in lines if "engine" in line}
    assert len(engine) == 1
    probe, clip = {"recording_id": recording.recording_id}, {"clip_id": made.clip_id}
    wanted = {
        f"recording {recording.recording_id}: complete": probe,
        f"clip {made.clip_id}: attempt 1": probe | clip,
        f"clip {made.clip_id}: complete": probe | clip,
        f"delivery {delivery.delivery_id} of {delivery.event_id}": probe | clip | {"delivery_id": delivery.delivery_id},
    }
    for message, ids in wanted.items():
        (line,) = [line for line in lines if line["message"].startswith(message)]
        fields = {name: line[name] for name in line if name not in ("time", "level", "logger", "message")}
        expected = ids | {"attempt": 1, "engine": next(iter(engine))}
        assert fields == (expected | {"request_id": made.request_id} if "clip_id" in ids else expected), message


def _spans(collector: Receiver) -> list[Span]:
    exported = [ExportTraceServiceRequest.FromString(request.body) for request in collector.requests]
    return [
        span
        for each in exported
        for resource in each.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _attributes(span: Span) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@pytest.mark.exhaustive
def test_request_queue_cut_upload_and_webhook_of_a_clip_are_one_trace(film: Path, tmp_path: Path) -> None:
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with Receiver() as receiver, Receiver() as collector:
        exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
        env = {**LOOPBACK_ALLOWED, **exporting, "CLIPENGINE_SERVER__TRACING": "true"}
        with running_server(tmp_path / "data", env=env) as server:
            client = server.client()
            recording = client.recordings.upload(film)
            client.recordings.wait(recording.recording_id, timeout=300)
            body = {"label": "goal", "start_seconds": 1.0, "end_seconds": 2.0, "webhook_url": receiver.url}
            headers = {"Authorization": f"Bearer {server.key}", "traceparent": f"00-{trace}-{caller}-01"}
            path = f"/v1/recordings/{recording.recording_id}/clips"
            made = httpx.post(server.url + path, json=body, headers=headers).json()
            assert client.clips.wait(made["clip_id"], timeout=300).status == "complete"
            (webhook,) = receiver.wait_for(1)
            server.stop()
        spans = {span.name: span for span in _spans(collector) if span.trace_id.hex() == trace}
    request = "POST /v1/recordings/{recording_id}/clips"
    assert set(spans) == {request, "clip.queue", "clip.cut", "clip.upload", "webhook.deliver"}
    assert spans[request].parent_span_id.hex() == caller
    assert _attributes(spans[request])["http.response.status_code"] == 202
    for name in set(spans) - {request}:
        assert spans[name].parent_span_id == spans[request].span_id, name
        attributes = _attributes(spans[name])
        assert attributes["clip_id"] == made["clip_id"]
        assert (attributes["request_id"], attributes["attempt"]) == (made["request_id"], 1)
    assert webhook.headers["traceparent"] == f"00-{trace}-{spans['webhook.deliver'].span_id.hex()}-01"
    order = ["clip.queue", "clip.cut", "clip.upload", "webhook.deliver"]
    begins = [spans[name].start_time_unix_nano for name in order]
    assert begins == sorted(begins)
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in spans.values())


@pytest.mark.exhaustive
def test_unreachable_collector_delays_neither_clips_nor_the_stop(film: Path, tmp_path: Path) -> None:
    exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "50"}
    with running_server(tmp_path / "data", env={**exporting, "CLIPENGINE_SERVER__TRACING": "true"}) as server:
        client = server.client()
        recording = client.recordings.upload(film)
        client.recordings.wait(recording.recording_id, timeout=300)
        made = client.clips.create(recording.recording_id, "goal", 1.0, 2.0)
        assert client.clips.wait(made.clip_id, timeout=300).status == "complete"
        assert server.stop() == 0
    log = server.log.read_text()
    assert "Traceback" not in log
    assert log.splitlines()[-1].endswith("clipengine.cli.operator.running_engine: stopped")
