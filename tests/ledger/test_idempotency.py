"""Idempotency keys: work runs once, for repeated and for concurrent requests."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.errors import IdempotencyKeyReused, QueueFull
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.rows import idempotency as idempotency_module
from clipengine.ledger.rows.idempotency import KEPT_MS, Answer
from clipengine.objects.clip import ClipObject
from clipengine.recordings.recording import Recording

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]


@pytest.fixture
def work(queue: Queue) -> Callable[[], Answer]:
    """The work of POST …/clips."""

    def create() -> Answer:
        clip = queue()
        return Answer(202, ClipObject.of(clip).to_object(), {"Location": f"/v1/clips/{clip.clip_id}"})

    return create


def test_repeated_request_gets_the_stored_response(ledger: Ledger, work: Callable[[], Answer]) -> None:
    first, replayed = ledger.idempotency.once("k", scope="key_1 POST /clips", fingerprint="f", work=work)
    assert not replayed
    assert ledger.idempotency.once("k", scope="key_1 POST /clips", fingerprint="f", work=work) == (first, True)
    assert len(ledger.clips.list(ClipFilter(limit=9)).data) == 1


def test_other_scope_or_missing_key_is_another_request(ledger: Ledger, work: Callable[[], Answer]) -> None:
    for key, scope in (("k", "a"), ("k", "b"), (None, "a"), (None, "a")):
        assert ledger.idempotency.once(key, scope=scope, fingerprint="f", work=work)[1] is False
    assert len(ledger.clips.list(ClipFilter(limit=9)).data) == 4


def test_reuse_of_a_key_for_another_request_is_rejected(ledger: Ledger, work: Callable[[], Answer]) -> None:
    ledger.idempotency.once("k", scope="a", fingerprint="f", work=work)
    with pytest.raises(IdempotencyKeyReused):
        ledger.idempotency.once("k", scope="a", fingerprint="g", work=work)


def test_key_of_failed_work_may_be_used_again(ledger: Ledger, work: Callable[[], Answer]) -> None:
    def fail() -> Answer:
        work()
        raise QueueFull("full")

    with pytest.raises(QueueFull):
        ledger.idempotency.once("k", scope="a", fingerprint="f", work=fail)
    assert ledger.clips.list(ClipFilter(limit=9)).data == []
    assert ledger.idempotency.once("k", scope="a", fingerprint="f", work=work)[1] is False


def test_keys_are_valid_for_a_week(ledger: Ledger, work: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.idempotency.once("k", scope="a", fingerprint="f", work=work)
    now = idempotency_module.now_ms()
    monkeypatch.setattr(idempotency_module, "now_ms", lambda: now + KEPT_MS - 60_000)
    assert ledger.idempotency.once("k", scope="a", fingerprint="f", work=work)[1] is True
    assert ledger.idempotency.purge() == 0
    monkeypatch.setattr(idempotency_module, "now_ms", lambda: now + KEPT_MS + 1)
    # An expired key is treated as new even if it was not purged.
    assert ledger.idempotency.once("k", scope="a", fingerprint="g", work=work)[1] is False
    monkeypatch.setattr(idempotency_module, "now_ms", lambda: now + 3 * KEPT_MS)
    with ledger.transaction():
        for number in range(500):
            ledger.idempotency.once(f"k{number}", scope="a", fingerprint="f", work=lambda: Answer(202, {}))
    monkeypatch.setattr(idempotency_module, "now_ms", lambda: now + 5 * KEPT_MS)
    assert ledger.idempotency.purge() == 501
    assert ledger.idempotency.purge() == 0


def test_hundred_concurrent_requests_run_the_work_once(ledger: Ledger, recording: Recording) -> None:
    together = threading.Barrier(100)
    answers: list[tuple[Answer, bool]] = []

    def work() -> Answer:
        clip = ledger.clips.create(recording, ClipRequest("x", 0, 1), extension="mp4")
        return Answer(202, ClipObject.of(clip).to_object())

    def post() -> None:
        together.wait(300)
        answers.append(ledger.idempotency.once("k", scope="a", fingerprint="f", work=work))

    threads = [threading.Thread(target=post) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 100
    assert sum(not replayed for _, replayed in answers) == 1
    assert len({answer.body["clip_id"] for answer, _ in answers}) == 1
    assert len(ledger.clips.list(ClipFilter(limit=9)).data) == 1
