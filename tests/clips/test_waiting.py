"""What becomes of a clip whose range is not recorded yet."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clipengine.clips.clip import Clip
from clipengine.clips.edit import Part
from clipengine.clips.request import ClipRequest
from clipengine.clips.waiting import (
    MAX_WAIT_MS,
    Awaited,
    next_step,
    step_at_timeout,
    wait_of_retry,
    waiting_request,
)
from clipengine.errors import InvalidRequest, NoMediaInRange, NotRecordedYet

_NOW = 1_790_000_000_000
_PART = Part("rec_a", 10.0, 20.0)


def _request(**values: object) -> ClipRequest:
    return replace(ClipRequest(label="a", start_seconds=10.0, end_seconds=20.0), **values)


def _clip(**values: object) -> Clip:
    known = {"clip_id": "clip_a", "recording_id": "rec_a", "state": "queued", "object_key": "k", "created_at": _NOW}
    return Clip(**{**known, "queued_at": _NOW, "label": "a", "start_seconds": 10.0, "end_seconds": 20.0, **values})


def test_clip_of_what_is_recorded_does_not_wait() -> None:
    found = waiting_request(_request(wait_until=_NOW + 1, on_timeout="clamp"), 0.0, _NOW)
    assert (found.wait_until, found.on_timeout) == (None, None)


def test_wait_ends_five_minutes_after_the_range_should_be_recorded_or_in_a_week() -> None:
    assert waiting_request(_request(), 2.0, _NOW).wait_until == _NOW + 302_000
    assert waiting_request(_request(), 1e9, _NOW).wait_until == _NOW + MAX_WAIT_MS
    assert waiting_request(_request(wait_until=_NOW + 5), 2.0, _NOW).wait_until == _NOW + 5


@pytest.mark.parametrize("until", [_NOW, _NOW + MAX_WAIT_MS + 1])
def test_wait_of_a_request_ends_in_the_next_week(until: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        waiting_request(_request(wait_until=until), 2.0, _NOW)
    assert "/wait_until" in str(caught.value.errors)


def test_retried_clip_waits_as_long_as_at_first() -> None:
    assert wait_of_retry(_clip(wait_until=_NOW + 700), _NOW + 1000) == _NOW + 1700
    assert wait_of_retry(_clip(), _NOW) is None


@pytest.mark.parametrize(
    ("written", "live", "step"), [(19.9, True, "wait"), (20.0, True, "cut"), (19.9, False, "cut"), (5.0, True, "wait")]
)
def test_clip_is_cut_as_soon_as_its_range_is_recorded_or_the_recording_has_ended(
    written: float, live: bool, step: str
) -> None:
    assert next_step([Awaited(_PART, written, live)]) == step


def test_each_part_must_be_recorded() -> None:
    later = Part("rec_b", 0.0, 3.0)
    assert next_step([Awaited(_PART, 30.0, True), Awaited(later, 2.0, True)]) == "wait"


def test_range_after_the_end_of_the_recording_fails() -> None:
    assert isinstance(next_step([Awaited(_PART, 10.0, False)]), NoMediaInRange)


def test_wait_that_has_ended_fails_or_cuts_what_is_recorded() -> None:
    written = [Awaited(_PART, 12.0, True)]
    assert isinstance(step_at_timeout(_clip(), written), NotRecordedYet)
    assert step_at_timeout(_clip(on_timeout="clamp"), written) == "cut"
    assert isinstance(step_at_timeout(_clip(on_timeout="clamp"), [Awaited(_PART, 10.0, True)]), NotRecordedYet)
