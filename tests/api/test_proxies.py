"""Proxies over HTTP: segments join to one stream with the recording's frames, times and audio."""

from __future__ import annotations

import io
import itertools
import re
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
import pytest

from clipengine.clips.plan.proxy import (
    MAX_SEGMENTS,
    SEGMENT_SECONDS,
    finished_segments,
    playlist,
    proxy_segment,
    segment_count,
)
from clipengine.errors import UnsupportedMedia
from tests.api.test_previews import registered
from tests.films.catalogue import Shelf
from tests.films.film import Film
from tests.films.picture import read_number
from tests.films.sound import locate
from tests.support.api import ApiServer, RecordedEngine
from tests.support.selection import cases

_TICK = Fraction(1, 90_000)
_SYNC = 0.003
# Recordings that browsers cannot play, or whose times are difficult.
FILMS = ("ts_hevc", "ts_bframes", "mp4_2997", "rotated_90", "sar_wide", "interlaced_h264", "avi_h264_bframes")


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shelf:
    folder = tmp_path_factory.getbasetemp()
    return Shelf(folder if worker_id == "master" else folder.parent)


def fetched(http: httpx.Client, recording_id: str) -> bytes:
    """Return the joined segments of the playlist."""
    base = f"/v1/recordings/{recording_id}"
    listed = http.get(f"{base}/proxy.m3u8")
    assert listed.headers["content-type"] == "application/vnd.apple.mpegurl"
    (first,) = re.findall(r'MAP:URI="(.+)"', listed.text)
    paths = [first, *(line for line in listed.text.splitlines() if not line.startswith("#"))]
    answers = [http.get(f"{base}/{path}") for path in paths]
    assert {(answer.status_code, answer.headers["content-type"]) for answer in answers} == {(200, "video/mp4")}
    return b"".join(answer.content for answer in answers)


def shown(stream: bytes) -> list[tuple[Fraction, Fraction, int | None]]:
    """Return start, end and number of each frame."""
    with av.open(io.BytesIO(stream)) as container:
        return [
            (frame.pts * _TICK, (frame.pts + frame.duration) * _TICK, read_number(frame))
            for frame in container.decode(video=0)
            if frame.pts is not None
        ]


def heard(stream: bytes) -> Any:
    """Return the samples of the first channel. Fails if the packets do not follow each other exactly."""
    with av.open(io.BytesIO(stream)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    times = [(packet.pts or 0, packet.duration or 0) for packet in packets]
    assert times[0][0] == 0
    assert all(start + length == following for (start, length), (following, _) in itertools.pairwise(times))
    with av.open(io.BytesIO(stream)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


@pytest.mark.parametrize("name", cases(FILMS, ("ts_bframes",)))
def test_joined_segments_are_the_recording(http: httpx.Client, engine: RecordedEngine, shelf: Shelf, name: str) -> None:
    film = shelf.get(name)
    recording = registered(engine, film.path, key=film.path.name)
    stream = fetched(http, recording.recording_id)
    frames = shown(stream)
    assert [number for _, _, number in frames] == [number for _, number in film.frames]
    for (start, _, _), (expected, _) in zip(frames, film.frames, strict=True):
        assert abs(start - expected) <= _TICK
    assert all(end == start for (_, end, _), (start, _, _) in itertools.pairwise(frames))
    assert recording.facts is not None
    assert abs(frames[-1][1] - recording.facts.duration) <= _TICK
    check_sound(film, heard(stream))
    described = http.get(f"/v1/recordings/{recording.recording_id}/proxy").json()
    with av.open(io.BytesIO(stream)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == (described["width"], described["height"])
        assert Fraction(video.width, video.height) == pytest.approx(film.sar * film.width / film.height, rel=0.02)
        rate = audio.rate
    assert described["content_type"] == 'video/mp4; codecs="avc1.64002a, mp4a.40.2"'
    assert rate == recording.facts.audio[0].sample_rate


def check_sound(film: Film, samples: Any) -> None:
    """Check the sync at the head, over the first join (if there is one) and at the tail."""
    sound, tail = film.sounds[0], float(film.duration) - 0.4
    for time in (0.1, min(SEGMENT_SECONDS - 0.12, tail), tail):
        part = samples[round(time * 48_000) : round((time + 0.25) * 48_000)]
        place = locate(part, 48_000, time, seed=sound.seed)
        assert place.peak > 0.8
        assert abs(place.offset) < _SYNC


@pytest.mark.exhaustive
def test_frame_that_is_held_over_boundaries_begins_each_segment(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf
) -> None:
    film = shelf.get("mp4_vfr_still")
    frames = shown(fetched(http, registered(engine, film.path).recording_id))
    assert all(end == start for (_, end, _), (start, _, _) in itertools.pairwise(frames))
    begun = dict(film.frames)
    held = [(start, number) for start, _, number in frames if start not in begun]
    assert held
    for start, number in held:
        assert start % SEGMENT_SECONDS == 0
        assert number == film.on_screen(start)
    assert [number for start, _, number in frames if start in begun] == [number for _, number in film.frames]


@pytest.mark.exhaustive
def test_picture_before_the_first_frame_is_black(http: httpx.Client, engine: RecordedEngine, shelf: Shelf) -> None:
    film = shelf.get("edit_empty_video_late")
    stream = fetched(http, registered(engine, film.path).recording_id)
    with av.open(io.BytesIO(stream)) as container:
        first, second = (frame for frame, _ in zip(container.decode(video=0), range(2), strict=False))
    assert (first.pts, second.pts) == (0, film.frames[0][0] / _TICK)
    assert first.to_ndarray(format="gray").max() < 24


@pytest.mark.exhaustive
def test_audio_has_no_seam_between_segments(http: httpx.Client, engine: RecordedEngine, shelf: Shelf) -> None:
    """The difference to the recording is not larger at a join than elsewhere."""
    film = shelf.get("audio_only_flac")
    recording = registered(engine, film.path, key="film.flac")
    joined = heard(fetched(http, recording.recording_id))
    with av.open(str(film.path)) as container:
        pieces = [frame.to_ndarray().astype(np.float64) for frame in container.decode(audio=0)]
    with av.open(str(film.path)) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.rate, len(stream.layout.channels)
    original = np.concatenate([piece.reshape(-1, channels)[:, 0] for piece in pieces]) / 32768
    difference = np.abs(joined[: original.size] - original[: joined.size])
    join = SEGMENT_SECONDS * rate // 1024 * 1024
    elsewhere = np.sqrt(np.mean(difference[8192 : join - 8192] ** 2))
    assert np.sqrt(np.mean(difference[join - 1024 : join + 1024] ** 2)) < 1.5 * elsewhere
    described = http.get(f"/v1/recordings/{recording.recording_id}/proxy").json()
    assert described["content_type"] == 'audio/mp4; codecs="mp4a.40.2"'
    assert described["width"] is None


@pytest.mark.parametrize("number", ["2", "999999999", "9" * 5000, "-1", "1.5", "٣", "init", "%00"])
def test_segment_that_does_not_exist_is_rejected(
    http: httpx.Client, engine: RecordedEngine, shelf: Shelf, number: str
) -> None:
    recording = registered(engine, shelf.get("mp4_25").path)
    answer = http.get(f"/v1/recordings/{recording.recording_id}/proxy/{number}.m4s")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "it has 2, counted from 0" in answer.json()["detail"]


def test_proxy_of_incomplete_or_unknown_recording_is_rejected(http: httpx.Client, engine: RecordedEngine) -> None:
    engine.put("new.mp4", b"x")
    made, _ = engine.ledger.recordings.register("new.mp4", etag="e", size=1)
    for path in ("proxy", "proxy.m3u8", "proxy/init.mp4", "proxy/0.m4s"):
        answer = http.get(f"/v1/recordings/{made.recording_id}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "recording_not_complete")
        assert http.get(f"/v1/recordings/rec_x/{path}").json()["code"] == "recording_not_found"


def test_too_many_segments_are_rejected() -> None:
    longest = Fraction(MAX_SEGMENTS * SEGMENT_SECONDS)
    assert segment_count(longest) == MAX_SEGMENTS
    assert len(playlist(longest)) < 4_000_000
    with pytest.raises(UnsupportedMedia):
        segment_count(longest + 1)


@pytest.mark.parametrize(("duration", "count", "last"), [("0.1", 1, "0.1"), ("4.5", 1, "4.5"), ("4.6", 2, "0.6")])
def test_last_segment_is_not_a_sliver(duration: str, count: int, last: str) -> None:
    assert segment_count(Fraction(duration)) == count
    segment = proxy_segment(Fraction(duration), count - 1)
    assert segment.end - segment.start == Fraction(last)


@pytest.mark.exhaustive
def test_segments_are_cached_within_the_limit(
    server: ApiServer, engine: RecordedEngine, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = registered(engine, shelf.get("mp4_25").path)
    with server.client() as http:
        path = f"/v1/recordings/{recording.recording_id}/proxy/0.m4s"
        answer = http.get(path)
        assert answer.headers["cache-control"] == "private, no-cache"
        assert http.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
        folder = engine.settings.data.folder / "previews"
        (kept,) = folder.iterdir()
        assert kept.stat().st_size == len(answer.content)
        monkeypatch.setattr(engine.previews._cache, "_max_bytes", len(answer.content))
        http.get(path.replace("0.m4s", "1.m4s"))
        assert sum(file.stat().st_size for file in folder.iterdir()) <= len(answer.content)


@pytest.mark.parametrize("seconds", ["0.3", "4.4", "4.6", "8.5", "8.51", "4003.2"])
def test_segments_of_a_growing_recording_stay_as_they_are(seconds: str) -> None:
    duration = Fraction(seconds)
    count = finished_segments(duration, growing=True)
    assert count == finished_segments(duration, growing=False) - 1
    for later in (duration, duration + Fraction(1, 10), duration + 2, duration + 4000):
        assert [proxy_segment(duration, number) for number in range(count)] == [
            proxy_segment(later, number) for number in range(count)
        ]
    assert all(proxy_segment(duration, number).end <= duration - Fraction(1, 2) for number in range(count))


def test_playlist_of_a_growing_recording_has_no_end() -> None:
    growing, whole = playlist(Fraction(10), growing=True), playlist(Fraction(10))
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in growing
    assert "#EXT-X-ENDLIST" not in growing
    assert (growing.count("#EXTINF"), whole.count("#EXTINF")) == (2, 3)
    assert growing.partition("#EXTINF")[2] in whole
