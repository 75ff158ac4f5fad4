"""Recordings of many files through the whole engine: registered by their playlist, probed, cut, and deleted."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.client import ApiError, Client
from tests.films.judge import judge
from tests.films.parts import every
from tests.films.picture import read_number
from tests.films.reader import read_clip
from tests.films.ts_bytes import move_clock
from tests.support.playlists import AUDIO, VIDEO, agora, pad_segments, ts_playlist
from tests.support.server import running_server
from tests.support.stored import Objects, objects
from tests.support.waiting import until

__all__ = ["objects"]  # a fixture

KEY = "egress/r1/index.m3u8"


@contextmanager
def engine(tmp_path: Path, objects: Objects) -> Iterator[Client]:
    with running_server(tmp_path / "data", env=objects.env) as server, server.client() as api:
        yield api


def test_playlist_is_registered_cut_and_deleted(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    objects.put_files(tmp_path / "made", "egress/r1")
    with engine(tmp_path, objects) as api:
        recording = api.recordings.wait(api.recordings.add(KEY).recording_id, timeout=300)
        assert recording.status == "complete", recording.error
        assert recording.media is not None
        assert recording.media["container"] == "pieces"
        assert recording.pieces == {"count": 6, "runs": 1, "tracks": 1, "bytes": recording.file_size_bytes}
        assert (recording.gaps, recording.gaps_count) == ([], 0)
        assert recording.etag.startswith("pieces-")
        assert recording.duration_seconds == pytest.approx(12, abs=0.05)

        listed = api.recordings.pieces(recording.recording_id, start=5, limit=2)
        assert [(each["key"], each["track"], each["run"]) for each in listed.pieces] == [
            ("egress/r1/index002.ts", 0, 0),
            ("egress/r1/index003.ts", 0, 0),
        ]
        assert listed.more
        assert listed.pieces[0]["start_seconds"] == pytest.approx(4, abs=0.1)

        for render in ("encode", "smart"):
            made = api.clips.create(
                recording.recording_id, label=render, start_seconds=3.1, end_seconds=8.1, render=render
            )
            clip = api.clips.wait(made.clip_id, timeout=300)
            assert clip.status == "complete", clip.error
            assert clip.result is not None
            assert (clip.result.frames, clip.result.render, clip.result.warnings) == (126, render, [])
            assert 0 < clip.result.bytes_read <= (recording.file_size_bytes or 0)
            path = tmp_path / f"{render}.mp4"
            api.clips.download(clip.clip_id, path)
            assert [seen.number for _, seen in read_clip(path).frames] == list(range(77, 203))
            assert clip.result.manifest_path is not None
            manifest = json.loads(objects.read(clip.result.manifest_path))
            used = [each["key"] for each in manifest["recordings"][0]["pieces"]]
            assert {f"egress/r1/index00{number}.ts" for number in (1, 2, 3, 4)} <= set(used)

        with pytest.raises(ApiError, match="files") as caught:
            api.recordings.download(recording.recording_id, tmp_path / "whole.ts")
        assert caught.value.code == "recording_has_pieces"
        assert len([key for key in objects.keys("egress/r1") if key.endswith(".ts")]) == 6
        api.recordings.delete(recording.recording_id, object=True, pieces=True)
        until(lambda: not [key for key in objects.keys("egress/r1") if key.endswith((".ts", ".m3u8"))])


@pytest.mark.exhaustive
def test_clip_fails_only_if_it_needs_a_file_that_was_removed_or_replaced(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    pad_segments(tmp_path / "made")
    objects.put_files(tmp_path / "made", "a")
    with engine(tmp_path, objects) as api:
        recording = api.recordings.wait(api.recordings.add("a/index.m3u8").recording_id, timeout=300)
        assert recording.status == "complete", recording.error
        assert api.recordings.add("a/index.m3u8").recording_id == recording.recording_id
        objects.remove("a/index001.ts")
        objects.put("a/index005.ts", b"other")
        codes = []
        for start, end in ((4.5, 5.5), (1.0, 3.0), (10.2, 11.5)):
            made = api.clips.create(recording.recording_id, label="x", start_seconds=start, end_seconds=end)
            clip = api.clips.wait(made.clip_id, timeout=300)
            codes.append((clip.error and clip.error.code, clip.attempt))
        assert codes == [(None, 1), ("piece_missing", 1), ("recording_changed", 1)]


@pytest.mark.exhaustive
def test_clip_of_a_day_reads_only_its_segments(tmp_path: Path, objects: Objects) -> None:
    """All other segments have one byte: registration samples three of them, and needs none."""
    count, first = 8640, 8280  # 8 s each; the first of a clip at hour 23 of 24
    video, audio = replace(VIDEO, times=every(25, 24)), replace(AUDIO, seconds=Fraction(24))
    ts_playlist(tmp_path / "made" / "index.m3u8", video=video, audio=audio, options={"hls_time": "8"})
    data = (tmp_path / "made" / "index001.ts").read_bytes()
    (tmp_path / "x").write_bytes(b"x")
    real = {0, count - 1, *range(first - 4, first + 8)}
    objects.put_many({f"day/{number:04d}.ts": tmp_path / "x" for number in range(count) if number not in real})
    for number in real:
        objects.put(f"day/{number:04d}.ts", move_clock(data, 0, 8 * 90_000 * number))
    segments = [f"#EXTINF:8,\n{number:04d}.ts" for number in range(count)]
    objects.put("day/index.m3u8", "\n".join(["#EXTM3U", *segments, "#EXT-X-ENDLIST"]).encode())
    with engine(tmp_path, objects) as api:
        recording = api.recordings.wait(api.recordings.add("day/index.m3u8").recording_id, timeout=300)
        assert recording.status == "complete", recording.error
        assert (recording.pieces or {})["count"] == count
        assert recording.duration_seconds == pytest.approx(8 * count, abs=0.1)
        start = 8 * first + 0.5
        for render in ("encode", "smart"):
            made = api.clips.create(recording.recording_id, render, start, start + 30, render=render)
            clip = api.clips.wait(made.clip_id, timeout=300)
            assert clip.result is not None, clip.error
            assert (clip.result.frames, clip.result.warnings) == (pytest.approx(750, abs=1), [])
            assert clip.result.bytes_read <= 1.1 * 30 / 8 * len(data) + 3 * len(data)
        with closing(sqlite3.connect(tmp_path / "data" / "ledger.db")) as ledger:
            ((size,),) = ledger.execute("SELECT sum(length(data)) FROM piece_pages")
        assert size < 400_000


@pytest.mark.exhaustive
def test_master_playlist_with_urls_has_the_variant_and_the_texts(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    url = "https://cdn.example.org/v/"
    index = (tmp_path / "made" / "index.m3u8").read_text().replace("index0", f"{url}a/index0")
    master = (
        f'#EXTM3U\n#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",LANGUAGE="en",URI="{url}a/text.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1280x720,NAME="high"\ngone.m3u8\n'
        f'#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=160x90,SUBTITLES="s",NAME="low"\n{url}a/index.m3u8\n'
    )
    text = "WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n00:05.000 --> 00:06.000\nsaid\n"
    objects.put_files(tmp_path / "made", "a")
    objects.put("a/index.m3u8", index.encode())
    objects.put("a/all.m3u8", master.encode())
    objects.put("a/text.m3u8", b"#EXTM3U\n#EXTINF:12,\n0.vtt\n#EXT-X-ENDLIST\n")
    objects.put("a/0.vtt", text.encode())
    env = objects.env | {"CLIPENGINE_STORAGE__PLAYLIST_BASE_URL": url}
    with running_server(tmp_path / "data", env=env) as server, server.client() as api:
        found = [
            api.recordings.wait(api.recordings.add("a/all.m3u8", variant=variant).recording_id, timeout=300)
            for variant in (None, {"name": "low"}, {"max_height": 90})
        ]
        assert [each.error and each.error.code for each in found] == ["playlist_invalid", None, None]
        assert [each.variant for each in found] == [None, {"name": "low"}, {"max_height": 90}]
        id = found[1].recording_id
        (cue,) = api.transcripts.get(id, "en")
        assert (cue.text, cue.start_seconds) == ("said", pytest.approx(4.92, abs=0.01))
        clip = api.clips.wait(api.clips.create(id, "x", 3.1, 8.1).clip_id, timeout=300)
        assert clip.result is not None, clip.error
        assert (clip.result.frames, clip.result.warnings) == (126, [])
        assert [each.language for each in clip.result.subtitles] == ["en"]


@pytest.mark.exhaustive
@pytest.mark.exhaustive
def test_plan_and_clip_name_a_gap_at_the_start(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    (tmp_path / "made" / "index000.ts").unlink()
    objects.put_files(tmp_path / "made", "egress/r1")
    with engine(tmp_path, objects) as api:
        id = api.recordings.wait(api.recordings.add(KEY).recording_id, timeout=300).recording_id
        plan = api.clips.plan(id, start_seconds=1, end_seconds=5)
        assert [text.partition(":")[0] for text in plan.warnings] == ["video_gap", "audio_gap_filled"]
        made = api.clips.wait(api.clips.create(id, "start", 1, 5).clip_id, timeout=300)
        assert made.result is not None
        assert made.result.warnings == plan.warnings
        assert made.result.frames == plan.frames
        assert api.clips.plan(id, start_seconds=1, end_seconds=5, gaps="skip").warnings == []


@pytest.mark.exhaustive
def test_recording_of_agora_has_the_picture_and_the_separate_sound(tmp_path: Path, objects: Objects) -> None:
    film = agora(tmp_path / "made")
    objects.put_files(tmp_path / "made", "agora")
    with engine(tmp_path, objects) as api:
        added = api.recordings.add(f"agora/{film.path.name}")
        recording = api.recordings.wait(added.recording_id, timeout=300)
        assert recording.status == "complete", recording.error
        assert recording.media is not None
        assert (recording.pieces or {})["tracks"] == 2
        assert recording.media["video"]["first_frame_seconds"] == pytest.approx(1.5, abs=0.1)
        assert recording.started_at is not None
        made = api.clips.wait(api.clips.create(recording.recording_id, "x", 3.02, 11.02).clip_id, timeout=300)
        assert made.result is not None, made.error
        assert [text.partition(":")[0] for text in made.result.warnings] == ["audio_gap_filled"]
        api.clips.download(made.clip_id, tmp_path / "clip.mp4")
        reading = read_clip(tmp_path / "clip.mp4")
        result = made.result
        faults = judge(
            film,
            reading,
            Fraction("3.02"),
            Fraction("11.02"),
            result.actual_start_seconds,
            result.actual_end_seconds,
        )
        assert not faults, "\n".join(faults)
        start = api.clips.wait(api.clips.create(recording.recording_id, "start", 0, 4).clip_id, timeout=300)
        assert start.result is not None, start.error
        assert [text.partition(":")[0] for text in start.result.warnings] == ["video_gap"]


def test_previews_show_the_pieces(tmp_path: Path, objects: Objects) -> None:
    ts_playlist(tmp_path / "made" / "index.m3u8")
    objects.put_files(tmp_path / "made", "a")
    with engine(tmp_path, objects) as api:
        recording = api.recordings.wait(api.recordings.add("a/index.m3u8").recording_id, timeout=300)
        id = recording.recording_id
        api.recordings.frame(id, tmp_path / "frame.jpg", 7.1, width=160)
        api.recordings.filmstrip(id, tmp_path / "strip.jpg", count=4, width=160)
        assert numbers(tmp_path / "frame.jpg", 1) == [177]
        assert numbers(tmp_path / "strip.jpg", 4) == [0, 100, 150, 250]  # the keyframes before 37, 112, 187 and 262
        peaks = api.recordings.waveform(id, points=12)
        assert len(peaks.peaks) == 12
        assert min(peaks.peaks) > 0
        plan = api.clips.plan(id, start_seconds=3.1, end_seconds=8.1, render="smart")
        assert (plan.frames, [segment["kind"] for segment in plan.segments]) == (126, ["encode", "copy", "encode"])


def numbers(path: Path, tiles: int) -> list[int | None]:
    """Return the numbers of the frames side by side in a JPEG."""
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    width = picture.shape[1] // tiles
    parts = [picture[:, tile * width : (tile + 1) * width] for tile in range(tiles)]
    return [read_number(av.VideoFrame.from_ndarray(part.copy(), format="rgb24")) for part in parts]


@pytest.mark.parametrize(
    ("key", "text", "code"),
    [
        ("index.m3u8", "#EXTM3U\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n", "playlist_outside"),
        *(
            pytest.param("a/i.m3u8", text, code, marks=pytest.mark.exhaustive)
            for text, code in (
                ("#EXTM3U\n#EXTINF:4,\n/a.ts\n#EXT-X-ENDLIST\n", "playlist_outside"),
                ("#EXTM3U\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n", "playlist_invalid"),
                ("#EXTM3U\n#EXTINF:4,\na.ts\n", "recording_not_ready"),
            )
        ),
    ],
)
def test_playlist_that_cannot_be_used_fails_with_its_code(
    tmp_path: Path, objects: Objects, key: str, text: str, code: str
) -> None:
    objects.put(key, text.encode())
    with engine(tmp_path, objects) as api:
        recording = api.recordings.wait(api.recordings.add(key).recording_id, timeout=300)
        assert recording.error is not None
        assert recording.error.code == code
