"""GIF and WebP: every frame at its time, their length, and what they leave out."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import ANIMATION_TICKS, Profile
from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.webp_file import read_animation as parse_webp
from clipengine.media.video.color_counts import ColorCounts
from tests.films.catalogue import Shelf
from tests.films.cutting import cut, cut_file, cut_parts
from tests.films.film import Film
from tests.support.animations import AnimationReading, read_animation
from tests.support.ffmpeg import run_ffmpeg

pytestmark = pytest.mark.proof

CONTAINERS = ("gif", "webp")
_START, _END = Fraction(1407, 1000), Fraction(4)


def _profile(container: str, **values: Any) -> Profile:
    return Profile.model_validate({"container": container, **values})


def _assert_frames(reading: AnimationReading, film: Film, origin: Fraction, length: Fraction, profile: Profile) -> None:
    """Check that each frame is on screen at its time, which is rounded to a tick, and that no rounding adds up."""
    tick = 1000 * ANIMATION_TICKS[profile.container]
    rate = Fraction(str(profile.fps))
    assert (reading.loops, reading.milliseconds) == (0, round(1000 * length / tick) * tick)
    assert film.frame_seconds is not None
    early = min(film.frame_seconds, 1 / rate) / 2
    starts = {frame.start for frame in reading.frames}
    for count in range(int(length * rate)):
        time = count / rate
        number = reading.at(float(1000 * time + tick)).seen.number
        assert number in (film.on_screen(origin + time), film.on_screen(origin + time + early)), f"frame {count}"
        starts.discard(int(round(1000 * time / tick) * tick))
    assert len(starts) <= 1  # the last frame, if it is not a whole one
    assert min(frame.duration for frame in reading.frames) >= 20


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mp4_25", {}),
        ("mp4_2997", {"fps": 29.97}),
        ("mp4_vfr_gaps", {"fps": 50, "preset": "ultrafast"}),
        ("rotated_90", {"max_height": 150}),
    ],
)
@pytest.mark.typical(2)
def test_every_frame_is_at_its_time(
    container: str, name: str, settings: dict[str, Any], shelf: Shelf, tmp_path: Path
) -> None:
    film, profile = shelf.get(name), _profile(container, **settings)
    made = cut(film, _START, min(_END, film.duration), tmp_path / f"clip.{container}", profile).made
    reading = read_animation(tmp_path / f"clip.{container}")
    _assert_frames(reading, film, made.actual_start, made.actual_end - made.actual_start, profile)
    assert (made.video_codec, made.audio_codec, made.frames) == (container, None, len(reading.frames))
    assert reading.size == (made.width, made.height)
    assert reading.size[1] == min(film.height, profile.max_height or 0)


@pytest.mark.parametrize("container", CONTAINERS)
def test_parts_with_output_options_follow_each_other(container: str, shelf: Shelf, tmp_path: Path) -> None:
    film, output = shelf.get("mp4_25"), {"speed": 2, "fade_seconds": 0.3, "fps": 25}
    profile = _profile(container).rendered(None, Output.model_validate(output))
    parts = [(film.path, Fraction(1), Fraction(2)), (film.path, Fraction(3), Fraction(503, 100))]
    made = cut_parts(parts, tmp_path / f"clip.{container}", profile).made
    reading = read_animation(tmp_path / f"clip.{container}")
    assert reading.milliseconds == pytest.approx(1515, abs=5)
    assert reading.at(370).seen.number == 43
    assert reading.at(550).seen.number == 76  # the steps of 40 ms go on over the join
    levels = [frame.pixels.mean() for frame in reading.frames]
    assert levels[0] < levels[3] < levels[12] > levels[-3] > levels[-1]
    assert made.warnings == ()


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.exhaustive
def test_picture_is_reframed_and_has_square_pixels(container: str, shelf: Shelf, tmp_path: Path) -> None:
    wide = shelf.get("sar_wide")
    target = tmp_path / f"clip.{container}"
    cut(wide, Fraction(1), Fraction(3, 2), target, _profile(container))
    width, height = read_animation(target).size
    assert Fraction(width, height) == pytest.approx(wide.sar * wide.width / wide.height, rel=0.02)
    output = Output.model_validate({"aspect": "1:1", "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}})
    cut(wide, Fraction(1), Fraction(3, 2), target, _profile(container).rendered(None, output))
    assert len(set(read_animation(target).size)) == 1


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.typical(1)
def test_colors_are_those_of_the_recording(container: str, tmp_path: Path) -> None:
    """The squares of a BT.709 recording keep their colors, and a slow gradient of time does too."""
    colors = ((200, 40, 40), (40, 180, 60), (50, 60, 210), (235, 235, 235))
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as made:
        stream: Any = made.add_stream("libx264", rate=25, options={"crf": "8"})
        stream.width, stream.height, stream.pix_fmt = 256, 128, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        for number in range(150):
            pixels = np.full((128, 256, 3), number, np.uint8)
            for place, color in enumerate(colors):
                pixels[64:, 64 * place : 64 * place + 64] = color
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts = number
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    cut_file(film, Fraction(0), Fraction(6), tmp_path / f"clip.{container}", _profile(container, fps=25))
    reading = read_animation(tmp_path / f"clip.{container}")
    for number in (0, 60, 149):
        pixels = reading.at(40 * number + 11).pixels.astype(float)
        assert pixels[16:48, 16:240].mean() == pytest.approx(number, abs=5)
        for place, color in enumerate(colors):
            found = pixels[80:112, 64 * place + 16 : 64 * place + 48].mean(axis=(0, 1))
            assert found == pytest.approx(color, abs=7)


def _write_pictures(path: Path, pictures: list[npt.NDArray[np.uint8]]) -> None:
    """Write a recording of BT.709 with these pictures (RGB), 25 a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "8", "preset": "veryfast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=1, dst_color_range=1)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("count", [32, 64, 100, 200])
@pytest.mark.typical(1)
def test_flat_colors_of_a_gif_are_those_of_the_recording(count: int, tmp_path: Path) -> None:
    """Each square of a chart has its color, beside the edges between them, which have many more."""
    colors = np.random.default_rng(2).integers(0, 256, (count, 3), dtype=np.uint8)
    across = math.ceil(math.sqrt(count))
    chart = np.zeros((480, 640, 3), np.uint8)
    squares = [
        (slice(row * 480 // across, (row + 1) * 480 // across), slice(at * 640 // across, (at + 1) * 640 // across))
        for row, at in (divmod(number, across) for number in range(count))
    ]
    for square, color in zip(squares, colors, strict=True):
        chart[square] = color
    _write_pictures(tmp_path / "film.mp4", [chart] * 25)
    cut_file(tmp_path / "film.mp4", Fraction(0), Fraction(1), tmp_path / "clip.gif", _profile("gif", max_height=480))
    pixels = read_animation(tmp_path / "clip.gif").at(500).pixels
    for square, color in zip(squares, colors, strict=True):
        found = pixels[square][10:-10, 10:-10].reshape(-1, 3).mean(axis=0)
        assert found == pytest.approx(color.astype(float), abs=6)


@pytest.mark.exhaustive
def test_noise_in_a_gif_is_as_near_as_with_the_ffmpeg_command(tmp_path: Path) -> None:
    """A natural picture with noise has hundreds of thousands of colors. FFmpeg's own palette counts each of them."""
    film, theirs = tmp_path / "film.mp4", tmp_path / "theirs.gif"
    rows, columns = np.mgrid[0:360, 0:480]
    smooth = np.stack([columns * 255 // 480, rows * 255 // 360, (rows + columns) * 255 // 840], axis=-1)
    random = np.random.default_rng(1)
    pictures = [np.clip(smooth + random.normal(0, 12, smooth.shape), 0, 255).astype(np.uint8) for _ in range(10)]
    _write_pictures(film, pictures)
    cut_file(film, Fraction(0), Fraction(2, 5), tmp_path / "clip.gif", _profile("gif", fps=25))
    scaled = "scale=in_color_matrix=bt709:out_range=full:sws_flags=accurate_rnd+full_chroma_int,format=bgra"
    graph = f"{scaled},split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none"
    run_ffmpeg("-v", "error", "-i", film, "-filter_complex", graph, theirs)

    def error(path: Path) -> float:
        shown = read_animation(path).frames
        return float(
            np.mean(
                [np.std(frame.pixels - picture.astype(float)) for frame, picture in zip(shown, pictures, strict=True)]
            )
        )

    assert error(tmp_path / "clip.gif") < 1.03 * error(theirs)


def test_counted_colors_are_bounded() -> None:
    """Each pixel of noise has another color, but what is common stays exact."""
    counts, random = ColorCounts(), np.random.default_rng(1)
    for _ in range(8):
        pixels = random.integers(0, 256, (360, 480, 4), dtype=np.uint8)
        pixels[:, :30], pixels[..., 3] = (1, 2, 3, 255), 255
        counts.add(av.VideoFrame.from_ndarray(pixels, format="bgra"))
    assert counts.common(224) == [0xFF030201]
    assert len(counts.others([])) < (1 << 17) + (1 << 18)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("length", [Fraction(1, 100), Fraction(3)])
def test_held_frame_is_shown_until_the_end(container: str, length: Fraction, shelf: Shelf, tmp_path: Path) -> None:
    """A very short clip has one frame, and a slide that does not change is stored once in WebP."""
    film = shelf.get("mp4_vfr_gaps")
    held = max(range(1, len(film.frames)), key=lambda number: film.frames[number][0] - film.frames[number - 1][0])
    start = film.frames[held - 1][0]
    length = min(length, film.frames[held][0] - start - Fraction(1, 50))
    made = cut(film, start, start + length, tmp_path / f"clip.{container}", _profile(container)).made
    reading = read_animation(tmp_path / f"clip.{container}")
    assert {frame.seen.number for frame in reading.frames} == {held - 1}
    assert reading.milliseconds == max(reading.frames[0].duration, round(float(1000 * length), -1))
    assert made.frames == 1 or container == "gif"


@pytest.mark.parametrize("container", CONTAINERS)
def test_frame_is_held_over_times_without_video(container: str, shelf: Shelf, tmp_path: Path) -> None:
    late = shelf.get("live_video_late")
    first = late.frames[0][0]
    made = cut(late, Fraction(0), first + 1, tmp_path / f"late.{container}", _profile(container)).made
    reading = read_animation(tmp_path / f"late.{container}")
    assert reading.milliseconds == pytest.approx(float(1000 * (made.actual_end - made.actual_start)), abs=10)
    assert reading.frames[0].duration >= round(float(1000 * first)) - 100


@pytest.mark.exhaustive
@pytest.mark.parametrize("container", CONTAINERS)
def test_memory_does_not_grow_with_the_length(container: str, tmp_path: Path) -> None:
    """Noise has more colors than any recording."""
    generator = np.random.default_rng(1)
    with av.open(str(tmp_path / "noise.mkv"), "w") as made:
        stream: Any = made.add_stream("mjpeg", rate=12)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuvj420p"
        for number in range(150):
            pixels = generator.integers(0, 255, (180, 320, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = number
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    peaks = [_peak_megabytes(tmp_path, container, seconds) for seconds in (1, 12)]
    assert peaks[1] - peaks[0] < 24


def _peak_megabytes(folder: Path, container: str, seconds: int) -> float:
    script = f"""
from fractions import Fraction
from pathlib import Path
from clipengine.clips.options.profiles import Profile
from tests.films.cutting import cut_file
from tests.support.memory import peak_mebibytes
profile = Profile.model_validate({{"container": "{container}", "preset": "ultrafast"}})
cut_file(Path("noise.mkv"), Fraction(0), Fraction({seconds}), Path("clip.{container}"), profile)
print(peak_mebibytes())
"""
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_an_animation_cannot_hold_is_named(container: str, shelf: Shelf, tmp_path: Path) -> None:
    profile = _profile(container, render="smart")
    film = shelf.get("two_pictures")
    made = cut(film, Fraction(0), Fraction(1), tmp_path / f"clip.{container}", profile).made
    codes = [warning.partition(":")[0] for warning in made.warnings]
    assert set(codes) == {"stream_dropped", "chapters_dropped", "encoded_instead"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"audio": "aac"}, 'cannot hold audio "aac"; it holds "none"'),
        ({"video": "h264"}, 'cannot hold video "h264"'),
        ({"video_bitrate": 100_000}, "has no bit rate"),
        ({"hdr": "keep"}, "8 bits"),
        ({"fps": 51}, "fps is 51, but"),
        ({"max_height": 1081}, "max_height is 1081, but"),
        ({"output": {"max_bytes": 10_000}}, "max_bytes is not possible in"),
        ({"output": {"loudness_lufs": -16}}, "loudness_lufs would have no effect"),
        ({"video": "none"}, "would be empty"),
    ],
)
@pytest.mark.parametrize("container", CONTAINERS)
def test_impossible_settings_are_rejected(container: str, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        _profile(container, **settings)


def test_damaged_webp_is_rejected(shelf: Shelf, tmp_path: Path) -> None:
    target = tmp_path / "clip.webp"
    cut(shelf.get("mp4_25"), Fraction(0), Fraction(1, 2), target, _profile("webp"))
    data = target.read_bytes()
    assert len(list(parse_webp(io.BytesIO(data), len(data)).frames)) == 6
    frame = data.index(b"ANMF")
    flawed = (
        b"RIFX" + data[4:],
        data[:-10],
        data[:20] + b"\0" + data[21:],  # no animation
        data[: frame - 2] + b"\1\0" + data[frame:],  # shown once
        data[:frame] + b"ANMX" + data[frame + 4 :],
        data[: frame + 4] + b"\xff\xff\xff\x7f" + data[frame + 8 :],  # larger than a chunk may be
        data[: frame + 8] + b"\2\0\0" + data[frame + 11 :],  # outside the canvas
    )
    for changed in flawed:
        with pytest.raises(BitstreamError):
            list(parse_webp(io.BytesIO(changed), len(data)).frames)
