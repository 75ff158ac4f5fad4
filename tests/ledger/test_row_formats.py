"""Rows that need a newer version of the engine, or that this one cannot read: they are left alone and block nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from clipengine.basis.row_format import FIRST_FORMAT, ROW_FORMAT
from clipengine.clips.clip import Clip
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.without import KeptRange, Without
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.engines.fences import FENCE_MS
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.rows.live_row import new_live
from clipengine.objects.clip import ClipObject
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.recordings.timeline.growing import Growth

Queue = Callable[..., Clip]
MOVING = Output.model_validate(
    {"aspect": "1:1", "focus": [{"recording_seconds": each, "x": 0.2, "y": 0.5} for each in (120.0, 130.0)]}
)
NEW: dict[str, dict[str, Any]] = {
    "focus": {"output": MOVING},
    "keep_ranges": {"without": Without(("silence",), (KeptRange(start_seconds=120, end_seconds=121),))},
    "style": {"subtitles": "burn", "caption_style": CaptionStyle(name="word")},
}


def column(ledger: Ledger, name: str, clip_id: str) -> Any:
    return ledger.database.run(f"SELECT {name} FROM clips WHERE clip_id = ?", (clip_id,))[0][0]


def need_newer(ledger: Ledger, clip_id: str) -> None:
    ledger.database.run("UPDATE clips SET needs = ? WHERE clip_id = ?", (ROW_FORMAT + 1, clip_id))


@pytest.mark.parametrize("name", NEW)
def test_new_option_is_read_and_cut_by_this_version(ledger: Ledger, queue: Queue, name: str) -> None:
    clip = queue(**NEW[name])
    assert (clip.needs, ledger.clips.get(clip.clip_id)) == (2, clip)
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert claimed.own_format == 2


@pytest.mark.parametrize("name", NEW)
def test_new_option_is_not_in_the_columns_that_0_2_0_reads(ledger: Ledger, queue: Queue, name: str) -> None:
    clip = queue(**NEW[name])
    assert [column(ledger, each, clip.clip_id) for each in ("output", "snap", "without")] == [None] * 3


def test_options_of_0_2_0_are_in_its_columns(ledger: Ledger, queue: Queue) -> None:
    clip = queue(output=Output(speed=2), without=Without(("fillers",)))
    assert clip.needs == FIRST_FORMAT
    assert column(ledger, "output", clip.clip_id) is not None
    assert column(ledger, "without", clip.clip_id) == '["fillers"]'


def test_clip_that_needs_a_newer_engine_is_listed_and_left_alone(ledger: Ledger, queue: Queue) -> None:
    newer, other = queue(priority=1), queue()
    need_newer(ledger, newer.clip_id)
    claimed = ledger.clips.claim("me")
    assert claimed is not None
    assert claimed.clip_id == other.clip_id
    assert ledger.clips.claim("me") is None
    assert not ledger.clips.is_due()
    assert {clip.clip_id for clip in ledger.clips.list(ClipFilter(limit=10)).data} == {newer.clip_id, other.clip_id}
    assert (ledger.stats.read().clips_set_aside, ledger.stats.read().clips_queued) == (1, 1)


def test_clip_that_needs_a_newer_engine_can_be_cancelled(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    need_newer(ledger, clip.clip_id)
    assert ledger.clips.cancel(clip.clip_id).state == "failed"
    assert ledger.stats.read().clips_set_aside == 0


def test_suspect_that_needs_a_newer_engine_does_not_keep_others_from_starting(ledger: Ledger, queue: Queue) -> None:
    newer, other = queue(priority=1), queue()
    need_newer(ledger, newer.clip_id)
    ledger.database.run("UPDATE clips SET engine_deaths = 2 WHERE clip_id = ?", (newer.clip_id,))
    claimed = ledger.clips.claim("me", suspects=True)
    assert claimed is not None
    assert claimed.clip_id == other.clip_id


@pytest.mark.parametrize("stored", ['{"focus": [{"planet": "Mars"}]}', '{"of_a_later_version": 1}', "[1]", '"text"'])
def test_clip_that_cannot_be_read_is_set_aside_counted_and_logged(
    ledger: Ledger, queue: Queue, caplog: pytest.LogCaptureFixture, stored: str
) -> None:
    broken, others = queue(priority=1), [queue(), queue()]
    ledger.database.run("UPDATE clips SET output = ? WHERE clip_id = ?", (stored, broken.clip_id))
    assert len(ledger.clips.list(ClipFilter(limit=10)).data) == 3
    with caplog.at_level(logging.ERROR):
        claimed = [ledger.clips.claim("me"), ledger.clips.claim("me")]
    assert [clip and clip.clip_id for clip in claimed] == [clip.clip_id for clip in others]
    assert [record.getMessage() for record in caplog.records] == [
        f"clip {broken.clip_id} is set aside until a newer version of the engine runs: its output cannot be read"
    ]
    assert ledger.stats.read().clips_set_aside == 1
    assert ledger.clips.get(broken.clip_id).unread == ("output",)


def test_queue_says_that_no_running_engine_may_take_a_clip(ledger: Ledger, queue: Queue) -> None:
    clip = queue()
    need_newer(ledger, clip.clip_id)
    ledger.engines.beat("mine", encoders=2)
    newer = ledger.clips.get(clip.clip_id)
    place = ledger.queue_order.place(newer)
    assert place is not None
    shown = ClipObject.of(newer, place).queue
    assert shown == {
        "position": 1,
        "estimated_start_at": None,
        "estimated_end_at": None,
        "blocked": "needs_newer_engine",
    }


def test_queue_blocks_nothing_that_a_running_engine_takes(ledger: Ledger, queue: Queue) -> None:
    clip = queue(**NEW["focus"])
    ledger.engines.beat("mine", encoders=2)
    place = ledger.queue_order.place(clip)
    assert place is not None
    assert not place.is_blocked


def live_recording(ledger: Ledger, name: str) -> Recording:
    made, _ = ledger.recordings.register(f"{name}.m3u8", RecordingSpec(live=True), etag="e", size=1)
    growth = Growth((), *(0 for _ in range(3)))  # type: ignore[arg-type]
    row = new_live(made.recording_id, growth, kept_by="me")
    ledger.database.run(
        f"INSERT INTO live_recordings ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
        tuple("{}" if name == "broken" and key == "growth" else _sql(value) for key, value in row.items()),
    )
    return made


def _sql(value: Any) -> Any:
    return '{"tracks": [], "times": ["0", "0", "0"]}' if isinstance(value, dict) else value


def test_live_recording_that_cannot_be_read_is_set_aside_and_others_are_refreshed(ledger: Ledger) -> None:
    live_recording(ledger, "broken")
    other = live_recording(ledger, "other")
    refresh = ledger.live.claim("me")
    assert refresh is not None
    assert refresh.recording.recording_id == other.recording_id
    assert ledger.live.claim("me") is None
    assert ledger.stats.read().recordings_set_aside == 1


def test_growing_file_is_not_probed_by_0_2_0(ledger: Ledger) -> None:
    file, _ = ledger.recordings.register("a.ts", RecordingSpec(live=True), etag="e", size=1)
    playlist, _ = ledger.recordings.register("a.m3u8", RecordingSpec(live=True), etag="e", size=1)
    assert (file.needs, playlist.needs) == (2, FIRST_FORMAT)
    assert ledger.recordings.is_probe_due()


def test_clips_of_a_recording_need_what_its_pieces_need(ledger: Ledger, recording: Recording, queue: Queue) -> None:
    before = queue()
    ledger.database.run("UPDATE recordings SET needs = 2")
    with ledger.database.transaction():
        ledger.clips.need(recording.recording_id, 2)
    after = queue()
    assert [ledger.clips.get(clip.clip_id).needs for clip in (before, after)] == [2, 2]
    assert [bool(ledger.clips.claim("me")) for _ in range(3)] == [True, True, False]


def test_clock_that_was_set_back_leaves_fenced_times(ledger: Ledger, queue: Queue) -> None:
    clip = queue(**NEW["style"])
    if not ledger.database.shared:
        ledger.database.run("UPDATE clips SET next_at = next_at + ?", (FENCE_MS,))
    assert column(ledger, "next_at", clip.clip_id) > FENCE_MS
    assert ledger.reset_far_future_due() == 0
    assert ledger.clips.is_due()
