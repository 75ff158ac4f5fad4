"""Clips of smart render in another decoder: openh264, with GStreamer's demuxer and parser."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.films.catalogue import Shelf
from tests.films.cuts import Cut, cuts_of
from tests.films.cutting import SMART, cut, cut_file
from tests.media.test_smart_render import planes
from tests.support import mutated
from tests.support.gstreamer import decode, need_elements
from tests.support.mutations import END, MUTATIONS
from tests.support.selection import cases

_ELEMENTS = ("h264parse", "openh264dec")
FILMS = (
    "mp4_25",
    "mp4_2997",
    "mp4_60",
    "mp4_120",
    "mp4_bframes",
    "mp4_gop_10s",
    "mp4_open_gop",
    "mp4_all_are_keyframes",
    "mp4_vfr_jitter",
    "mp4_vfr_gaps",
    "mp4_fragmented",
    "mp4_fragmented_edits",
    "edit_inside_packets",
    "edit_long_preroll",
    "edit_two_parts",
    "sar_wide",
    "rotated_90",
    "mirrored_and_rotated",
    "full_range",
    "tagged_bt601",
    "flv_h264_aac",
    "mkv_live_h264",
    "mkv_lying_cues",
    "mkv_starts_at_5s",
    "ts_begins_inside_a_group",
    "ts_bframes",
    "ts_gap",
    "ts_open_gop",
    "ts_wraps",
)


@pytest.fixture(scope="module")
def openh264() -> None:
    need_elements("qtdemux", *_ELEMENTS)


def _expected(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [planes(frame) for frame in container.decode(video=0)]


@pytest.mark.usefixtures("openh264")
@pytest.mark.parametrize("name", cases(FILMS, ("mp4_bframes",)))
@pytest.mark.exhaustive
def test_openh264_decodes_the_same_frames(shelf: Shelf, tmp_path: Path, name: str) -> None:
    film, copied = shelf.get(name), 0
    seams = Cut("seams", Fraction(1107, 1000), min(film.duration, Fraction(1402, 100)))
    # Cuts with frames on both sides of a seam; others are copied without one, or have few frames. Of open GOPs, only a
    # cut from the beginning is copied.
    wanted = ("whole",) if "open_gop" in name else ("off_grid", "over_end", "across_gap")
    for each in [seams, *(each for each in cuts_of(film) if each.name in wanted)]:
        clip = cut(film, each.start, each.end, tmp_path / "clip.mp4", SMART)
        if clip.made.render != "smart" or clip.made.frames < 3:  # GStreamer's element needs more than one frame
            continue
        copied += 1
        expected = _expected(clip.path)
        decoded = decode(clip.path, len(expected[0]), *_ELEMENTS)
        assert len(decoded) == len(expected), str(each)
        assert decoded == expected, f"{each}: {[a == b for a, b in zip(decoded, expected, strict=True)].index(False)}"
    assert copied


@pytest.mark.usefixtures("openh264")
@pytest.mark.parametrize("params", [mutated.X264, mutated.X264_REORDERED])
@pytest.mark.exhaustive
def test_openh264_decodes_the_same_frames_around_a_gop_that_was_encoded(tmp_path: Path, params: str) -> None:
    change = mutated.reconnected("libx264", params, at=[3])
    path = mutated.write(mutated.encoded("libx264", params), tmp_path / "film.mkv", change)
    clip = cut_file(path, Fraction(13, 25), Fraction(163, 25), tmp_path / "clip.mp4", SMART)
    assert any("from 2.48 s to 3.48 s, it was encoded" in each for each in clip.made.warnings)
    expected = _expected(clip.path)
    assert decode(clip.path, len(expected[0]), *_ELEMENTS) == expected


@pytest.mark.usefixtures("openh264")
@pytest.mark.parametrize("name", [name for name, each in MUTATIONS.items() if each.codec == "libx264"])
@pytest.mark.exhaustive
def test_openh264_shows_copied_frames_of_changed_recordings_as_in_the_recording(tmp_path: Path, name: str) -> None:
    """Also where it leaves out frames because others are missing or damaged."""
    clip = MUTATIONS[name].cut(tmp_path)
    if clip.made.render == "encode":
        return
    film, shown = (
        decode(path, mutated.SIZE * mutated.SIZE * 3 // 2, *_ELEMENTS) for path in (tmp_path / "film.mkv", clip.path)
    )
    copied = film[mutated.GOP : round((END - mutated.SECONDS) * mutated.FPS)]
    assert len(copied) > 4 * mutated.GOP
    assert shown[-len(copied) :] == copied
    if not MUTATIONS[name].differs:
        assert shown == _expected(clip.path)
