"""`max_bytes`: clips that are encoded again until they are small enough."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.size_limit import MAX_ATTEMPTS, BitrateSearch
from clipengine.clips.warnings import code_of
from clipengine.errors import SizeUnreachable
from tests.films.catalogue import Shelf
from tests.films.cutting import cut, cut_file
from tests.films.reader import read_clip

_START, _END = Fraction(1, 2), Fraction(12)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of 12.5 seconds whose detail changes: noise of varying strength that moves."""
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    noise = np.random.default_rng(2).integers(0, 256, (120, 320), np.uint8)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10"})
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        audio: Any = container.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(312):
            shift, strength = number * 3 % 160, 40 + 80 * (number // 50 % 2)
            frame = av.VideoFrame(160, 90, "yuv420p")
            luma = 16 + noise[:90, shift : shift + 160].astype(np.int32) * strength // 256
            rows = np.frombuffer(frame.planes[0], np.uint8).reshape(90, -1)
            rows[:, :160] = luma
            for plane in frame.planes[1:]:
                plane.update(b"\x80" * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
            tone = (8000 * np.sin(np.arange(1920) * 0.05)).astype(np.float32) / 32768
            sound = av.AudioFrame.from_ndarray(np.stack([tone, tone]), format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48_000, number * 1920, Fraction(1, 48_000)
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def _profile(limit: int, **profile: Any) -> Profile:
    values = {"audio_bitrate": 32_000, **profile}
    return Profile(**values).rendered(values.get("render"), Output(max_bytes=limit))


@pytest.mark.parametrize(
    ("limit", "profile"),
    [
        (100_000, {}),
        pytest.param(160_000, {}, marks=pytest.mark.exhaustive),
        pytest.param(250_000, {"container": "webm", "video": "vp9", "audio": "opus"}, marks=pytest.mark.exhaustive),
        pytest.param(150_000, {"video": "hevc"}, marks=pytest.mark.exhaustive),
        pytest.param(150_000, {"video": "av1", "preset": "ultrafast"}, marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.exhaustive
def test_clip_fills_the_limit_and_is_never_larger(
    limit: int, profile: dict[str, Any], noisy: Path, tmp_path: Path
) -> None:
    chosen = _profile(limit, **profile)
    clip = cut_file(noisy, _START, _END, tmp_path / f"clip.{chosen.container}", chosen)
    assert 0.92 * limit <= clip.path.stat().st_size == clip.made.size_bytes <= limit
    assert len(read_clip(clip.path).frames) == clip.made.frames == 288


@pytest.mark.exhaustive
def test_small_clip_is_encoded_once_with_the_quality_of_its_profile(noisy: Path, tmp_path: Path) -> None:
    plain = cut_file(noisy, _START, _END, tmp_path / "plain.mp4", Profile(audio_bitrate=32_000))
    same = cut_file(noisy, _START, _END, tmp_path / "same.mp4", _profile(plain.made.size_bytes + 20_000))
    assert abs(same.made.size_bytes - plain.made.size_bytes) < 10_000
    assert same.made.bytes_read == plain.made.bytes_read


@pytest.mark.exhaustive
def test_unreachable_size_fails(noisy: Path, tmp_path: Path) -> None:
    with pytest.raises(SizeUnreachable, match="could not be made smaller than 10000 bytes: the smallest attempt has"):
        cut_file(noisy, _START, _END, tmp_path / "clip.mp4", _profile(10_000))
    with pytest.raises(SizeUnreachable):  # less than the frames need with the worst quality
        cut_file(noisy, _START, _END, tmp_path / "clip.mp4", _profile(60_000, audio_bitrate=32_000))


@pytest.mark.exhaustive
def test_smart_clip_that_is_too_large_is_encoded(shelf: Shelf, tmp_path: Path) -> None:
    film, start, end = shelf.get("mp4_bframes"), Fraction(1), Fraction(5)
    copied = cut(film, start, end, tmp_path / "copied.mp4", Profile(render="smart"))
    assert copied.made.render == "smart"
    fits = cut(film, start, end, tmp_path / "fits.mp4", _profile(copied.made.size_bytes + 50_000, render="smart"))
    assert fits.made.render == "smart"
    limit = copied.made.size_bytes * 2 // 3
    clip = cut(film, start, end, tmp_path / "clip.mp4", _profile(limit, render="smart"))
    assert (clip.made.render, clip.made.size_bytes <= limit) == ("encode", True)
    assert any(code_of(each) == "encoded_instead" and "too many bytes" in each for each in clip.made.warnings)


@pytest.mark.parametrize(
    "size_of", [lambda rate: 3_000 + 1.4 * rate, lambda rate: rate**0.8 * 30, lambda rate: 900_000]
)
def test_search_ends_with_a_size_below_the_limit_or_without_any(size_of: Any) -> None:
    search, tried = BitrateSearch(500_000, Fraction(10), 20_000), []
    while search.bitrate is not None:
        tried.append(size_of(search.bitrate))
        search.add(round(tried[-1]))
    assert len(tried) <= MAX_ATTEMPTS + 1
    assert search.reached is (tried[-1] <= 500_000)
    assert search.reached is (size_of(1) < 900_000)
    assert not search.reached or tried[-1] >= 460_000


def test_search_does_not_trust_an_estimate_that_leaves_nothing_for_the_video() -> None:
    search, tried = BitrateSearch(500_000, Fraction(10), 2_000_000), []
    while search.bitrate is not None:
        tried.append(20_000 + 1.3 * search.bitrate)
        search.add(round(tried[-1]))
    assert search.reached
    assert 460_000 <= tried[-1] <= 500_000
    assert len(tried) <= MAX_ATTEMPTS + 1
