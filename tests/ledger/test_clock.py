"""A clock that is set back: rows do not wait for times that the clock returned before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult
from clipengine.ledger.clips import clips, uploads
from clipengine.ledger.clips.uploads import Finished
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings import recordings
from clipengine.ledger.stored_objects import removals

DAY = 24 * 3600 * 1000


def test_rows_due_in_the_far_future_are_reset(
    ledger: Ledger, queue: Callable[..., Clip], result: ClipResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(milliseconds: int) -> None:
        for module in (clips, recordings, removals, uploads):
            monkeypatch.setattr(module, "now_ms", lambda: now_ms() + milliseconds)

    queue()
    queue()
    for finished in (True, False):
        clip = ledger.clips.claim("me")
        assert clip is not None
        step(DAY)
        if finished:
            ledger.uploads.add(clip.clip_id, 1, Finished(result, None), progress=0.9, owner="me")
            ledger.uploads.claim("me")
            ledger.uploads.later(clip.clip_id, 1, delay_ms=5000, outage_ms=5000)
        else:
            ledger.clips.requeue(clip.clip_id, 1, delay_ms=5000)
        step(0)
    ledger.recordings.register("a.mp4", etag="e", size=1)
    probe = ledger.recordings.claim_probe("me")
    assert probe
    step(DAY)
    ledger.recordings.probe_later(probe, delay_ms=5000)
    ledger.removals.add("gone.mp4")
    step(0)
    assert (ledger.clips.claim("me"), ledger.uploads.is_due("me"), ledger.recordings.claim_probe("me")) == (
        None,
        False,
        None,
    )
    assert ledger.removals.due() == []
    assert ledger.reset_far_future_due() == 4
    assert ledger.clips.claim("me") is not None
    assert ledger.uploads.is_due("me")
    assert ledger.recordings.claim_probe("me") is not None
    assert len(ledger.removals.due()) == 1
    assert ledger.reset_far_future_due() == 0


def test_rows_with_regular_delays_are_unchanged(ledger: Ledger, queue: Callable[..., Clip]) -> None:
    clip = queue()
    ledger.clips.claim("me")
    ledger.clips.requeue(clip.clip_id, 1, delay_ms=300_000)
    assert ledger.reset_far_future_due() == 0
    assert ledger.clips.claim("me") is None
