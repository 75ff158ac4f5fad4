"""Metrics of several engines that share a ledger: counters can be summed, figures of the ledger are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipengine.client import Client
from tests.e2e.test_metrics import scrape
from tests.support.hosts import SECONDS, Hosts
from tests.support.postgres import database_url, postgres  # noqa: F401 - fixtures
from tests.support.waiting import until

pytestmark = pytest.mark.outage

_CLIPS = 6
_ONE = {"CLIPENGINE_ENCODING__WORKERS": "1"}


def _cut(api: Client, recording: str) -> None:
    clips = [api.clips.create(recording, f"clip {number}", 1, 2).clip_id for number in range(_CLIPS)]
    for clip_id in clips:
        assert api.clips.wait(clip_id, timeout=SECONDS).status == "complete"


def test_counters_of_all_engines_add_up(hosts: Hosts, film: Path) -> None:
    server = hosts.server("server", **_ONE)
    workers = [hosts.worker(f"worker{number}", **_ONE) for number in range(2)]
    urls = [server.url, *(worker.url for worker in workers)]
    with server.client() as api:
        recording = hosts.recording(api, film)
        _cut(api, recording)
        cancelled = api.clips.create(recording, "cancelled", 0, 12).clip_id
        api.clips.cancel(cancelled)
        hosts.receiver.wait_for(_CLIPS + 1, timeout=SECONDS)

        def engines() -> list[dict[str, float]]:
            return [scrape(url, server.key) for url in urls]

        def total(name: str) -> float:
            return sum(engine.get(name, 0) for engine in engines())

        def is_idle() -> bool:
            """Return True if all that was counted at a beginning has been counted at its end, too."""
            busy = total("clipengine_outbox") or total('clipengine_clips{state="running"}')
            begun, ended = (total(f"clipengine_{name}") for name in ("clip_queue_seconds_count", "clip_attempts_total"))
            return not busy and begun == ended

        until(lambda: total('clipengine_delivery_attempts_total{outcome="delivered"}') == _CLIPS + 1, SECONDS)
        until(is_idle, SECONDS)
        found = engines()
        assert [engine["clipengine_engines"] for engine in found] == [3] * 3
        assert [engine["clipengine_encoder_slots"] for engine in found] == [1] * 3
        for name in ('clips{state="queued"}', 'clips{state="running"}', "oldest_queued_seconds", "outbox"):
            assert [engine[f"clipengine_{name}"] for engine in found] == [0] * 3
    assert total('clipengine_clips_ended_total{code="none"}') == _CLIPS
    assert total('clipengine_clips_ended_total{code="cancelled"}') == 1
    assert total('clipengine_recordings_ended_total{code="none"}') == 1
    assert total("clipengine_clip_ready_seconds_count") == _CLIPS
    assert total("clipengine_clip_upload_seconds_count") == _CLIPS
    assert total("clipengine_clip_attempts_total") >= _CLIPS
    assert total('clipengine_store_request_seconds_count{method="PUT",status="200"}') >= _CLIPS
    for engine in found:
        assert engine['clipengine_ledger_wait_seconds_count{kind="connection"}'] > 0
        assert engine['clipengine_ledger_wait_seconds_count{kind="lock"}'] > 0
