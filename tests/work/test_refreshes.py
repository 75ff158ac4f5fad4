"""Refreshes of recordings that are still written, with real children."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Encoding
from clipengine.stores.folder import FolderStore
from clipengine.work.children.pool import ChildPool
from clipengine.work.previews.copies import LocalCopies
from clipengine.work.previews.previews import Preview, Previews
from tests.support.children import working
from tests.support.playlists import first_segments, fmp4_playlist, separate_audio
from tests.support.refreshing import Live, LiveRecording, live, parts

__all__ = ["live", "parts"]  # fixtures


class LiveTracks(LiveRecording):
    """A recording with six segments of 2 s of video, and as many of audio in another playlist."""

    def __init__(self, ledger: Ledger, pool: ChildPool, folder: Path) -> None:
        super().__init__(ledger, pool, folder)
        separate_audio(self.path)
        self._made = {kind: (self.path.with_name(f"{kind}.m3u8")).read_text() for kind in ("video", "audio")}

    def write(self, *, ended: str = "", **counts: int) -> None:
        """List so many segments of each track. The playlist of one has `ended`."""
        for kind, count in counts.items():
            path = self.path.with_name(f"{kind}.m3u8")
            path.write_text(self._made[kind])
            path.write_text(first_segments(path, count) + "#EXT-X-ENDLIST\n" * (kind == ended))


@pytest.fixture
def tracks(parts: tuple[Ledger, ChildPool, Path]) -> Iterator[LiveTracks]:
    made = LiveTracks(*parts)
    yield made
    made.jobs.interrupt()


def test_one_child_reads_what_is_added_while_somebody_looks(live: Live) -> None:
    others = set(working(os.getpid()))
    children = []
    for count in (4, 5):
        live.write(count)
        live.refresh(wanted=True)
        assert live.count == count
        assert live.recording.duration_seconds == pytest.approx(2 * count, abs=0.2)
        children.append(set(working(os.getpid())) - others)
    assert len(children[0]) == 1
    assert children[0] == children[1]
    live.jobs.interrupt()
    assert not set(working(os.getpid())) - others


def test_previews_of_a_recording_that_grows_between_two_reads_see_its_end(
    live: Live, parts: tuple[Ledger, ChildPool, Path], tmp_path: Path
) -> None:
    ledger, pool, folder = parts
    copies = LocalCopies(tmp_path / "copies")
    store, recordings = FolderStore(folder), ledger.recordings
    previews = Previews(Encoding(), store, recordings, pool, tmp_path / "previews", copies, max_bytes=1 << 20)
    recording = live.recording

    def waveform(start: Fraction, end: Fraction) -> bytes:
        seek_index = recordings.seek_index(live.id)
        with previews.requested(Preview.waveform(recording, start, end, points=10, seek_index=seek_index)) as made:
            return made.result(300)

    try:
        assert waveform(Fraction(0), Fraction(1))
        live.write(5)
        live.refresh(wanted=True)
        assert waveform(Fraction(5), Fraction(29, 5))
    finally:
        previews.stop()


def test_what_nobody_looks_at_counts_by_its_stated_durations(live: Live) -> None:
    others = set(working(os.getpid()))
    before = live.recording.duration_seconds or 0
    for count in (4, 5):
        live.write(count)
        live.refresh(wanted=False)
        assert live.count == 3
        assert live.recording.duration_seconds == pytest.approx(before + 2 * (count - 3), abs=0.01)
    assert not set(working(os.getpid())) - others
    live.refresh(wanted=True)
    assert live.count == 5


def test_stated_durations_are_corrected_by_those_that_were_measured(live: Live) -> None:
    live.write(4, stated=2.5)
    live.refresh(wanted=True)
    before = live.recording.duration_seconds or 0
    assert before == pytest.approx(8, abs=0.2)
    live.write(6, stated=2.5)
    live.refresh(wanted=False)
    assert live.count == 4
    assert live.recording.duration_seconds == pytest.approx(before + 4, abs=0.2)


@pytest.mark.parametrize("sequence", [5, 9000], ids=["a few segments", "thousands of segments"])
def test_gap_that_is_longer_than_the_time_since_it_began_is_refused(
    live: Live, sequence: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = live.seconds
    live.slide(sequence, 3, 4, 5, stated=3600)
    for wanted in (False, True, True):
        live.refresh(wanted=wanted)
        assert (live.count, live.seconds) == (3, pytest.approx(before, abs=0.01))
    (refusal,) = [each.getMessage() for each in caplog.records if "its new pieces cannot be read" in each.getMessage()]
    assert f"the segment {sequence} (live/index003.ts) follows a gap of {(sequence - 3) * 3600} s" in refusal
    live.slide(3, 3, 4, 5, stated=3600)
    live.refresh(wanted=True)
    assert (live.count, live.seconds) == (6, pytest.approx(12, abs=0.2))


def test_recording_that_ends_with_a_gap_that_is_refused_says_so(live: Live) -> None:
    live.slide(9000, 3, 4, 5, stated=3600)
    live.path.write_text(live.path.read_text() + "#EXT-X-ENDLIST\n")
    live.refresh(wanted=True)
    found = live.recording
    assert (found.state, live.count, live.seconds) == ("complete", 3, pytest.approx(6, abs=0.2))
    (warning,) = found.warnings or []
    assert warning.startswith("segments_ignored: nothing is appended since 20")
    assert "the segment 9000 (live/index003.ts) follows a gap of 32389200 s" in warning


def test_gap_of_the_time_that_has_passed_is_kept(live: Live) -> None:
    live.slide(5, 5, stated=2)
    live.refresh(wanted=True)
    assert (live.count, live.seconds) == (4, pytest.approx(12, abs=0.2))
    assert live.recording.gaps == [{"start_seconds": 6.0, "end_seconds": 10.0, "reason": "missing"}]


@pytest.mark.exhaustive
def test_track_with_an_end_whose_last_segment_is_late_is_waited_for(tracks: LiveTracks, tmp_path: Path) -> None:
    tracks.write(video=3, audio=2)
    tracks.register()
    assert tracks.seconds < 4.1
    late = tmp_path / "store" / "live" / "audio002.m4s"
    data = late.read_bytes()
    late.unlink()
    tracks.write(video=5, audio=3, ended="audio")
    tracks.refresh(wanted=True)
    assert tracks.count == 7
    assert tracks.seconds < 4.1
    late.write_bytes(data)
    tracks.refresh(wanted=True)
    assert (tracks.count, tracks.seconds) == (8, pytest.approx(10, abs=0.2))


def test_track_that_has_stalled_is_no_longer_waited_for(tracks: LiveTracks, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks.write(video=3, audio=2)
    tracks.register()
    tracks.refresh(wanted=True)
    now = time.monotonic()
    monkeypatch.setattr("clipengine.work.jobs.followed.time.monotonic", lambda: now + 50)
    tracks.write(video=4)
    tracks.refresh(wanted=True)
    assert tracks.seconds < 4.1
    monkeypatch.setattr("clipengine.work.jobs.followed.time.monotonic", lambda: now + 70)
    tracks.write(video=5)
    tracks.refresh(wanted=True)
    assert tracks.seconds == pytest.approx(10, abs=0.2)
    tracks.write(video=5, audio=4)
    tracks.refresh(wanted=True)
    assert (tracks.count, tracks.seconds) == (9, pytest.approx(10, abs=0.2))


class LiveObject(LiveRecording):
    """A recording whose segments are ranges of one object, which grows with them."""

    def __init__(self, ledger: Ledger, pool: ChildPool, folder: Path) -> None:
        super().__init__(ledger, pool, folder)
        fmp4_playlist(self.path, options={"hls_flags": "single_file"})
        self._text = self.path.read_text()
        self.object = next(self.path.parent.glob("*.m4s"))
        self._data = self.object.read_bytes()
        self.object.write_bytes(b"")

    def write(self, count: int, *, behind: int = 0, ended: bool = False) -> None:
        """List so many segments. The object lacks the last bytes of them."""
        self.path.write_text(self._text)
        text = first_segments(self.path, count)
        length, offset = map(int, re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text)[-1])
        data = self._data[: offset + length - behind]
        with self.object.open("ab") as file:
            file.write(data[self.object.stat().st_size :])
        self.path.write_text(text + "#EXT-X-ENDLIST\n" * ended)


@pytest.fixture
def one_object(parts: tuple[Ledger, ChildPool, Path]) -> Iterator[LiveObject]:
    made = LiveObject(*parts)
    yield made
    made.jobs.interrupt()


def test_ranges_of_an_object_that_grows_are_pieces_as_soon_as_it_has_them(one_object: LiveObject) -> None:
    one_object.write(3, behind=100)
    one_object.register()
    assert (one_object.count, one_object.seconds) == (2, pytest.approx(4, abs=0.2))
    one_object.write(4, behind=100)
    one_object.refresh(wanted=True)
    assert (one_object.count, one_object.seconds) == (3, pytest.approx(6, abs=0.2))
    written = one_object.etags
    assert len(written) == 1
    one_object.write(6, ended=True)
    os.utime(one_object.object, (1e9, 1e9))
    one_object.refresh(wanted=True)
    assert (one_object.recording.state, one_object.count) == ("complete", 6)
    assert one_object.recording.gaps == []
    assert one_object.etags == {FolderStore(one_object.object.parent).head(one_object.object.name).etag} != written


def test_object_that_is_written_after_the_end_stays_readable(one_object: LiveObject) -> None:
    one_object.write(3)
    one_object.register()
    written = one_object.etags
    one_object.write(4, ended=True)
    os.utime(one_object.object, (7e9, 7e9))  # as if it had just been written, however slow the machine is
    one_object.refresh(wanted=True)
    assert (one_object.recording.state, one_object.etags) == ("complete", written)
