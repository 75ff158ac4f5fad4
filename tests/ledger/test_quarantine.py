"""Quarantine: clips and probes of dead engines are retried alone, and fail after three deaths in a row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.errors import EncoderFailed
from clipengine.ledger.clips.uploads import Finished
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import Probe
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.recording import Recording

Queue = Callable[..., Clip]
_NUMBERS = count(1)


def _engine(ledger: Ledger) -> str:
    """Start an engine, which releases the claims of dead ones."""
    engine = f"engine{next(_NUMBERS)}"
    ledger.engines.beat(engine)
    ledger.clips.requeue_orphans(engine, died=ledger.engines.died)
    ledger.recordings.release_orphans(engine, died=ledger.engines.died)
    ledger.engines.forget(engine)
    return engine


def _claim(ledger: Ledger, engine: str, *, suspects: bool = True) -> str | None:
    clip = ledger.clips.claim(engine, workers=4, suspects=suspects)
    return clip and clip.clip_id


def _die_holding(ledger: Ledger, deaths: int, clips: int = 1) -> None:
    """Let engines die, each while it holds some clips. The next engine that starts releases them."""
    for _ in range(deaths):
        engine = _engine(ledger)
        for _ in range(clips):
            assert _claim(ledger, engine)


def _probe(ledger: Ledger, engine: str, *, suspects: bool = True) -> Probe | None:
    return ledger.recordings.claim_probe(engine, suspects=suspects)


@pytest.fixture
def unread(ledger: Ledger) -> Recording:
    """A recording without a probe."""
    return ledger.recordings.register("a/unread.mp4", etag="e", size=1)[0]


def test_clip_that_is_held_during_three_deaths_fails(ledger: Ledger, queue: Queue) -> None:
    poison = queue(webhook_url="https://own.test/")
    _die_holding(ledger, 3)
    other = queue()
    engine = _engine(ledger)
    ended = ledger.clips.get(poison.clip_id)
    assert ended.error is not None
    assert (ended.state, ended.error["code"], ended.attempt) == ("failed", "decoder_crashed", 3)
    assert "died 3 times in a row" in ended.error["message"]
    assert [event.type for event in ledger.events.after(0) if event.clip_id] == ["clip.failed"]
    assert len(ledger.deliveries.claim_due()) == 1
    assert _claim(ledger, engine) == other.clip_id
    assert ledger.clips.retry(poison.clip_id).state == "queued"
    assert ledger.clips.crashes(poison.clip_id) == 0


def test_clip_that_only_shared_engines_with_another_survives(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    poison, innocent, later = queue(priority=9), queue(), queue(priority=-1)
    _die_holding(ledger, 2, clips=2)
    _die_holding(ledger, 1)
    assert ledger.clips.get(poison.clip_id).state == "cutting"
    engine = _engine(ledger)
    assert ledger.clips.get(poison.clip_id).state == "failed"
    assert _claim(ledger, engine) == innocent.clip_id
    assert ledger.clips.complete(innocent.clip_id, 3, result)
    assert _claim(ledger, engine) == later.clip_id


def test_suspects_run_alone_and_one_at_a_time(ledger: Ledger, queue: Queue, result: ClipResult) -> None:
    suspects = [queue().clip_id for _ in range(2)]
    _die_holding(ledger, 2, clips=2)
    engine = _engine(ledger)
    running = queue(priority=9).clip_id
    assert _claim(ledger, engine, suspects=False) == running
    assert _claim(ledger, engine) is None  # waits until the others have ended
    assert ledger.clips.complete(running, 1, result)
    ordinary = queue(priority=9).clip_id
    for clip_id in suspects:
        assert _claim(ledger, engine) == clip_id
        assert _claim(ledger, engine) is None
        assert ledger.clips.complete(clip_id, 3, result)
    assert _claim(ledger, engine) == ordinary


@pytest.mark.typical(1)
def test_suspects_wait_until_the_engine_has_been_up_for_a_while(ledger: Ledger, queue: Queue) -> None:
    suspect = queue(priority=9).clip_id
    _die_holding(ledger, 2)
    others = [queue().clip_id for _ in range(20)]
    for _ in range(20):  # many restarts, no engine is up for long
        engine = _engine(ledger)
        _claim(ledger, engine, suspects=False)
        _claim(ledger, engine, suspects=False)
    engine = _engine(ledger)
    assert _claim(ledger, engine, suspects=False) is None
    assert {ledger.clips.get(clip_id).state for clip_id in (suspect, *others)} == {"queued"}
    assert _claim(ledger, engine) == suspect


@pytest.mark.parametrize("how", ["stopped", "killed while it stopped", "thread died"])
def test_deliberate_stop_is_not_counted_as_a_death(ledger: Ledger, queue: Queue, how: str) -> None:
    suspect = queue().clip_id
    _die_holding(ledger, 2)
    for _ in range(4):
        engine = _engine(ledger)
        assert _claim(ledger, engine) == suspect
        if how == "thread died":
            assert ledger.clips.requeue_orphans(engine, in_flight=set, died=ledger.engines.died) == 1
            ledger.engines.remove(engine)
        elif how == "stopped":
            ledger.engines.remove(engine)
        else:
            ledger.engines.record_stopping(engine)
    _die_holding(ledger, 1)  # nor does it reset the count of two deaths
    _engine(ledger)
    assert ledger.clips.get(suspect).state == "failed"


@pytest.mark.parametrize("end", ["cut", "failed and retried"])
def test_finished_attempt_ends_the_row_of_deaths(ledger: Ledger, queue: Queue, result: ClipResult, end: str) -> None:
    clip_id = queue().clip_id
    _die_holding(ledger, 2)
    engine = _engine(ledger)
    assert _claim(ledger, engine) == clip_id
    if end == "cut":
        assert ledger.uploads.add(clip_id, 3, Finished(result, None), progress=0.9, owner=engine)
        assert ledger.clips.requeue(clip_id, 3)  # its file in the scratch folder was lost
    else:
        assert ledger.clips.fail(clip_id, 3, EncoderFailed("no"))
        ledger.clips.retry(clip_id)
    _die_holding(ledger, 2)
    _engine(ledger)
    assert ledger.clips.get(clip_id).state == "queued"


def test_clip_that_is_cut_is_not_blamed_for_the_death_of_its_engine(
    ledger: Ledger, queue: Queue, result: ClipResult
) -> None:
    clip_id = queue().clip_id
    for attempt in range(1, 6):
        engine = _engine(ledger)
        if _claim(ledger, engine, suspects=False):
            assert ledger.uploads.add(clip_id, attempt, Finished(result, None), progress=0.9, owner=engine)
        assert ledger.uploads.claim(engine)
    _engine(ledger)
    assert not ledger.clips.get(clip_id).ended


def test_probe_that_is_held_during_three_deaths_fails_its_recording(ledger: Ledger, unread: Recording) -> None:
    for _ in range(3):
        assert _probe(ledger, _engine(ledger))
    engine = _engine(ledger)
    ended = ledger.recordings.get(unread.recording_id)
    assert ended.error is not None
    assert (ended.state, ended.error["code"]) == ("failed", "decoder_crashed")
    assert [event.type for event in ledger.events.after(0)] == ["recording.failed"]
    assert _probe(ledger, engine) is None


def test_suspect_probe_and_clips_do_not_run_together(
    ledger: Ledger, queue: Queue, unread: Recording, facts: SourceFacts, result: ClipResult
) -> None:
    for _ in range(2):
        assert _probe(ledger, _engine(ledger))
    engine = _engine(ledger)
    clip_id = queue().clip_id
    other = ledger.recordings.register("a/other.mp4", etag="e", size=1)[0]
    assert _claim(ledger, engine, suspects=False) == clip_id
    assert _probe(ledger, engine) is None
    assert ledger.clips.complete(clip_id, 1, result)
    waiting = queue().clip_id
    assert _claim(ledger, engine) is None
    probe = _probe(ledger, engine)
    assert probe
    assert probe.recording == unread
    assert (_probe(ledger, engine), _claim(ledger, engine)) == (None, None)
    assert ledger.recordings.probe_complete(probe, facts, etag="e", size=1)
    assert _claim(ledger, engine) == waiting
    following = _probe(ledger, engine)
    assert following
    assert following.recording == other
