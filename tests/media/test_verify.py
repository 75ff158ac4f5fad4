"""What verification finds: a clip that is not what was planned, or cannot be decoded, is never called complete."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clipengine.clips.profiles import Profile
from clipengine.errors import VerificationFailed
from clipengine.media.picture import PictureFormat
from clipengine.media.verify import Expected, verify
from clipengine.media.writer import open_writer

_FRAMES = 40
_PLANNED = Expected(
    container="mp4",
    frames=_FRAMES,
    first_frame=Fraction(0),
    frame_seconds=Fraction(1, 20),
    seconds=Fraction(_FRAMES, 20),
    sounds=0,
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of noise at 20 frames per second."""
    path = tmp_path_factory.mktemp("verify") / "clip.mp4"
    format = PictureFormat(160, 96, "yuv420p", Fraction(1), 1, 1, 1, 1)
    with path.open("w+b") as file, open_writer(file.fileno(), Profile(), threads=1) as writer:
        writer.add_video(format, Fraction(20))
        noise = random.Random(7)
        for number in range(_FRAMES):
            frame = av.VideoFrame(160, 96, "yuv420p")
            for plane in frame.planes:
                plane.update(noise.randbytes(plane.buffer_size))
            writer.write_frame(frame, Fraction(number, 20), Fraction(1, 20))
        writer.finish()
    return path.read_bytes()


def _verify(data: bytes, path: Path, planned: Expected = _PLANNED) -> None:
    path.write_bytes(data)
    with path.open("rb") as file:
        verify(file.fileno(), planned, lambda: None, threads=2)


def test_the_clip_as_it_was_planned_is_accepted(clip: bytes, tmp_path: Path) -> None:
    _verify(clip, tmp_path / "clip.mp4")


def test_a_damaged_picture_is_found_and_not_concealed(clip: bytes, tmp_path: Path) -> None:
    start = clip.index(b"mdat") + 4
    for part in (0.5, 0.8):  # not every damage breaks the code of a picture; these do
        place = start + round((len(clip) - start) * part)
        damaged = clip[:place] + bytes(500) + clip[place + 500 :]
        with pytest.raises(VerificationFailed):
            _verify(damaged, tmp_path / "clip.mp4")


def test_a_clip_that_was_cut_off_is_found(clip: bytes, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed):
        _verify(clip[: -len(clip) // 4], tmp_path / "clip.mp4")


@pytest.mark.parametrize(
    "other",
    [
        {"frames": _FRAMES + 1},
        {"first_frame": Fraction(1, 20)},
        {"seconds": Fraction(_FRAMES + 2, 20)},
        {"sounds": 1},
        {"frames": 0},
    ],
)
def test_another_clip_than_the_planned_one_is_refused(clip: bytes, tmp_path: Path, other: dict[str, int]) -> None:
    with pytest.raises(VerificationFailed):
        _verify(clip, tmp_path / "clip.mp4", replace(_PLANNED, **other))
