"""Recordings whose producers are silent, start again or write playlists that cannot be used, with real children."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.ledger.ledger import Ledger
from clipengine.objects.recording import RecordingObject
from clipengine.work.children.pool import ChildPool
from tests.support.refreshing import Live, live, parts

__all__ = ["live", "parts"]  # fixtures

Wait = Callable[[int], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Return the function that sets the clocks of refreshes so many seconds ahead."""
    began, since = time.monotonic(), now_ms()

    def ahead(seconds: int) -> None:
        monkeypatch.setattr("clipengine.work.jobs.followed.time.monotonic", lambda: began + seconds)
        monkeypatch.setattr("clipengine.work.jobs.followed.now_ms", lambda: since + 1000 * seconds)

    return ahead


def warned(live: Live) -> list[str]:
    return [text.partition(":")[0] for text in live.recording.warnings or []]


def test_recording_whose_playlist_stays_invalid_ends_with_a_warning(live: Live, wait: Wait) -> None:
    live.path.write_text(live.path.read_text() + "#EXTINF:two,\nindex003.ts\n")
    live.refresh(wanted=True)
    assert (live.recording.state, live.recording.warnings) == ("recording", None)
    wait(70)
    live.refresh(wanted=True)
    (text,) = live.recording.warnings or []
    assert text.startswith("playlist_ignored: index.m3u8 cannot be used since 20")
    assert "'two' is not a duration" in text
    assert (live.recording.state, live.count, live.recording.error) == ("complete", 3, None)
    assert RecordingObject.of(live.recording).to_object()["warnings"] == [text]


def test_playlist_that_is_valid_again_leaves_no_warning(live: Live, wait: Wait) -> None:
    live.path.write_text(live.path.read_text() + "#EXTINF:two,\nindex003.ts\n")
    live.refresh(wanted=True)
    live.write(4)
    live.refresh(wanted=True)
    wait(70)
    live.refresh(wanted=True)
    assert (live.recording.state, live.count, live.recording.warnings) == ("complete", 4, None)


def test_recording_whose_playlist_stops_while_its_folder_grows_ends_with_a_warning(live: Live, wait: Wait) -> None:
    live.refresh(wanted=True)
    after = time.time() + 30
    os.utime(live.path.with_name("index004.ts"), (after, after))
    wait(70)
    live.refresh(wanted=True)
    (text,) = live.recording.warnings or []
    assert text.startswith("playlist_stalled: index.m3u8 lists nothing new since 20")
    assert "index004.ts" in text
    assert live.recording.state == "complete"


def test_recording_that_gets_nothing_new_is_silent_until_it_grows(
    live: Live, parts: tuple[Ledger, ChildPool, object], wait: Wait
) -> None:
    ledger = parts[0]
    live.jobs.faults._speed_up = 0.1  # it ends after ten minutes
    live.refresh(wanted=False)
    seen = live.recording.last_seen_at
    assert seen == pytest.approx(live.path.stat().st_mtime * 1000, abs=1)
    assert (live.recording.silent_since, ledger.stats.read().recordings_silent) == (None, 0)
    wait(70)
    live.refresh(wanted=False)
    shown = RecordingObject.of(live.recording).to_object()
    assert (shown["status"], shown["silent_since"]) == ("recording", shown["last_seen_at"])
    assert shown["last_seen_at"] == rfc3339(seen or 0)
    assert ledger.stats.read().recordings_silent == 1
    revision = live.recording.revision
    live.refresh(wanted=False)
    assert live.recording.revision == revision  # nothing has changed
    live.write(4)
    after = time.time() + 70
    os.utime(live.path, (after, after))
    live.refresh(wanted=True)
    assert (live.recording.silent_since, ledger.stats.read().recordings_silent) == (None, 0)
    assert (live.recording.last_seen_at or 0) > (seen or 0)


def test_session_that_overwrites_the_last_one_is_another_recording(live: Live) -> None:
    live.refresh(wanted=True)
    live.start_again(2)
    live.refresh(wanted=True)
    left = live.recording
    assert (left.state, left.duration_seconds, left.error) == ("complete", pytest.approx(6, abs=0.1), None)
    assert left.gaps == [{"start_seconds": 0.0, "end_seconds": pytest.approx(4, abs=0.1), "reason": "missing"}]
    assert live.keys == ["live/index002.ts"]
    assert warned(live) == ["files_overwritten"]
    new = live.register_again()
    assert new != live.id
    live.probe()
    live.id = new
    assert (live.recording.state, live.count, live.recording.warnings) == ("recording", 2, None)
    live.write(3)
    live.refresh(wanted=True)
    assert (live.recording.state, live.count) == ("recording", 3)


@pytest.mark.parametrize("ended", [False, True])
def test_session_that_has_overtaken_the_last_one_is_another_recording(live: Live, ended: bool) -> None:
    """No engine has seen the playlist while it was shorter, and it states the same durations."""
    live.refresh(wanted=True)
    live.start_again(3)
    if ended:
        live.path.write_text(live.path.read_text() + "#EXT-X-ENDLIST\n")
    else:
        live.write(5)
    live.refresh(wanted=True)
    assert (live.recording.state, live.count) == ("failed", 3)
    assert (live.recording.error or {})["code"] == "recording_changed"
    assert warned(live) == ["files_overwritten"]


def test_session_whose_files_are_all_overwritten_has_failed_and_says_so(live: Live) -> None:
    live.start_again(5)  # no engine has seen its beginning
    live.refresh(wanted=True)
    assert live.recording.state == "failed"
    assert (live.recording.error or {})["code"] == "recording_changed"
    assert "overwritten all" in (live.recording.error or {})["message"]
    live.probe()
    live.id = live.register_again()
    assert (live.recording.state, live.count) == ("recording", 5)


def test_playlist_that_is_shorter_with_the_same_segments_is_the_same_recording(live: Live) -> None:
    live.refresh(wanted=True)
    live.start_again(2, replaced=1)  # a segment that was not replaced is in the playlist
    live.refresh(wanted=True)
    live.write(4)
    live.refresh(wanted=True)
    assert (live.recording.state, live.count, live.recording.warnings) == ("recording", 4, None)
    assert live.register_again() == live.id


def test_ended_recording_whose_playlist_is_overwritten_is_registered_anew(live: Live, wait: Wait) -> None:
    live.refresh(wanted=True)
    wait(70)
    live.refresh(wanted=True)
    assert live.recording.state == "complete"
    assert live.register_again() == live.id
    live.start_again(1)
    new = live.register_again()
    assert new != live.id
    assert warned(live) == ["files_overwritten"]
    live.probe()
    live.id = new
    assert (live.recording.state, live.count) == ("recording", 1)
