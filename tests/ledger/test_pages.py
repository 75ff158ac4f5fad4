"""Cursors and pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from clipengine.clips.clip import Clip
from clipengine.errors import InvalidRequest
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.rows.cursors import decode_cursor, encode_cursor
from clipengine.ledger.rows.pages import Page
from clipengine.recordings.recording import Recording

Queue = Callable[..., Clip]


def test_encoded_cursor_is_decoded_to_the_same_row() -> None:
    assert decode_cursor(encode_cursor("clips", 1743850800000, "clip_01"), "clips") == (1743850800000, "clip_01")


@pytest.mark.parametrize(
    "cursor",
    [
        *["", "x", "é", "AAAA", "!!!!", "MQ", "LjE", "MS4"],
        *[encode_cursor("clips", -1, "a"), encode_cursor("clips", 2**63, "a"), encode_cursor("clips", 1, "")],
        *[encode_cursor("", 1, "a"), encode_cursor("recordings", 1, "a"), encode_cursor("clips/rec_1", 1, "a")],
    ],
)
def test_text_that_is_not_a_cursor_is_rejected(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ledger.clips.list(ClipFilter(limit=10, cursor=cursor))
    assert caught.value.errors[0]["parameter"] == "cursor"


def test_pages_are_complete_while_rows_are_added_and_deleted(ledger: Ledger, queue: Queue) -> None:
    with ledger.transaction():
        made = [queue() for _ in range(7)]  # several in one millisecond
    newest_first = sorted(made, key=lambda clip: (clip.created_at, clip.clip_id), reverse=True)
    first = ledger.clips.list(ClipFilter(limit=3))
    assert first.data == newest_first[:3]
    assert first.next_cursor
    queue("came later")
    ledger.clips.delete(newest_first[2].clip_id)
    second = ledger.clips.list(ClipFilter(limit=3, cursor=first.next_cursor))
    assert second.data == newest_first[3:6]
    last = ledger.clips.list(ClipFilter(limit=3, cursor=second.next_cursor))
    assert last.data == newest_first[6:]
    assert last.next_cursor is None


def test_full_last_page_has_no_next_cursor(ledger: Ledger, queue: Queue) -> None:
    queue()
    queue()
    assert ledger.clips.list(ClipFilter(limit=2)).next_cursor is None
    assert ledger.clips.list(ClipFilter(limit=1)).next_cursor


def test_clips_are_listed_by_each_filter_and_by_all(ledger: Ledger, queue: Queue, recording: Recording) -> None:
    goal, foul = queue("goal"), queue("foul")
    ledger.clips.cancel(foul.clip_id)
    ended = ledger.clips.get(foul.clip_id)

    def lists(**filters: Any) -> Page[Clip]:
        return ledger.clips.list(ClipFilter(**filters))

    assert lists(limit=9, label="goal").data == [goal]
    assert lists(limit=9, label="goa").data == []
    assert lists(limit=9, status="processing").data == [goal]
    assert lists(limit=9, status="failed").data == [ended]
    assert lists(limit=9, status="complete").data == []
    assert lists(limit=9, recording_id=recording.recording_id).data == [ended, goal]
    assert lists(limit=9, recording_id="rec_other").data == []
    assert lists(limit=9, created_after=goal.created_at, created_before=ended.created_at + 1).data == [ended, goal]
    assert lists(limit=9, created_before=goal.created_at).data == []
    assert lists(limit=9, created_after=ended.created_at + 1).data == []
    everything = {
        "recording_id": recording.recording_id,
        "status": "failed",
        "label": "foul",
        "created_after": goal.created_at,
    }
    assert lists(limit=9, **everything).data == [ended]


def test_claimed_clip_is_listed_as_processing(ledger: Ledger, queue: Queue) -> None:
    queue()
    queue()
    ledger.clips.claim("me")
    assert len(ledger.clips.list(ClipFilter(limit=9, status="processing")).data) == 2
