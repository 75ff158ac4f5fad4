"""Frames, filmstrips and waveforms by their content: the films show the number of each frame and sound their time."""

from __future__ import annotations

import array
import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from clipengine.clips.options.profiles import Profile
from clipengine.errors import NoMediaInRange
from clipengine.media.input.containers.cached_reader import DescriptorSource
from clipengine.media.previews.frame import filmstrip, frame_at
from clipengine.media.previews.frame_times import frame_times
from clipengine.media.previews.waveform import peaks
from clipengine.media.probe import probe
from clipengine.media.video.convert import FrameConverter
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex
from tests.films.catalogue import Shelf
from tests.films.cutting import facts_of
from tests.films.film import Film
from tests.films.judge import expectations
from tests.films.picture import read_number
from tests.support.palette import write_palette_avi

pytestmark = pytest.mark.proof

TIMES = (Fraction(0), Fraction(1, 3), Fraction("1.007"), Fraction("2.5"))
FILMS = (
    "mp4_2997",
    "mp4_vfr_still",
    "edit_empty_video_late",
    "edit_negative_start",
    "rotated_90",
    "sar_wide",
    "avi_h264_open_gop",
    "interlaced_h264",
    "hdr_hlg",
    "webm_live_vp8",
    "ts_wraps",
    "still_with_sound",
)


@contextmanager
def opened(film: Film) -> Iterator[tuple[DescriptorSource, SourceFacts, SeekIndex | None]]:
    with film.path.open("rb") as file:
        source = DescriptorSource(file.fileno())
        found = probe(source)
        yield source, found.facts, found.seek_index


def picture(jpeg: bytes) -> av.VideoFrame:
    with av.open(io.BytesIO(jpeg)) as container:
        return next(container.decode(video=0))


def numbers(strip: bytes, count: int) -> list[int | None]:
    """What each tile shows."""
    pixels = picture(strip).to_ndarray(format="rgb24")
    width = pixels.shape[1] // count
    tiles = [np.ascontiguousarray(pixels[:, at * width : (at + 1) * width]) for at in range(count)]
    return [read_number(av.VideoFrame.from_ndarray(tile, "rgb24")) for tile in tiles]


@pytest.mark.parametrize("name", FILMS)
@pytest.mark.typical(2)
def test_frame_preview_is_the_first_frame_of_a_clip(shelf: Shelf, name: str) -> None:
    film = shelf.get(name)
    with opened(film) as (source, facts, seek_index):
        for at in TIMES:
            expected = {each.frames[0][1] for each in expectations(film, at, at + Fraction(1, 4)) if each.frames}
            if not expected or film.on_screen(at) is None:
                continue  # nothing is on screen yet
            near = seek_index and seek_index.near(at)
            shown = picture(frame_at(source, facts, at=at, width=1920, threads=1, seek_index=near))
            assert read_number(shown) in expected, at
            assert abs(Fraction(shown.width, shown.height) / (film.sar * film.width / film.height) - 1) < Fraction(
                1, 50
            )


def test_frame_at_the_end_is_the_last_frame(shelf: Shelf) -> None:
    film = shelf.get("mp4_25")
    with opened(film) as (source, facts, _):
        shown = picture(frame_at(source, facts, at=facts.duration, width=320, threads=1))
    assert read_number(shown) == film.frames[-1][1]


@pytest.mark.parametrize("name", ["hdr_hlg", "hdr_pq", "tagged_bt709", "tagged_bt601"])
@pytest.mark.typical(1)
def test_preview_has_the_colours_of_the_clip(shelf: Shelf, name: str) -> None:
    with opened(shelf.get(name)) as (source, facts, _):
        preview = picture(frame_at(source, facts, at=Fraction(0), width=1920, threads=1))
    with av.open(str(shelf.get(name).path)) as container:
        frame = next(container.decode(video=0))
    clip = FrameConverter(Profile(), frame, None).convert(frame)
    off = clip.to_ndarray(format="rgb24").astype(int) - preview.to_ndarray(format="rgb24").astype(int)
    blocks = off[:88].reshape(11, 8, 20, 8, 3).mean(axis=(1, 3))
    assert np.abs(blocks).max() < 10  # measured: up to 5; with the matrix of BT.709 in the JPEG, 20


@pytest.mark.parametrize("name", [*FILMS, "mp4_vfr_jitter", "mp4_vfr_gaps"])
@pytest.mark.typical(2)
def test_frame_times_match_the_film(shelf: Shelf, name: str) -> None:
    film = shelf.get(name)
    start, end = Fraction("1.007"), Fraction("2.5")
    with opened(film) as (source, facts, seek_index):
        near = seek_index and seek_index.near(start)
        times = frame_times(source, facts, start=start, end=end, seek_index=near)
        assert facts.video is not None
        assert facts.video.first_frame is not None
        assert abs(facts.video.first_frame - film.frames[0][0]) <= Fraction(1, 1000)
    on_screen = max((time for time, _ in film.frames if time <= start), default=start)
    expected = [time for time, _ in film.frames if on_screen <= time < end]
    assert len(times) == len(expected)
    assert all(abs(time - wanted) <= Fraction(1, 1000) for time, wanted in zip(times, expected, strict=True))


def test_filmstrip_of_an_avi_has_its_palette(tmp_path: Path) -> None:
    path = tmp_path / "palette.avi"
    write_palette_avi(path)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with path.open("rb") as file:
        source = DescriptorSource(file.fileno())
        strip = filmstrip(
            source, probe(source).facts, start=Fraction(0), end=Fraction(3), count=2, width=128, threads=1
        )
    pixels = picture(strip).to_ndarray(format="rgb24").astype(int)
    for tile, frame in ((pixels[:, :128], frames[7]), (pixels[:, 128:], frames[22])):
        assert np.abs(tile - frame.to_ndarray(format="rgb24").astype(int)).mean() < 8


@pytest.mark.parametrize("name", ["mp4_gop_10s", "avi_h264_bframes"])
def test_close_tiles_are_exact(shelf: Shelf, name: str) -> None:
    film = shelf.get(name)
    start, end = Fraction(1), Fraction(2)
    with opened(film) as (source, facts, _):
        strip = filmstrip(source, facts, start=start, end=end, count=8, width=320, threads=1)
    moments = [start + (end - start) * (2 * at + 1) / 16 for at in range(8)]
    for number, moment in zip(numbers(strip, 8), moments, strict=True):
        assert number in {each.frames[0][1] for each in expectations(film, moment, moment + 1)}


@pytest.mark.parametrize("name", ["mp4_24", "mp4_one_keyframe", "webm_vp9", "ts_jumps_ahead", "ts_bframes"])
@pytest.mark.typical(2)
def test_distant_tiles_show_an_earlier_frame(shelf: Shelf, name: str) -> None:
    film = shelf.get(name)
    with opened(film) as (source, facts, _):
        strip = filmstrip(source, facts, start=Fraction(0), end=facts.duration, count=3, width=320, threads=1)
    shown = numbers(strip, 3)
    assert None not in shown
    assert shown == sorted(shown)  # type: ignore[type-var]
    for at, number in enumerate(shown):
        latest = film.on_screen(film.duration * (2 * at + 1) / 6 + (film.frame_seconds or 0))
        assert latest is not None
        assert number is not None
        assert number <= latest


def test_waveform_is_zero_in_gaps_of_the_audio(shelf: Shelf) -> None:
    film = shelf.get("audio_late_mp4")
    begins = film.sounds[0].start
    assert begins > Fraction(1, 4)
    with opened(film) as (source, facts, _):
        found = peaks(source, facts, start=Fraction(0), end=facts.duration, points=100)
        part = peaks(source, facts, start=begins + Fraction(1, 2), end=begins + 1, points=10)
    first = next(at for at, peak in enumerate(found) if peak > 0.02)
    assert abs(facts.duration * first / 100 - begins) < Fraction(1, 10)
    assert min(part) > 0.02
    assert max(found) <= 1


@pytest.mark.parametrize("name", ["ts_jumps_ahead", "ts_bframes", "webm_live_vp8"])
@pytest.mark.typical(1)
def test_waveform_is_the_same_with_the_seek_index(shelf: Shelf, name: str) -> None:
    with opened(shelf.get(name)) as (source, facts, seek_index):
        assert seek_index is not None
        start = facts.duration * 11 / 12
        assert seek_index.near(start).before(start) is not None
        part = partial(peaks, source, facts, start=start, end=facts.duration, points=20)
        for plain, found in zip(part(), part(seek_index=seek_index.near(start)), strict=True):
            assert abs(plain - found) < 0.15  # noise: a sample more or less in a point changes its peak
            assert (plain == 0) == (found == 0)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
@pytest.mark.parametrize("milliseconds", [-3, -1, 0, 1])
@pytest.mark.typical(3)
def test_peak_beside_the_seam_of_two_waveforms_is_in_one_of_them(rate: int, milliseconds: int, tmp_path: Path) -> None:
    """A sample of 30,000 before or after 2 s is in the part of its time, in a waveform of all and in one of a half."""
    samples = array.array("h", bytes(2 * 4 * rate))
    samples[2 * rate + milliseconds * rate // 1000] = 30_000
    with wave.open(str(tmp_path / "peak.wav"), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    facts = facts_of(tmp_path / "peak.wav")
    with (tmp_path / "peak.wav").open("rb") as file:
        part = partial(peaks, DescriptorSource(file.fileno()), facts)
        whole = part(start=Fraction(0), end=Fraction(4), points=4000)
        halves = [part(start=Fraction(at), end=Fraction(at + 2), points=2000) for at in (0, 2)]
    assert halves[0] + halves[1] == whole
    assert abs(whole.index(max(whole)) - 2000 - milliseconds) <= (rate > 8000 and milliseconds != 0)


def test_previews_of_missing_media_are_rejected(shelf: Shelf) -> None:
    with opened(shelf.get("audio_only_mp3")) as (source, facts, _), pytest.raises(NoMediaInRange):
        frame_at(source, facts, at=Fraction(1), width=320, threads=1)
    with opened(shelf.get("video_only_mp4")) as (source, facts, _), pytest.raises(NoMediaInRange):
        peaks(source, facts, start=Fraction(0), end=Fraction(1), points=10)
