"""Deletions beside what others make of a recording: one waits for the other, nobody loses a work, and none deadlocks.

Each test holds back one transaction until the other waits for it, so that the race has one outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from clipengine.clips.clip import Clip
from clipengine.clips.edit import Part
from clipengine.clips.request import ClipRequest
from clipengine.clips.texts.cues import Cue
from clipengine.errors import EncoderFailed, Forbidden, RecordingBusy, RecordingNotFound
from clipengine.ledger.automation.batches import BatchItem
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.fetches import Fetch, Origin
from clipengine.ledger.rows.documents import forget_said
from clipengine.ledger.rows.permission import Owner
from clipengine.ledger.texts.transcriptions import Transcription
from clipengine.recordings.markers import Marker
from clipengine.recordings.recording import Recording, RecordingSpec
from tests.support.waiting import until

Open = Callable[..., Ledger]
Work = Callable[[Ledger, Recording], object]
Beside = Callable[[Callable[[], object]], Future[Any]]
CUES = [Cue(0, 1000, "x")]
BLOCKED = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

# What users make of a recording, which then keeps another user from deleting it.
WORKS: dict[str, Work] = {
    "clip": lambda ledger, recording: ledger.clips.create(
        recording, ClipRequest("theirs", 1.0, 2.0, created_by="user_other"), extension="mp4"
    ),
    "transcript": lambda ledger, recording: ledger.transcripts.put(
        recording.recording_id, "en", CUES, created_by="user_other"
    ),
    "transcription": lambda ledger, recording: ledger.transcriptions.add(
        recording.recording_id, source="local", created_by="user_other"
    ),
    "segments": lambda ledger, recording: ledger.segment_lists.put(
        recording.recording_id,
        title="theirs",
        segments=[],
        look={},
        created_by="user_other",
        check=lambda stored: None,
    ),
}


def own_only(owner: Owner) -> None:
    """Permit what an editor may end."""
    if owner() != "user_editor":
        raise Forbidden("This belongs to someone else")


@pytest.fixture
def own(ledger: Ledger, recording: Recording) -> Recording:
    """A recording of the editor."""
    set_owner = "UPDATE recordings SET created_by = 'user_editor' WHERE recording_id = ?"
    ledger.database.run(set_owner, (recording.recording_id,))
    return ledger.recordings.get(recording.recording_id)


@pytest.fixture
def beside(ledger: Ledger) -> Iterator[Beside]:
    """Begin the work of another engine, and return when it waits for the transaction of this thread.

    On SQLite nothing is read before that: its transactions begin with the lock of the file.
    """
    with ThreadPoolExecutor(1) as thread:

        def begin(work: Callable[[], object]) -> Future[Any]:
            started = Event()
            running = thread.submit(lambda: (started.set(), work())[1])
            started.wait()
            if ledger.database.shared:
                until(lambda: running.done() or ledger.database.run(BLOCKED))
            return running

        yield begin


@pytest.mark.parametrize("work", WORKS)
def test_deletion_that_waits_for_a_work_of_another_user_finds_it(
    ledger: Ledger, open_ledger: Open, beside: Beside, own: Recording, work: str
) -> None:
    other = open_ledger()
    with ledger.writing():
        WORKS[work](ledger, own)
        running = beside(lambda: other.recordings.delete(own.recording_id, permit=own_only))
    with pytest.raises(Forbidden):
        running.result()
    assert ledger.recordings.get(own.recording_id)


@pytest.mark.parametrize("work", WORKS)
def test_work_that_waits_for_the_deletion_of_its_recording_is_refused(
    ledger: Ledger, open_ledger: Open, beside: Beside, own: Recording, work: str
) -> None:
    other = open_ledger()
    with ledger.writing():
        ledger.recordings.delete(own.recording_id, permit=own_only)
        running = beside(lambda: WORKS[work](other, own))
    with pytest.raises(RecordingNotFound):
        running.result()


def transcription(ledger: Ledger, recording: Recording) -> Transcription:
    ledger.transcriptions.add(recording.recording_id, source="local")
    claimed = ledger.transcriptions.claim("me", ["local"])
    assert claimed is not None
    return claimed


def fetch(ledger: Ledger) -> Fetch:
    ledger.fetches.add(Origin("https://example.org/a.mp4"), "a.mp4")
    claimed = ledger.fetches.claim("me")
    assert claimed is not None
    return claimed


def marker(ledger: Ledger, recording: Recording) -> object:
    return ledger.markers.add(recording.recording_id, [Marker(1.0, None, 0, "goal")])


Begin = Callable[[Ledger, Recording], tuple[str, Callable[[Ledger], object]]]
# What changes rows of a recording: its id, and the change, once it is prepared.
WRITERS: dict[str, Begin] = {
    "transcript": lambda ledger, recording: (
        recording.recording_id,
        lambda of: of.transcripts.put(recording.recording_id, "en", CUES),
    ),
    "deleted transcript": lambda ledger, recording: (
        recording.recording_id,
        lambda of: of.transcripts.delete(recording.recording_id, "fr"),
    ),
    "complete transcription": lambda ledger, recording: (
        recording.recording_id,
        (lambda claimed: lambda of: of.transcriptions.complete(claimed))(transcription(ledger, recording)),
    ),
    "markers": lambda ledger, recording: (recording.recording_id, lambda of: marker(of, recording)),
    "name": lambda ledger, recording: (
        recording.recording_id,
        lambda of: of.recordings.update(recording.recording_id, {"name": "new"}, {}),
    ),
    "complete fetch": lambda ledger, recording: (
        lambda claimed: (claimed.recording_id, lambda of: of.fetches.complete(claimed, etag="e", size=1))
    )(fetch(ledger)),
    "failed fetch": lambda ledger, recording: (
        lambda claimed: (claimed.recording_id, lambda of: of.fetches.fail(claimed, EncoderFailed("x")))
    )(fetch(ledger)),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_writer_that_waits_for_a_recording_holds_no_row_that_its_deletion_needs(
    ledger: Ledger, open_ledger: Open, beside: Beside, recording: Recording, writer: str
) -> None:
    ledger.transcripts.put(recording.recording_id, "fr", CUES)
    other = open_ledger()
    id, write = WRITERS[writer](ledger, recording)
    with ledger.writing():
        ledger.recordings.lock([id])
        running = beside(lambda: write(other))
        ledger.recordings.delete(id)
    assert running.exception() is None or isinstance(running.exception(), RecordingNotFound)
    with pytest.raises(RecordingNotFound):
        ledger.recordings.get(id)


@pytest.mark.parametrize("by", ["ids", "batch"])
def test_deletion_of_several_clips_holds_no_event_while_it_waits_for_one_of_them(
    ledger: Ledger, open_ledger: Open, beside: Beside, queue: Callable[..., Clip], by: str
) -> None:
    """An engine that ends this clip locks it, and then needs the turn of the events."""
    first, second = sorted(queue().clip_id for _ in range(2))
    other = open_ledger()
    items = [BatchItem("", 0, "pending", source_clip_id=each) for each in (first, second)]
    ledger.requested_batches.create("delete", items)
    batch = ledger.batches.claim("me")
    assert batch is not None

    def delete() -> object:
        if by == "ids":
            return other.clips.delete_all([second, first])
        return other.batches.delete(other.batches.pending(batch, limit=2), batch, other.clips.delete)

    with ledger.writing():
        ledger.clips.update(second, {"label": "held"}, {})
        running = beside(delete)
        ledger.clips.cancel(second)
    assert running.result()
    assert not ledger.clips.of_ids([first, second])


def test_deletion_of_a_queued_clip_waits_for_its_words_before_its_event(
    ledger: Ledger, open_ledger: Open, beside: Beside, recording: Recording, queue: Callable[..., Clip]
) -> None:
    """A transcript that is stored marks the words of the clip as unread, and then needs the turn of the events."""
    parts = (Part(recording.recording_id, 0.0, 1.0), Part(recording.recording_id, 2.0, 3.0))
    clip, other = queue(parts=parts), open_ledger()
    with ledger.writing():
        forget_said(ledger.database, recording.recording_id)
        if ledger.database.shared:  # the transcript locks no clip, also not one with parts of its recording
            lock = "SELECT 1 FROM clips WHERE clip_id = ? FOR UPDATE NOWAIT"
            assert other.database.run(lock, (clip.clip_id,))
        running = beside(lambda: other.clips.delete(clip.clip_id))
        ledger.database.turn("events")
    assert running.result().clip_id == clip.clip_id


def test_clip_that_is_queued_again_keeps_its_recording_from_a_deletion_that_waits(
    ledger: Ledger, open_ledger: Open, beside: Beside, recording: Recording, queue: Callable[..., Clip]
) -> None:
    clip, other = queue(), open_ledger()
    ledger.clips.cancel(clip.clip_id)
    with ledger.writing():
        ledger.clips.retry(clip.clip_id)
        running = beside(lambda: other.recordings.delete(recording.recording_id))
    with pytest.raises(RecordingBusy):
        running.result()
    assert ledger.clips.get(clip.clip_id).state == "queued"


def test_recordings_of_several_clips_are_locked_in_the_order_of_their_ids(
    ledger: Ledger, open_ledger: Open, beside: Beside
) -> None:
    made = [ledger.recordings.register(f"r/{n}.mp4", RecordingSpec(), etag="e", size=1)[0] for n in range(2)]
    first, second = sorted(each.recording_id for each in made)
    other = open_ledger()
    with ledger.writing():
        ledger.recordings.lock([first])

        def lock() -> None:
            with other.writing():
                other.recordings.lock([second, first])

        running = beside(lock)
        ledger.recordings.lock([second])
    running.result()
