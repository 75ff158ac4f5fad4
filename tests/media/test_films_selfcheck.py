"""The films are what they say, and the judge sees what is wrong with a clip. What the other tests say rests on this."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.films.catalogue import FILMS, Shelf
from tests.films.film import BT709, Film, Tags
from tests.films.judge import expectations, judge
from tests.films.parts import AudioPart, VideoPart, every
from tests.films.picture import ORIENTATIONS, draw, read_number, see, to_frame, turned
from tests.films.reader import read_clip
from tests.films.reel import film, write
from tests.films.selfcheck import disagreements
from tests.films.sound import locate, sound, sound_from
from tests.support.selection import FEW_FILMS, cases

pytestmark = pytest.mark.proof

_F = Fraction


@pytest.mark.parametrize("name", cases(FILMS, FEW_FILMS))
def test_film_matches_its_description(shelf: Shelf, name: str) -> None:
    assert disagreements(shelf.get(name)) == []


@pytest.mark.parametrize("size", [(160, 90), (90, 160), (161, 91), (107, 60)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv422p10le", "yuvj420p"])
def test_numbers_are_read_in_every_orientation(size: tuple[int, int], pix_fmt: str) -> None:
    for name in ORIENTATIONS:
        for number in (0, 1, 4711, 65535):
            picture = np.ascontiguousarray(turned(draw(number, *size), name))
            seen = see(to_frame(picture, pix_fmt, full_range=pix_fmt.startswith("yuvj")))
            assert (seen.number, seen.orientation) == (number, name)


def test_blended_frames_have_no_number() -> None:
    blend = ((draw(41, 160, 90) + draw(42, 160, 90)) / 2).astype(np.float32)
    assert read_number(to_frame(blend, "yuv420p")) is None


@pytest.mark.parametrize("rate", [48000, 44100, 16000, 8000])
@pytest.mark.typical(1)
def test_audio_is_located_to_a_fraction_of_a_sample(rate: int) -> None:
    at = _F(12345, 10007)
    found = locate(sound_from(1, rate, at, rate // 20), rate, float(at) + 0.05, seed=1)
    assert abs(found.offset + 0.05) < 2e-5
    assert found.peak > 0.95
    assert locate(sound(2, rate, rate, rate // 5), rate, 1.0, seed=1).peak < 0.4


# ---- the judge, on a clip that is drawn to be exact and on the same clip with one fault -----------------------------

_START, _END = _F(2), _F(13, 4)


@dataclass(frozen=True)
class Drawn:
    """A clip drawn, not cut: what its streams hold and how it is written."""

    video: VideoPart
    audio: tuple[AudioPart, ...]
    options: tuple[tuple[str, str], ...] = (("movflags", "faststart"),)


def _recording(path: Path) -> Film:
    video = VideoPart(every(25, 6), _F(25), tags=BT709, sar=_F(4, 3))
    return film(path, video=[video], audio=[AudioPart(language="eng")])


def _exact() -> Drawn:
    options = {"preset": "veryfast"}
    times = every(25, _F(32, 25))
    video = VideoPart(times, _F(25), tags=BT709, sar=_F(4, 3), first_number=50, options=options)
    video = replace(video, b_frames=2, end=_END - _START)
    return Drawn(video, (AudioPart(seconds=_END - _START, lead=_START, language="eng"),))


def _faults(path: Path, drawn: Drawn) -> list[str]:
    write(path, "mp4", video=[drawn.video], audio=drawn.audio, options=dict(drawn.options))
    return judge(_recording(path), read_clip(path), _START, _END, float(_START), float(_END))


def _video(**changes: object) -> Callable[[Drawn], Drawn]:
    return lambda drawn: replace(drawn, video=replace(drawn.video, **changes))  # type: ignore[arg-type]


def _audio(**changes: object) -> Callable[[Drawn], Drawn]:
    return lambda drawn: replace(drawn, audio=(replace(drawn.audio[0], **changes),))  # type: ignore[arg-type]


def _times(change: Callable[[tuple[Fraction, ...]], tuple[Fraction, ...]], **more: object) -> Callable[[Drawn], Drawn]:
    return lambda drawn: replace(drawn, video=replace(drawn.video, times=change(drawn.video.times), **more))  # type: ignore[arg-type]


def test_exact_clip_has_no_faults(tmp_path: Path) -> None:
    assert _faults(tmp_path / "clip.mp4", _exact()) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        pytest.param(_times(lambda times: times[:-2]), "missing", id="the last frames are missing"),
        pytest.param(_times(lambda times: times[1:], first_number=51), "missing", id="the first frame is missing"),
        pytest.param(_video(first_number=49), "not of the range", id="one frame too early"),
        pytest.param(
            _times(lambda times: (*times[:9], times[9] + _F(3, 1000), *times[10:])), "off their time", id="3 ms late"
        ),
        pytest.param(_video(shown_as="turned 180"), "not upright", id="upside down"),
        pytest.param(_video(shown_as="mirrored left to right"), "not upright", id="mirrored"),
        pytest.param(_video(tags=Tags()), "primaries", id="no colour tags"),
        pytest.param(_video(tags=Tags(1, 1, 1, True)), "", id="full range, told so, is the same picture"),
        pytest.param(_video(sar=_F(1)), "SAR", id="no aspect ratio"),
        pytest.param(_video(pix_fmt="yuv444p"), "yuv444p", id="4:4:4"),
        pytest.param(_video(codec="libx265"), "hevc", id="another codec"),
        pytest.param(_audio(lead=_START + _F(4, 1000)), "early", id="sound 4 ms early"),
        pytest.param(_audio(lead=_START - _F(4, 1000)), "late", id="sound 4 ms late"),
        pytest.param(_audio(lead=_START + _F(2, 1000)), "", id="sound 2 ms early passes"),
        pytest.param(_audio(seconds=_F(1)), "tail", id="sound ends early"),
        pytest.param(_audio(start=_F(3, 10), lead=_START, seconds=_F(9, 10)), "head", id="sound begins late"),
        pytest.param(_audio(seed=2), "not this sound", id="another sound", marks=pytest.mark.exhaustive),
        pytest.param(_audio(language="deu"), "language", id="another language"),
        pytest.param(lambda drawn: replace(drawn, audio=()), "audio tracks", id="no sound"),
        pytest.param(lambda drawn: replace(drawn, options=()), "faststart", id="index at the end"),
        pytest.param(
            _times(lambda times: times + every(25, _F(1, 5), start=_F(32, 25)), end=None), "length", id="too long"
        ),
    ],
)
@pytest.mark.typical(2)
def test_judge_reports_each_fault(tmp_path: Path, fault: Callable[[Drawn], Drawn], said: str) -> None:
    faults = _faults(tmp_path / "clip.mp4", fault(_exact()))
    assert any(said in text for text in faults) if said else faults == []


def test_actual_times_are_judged(tmp_path: Path) -> None:
    path, drawn = tmp_path / "clip.mp4", _exact()
    write(path, "mp4", video=[drawn.video], audio=drawn.audio, options=dict(drawn.options))
    faults = judge(_recording(path), read_clip(path), _START, _END, float(_START) + 0.002, float(_END) - 0.03)
    assert [fault.split()[0] for fault in faults] == ["actual_start_seconds", "actual_end_seconds"]


# ---- the origin rule ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "origin", "first"),
    [
        (_F(2), _F(2), (_F(0), 50)),
        (_F(2019, 1000), _F(2), (_F(0), 50)),
        (_F(1981, 1000), _F(2), (_F(0), 50)),
        (_F(0), _F(0), (_F(0), 0)),
    ],
)
def test_origin_of_a_constant_rate_is_the_nearest_frame(
    tmp_path: Path, start: Fraction, origin: Fraction, first: tuple[Fraction, int]
) -> None:
    (expected,) = expectations(_recording(tmp_path / "x.mp4"), start, start + 1)
    assert (expected.origin, expected.frames[0]) == (origin, first)


def test_origin_in_a_gap_holds_the_frame_on_screen(shelf: Shelf) -> None:
    still = shelf.get("mp4_vfr_still")
    (expected,) = expectations(still, _F(10), _F(11))
    assert (expected.origin, expected.frames) == (_F(10), ((_F(0), 49),))
    (expected,) = expectations(still, _F(21), _F(2209, 100))
    assert expected.frames == ((_F(0), 49), (_F(1), 50), (_F(104, 100), 51), (_F(108, 100), 52))


def test_origin_between_two_frames_may_be_either(tmp_path: Path) -> None:
    either = expectations(_recording(tmp_path / "x.mp4"), _F(202, 100), _F(3))
    assert [expected.origin for expected in either] == [_F(2), _F(204, 100)]
