"""Recordings that are still written in the ledger: their refreshes, and the clips that wait for them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.edit import Part
from clipengine.clips.request import ClipRequest
from clipengine.errors import RecordingBusy
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.live import Closed
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.recordings.seek_index import KeyframeIndex
from tests.support.api import FACTS
from tests.support.live import added, refreshed, written

pytestmark = pytest.mark.proof

LATER = now_ms() + 86_400_000


def waiting(ledger: Ledger, id: str, end: float, *, start: float = 1, until: int = LATER, **fields: Any) -> Clip:
    request = ClipRequest("x", start, end, wait_until=until, **fields)
    return ledger.clips.create(ledger.recordings.get(id), request, extension="mp4")


def steps(ledger: Ledger) -> list[str | None]:
    clips = reversed(ledger.clips.list(ClipFilter(limit=10)).data)
    return [clip.step if clip.error is None else clip.error["code"] for clip in clips]


def events(ledger: Ledger) -> list[str]:
    return [event.type for event in ledger.events.after(0)]


def test_written_recording_has_its_status_until_it_has_ended(ledger: Ledger) -> None:
    id = written(ledger)
    recording = ledger.recordings.get(id)
    assert (recording.state, recording.duration_seconds, recording.revision) == ("recording", 39.9, 1)
    assert recording.completed_at is None
    assert [
        ledger.recordings.list(RecordingFilter(limit=9, status=each)).data for each in ("recording", "complete")
    ] == [
        [recording],
        [],
    ]
    refresh = refreshed(ledger)
    assert ledger.live.append(refresh, now_ms(), added(10, 300))
    grown = ledger.recordings.get(id)
    assert (grown.duration_seconds, grown.revision, grown.pieces and grown.pieces["count"]) == (1199.9, 2, 300)
    assert not ledger.live.append(refresh, now_ms(), added(300, 301))  # a stale owner
    index = ledger.recordings.pieces.get(id)
    assert index is not None
    assert [piece.data.key for piece in index.tracks[0].runs[0].pieces] == [
        f"live/{number}.ts" for number in range(300)
    ]
    assert ledger.live.complete(refreshed(ledger), added(300, 301, ended=True))
    ended = ledger.recordings.get(id)
    assert (ended.state, ended.duration_seconds, ended.revision) == ("complete", 1204, 3)
    assert ended.completed_at is not None
    assert ended.etag != recording.etag
    assert ledger.live.claim("me") is None
    assert events(ledger) == ["recording.recording", "recording.complete"]


def test_engine_that_knows_the_playlists_goes_on_with_them(ledger: Ledger) -> None:
    id = written(ledger)
    assert ledger.live.claim("a") is None  # it was just probed by another one
    assert ledger.live.later(refreshed(ledger, "me"), now_ms() - 11_000)  # overdue
    assert ledger.live.later(refreshed(ledger, "a"), now_ms())
    assert ledger.live.claim("b") is None
    again = refreshed(ledger, "a")
    assert ledger.live.later(again, now_ms() - 11_000)  # overdue
    taken = refreshed(ledger, "b")
    assert not ledger.live.later(again, now_ms())
    assert ledger.live.release_orphans("a", in_flight=set, living=lambda: ["a"]) == 1
    assert not ledger.live.later(taken, now_ms())
    assert refreshed(ledger, "a").recording.recording_id == id


def test_recording_of_an_engine_that_has_ended_is_due_at_once_and_not_known(ledger: Ledger) -> None:
    id = written(ledger)
    assert ledger.live.is_known(id)  # just probed
    assert ledger.live.later(refreshed(ledger, "me"), LATER)
    ledger.live.release_orphans("other", in_flight=set, living=lambda: ["me"])
    assert ledger.live.claim("other") is None
    assert ledger.live.release_orphans("other", in_flight=set, living=tuple) == 0
    assert not ledger.live.is_known(id)
    refresh = refreshed(ledger, "other")
    assert not ledger.live.is_known(id)  # it has not been read yet
    assert ledger.live.append(refresh, LATER, added(10, 12))
    assert ledger.live.is_known(id)
    ledger.live.release_orphans("other", in_flight=set, living=tuple)
    assert ledger.live.claim("other") is None


def test_wait_of_a_recording_that_is_not_known_ends_later(ledger: Ledger) -> None:
    id = written(ledger)
    waiting(ledger, id, 60, until=now_ms(), on_timeout="clamp")
    ledger.live.release_orphans("other", in_flight=set, living=tuple)
    assert ledger.clips.end_waits() == 0
    assert ledger.live.append(refreshed(ledger, "other"), LATER, added(10, 12))
    assert ledger.clips.end_waits() == 1
    assert steps(ledger) == ["queued"]


def test_refresh_that_is_asked_for_meanwhile_is_due_at_once(ledger: Ledger) -> None:
    id = written(ledger)
    refresh = refreshed(ledger)
    ledger.live.want(id, at_once=True)
    assert ledger.live.later(refresh, LATER)
    assert refreshed(ledger).wanted


def test_estimate_of_a_refresh_is_shown(ledger: Ledger) -> None:
    id = written(ledger)
    assert ledger.live.later(refreshed(ledger), now_ms(), listed_seconds=47.9)
    assert ledger.recordings.get(id).duration_seconds == 47.9
    assert ledger.recordings.get(id).revision == 2


def test_waiting_clip_is_claimed_when_its_range_is_there(ledger: Ledger) -> None:
    id = written(ledger)
    first, second = waiting(ledger, id, 43), waiting(ledger, id, 50)
    assert ledger.clips.claim("me") is None
    assert not ledger.clips.is_due()
    assert ledger.queue_order.place(first) is None
    assert ledger.stats.read().queued_since is None
    assert ledger.reset_far_future_due() == 0
    with pytest.raises(RecordingBusy):
        ledger.recordings.delete(id)
    refresh = refreshed(ledger)
    assert refresh.wanted
    assert ledger.live.append(refresh, now_ms(), added(10, 11))
    assert steps(ledger) == ["queued", "waiting"]
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert claimed.clip_id == first.clip_id
    assert ledger.live.complete(refreshed(ledger), added(11, 12, ended=True))
    assert ledger.clips.get(second.clip_id).step == "queued"


def test_clip_whose_range_is_there_already_is_queued(ledger: Ledger) -> None:
    id = written(ledger)
    assert waiting(ledger, id, 39.9).step == "waiting"  # as it was requested
    assert steps(ledger) == ["queued"]


def test_clip_after_the_end_fails(ledger: Ledger) -> None:
    id = written(ledger)
    waiting(ledger, id, 60, start=45)
    assert ledger.live.complete(refreshed(ledger), added(10, 11, ended=True))
    assert steps(ledger) == ["no_media_in_range"]
    assert events(ledger) == ["recording.recording", "clip.failed", "recording.complete"]


def test_wait_ends_in_time(ledger: Ledger) -> None:
    id, now = written(ledger), now_ms()
    clip = waiting(ledger, id, 60, until=now)
    waiting(ledger, id, 60, until=now, on_timeout="clamp")
    waiting(ledger, id, 60, start=50, until=now, on_timeout="clamp")
    waiting(ledger, id, 60)
    assert ledger.clips.end_waits() == 3
    assert steps(ledger) == ["not_recorded_yet", "queued", "not_recorded_yet", "waiting"]
    assert ledger.clips.end_waits() == 0
    again = ledger.clips.retry(clip.clip_id)
    assert (again.step, again.wait_until) == ("waiting", pytest.approx(now_ms(), abs=60_000))
    assert ledger.clips.cancel(again.clip_id).error is not None


def test_clip_of_several_recordings_waits_for_all(ledger: Ledger) -> None:
    id, other = written(ledger), written(ledger, "live/other.m3u8")
    waiting(ledger, id, 43, parts=(Part(id, 1, 43), Part(other, 1, 43)))
    for each in (id, other):
        assert steps(ledger) == ["waiting"]
        refresh = refreshed(ledger)
        if refresh.recording.recording_id != each:
            assert ledger.live.later(refresh, LATER)
            refresh = refreshed(ledger)
        assert ledger.live.append(refresh, LATER, added(10, 11))
    assert steps(ledger) == ["queued"]


def test_live_recording_is_found_by_all_times_from_its_start_until_it_has_ended(ledger: Ledger) -> None:
    id, start = written(ledger), 1_700_000_000_000
    ledger.recordings.update(id, {"given_start": start, "series": "camera"}, {})

    def found(begin: float, end: float) -> list[str]:
        seconds = (start + round(each * 1000) for each in (begin, end))
        return [each.recording_id for each in ledger.recordings.of_series("camera", *seconds, limit=9)]

    assert (found(39, 41), found(40, 41), found(-9, 0)) == ([id], [id], [])
    assert ledger.live.append(refreshed(ledger), now_ms(), added(10, 20))
    assert found(80, 90) == [id]
    assert ledger.live.complete(refreshed(ledger), added(20, 21, ended=True))
    assert found(83.5, 90) == [id]
    assert found(84, 90) == []


def test_gap_before_the_last_pieces_is_counted_once(ledger: Ledger) -> None:
    id = written(ledger)
    grown = added(10, 11)
    grown.tail.tracks[0].runs[0].gap = "missing"  # that of the last run, which the tail begins with
    assert ledger.live.append(refreshed(ledger), now_ms(), grown)
    assert ledger.recordings.get(id).gaps == []


def test_file_that_was_closed_becomes_a_recording_of_one_file(ledger: Ledger) -> None:
    id = written(ledger, "live/a.mkv")
    assert ledger.recordings.register("live/a.mkv", etag="other", size=9)[0].recording_id == id
    clip = waiting(ledger, id, 60)
    refresh = refreshed(ledger)
    columns = {"offsets": (0, 10), "stamps": (0, 2), "parts": (0, 0)}
    points = KeyframeIndex(tick=Fraction(1), shifts=(Fraction(0),), head_bytes=0, exact=True, **columns)
    closed = Closed(FACTS, "e2", 77, "digest", points)
    assert ledger.live.close(refresh, closed)
    assert not ledger.live.close(refresh, closed)
    ended = ledger.recordings.get(id)
    assert (ended.state, ended.etag, ended.file_size_bytes, ended.digest) == ("complete", "e2", 77, "digest")
    assert (ended.pieces, ended.gaps, ended.duration_seconds) == (None, None, float(FACTS.duration))
    assert ledger.recordings.pieces.get(id) is None
    assert ledger.recordings.seek_index(id) == points
    assert ledger.clips.get(clip.clip_id).step == "queued"
    assert ledger.recordings.register("live/a.mkv", etag="e2", size=77)[0].recording_id == id
    assert ledger.recordings.register("live/a.mkv", etag="e3", size=78)[0].recording_id != id


def test_files_that_are_left_out_are_counted_once(ledger: Ledger) -> None:
    id = written(ledger)
    assert ledger.recordings.set_left_out(id, 2)
    assert not ledger.recordings.set_left_out(id, 2)
    assert (ledger.recordings.get(id).pieces or {})["left_out"] == 2
    assert not ledger.recordings.set_left_out("rec_none", 1)
