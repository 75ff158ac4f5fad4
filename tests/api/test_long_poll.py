"""Long polls (`?wait=`) of clips and recordings: answered at the terminal state, without holding a thread."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest

from clipengine.clips.clip import Clip
from clipengine.limits import shares
from tests.support.api import FACTS, ApiServer, RecordedEngine
from tests.support.waiting import until


def waiting(server: ApiServer) -> int:
    """Return the number of requests that wait for a clip."""
    return sum(len(events) for events in server.app.state.changes._waiting.values())


def until_waiting(server: ApiServer, count: int) -> None:
    until(lambda: waiting(server) >= count)


def ask(server: ApiServer, clip: Clip, seconds: float = 60) -> tuple[dict[str, object], float]:
    with server.client() as http:
        answer = http.get(f"/v1/clips/{clip.clip_id}", params={"wait": seconds})
        return answer.raise_for_status().json(), time.monotonic()


def test_more_long_polls_than_threads_are_served(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    with ThreadPoolExecutor(60) as pool:
        asked: list[Future[tuple[dict[str, object], float]]] = [pool.submit(ask, server, clip) for _ in range(60)]
        until_waiting(server, 60)
        with server.client() as http:
            began = time.monotonic()
            assert http.get("/v1/clips").status_code == 200
            assert time.monotonic() - began < 60
        ended = time.monotonic()
        engine.finish(clip)
        answers = [each.result(300) for each in asked]
    assert {body["status"] for body, _ in answers} == {"complete"}
    assert max(at for _, at in answers) - ended < 40  # not at their ends
    assert waiting(server) == 0


def test_requests_of_one_key_leave_threads_to_others(
    server: ApiServer, engine: RecordedEngine, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 110 of the faults: 500 requests at once held all threads, and others waited for minutes."""
    free, at_once = threading.Event(), threading.Semaphore(0)
    get = engine.ledger.clips.get

    def stuck(clip_id: str) -> Clip:
        at_once.release()
        assert free.wait(300)
        return get(clip_id)

    monkeypatch.setattr(engine.ledger.clips, "get", stuck)
    other = engine.ledger.keys.create("other", ["read"])[1]
    with ThreadPoolExecutor(60) as pool:
        asked = [pool.submit(ask, server, clip, 0) for _ in range(60)]
        try:
            for _ in range(shares.THREADS):
                assert at_once.acquire(timeout=300)
            headers = {"Authorization": f"Bearer {other}"}
            assert httpx.get(f"{server.url}/v1/clips", headers=headers, timeout=60).status_code == 200
            assert not at_once.acquire(blocking=False)
        finally:
            free.set()
        assert len([each.result(300) for each in asked]) == 60


def test_waiting_requests_of_one_key_are_limited(
    server: ApiServer, http: httpx.Client, engine: RecordedEngine, clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 110 of the faults."""
    monkeypatch.setitem(shares.LIMITS, "waiting requests", shares.Limit(2))
    other = http.post("/v1/keys", json={"name": "other"}).json()["key"]
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask, server, clip) for _ in range(2)]
        until_waiting(server, 2)
        refused = http.get(f"/v1/clips/{clip.clip_id}", params={"wait": 60})
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
            429,
            "rate_limited",
            "10",
        )
        assert http.get(f"/v1/clips/{clip.clip_id}").status_code == 200
        with server.client(other) as client:
            assert client.get(f"/v1/clips/{clip.clip_id}", params={"wait": 0.1}).status_code == 200
        engine.finish(clip)
        assert all(each.result(300)[0]["status"] == "complete" for each in asked)
    assert http.get(f"/v1/clips/{clip.clip_id}", params={"wait": 60}).status_code == 200


def test_progress_does_not_end_a_long_poll(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    running = engine.run(clip)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server, clip)
        until_waiting(server, 1)
        for step in range(20):
            assert engine.ledger.clips.progress(clip.clip_id, running.attempt, step="encoding", progress=step / 20)
        time.sleep(0.3)
        assert not asked.done()
        engine.ledger.clips.cancel(clip.clip_id)
        body, _ = asked.result(300)
    assert body["error"]["code"] == "cancelled"  # type: ignore[index]


def test_long_poll_returns_at_its_timeout(server: ApiServer, clip: Clip) -> None:
    began = time.monotonic()
    body, at = ask(server, clip, 0.4)
    assert body["status"] == "processing"
    assert 0.4 <= at - began < 60


def test_terminal_clip_is_returned_immediately(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    engine.finish(clip)
    began = time.monotonic()
    _, at = ask(server, clip, 60)
    assert at - began < 40
    with server.client() as http:
        assert http.get("/v1/clips/clip_nothing?wait=60").status_code == 404


def test_deleting_the_clip_ends_the_long_poll(server: ApiServer, engine: RecordedEngine, clip: Clip) -> None:
    answers: list[httpx.Response] = []

    def wait() -> None:
        with server.client() as http:
            answers.append(http.get(f"/v1/clips/{clip.clip_id}?wait=60"))

    thread = threading.Thread(target=wait)
    thread.start()
    until_waiting(server, 1)
    engine.ledger.clips.delete(clip.clip_id)
    thread.join(300)
    assert answers[0].json()["code"] == "clip_not_found"


def test_server_stop_answers_long_polls(server: ApiServer, clip: Clip) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server, clip, 60)
        until_waiting(server, 1)
        began = time.monotonic()
        server.begin_stop()
        body, _ = asked.result(300)
        server.thread.join(300)
    assert body["status"] == "processing"
    assert time.monotonic() - began < 60


@pytest.mark.parametrize("wait", ["61", "-1", "nan", "inf", "soon", "1e3", ""])
def test_invalid_wait_is_rejected(http: httpx.Client, clip: Clip, wait: str) -> None:
    answer = http.get(f"/v1/clips/{clip.clip_id}?wait={wait}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "wait")


def test_long_poll_waits_for_a_recording(server: ApiServer, engine: RecordedEngine) -> None:
    engine.put("raw.mp4", b"media")
    with server.client() as http, ThreadPoolExecutor(1) as pool:
        made = http.post("/v1/recordings", json={"bucket_path": "raw.mp4"}).json()
        path = f"/v1/recordings/{made['recording_id']}"
        assert http.get(f"{path}?wait=0").json()["status"] == "processing"
        asked = pool.submit(http.get, path, params={"wait": 60})
        until_waiting(server, 1)
        probe = engine.ledger.recordings.claim_probe("test")
        assert probe
        assert engine.ledger.recordings.probe_complete(probe, FACTS, etag=made["etag"], size=5)
        assert asked.result(300).json()["status"] == "complete"
