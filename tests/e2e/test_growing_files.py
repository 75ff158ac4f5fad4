"""Single files that a program is still writing: clips of what is there, clips that wait, and their end."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.client import Client, Recording
from tests.films.reader import read_clip
from tests.support.ffmpeg import run_ffmpeg
from tests.support.growing import FORMATS, Writer, started_again, writer
from tests.support.selection import cases
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = pytest.mark.proof

_PATIENT = {"CLIPENGINE_FAULT": "outage:pace=0.25"}  # ends a recording after four minutes of silence, not one


def frames(api: Client, clip_id: str, path: Path) -> list[tuple[float, int | None]]:
    assert api.clips.wait(clip_id, timeout=300).status == "complete"
    api.clips.download(clip_id, path)
    return [(float(time), seen.number) for time, seen in read_clip(path).frames]


def register(api: Client, writing: Writer) -> str:
    found = api.recordings.wait(api.recordings.add(writing.path.name, live=True).recording_id, timeout=300)
    assert (found.status, found.error) == ("recording", None)
    return found.recording_id


@pytest.mark.parametrize("kind", cases(FORMATS, ["hybrid"]))
def test_clip_of_a_growing_file_equals_that_after_the_end(kind: str, tmp_path: Path) -> None:
    writing = writer(kind, tmp_path / "data" / "store")
    with running_server(tmp_path / "data", env=_PATIENT) as server, server.client() as api:
        writing.write_until(0.6)
        id = register(api, writing)
        safe = api.recordings.get(id).duration_seconds
        assert safe is not None
        assert 4.5 < safe < 7.3
        live = [api.clips.create(id, "live", safe - 3, safe), api.clips.create(id, "last", last_seconds=2)]
        waiting = api.clips.create(id, "later", 5.0, 8.5)
        assert waiting.step == "waiting"
        before = [frames(api, each.clip_id, tmp_path / "a.mp4") for each in live]
        assert api.clips.get(waiting.clip_id).step == "waiting"
        writing.write_until(0.95)
        before.append(frames(api, waiting.clip_id, tmp_path / "a.mp4"))
        assert api.recordings.get(id).status == "recording"
        at_the_end = api.clips.create(id, "end", 9, 300)
        writing.write_until(1)
        meanwhile = api.clips.create(id, "closing", safe - 3, safe)  # the file is not what it was when it was indexed
        assert frames(api, meanwhile.clip_id, tmp_path / "b.mp4") == before[0]
        if kind in ("ts", "mkv"):  # the others state their end
            api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")
        ended = api.recordings.get(id)
        assert (ended.pieces, ended.file_size_bytes) == (None, writing.path.stat().st_size)
        assert ended.duration_seconds == pytest.approx(12, abs=0.2)
        frames(api, at_the_end.clip_id, tmp_path / "b.mp4")
        for each, seen in zip([*live, waiting], before, strict=True):
            again = api.clips.create(id, "again", each.start_seconds, each.end_seconds)
            assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen
        assert api.recordings.add(writing.path.name).recording_id == id


@pytest.mark.exhaustive
def test_planned_duration_of_a_growing_file_is_no_warning(tmp_path: Path) -> None:
    """`ffmpeg -t 45` states the duration in the header of Matroska before it is recorded."""
    finished, writing = writer("mkv", tmp_path / "made"), writer("mkv", tmp_path / "data" / "store")
    finished.write_until(1)
    duration = re.search(rb"\x44\x89\x88.{8}", finished.path.read_bytes(), re.DOTALL)
    assert duration is not None
    with running_server(tmp_path / "data", env=_PATIENT) as server, server.client() as api:
        writing.write_until(0.6)
        with writing.path.open("r+b") as file:
            file.seek(duration.start())
            file.write(duration[0])
        made = api.clips.wait(api.clips.create(register(api, writing), "live", 1, 3).clip_id, timeout=300)
        assert (made.result and made.result.warnings, made.error) == ([], None)


@pytest.mark.parametrize("offset", cases([0, 4900], [4900]))
@pytest.mark.exhaustive
def test_clips_over_a_jump_of_the_clock_equal_those_after_the_end(offset: int, tmp_path: Path) -> None:
    writing = started_again(tmp_path / "data" / "store", offset=Fraction(offset))
    with running_server(tmp_path / "data", env=_PATIENT) as server, server.client() as api:
        writing.write_until(0.4)
        id = register(api, writing)
        writing.write_until(0.55)
        until(lambda: (api.recordings.get(id).duration_seconds or 0) > 5)
        waiting = api.clips.create(id, "over", 4.5, 8.5)
        assert waiting.step == "waiting"
        writing.write_until(0.95)
        before = [frames(api, waiting.clip_id, tmp_path / "a.mp4")]
        live = [waiting, api.clips.create(id, "after", 7.02, 9.02), api.clips.create(id, "before", 1.0, 6.1)]
        before += [frames(api, each.clip_id, tmp_path / "a.mp4") for each in live[1:]]
        grown = api.recordings.get(id)
        assert (grown.status, (grown.pieces or {})["runs"]) == ("recording", 2)
        writing.write_until(1)
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")
        assert api.recordings.get(id).pieces is None
        for each, seen in zip(live, before, strict=True):
            numbers = [number for _, number in seen]
            assert numbers == list(range(numbers[0] or 0, (numbers[0] or 0) + len(numbers)))
            again = api.clips.create(id, "again", each.start_seconds, each.end_seconds)
            assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen


def test_plain_mp4_is_refused_while_it_is_written(tmp_path: Path) -> None:
    writing = writer("hybrid", tmp_path / "data" / "store", movflags="disable_chpl")
    with running_server(tmp_path / "data") as server, server.client() as api:
        writing.write_until(0.6)
        found = api.recordings.wait(api.recordings.add(writing.path.name, live=True).recording_id, timeout=300)
        assert found.error is not None
        assert (found.status, found.error.code) == ("failed", "recording_not_ready")
        assert "frag_keyframe+empty_moov" in (found.error.hint or "")
        writing.write_until(1)
        found = api.recordings.wait(api.recordings.add(writing.path.name, live=True).recording_id, timeout=300)
        assert (found.status, found.pieces) == ("complete", None)


@pytest.mark.exhaustive
@pytest.mark.parametrize("change", ["shortened", "replaced", "deleted"])
def test_recording_ends_if_its_file_is_no_longer_the_same(change: str, tmp_path: Path) -> None:
    writing = writer("mkv", tmp_path / "data" / "store")
    with running_server(tmp_path / "data", env={"CLIPENGINE_FAULT": "outage:pace=10"}) as server:
        api = server.client()
        writing.write_until(0.6)
        id = register(api, writing)
        waiting = api.clips.create(id, "later", 3.0, 300)
        data = writing.path.read_bytes()
        if change == "deleted":
            writing.path.unlink()
        else:
            writing.path.write_bytes(data[:50_000] if change == "shortened" else b"\x1a" + data[::-1])
        until(lambda: api.recordings.get(id).status == "complete")
        error = api.clips.wait(waiting.clip_id, timeout=300).error
        assert error is not None
        assert error.code == ("piece_missing" if change == "deleted" else "recording_changed")


@pytest.mark.exhaustive
def test_watch_and_requests_find_the_recording_of_a_growing_file(tmp_path: Path) -> None:
    writing = writer("mkv", tmp_path / "data" / "store" / "obs")
    env = {"CLIPENGINE_WATCH__PREFIXES": '["obs/"]', "CLIPENGINE_WATCH__SETTLE_SECONDS": "1"}
    with running_server(tmp_path / "data", env=env) as server, server.client() as api:
        writing.write_until(0.6)
        key = "obs/mkv.mkv"
        id = api.recordings.wait(api.recordings.add(key, live=True).recording_id, timeout=300).recording_id
        assert api.recordings.add(key).recording_id == id
        writing.write_until(1)
        until(lambda: api.recordings.get(id).status == "complete")
        assert api.recordings.add(key).recording_id == id
        assert [each.recording_id for each in api.recordings.list().data] == [id]


@pytest.mark.outage
@pytest.mark.parametrize("kind", ["ts", "fmp4"])
def test_clips_end_once_if_the_writer_and_the_engine_are_killed(kind: str, tmp_path: Path) -> None:
    made = writer("mkv", tmp_path)
    made.write_until(1)
    form, suffix, options = FORMATS[kind]
    target = tmp_path / "data" / "store" / f"live.{suffix}"
    target.parent.mkdir(parents=True)
    flags = [part for name, value in options.items() for part in (f"-{name}", value)]
    command = ["ffmpeg", "-v", "error", "-readrate", "1", "-i", str(made.path), "-c", "copy", "-f", form, *flags]
    run_ffmpeg("-version")
    with running_server(tmp_path / "data", env=_PATIENT) as server:
        api = server.client()
        recorder = subprocess.Popen([*command, "-flush_packets", "1", str(target)])
        try:
            id = api.recordings.wait(_added(api, target).recording_id, timeout=300).recording_id
            ranges = [(1.0, 7.0), (6.0, 300.0), (100.0, 101.0)]
            waiting = [api.clips.create(id, "x", start, end) for start, end in ranges]
            until(lambda: (api.recordings.get(id).duration_seconds or 0) > 4)
        finally:
            recorder.kill()
            recorder.wait()
        server.process.kill()
        server.process.wait()
    with running_server(tmp_path / "data", env={"CLIPENGINE_FAULT": "outage:pace=10"}) as server:
        api = server.client()
        ended = [api.clips.wait(each.clip_id, timeout=300) for each in waiting]
        until(lambda: api.recordings.get(id).status == "complete")
        length = api.recordings.get(id).duration_seconds or 0
        assert 4 < length < 12.2
        written = [seen.number for _, seen in read_clip(target).frames]
        for (start, end), clip in zip(ranges, ended, strict=True):
            if start >= length:
                assert clip.error is not None
                assert (clip.status, clip.error.code) == ("failed", "no_media_in_range")
                continue
            assert clip.status == "complete"
            assert clip.result is not None
            assert clip.result.actual_end_seconds == pytest.approx(min(end, length), abs=0.1)
            codes = {each.partition(":")[0] for each in clip.result.warnings}
            # The audio of a killed writer may go on for longer than its video.
            assert codes <= ({"end_clamped", "video_gap", "audio_gap_filled"} if end > length - 0.5 else set())
            seen = [number for _, number in frames(api, clip.clip_id, tmp_path / "a.mp4")]
            assert seen == [number for number in written if number is not None and seen[0] <= number <= seen[-1]]
            assert len(seen) > 25 * (min(end, length) - start) - 8  # a killed writer lacks the last B-frames


def _added(api: Client, path: Path) -> Recording:
    """Register a file as soon as its writer has created it."""
    until(path.exists)
    return api.recordings.add(path.name, live=True)
