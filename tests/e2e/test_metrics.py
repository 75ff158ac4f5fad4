"""`/metrics` of a real server: events are counted, current state is read, and every metric is documented."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clipengine.work import queue
from clipengine.work.queue import WorkQueue
from tests.support.receiver import Answer, Receiver
from tests.support.server import LOOPBACK_ALLOWED, run_command, running_server
from tests.support.waiting import until

DOCUMENT = Path(__file__).parents[2] / "clipengine" / "docs" / "monitoring.md"


def scrape(url: str, key: str) -> dict[str, float]:
    """Return every sample by its name and labels."""
    answer = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.mark.exhaustive
def test_metrics_count_events_and_show_state(film: Path, tmp_path: Path) -> None:
    slow = {"CLIPENGINE_PROFILES__SLOW__PRESET": "veryslow", "CLIPENGINE_PROFILES__SLOW__FPS": "240"}
    slow["CLIPENGINE_RETENTION__MAX_CLIPS_BYTES"] = "1000000000"  # its gauges are absent without it
    with (
        Receiver() as receiver,
        running_server(tmp_path / "data", env=LOOPBACK_ALLOWED | slow) as server,
        server.client() as client,
    ):
        receiver.script(Answer(500))
        client.webhooks.create(receiver.url, events=["clip.ready"])
        recording = client.recordings.wait(client.recordings.upload(film).recording_id)
        done = client.clips.create(recording.recording_id, "a", 1, 3).clip_id
        assert client.clips.wait(done, timeout=300).status == "complete"
        running = client.clips.create(recording.recording_id, "b", 0, 12, profile="slow").clip_id
        until(lambda: client.clips.get(running).step == "encoding")
        client.clips.cancel(running)
        receiver.wait_for(1)

        def stopped() -> bool:
            now = scrape(server.url, server.key)
            lost = now.get('clipengine_children_lost_total{cause="stopped"}')
            return bool(lost) and not now["clipengine_encoder_slots_busy"]

        until(stopped)
        found = scrape(server.url, server.key)
        assert found['clipengine_clips_ended_total{code="none"}'] == 1
        assert found['clipengine_clips_ended_total{code="cancelled"}'] == 1
        assert found["clipengine_clip_attempts_total"] == 2
        assert found['clipengine_children_lost_total{cause="stopped"}'] == 1
        assert found['clipengine_delivery_attempts_total{outcome="failed"}'] == 1
        assert found['clipengine_recordings_ended_total{code="none"}'] == 1
        assert found["clipengine_clip_length_seconds_sum"] == pytest.approx(2)
        assert found["clipengine_clip_ready_seconds_count"] == 1
        assert found["clipengine_clip_queue_seconds_count"] == 2
        assert found["clipengine_clip_upload_seconds_count"] == 1
        assert (found["clipengine_encoder_slots"], found["clipengine_encoder_slots_busy"]) == (2, 0)
        assert (found["clipengine_engines"], found["clipengine_oldest_queued_seconds"]) == (1, 0)
        assert found['clipengine_ledger_wait_seconds_count{kind="lock"}'] > 0
        assert found['clipengine_clips{state="queued"}'] == found['clipengine_clips{state="running"}'] == 0
        assert (found["clipengine_outbox"], found["clipengine_oldest_clip_seconds"]) == (1, 0)
        assert found["clipengine_outbox_oldest_seconds"] >= 0
        assert found["clipengine_ledger_bytes"] > 0
        assert found['clipengine_check_ok{check="database"}'] == 1
        assert found['clipengine_http_requests_total{method="POST",status="202"}'] >= 2
        assert found["process_resident_memory_bytes"] > 0
        answer = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {server.key}"}, trust_env=False)
        told = set(re.findall(r"^# TYPE (clipengine_\w+)", answer.text, re.MULTILINE))
        documented = set(re.findall(r"^\| `(clipengine_\w+)`", DOCUMENT.read_text("utf-8"), re.MULTILINE))
        assert told == documented


@pytest.mark.exhaustive
def test_metrics_require_a_scope_unless_open(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert httpx.get(f"{server.url}/metrics", trust_env=False).status_code == 401
        made = run_command("keys", "create", "writer", "--scope", "write", "--data", str(server.data))
        headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert httpx.get(f"{server.url}/metrics", headers=headers, trust_env=False).status_code == 403
    for setting, status in (("open", 200), ("off", 404)):
        with running_server(tmp_path / setting, env={"CLIPENGINE_SERVER__METRICS": setting}) as server:
            assert httpx.get(f"{server.url}/metrics", trust_env=False).status_code == status


def test_dead_worker_thread_is_restarted_with_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    worked, restarted = threading.Event(), []

    def handle(id: str) -> None:
        if id == "die":
            raise SystemExit
        worked.set()

    work = WorkQueue("clips", 1, handle, restarted.append)
    work.start()
    try:
        assert work.alive()
        for wait in (1, 2, 4):
            thread = work._consumer.worker_threads[0][1]
            work.put("die")
            thread.join(300)
            assert not thread.is_alive()
            assert not work.alive()  # noticed, but not restarted yet
            now[0] += wait - 0.1
            assert not work.alive()
            assert work._consumer.worker_threads[0][1] is thread
            now[0] += 0.2
            assert not work.alive()  # restarted
            assert work.alive()
        assert restarted == ["clips"] * 3
        work.put("work")
        assert worked.wait(300)
        now[0] += 100
        assert work.alive()
        assert work._delay == 1
    finally:
        work.stop(2)
