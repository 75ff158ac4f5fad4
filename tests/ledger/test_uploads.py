"""Finished clips: who uploads them, when, and the transitions that end the upload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import StorageDenied
from clipengine.ledger.clips.uploads import Finished
from clipengine.ledger.ledger import Ledger
from clipengine.objects.clip import ClipObject

pytestmark = pytest.mark.proof

Queue = Callable[..., Clip]


@pytest.fixture
def finish(ledger: Ledger, queue: Queue, result: ClipResult) -> Callable[[], Clip]:
    """A finished clip that waits for its upload."""

    def make() -> Clip:
        queue()
        clip = ledger.clips.claim("me")
        assert clip is not None
        assert ledger.uploads.add(clip.clip_id, clip.attempt, Finished(result, "ab" * 32), progress=0.97, owner="me")
        return ledger.clips.get(clip.clip_id)

    return make


def test_finished_clip_is_claimed_once_and_completes(ledger: Ledger, finish: Queue, result: ClipResult) -> None:
    clip = finish()
    assert (ClipObject.of(clip).status, clip.step, clip.progress) == ("processing", "uploading", 0.97)
    assert ledger.uploads.waiting() == {clip.clip_id: 1}
    claimed = ledger.uploads.claim("me")
    assert claimed == (replace(clip, revision=clip.revision + 1), Finished(result, "ab" * 32))
    assert ledger.uploads.claim("me") is None
    assert ledger.clips.complete(clip.clip_id, 1, result)
    assert ledger.uploads.waiting() == {}
    assert not ledger.uploads.is_due("me")


def test_upload_waits_for_its_delay_or_until_the_store_is_back(ledger: Ledger, finish: Queue) -> None:
    clip = finish()
    ledger.uploads.claim("me")
    assert ledger.uploads.later(clip.clip_id, 1, delay_ms=60_000, outage_ms=61_000)
    assert ledger.clips.outage_ms(clip.clip_id) == 61_000
    assert ledger.uploads.claim("me") is None
    ledger.uploads.retry_now()
    assert ledger.uploads.is_due("me")
    assert ledger.uploads.claim("me") is not None


@pytest.mark.usefixtures("path")
def test_interrupted_upload_is_repeated_and_interrupted_cut_is_queued(
    ledger: Ledger, finish: Queue, queue: Queue
) -> None:
    """After a kill, a clip that was being cut is queued, and an upload is due again."""
    finished = finish()
    ledger.uploads.claim("dead")
    cutting = queue()
    ledger.clips.claim("dead")
    assert ledger.clips.requeue_orphans("me") == 2
    assert ledger.clips.get(cutting.clip_id).state == "queued"
    taken = ledger.uploads.claim("me")
    assert taken is not None
    assert (taken[0].clip_id, taken[0].attempt) == (finished.clip_id, 1)


def test_upload_that_is_not_in_flight_is_released(ledger: Ledger, finish: Queue, queue: Queue) -> None:
    finish()
    ledger.uploads.claim("me")
    queue()
    running = ledger.clips.claim("me")
    assert running is not None
    assert ledger.clips.requeue_orphans("me") == 0
    assert ledger.clips.requeue_orphans("me", in_flight=lambda: {running.clip_id}) == 1
    assert ledger.uploads.is_due("me")
    assert ledger.clips.get(running.clip_id).state == "cutting"


@pytest.mark.usefixtures("path")
def test_upload_that_was_taken_over_is_not_released_by_a_second_sweep(ledger: Ledger, finish: Queue) -> None:
    clip = finish()
    ledger.uploads.claim("dead")

    def meanwhile() -> tuple[str, ...]:
        """Let another sweep release the dead engine's upload after this one has read the row."""
        assert ledger.clips.requeue_orphans("me") == 1
        assert ledger.uploads.claim("me")
        return ()

    assert ledger.clips.requeue_orphans("other", living=lambda: (*meanwhile(), "me")) == 0
    assert not ledger.uploads.is_due("me")
    assert ledger.clips.get(clip.clip_id).state == "uploading"


@pytest.mark.parametrize("way", ["cancel", "delete", "fail", "requeue"])
def test_every_transition_out_of_running_ends_the_upload(ledger: Ledger, finish: Queue, way: str) -> None:
    clip = finish()
    if way == "fail":
        assert ledger.clips.fail(clip.clip_id, 1, StorageDenied("no"))
    elif way == "requeue":
        assert ledger.clips.requeue(clip.clip_id, 1)
    else:
        getattr(ledger.clips, way)(clip.clip_id)
    assert ledger.uploads.waiting() == {}
    assert ledger.uploads.claim("me") is None
    assert not ledger.uploads.later(clip.clip_id, 1, delay_ms=1, outage_ms=1)
