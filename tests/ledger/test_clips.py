"""Clips: order and limit of the queue, and every transition by owners and stale owners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.clips.request import ClipRequest
from clipengine.errors import ClipEnded, ClipNotFailed, ClipNotFound, EncoderFailed, QueueFull, RecordingNotComplete
from clipengine.ledger.clips import clips as clips_module
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.objects.clip import ClipObject
from clipengine.recordings.recording import Recording

Queue = Callable[..., Clip]


def _types(ledger: Ledger) -> list[str]:
    return [event.type for event in ledger.events.after(0) if event.clip_id is not None]


def _keys(ledger: Ledger) -> set[str]:
    return set(ledger.removals.due())


def test_created_clip_is_queued_with_the_values_of_its_request(ledger: Ledger, recording: Recording) -> None:
    request = ClipRequest(
        "Tor!", 1.5, 2.25, profile="small", metadata={"by": "é"}, priority=3, webhook_url="https://h.test", poster=False
    )
    clip = ledger.clips.create(recording, request, extension="webm")
    assert clip.object_key == f"relay/h_01/clips/tor-{clip.clip_id}.webm"
    assert (clip.state, clip.step, clip.attempt, clip.progress) == ("queued", "queued", 0, 0.0)
    resolved = {"gaps", "last_seconds", "part_times"}  # which became parts and a range
    stored = {name: value for name, value in vars(request).items() if name not in resolved}
    assert {name: getattr(clip, name) for name in stored} == stored
    assert ledger.clips.get(clip.clip_id) == clip


def test_clip_of_an_incomplete_recording_is_rejected(ledger: Ledger) -> None:
    made, _ = ledger.recordings.register("a.mp4", etag="e", size=1)
    with pytest.raises(RecordingNotComplete):
        ledger.clips.create(made, ClipRequest("x", 0, 1), extension="mp4")


def test_clip_is_rejected_if_the_queue_is_full(open_ledger: Callable[..., Ledger], recording: Recording) -> None:
    ledger = open_ledger(max_queued=2)
    request = ClipRequest("x", 0, 1)
    first = ledger.clips.create(recording, request, extension="mp4")
    ledger.clips.create(recording, request, extension="mp4")
    with pytest.raises(QueueFull):
        ledger.clips.create(recording, request, extension="mp4")
    ledger.clips.claim("me")
    ledger.clips.create(recording, request, extension="mp4")
    assert ledger.clips.counts() == {"queued": 2, "cutting": 1, "uploading": 0}
    ledger.clips.cancel(first.clip_id)
    with pytest.raises(QueueFull):
        ledger.clips.retry(first.clip_id)


def test_claims_prefer_priority_then_age(ledger: Ledger, queue: Queue) -> None:
    old, low, high, new = queue(), queue(priority=-1), queue(priority=2), queue()
    claimed = [ledger.clips.claim("me") for _ in range(5)]
    assert [clip and clip.clip_id for clip in claimed] == [
        *(clip.clip_id for clip in (high, old, new, low)),
        None,
    ]
    assert claimed[0]
    assert (claimed[0].state, claimed[0].step, claimed[0].attempt) == ("cutting", "reading", 1)


def _claims(ledger: Ledger, *, workers: int, owner: str = "me") -> list[str]:
    """Claim clips for as many idle workers, in order."""
    claimed = [ledger.clips.claim(owner, workers=workers) for _ in range(workers)]
    return [clip.clip_id for clip in claimed if clip]


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_one_of_several_workers_never_cuts_long_clips(
    ledger: Ledger, queue: Queue, result: ClipResult, workers: int
) -> None:
    long = [queue(seconds=3600).clip_id for _ in range(workers + 1)]
    assert _claims(ledger, workers=workers) == long[: workers - 1]
    # A new short clip starts at once, however long the long ones take. Ten minutes are still short.
    short = [queue(seconds=600, priority=-10).clip_id for _ in range(2)]
    assert ledger.clips.claim("me", workers=workers) == ledger.clips.get(short[0])
    # After a long clip has ended, the next long one is claimed before the second short one.
    assert ledger.clips.complete(long[0], 1, result)
    assert _claims(ledger, workers=workers)[:2] == [long[workers - 1], short[1]]


def test_single_worker_cuts_short_and_long_clips_in_order(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    order = [queue(seconds=seconds).clip_id for seconds in (3600, 30, 3600)]
    for clip_id in order:
        assert _claims(ledger, workers=1) == [clip_id]
        assert ledger.clips.complete(clip_id, 1, result)


def test_priority_is_more_important_than_length(ledger: Ledger, queue: Queue) -> None:
    short, long, urgent = queue(), queue(seconds=601), queue(seconds=601, priority=1)
    assert _claims(ledger, workers=3) == [urgent.clip_id, short.clip_id, long.clip_id]
    # Clips of dead engines do not count.
    assert ledger.clips.requeue_orphans("next") == 3
    assert _claims(ledger, workers=2, owner="next") == [urgent.clip_id, short.clip_id]


def test_delayed_clip_is_not_claimed_before_it_is_due(
    ledger: Ledger, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queue(priority=5), queue()
    ledger.clips.claim("me")
    assert ledger.clips.requeue(first.clip_id, 1, delay_ms=60_000)
    back = ledger.clips.get(first.clip_id)
    assert (back.state, back.step, back.progress, back.attempt) == ("queued", "queued", 0.0, 1)
    claimed = ledger.clips.claim("me")
    assert claimed
    assert claimed.clip_id == second.clip_id
    assert ledger.clips.claim("me") is None
    now = clips_module.now_ms()
    monkeypatch.setattr(clips_module, "now_ms", lambda: now + 60_000)
    again = ledger.clips.claim("me")
    assert again
    assert (again.clip_id, again.attempt) == (first.clip_id, 2)


def test_only_crashes_of_the_decoder_are_counted(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    for attempt, options, expected in (
        (1, {"crashed": True}, 1),
        (2, {}, 1),
        (3, {"outage_ms": 5}, 1),
        (4, {"crashed": True}, 2),
    ):
        ledger.clips.claim("me")
        assert ledger.clips.requeue(clip.clip_id, attempt, **options)
        assert ledger.clips.crashes(clip.clip_id) == expected
    ledger.clips.cancel(clip.clip_id)
    ledger.clips.retry(clip.clip_id)
    assert ledger.clips.crashes(clip.clip_id) == 0


def test_each_change_that_the_api_shows_has_a_higher_revision(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    clip = queue()
    changes: list[Callable[[], object]] = [
        lambda: ledger.clips.claim("me"),
        lambda: ledger.clips.progress(clip.clip_id, 1, step="encoding", progress=0.25),
        lambda: ledger.clips.update(clip.clip_id, {"label": "new"}, {}),
        lambda: ledger.clips.cancel(clip.clip_id),
        lambda: ledger.clips.retry(clip.clip_id),
        lambda: ledger.clips.claim("me"),
        lambda: ledger.clips.complete(clip.clip_id, 2, result),
    ]
    revisions = [clip.revision]
    for change in changes:
        assert change()
        revisions.append(ledger.clips.get(clip.clip_id).revision)
    assert revisions == list(range(len(changes) + 1))
    assert ClipObject.of(ledger.clips.get(clip.clip_id)).to_object()["revision"] == revisions[-1]


def test_progress_is_stored_without_an_event(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    ledger.clips.claim("me")
    heard: list[tuple[str, str]] = []
    ledger.on_change(lambda kind, ident: heard.append((kind, ident)))
    assert ledger.clips.progress(clip.clip_id, 1, step="encoding", progress=0.25)
    seen = ledger.clips.get(clip.clip_id)
    assert (seen.step, seen.progress) == ("encoding", 0.25)
    assert _types(ledger) == []
    assert heard == [("clip", clip.clip_id)]


def test_completed_clip_has_its_result_and_an_event(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    clip = queue()
    ledger.clips.claim("me")
    assert ledger.clips.complete(clip.clip_id, 1, result)
    done = ledger.clips.get(clip.clip_id)
    assert (done.state, done.step, done.progress, done.result) == ("complete", None, 1.0, result)
    assert done.completed_at is not None
    assert _types(ledger) == ["clip.ready"]
    assert ledger.events.after(0)[-1].payload["data"] == ClipObject.of(done).to_object()
    assert _keys(ledger) == set()


def test_failed_clip_has_its_error_and_its_objects_are_removed(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    ledger.clips.claim("me")
    ledger.clips.progress(clip.clip_id, 1, step="encoding", progress=0.5)
    assert ledger.clips.fail(clip.clip_id, 1, EncoderFailed("no such preset"))
    failed = ledger.clips.get(clip.clip_id)
    assert (failed.state, failed.step, failed.progress) == ("failed", None, 0.5)
    assert failed.error == EncoderFailed("no such preset").to_object()
    assert _types(ledger) == ["clip.failed"]
    assert _keys(ledger) == {clip.object_key, clip.poster_key}


@pytest.mark.usefixtures("path")
def test_retried_clip_keeps_its_id(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    clip = queue()
    ledger.clips.claim("me")
    ledger.clips.fail(clip.clip_id, 1, EncoderFailed("no"))
    again = ledger.clips.retry(clip.clip_id)
    assert (again.state, again.error, again.completed_at, again.attempt) == ("queued", None, None, 1)
    assert again.object_key == clip.object_key
    # The next attempt stores its objects under the same keys, so their removals are cancelled.
    assert _keys(ledger) == set()
    ledger.clips.claim("me")
    assert ledger.clips.complete(clip.clip_id, 2, result)
    assert _types(ledger) == ["clip.failed", "clip.ready"]


def test_retry_gets_a_new_key_while_its_old_objects_are_being_deleted(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    ledger.clips.claim("me")
    ledger.clips.fail(clip.clip_id, 1, EncoderFailed("no"))
    removals = ledger.removals.claim("me", limit=10)
    again = ledger.clips.retry(clip.clip_id)
    assert again.object_key == clip.object_key.replace(".mp4", "-2.mp4")
    ledger.removals.deleted(removals, again_ms=0)
    assert _keys(ledger) == {clip.object_key, clip.poster_key}  # for the second deletion


@pytest.mark.parametrize("running", [False, True])
def test_delete_cancels_first_and_removes_the_objects(ledger: Ledger, queue: Queue, running: bool) -> None:
    clip = queue()
    if running:
        ledger.clips.claim("me")
    last = ledger.clips.delete(clip.clip_id)
    assert (last.state, last.error and last.error["code"]) == ("failed", "cancelled")
    assert _types(ledger) == ["clip.failed"]
    assert _keys(ledger) == {clip.object_key, clip.poster_key}
    with pytest.raises(ClipNotFound):
        ledger.clips.get(clip.clip_id)
    with pytest.raises(ClipNotFound):
        ledger.clips.delete(clip.clip_id)
    assert not ledger.clips.progress(clip.clip_id, 1, step="encoding", progress=0.5)


def test_deletion_of_an_ended_clip_writes_no_event(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    clip = queue()
    ledger.clips.claim("me")
    ledger.clips.complete(clip.clip_id, 1, result)
    assert ledger.clips.delete(clip.clip_id).state == "complete"
    assert _types(ledger) == ["clip.ready"]
    assert _keys(ledger) == {clip.object_key, clip.poster_key}


@pytest.mark.usefixtures("path")
def test_objects_of_a_lost_attempt_are_removed_unless_the_clip_needs_them(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    ledger.clips.claim("me")
    ledger.clips.cancel(clip.clip_id)
    for key in ledger.removals.due():
        ledger.removals.drop(key)
    ledger.removals.add_clips([clip])  # the attempt had stored its object before it noticed
    assert _keys(ledger) == {clip.object_key, clip.poster_key}
    ledger.clips.retry(clip.clip_id)
    ledger.removals.add_clips([clip])
    assert _keys(ledger) == set()


def test_running_clips_of_a_dead_engine_are_queued_again(ledger: Ledger, queue: Queue) -> None:
    lost, mine = queue(priority=1), queue()
    ledger.clips.claim("dead")
    ledger.clips.claim("me")
    heard: list[tuple[str, str]] = []
    ledger.on_change(lambda kind, ident: heard.append((kind, ident)))
    assert ledger.clips.requeue_orphans("me") == 1
    assert heard == [("clip", lost.clip_id)]
    assert ledger.clips.get(lost.clip_id).state == "queued"
    assert ledger.clips.get(mine.clip_id).state == "cutting"
    assert ledger.clips.crashes(lost.clip_id) == 0
    assert not ledger.clips.fail(lost.clip_id, 1, EncoderFailed("too late"))
    again = ledger.clips.claim("me")
    assert again
    assert (again.clip_id, again.attempt) == (lost.clip_id, 2)


# ---- the state machine: every call in every state ------------------------------------------------------------

_STATES = ("queued", "running", "reclaimed", "complete", "failed", "deleted")
_WON = {
    "progress": {"running"},
    "complete": {"running"},
    "fail": {"running"},
    "requeue": {"running"},
    "cancel": {"queued", "running", "reclaimed"},
    "retry": {"failed"},
}
_REFUSED = {"cancel": (ClipEnded, ClipNotFound), "retry": (ClipNotFailed, ClipNotFound)}


def _bring_to(ledger: Ledger, clip_id: str, state: str, result: ClipResult) -> None:
    """Return the clip in `state`; `reclaimed` is running as a second attempt, which the first must not change."""
    if state != "queued":
        ledger.clips.claim("me")
    if state == "reclaimed":
        ledger.clips.requeue(clip_id, 1)
        ledger.clips.claim("me")
    if state == "complete":
        ledger.clips.complete(clip_id, 1, result)
    if state == "failed":
        ledger.clips.fail(clip_id, 1, EncoderFailed("no"))
    if state == "deleted":
        ledger.clips.delete(clip_id)


@pytest.mark.parametrize("state", _STATES)
@pytest.mark.parametrize("call", _WON)
@pytest.mark.typical(2)
def test_transition_succeeds_only_in_the_states_that_allow_it(
    ledger: Ledger, queue: Queue, result: ClipResult, state: str, call: str
) -> None:
    clip_id = queue().clip_id
    _bring_to(ledger, clip_id, state, result)
    calls: dict[str, Callable[[], Any]] = {
        "progress": lambda: ledger.clips.progress(clip_id, 1, step="uploading", progress=0.9),
        "complete": lambda: ledger.clips.complete(clip_id, 1, result),
        "fail": lambda: ledger.clips.fail(clip_id, 1, EncoderFailed("no")),
        "requeue": lambda: ledger.clips.requeue(clip_id, 1),
        "cancel": lambda: ledger.clips.cancel(clip_id),
        "retry": lambda: ledger.clips.retry(clip_id),
    }
    before = ledger.clips.list(ClipFilter(limit=9)).data, _types(ledger), _keys(ledger)
    if state in _WON[call]:
        assert calls[call]()
        return
    if call in _REFUSED:
        with pytest.raises(_REFUSED[call]):
            calls[call]()
    else:
        assert calls[call]() is False
    assert (ledger.clips.list(ClipFilter(limit=9)).data, _types(ledger), _keys(ledger)) == before
