"""Recordings that are still written: clips of what is there, clips that wait, and their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.client import ApiError, Client
from tests.films.judge import judge
from tests.films.reader import read_clip
from tests.support.children import holding
from tests.support.ffmpeg import run_ffmpeg
from tests.support.hostile import CASES
from tests.support.playlists import restarted_tracks, restarting, separate_audio, ts_playlist
from tests.support.recorder import Recorder
from tests.support.selection import cases
from tests.support.server import running_server
from tests.support.stored import Objects, objects
from tests.support.waiting import until

pytestmark = pytest.mark.proof

__all__ = ["objects"]  # a fixture

F = Fraction

KEY = "live/index.m3u8"
_PATIENT = {"CLIPENGINE_FAULT": "outage:pace=0.1"}  # ends a recording after ten minutes of silence, not one


@contextmanager
def engine(tmp_path: Path, objects: Objects, **env: str) -> Iterator[tuple[Client, Recorder]]:
    with running_server(tmp_path / "data", env=_PATIENT | env | objects.env) as server, server.client() as api:
        yield api, Recorder(tmp_path / "made", objects)


def frames(api: Client, clip_id: str, path: Path) -> list[tuple[float, int | None]]:
    api.clips.download(clip_id, path)
    return [(float(time), seen.number) for time, seen in read_clip(path).frames]


def test_live_clip_equals_that_after_the_end(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    with engine(tmp_path, objects) as (api, recorder):
        recorder.write(3)
        recording = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300)
        id = recording.recording_id
        assert (recording.status, recording.error, recording.completed_at) == ("recording", None, None)
        safe = recording.duration_seconds
        assert safe is not None
        assert 5.5 < safe < 6

        live = [api.clips.create(id, "live", safe - 3, safe), api.clips.create(id, "last", last_seconds=2)]
        assert live[1].end_seconds == safe
        assert live[1].start_seconds == pytest.approx(safe - 2)
        assert api.recordings.proxy(id).segments == 1
        api.recordings.proxy_segment(id, tmp_path / "live.m4s", 0)
        waiting = api.clips.create(id, "later", 5.0, 9.0)
        assert (waiting.status, waiting.step) == ("processing", "waiting")
        assert all(api.clips.wait(each.clip_id, timeout=300).status == "complete" for each in live)
        assert api.clips.get(waiting.clip_id).step == "waiting"

        recorder.write(5, late="index004.ts")
        until(lambda: (api.recordings.get(id).pieces or {})["count"] == 4)
        assert api.clips.get(waiting.clip_id).step == "waiting"
        recorder.put("index004.ts")
        assert api.clips.wait(waiting.clip_id, timeout=300).status == "complete"
        grown = api.recordings.get(id)
        assert grown.revision is not None
        assert recording.revision is not None
        assert grown.revision > recording.revision
        recorder.write(6, ended=True)
        until(lambda: api.recordings.get(id).status == "complete")
        ended = api.recordings.get(id)
        assert ended.duration_seconds == pytest.approx(12, abs=0.05)
        assert api.recordings.proxy(id).segments == 3
        api.recordings.proxy_segment(id, tmp_path / "ended.m4s", 0)
        assert (tmp_path / "ended.m4s").read_bytes() == (tmp_path / "live.m4s").read_bytes()
        assert ended.gaps_count == 0
        assert ended.pieces == {"count": 6, "runs": 1, "tracks": 1, "bytes": ended.file_size_bytes}
        for each in [*live, waiting]:
            again = api.clips.create(id, "again", each.start_seconds, each.end_seconds)
            assert api.clips.wait(again.clip_id, timeout=300).status == "complete"
            assert frames(api, again.clip_id, tmp_path / "b.mp4") == frames(api, each.clip_id, tmp_path / "a.mp4")
        with pytest.raises(ApiError) as caught:
            api.clips.create(id, "x", 5, 20)
        assert caught.value.code == "invalid_time_range"


@pytest.mark.parametrize("kind", cases(["ts", "fmp4"], ["ts"]))
@pytest.mark.exhaustive
def test_live_clips_over_clocks_that_begin_anew_equal_those_after_the_end(
    kind: str, tmp_path: Path, objects: Objects
) -> None:
    """The clock begins anew with the segments 1 and 3, of which the playlist says nothing."""
    restarting(tmp_path / "made" / "index.m3u8", (2, 4, 6), fmp4=kind == "fmp4")
    with engine(tmp_path, objects) as (api, recorder):
        recorder.write(1)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        made = []
        for count, ranges in ((2, [(0.5, 3.5)]), (5, [(1.02, 9.02), (5.5, 7.0)])):
            recorder.write(count)
            until(lambda count=count: (api.recordings.get(id).pieces or {})["count"] == count)
            made += [api.clips.create(id, "live", start, end) for start, end in ranges]
            assert all(api.clips.wait(each.clip_id, timeout=300).status == "complete" for each in made)
        assert api.recordings.get(id).status == "recording"
        recorder.write(6, ended=True)
        until(lambda: api.recordings.get(id).status == "complete")
        ended = api.recordings.get(id)
        assert (ended.pieces or {})["runs"] == 3
        objects.put("live/ended.m3u8", objects.read(KEY))
        anew = api.recordings.wait(api.recordings.add("live/ended.m3u8").recording_id, timeout=300)
        assert anew.duration_seconds == pytest.approx(ended.duration_seconds, abs=0.0001)
        for each in made:
            seen = frames(api, each.clip_id, tmp_path / "a.mp4")
            first = seen[0][1] or 0
            assert [number for _, number in seen] == list(range(first, first + len(seen)))
            for recording_id in (id, anew.recording_id):
                again = api.clips.create(recording_id, "again", each.start_seconds, each.end_seconds)
                assert api.clips.wait(again.clip_id, timeout=300).status == "complete"
                assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen


@pytest.mark.exhaustive
def test_clip_that_is_not_recorded_in_time_fails_or_is_clamped(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    with engine(tmp_path, objects) as (api, recorder):
        recorder.write(3)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        soon = datetime.now(UTC) + timedelta(seconds=10)
        failing = api.clips.create(id, "x", 4, 9, wait_until=soon)
        clamped = api.clips.create(id, "x", 4, 9, wait_until=soon, on_timeout="clamp")
        after = api.clips.create(id, "x", 8, 9, wait_until=soon, on_timeout="clamp")
        until_the_end = api.clips.create(id, "x", 5, 300)
        assert failing.wait_until == soon.strftime("%Y-%m-%dT%H:%M:%S.") + f"{soon.microsecond // 1000:03d}Z"
        for each in (failing, after):
            ended = api.clips.wait(each.clip_id, timeout=300)
            assert ended.error is not None
            assert (ended.error.code, ended.error.retryable) == ("not_recorded_yet", True)
        ended = api.clips.wait(clamped.clip_id, timeout=300)
        assert ended.result is not None
        assert ended.result.actual_end_seconds == pytest.approx(5.88, abs=0.05)
        assert [each.partition(":")[0] for each in ended.result.warnings] == ["end_clamped"]

        again = api.clips.retry(failing.clip_id)
        assert (again.step, again.status) == ("waiting", "processing")
        with pytest.raises(ApiError) as caught:
            api.recordings.delete(id)
        assert caught.value.code == "recording_busy"
        assert api.recordings.end(id).status == "recording"
        until(lambda: api.recordings.get(id).status == "complete")
        assert api.recordings.end(id).duration_seconds == pytest.approx(6, abs=0.03)
        for each in (again, until_the_end):
            ended = api.clips.wait(each.clip_id, timeout=300)
            assert ended.result is not None
            assert ended.result.actual_end_seconds == pytest.approx(6, abs=0.03)
            assert "end_clamped" in str(ended.result.warnings)


@pytest.mark.exhaustive
def test_tracks_of_a_master_playlist_grow_at_different_times(tmp_path: Path, objects: Objects) -> None:
    separate_audio(tmp_path / "made" / "index.m3u8")
    with engine(tmp_path, objects) as (api, recorder):
        recorder.write(3, names=("video", "audio"))
        recorder.put("index.m3u8")
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        recorder.write(5, names=("video",))
        waiting = api.clips.create(id, "later", 4.0, 9.0)
        until(lambda: (api.recordings.get(id).pieces or {})["count"] == 8)
        assert api.clips.get(waiting.clip_id).step == "waiting"
        assert (api.recordings.get(id).duration_seconds or 0) < 6.1
        recorder.write(6, names=("audio",))
        made = api.clips.wait(waiting.clip_id, timeout=300)
        assert made.status == "complete"
        recorder.write(6, names=("video", "audio"), ended=True)
        until(lambda: api.recordings.get(id).status == "complete")
        again = api.clips.create(id, "again", 4.0, 9.0)
        assert api.clips.wait(again.clip_id, timeout=300).status == "complete"
        seen = frames(api, made.clip_id, tmp_path / "a.mp4")
        assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen
        assert [number for _, number in seen] == list(range(100, 225))


@pytest.mark.exhaustive
@pytest.mark.parametrize("fmp4", [False, True], ids=["ts", "fmp4"])
def test_tracks_of_a_writer_that_was_started_again_are_in_sync(fmp4: bool, tmp_path: Path, objects: Objects) -> None:
    """The audio is a segment ahead at the restart, which three of video and four of audio precede, and then behind."""
    film = restarted_tracks(tmp_path / "made" / "index.m3u8", fmp4=fmp4)
    edge = (F(59, 10), F(61, 10))
    film = replace(film, sounds=tuple(replace(each, doubtful=(edge,)) for each in film.sounds))
    with engine(tmp_path, objects) as (api, recorder):
        recorder.put("index.m3u8")
        recorder.write(2, names=("v0",))
        recorder.write(1, names=("v1",))
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        made = []
        for video, audio, pieces, ranges in (
            (3, 5, 7, [(3.2, 5.8)]),
            (7, 5, 12, [(4.52, 7.8)]),
            (7, 7, 14, [(6.4, 11.8)]),
        ):
            recorder.write(audio, names=("v1",))
            recorder.write(video, names=("v0",))
            until(lambda pieces=pieces: (api.recordings.get(id).pieces or {})["count"] == pieces)
            made += [api.clips.create(id, "live", start, end) for start, end in ranges]
            assert all(api.clips.wait(each.clip_id, timeout=300).status == "complete" for each in made)
        recorder.write(8, names=("v0", "v1"), ended=True)
        until(lambda: api.recordings.get(id).status == "complete")
        assert api.recordings.get(id).duration_seconds == pytest.approx(13, abs=0.1)
        for each in made:
            seen = frames(api, each.clip_id, tmp_path / "a.mp4")
            result = api.clips.get(each.clip_id).result
            assert result is not None
            times = F(str(each.start_seconds)), F(str(each.end_seconds))
            actual = result.actual_start_seconds, result.actual_end_seconds
            assert judge(film, read_clip(tmp_path / "a.mp4"), *times, *actual) == []
            again = api.clips.create(id, "again", each.start_seconds, each.end_seconds)
            assert api.clips.wait(again.clip_id, timeout=300).status == "complete"
            assert frames(api, again.clip_id, tmp_path / "b.mp4") == seen


@pytest.mark.exhaustive
def test_silence_ends_a_recording_without_its_missing_segments(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    with engine(tmp_path, objects, CLIPENGINE_FAULT="outage:pace=4") as (api, recorder):
        recorder.write(2)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        for name in ("index003.ts", "index005.ts"):
            (tmp_path / "made" / name).write_bytes(b"")  # an empty object is as none
        recorder.write(6)
        until(lambda: api.recordings.get(id).status == "complete")
        recording = api.recordings.get(id)
        assert recording.duration_seconds == pytest.approx(10, abs=0.03)
        gaps = [
            (round(each["start_seconds"], 1), round(each["end_seconds"], 1), each["reason"]) for each in recording.gaps
        ]
        assert gaps == [(6.0, 8.0, "missing")]
        made = api.clips.create(id, "x", 5, 9)
        ended = api.clips.wait(made.clip_id, timeout=300)
        assert ended.result is not None
        assert "video_gap" in str(ended.result.warnings)


@pytest.mark.exhaustive
def test_sliding_playlist_appends_and_a_shorter_one_is_ignored(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    with engine(tmp_path, objects) as (api, recorder):
        recorder.write(3)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        sliding = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{}\n"
        for number in range(6):
            recorder.put(f"index{number:03d}.ts")
        recorder.put("index.m3u8", (sliding.format(2) + "#EXTINF:2,\nindex002.ts\n#EXTINF:2,\nindex003.ts\n").encode())
        until(lambda: (api.recordings.get(id).pieces or {})["count"] == 4)
        recorder.write(2)
        recorder.put("index.m3u8", (sliding.format(4) + "#EXTINF:2,\nindex004.ts\n#EXTINF:2,\nindex005.ts\n").encode())
        until(lambda: (api.recordings.get(id).pieces or {})["count"] == 6)
        api.recordings.end(id)
        until(lambda: api.recordings.get(id).status == "complete")
        recording = api.recordings.get(id)
        assert (recording.duration_seconds, recording.gaps_count) == (pytest.approx(12, abs=0.05), 0)
        made = api.clips.create(id, "x", 5, 11)
        assert api.clips.wait(made.clip_id, timeout=300).status == "complete"
        seen = [number for _, number in frames(api, made.clip_id, tmp_path / "a.mp4")]
        assert seen == list(range(125, 275))


@pytest.mark.outage
def test_waiting_clips_survive_the_death_of_the_engine(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    with running_server(tmp_path / "data", env=_PATIENT | objects.env) as server:
        api, recorder = server.client(), Recorder(tmp_path / "made", objects)
        recorder.write(3)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        waiting = [api.clips.create(id, "x", 5.0, 9.0) for _ in range(3)]
        server.process.kill()
        server.process.wait()
    recorder.write(6)
    with running_server(tmp_path / "data", env=_PATIENT | objects.env) as server:
        api = server.client()
        for each in waiting:
            ended = api.clips.wait(each.clip_id, timeout=300)
            assert (ended.status, ended.attempt) == ("complete", 1)
        assert api.recordings.get(id).status == "recording"


@pytest.mark.exhaustive
def test_first_answers_after_a_kill_have_what_was_written_meanwhile(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    recorder = Recorder(tmp_path / "made", objects)
    with running_server(tmp_path / "data", env=_PATIENT | objects.env) as server, server.client() as api:
        recorder.write(3)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        soon = (datetime.now(UTC) + timedelta(seconds=10)).isoformat()
        clip = api.clips.create(id, "x", 5.0, 60.0, wait_until=soon, on_timeout="clamp")
        server.process.kill()
        server.process.wait()
    recorder.write(6)
    with running_server(tmp_path / "data", env=_PATIENT | objects.env) as server, server.client() as api:
        made = []

        def is_accepted() -> bool:
            with suppress(ApiError):  # not_recorded_yet
                made.append(api.clips.create(id, "last", last_seconds=2))
            return bool(made)

        until(is_accepted)
        assert made[0].end_seconds == pytest.approx(12, abs=0.2)
        clamped = api.clips.wait(clip.clip_id, timeout=300)
        assert clamped.result is not None, clamped.error
        assert clamped.result.actual_end_seconds == pytest.approx(12, abs=0.2)


@pytest.mark.outage
def test_recordings_are_refreshed_while_all_clips_and_probes_are_stuck(tmp_path: Path) -> None:
    """One worker each: of clips, one sleeps; of probes, one has a child that does not go on."""
    folder = tmp_path / "data" / "store"
    slow, recorder = folder / "slow.flv", Recorder(tmp_path / "made", Objects(folder))
    ts_playlist(tmp_path / "made" / "index.m3u8")
    env = {"CLIPENGINE_ENCODING__WORKERS": "1", "CLIPENGINE_FAULT": "encoding:sleep=600,outage:pace=0.1"}
    with running_server(tmp_path / "data", env=env) as server, server.client() as api:
        recorder.write(3)
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        clip = api.clips.create(id, "asleep", 1.0, 3.0).clip_id
        until(lambda: api.clips.get(clip).step == "encoding")
        CASES["a million packets of one byte"].make(slow)
        probed = api.recordings.add("slow.flv").recording_id
        until(lambda: holding(server.process.pid, slow))
        for child in holding(server.process.pid, slow):
            os.kill(child, signal.SIGSTOP)
        recorder.write(6)
        until(lambda: (api.recordings.get(id).duration_seconds or 0) > 11.5)
        waiting = api.clips.create(id, "waits", 10.0, 11.5)
        assert waiting.step == "queued"
        assert [api.clips.get(clip).status, api.recordings.get(probed).status] == ["processing", "processing"]
        api.recordings.delete(probed)
        until(lambda: not holding(server.process.pid, slow))
        server.process.kill()


@pytest.mark.exhaustive
@pytest.mark.parametrize(("header", "status"), [("run2.mp4", "complete"), ("run1.mp4", "failed")])
def test_header_with_a_name_for_each_run_keeps_what_was_there_before(
    header: str, status: str, tmp_path: Path, objects: Objects
) -> None:
    made = tmp_path / "made"
    made.mkdir()

    def record(number: int, size: str, name: str) -> None:
        source = ["-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25", "-t", "6", "-c:v", "libx264"]
        hls = ["-g", "50", "-f", "hls", "-hls_list_size", "0", "-hls_segment_type", "fmp4"]
        names = ["-hls_fmp4_init_filename", name, "-hls_segment_filename", made / f"{number}_%d.m4s"]
        run_ffmpeg(*source, *hls, "-hls_flags", "append_list+omit_endlist", *names, made / "index.m3u8")
        for path in sorted(made.iterdir(), key=lambda path: path.suffix == ".m3u8"):
            recorder.put(path.name)

    with engine(tmp_path, objects) as (api, recorder):
        record(1, "160x90", "run1.mp4")
        id = api.recordings.wait(api.recordings.add(KEY, live=True).recording_id, timeout=300).recording_id
        record(2, "320x180", header)
        until(lambda: (api.recordings.get(id).pieces or {})["count"] == 6)
        before, after = (api.clips.create(id, "run", start, start + 2) for start in (1, 7))
        assert api.clips.wait(after.clip_id, timeout=300).status == "complete"
        ended = api.clips.wait(before.clip_id, timeout=300)
        assert (ended.status, ended.attempt) == (status, 1)
