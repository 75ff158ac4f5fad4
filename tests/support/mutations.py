"""Recordings that were changed in ways that a copier of packets must notice, or may ignore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from clipengine.media.bitstream import h264_parameter_sets as h264
from clipengine.media.bitstream.h264_slices import unit_type
from clipengine.media.bitstream.nal import join_with_lengths, split_by_lengths
from tests.films.cutting import SMART_PROFILES, Clip, cut_file
from tests.support import mutated
from tests.support.mutated import GOP, Change

START, END = Fraction(13, 25), Fraction(163, 25)  # between keyframes, which begin each second
_DELIMITER, _SEQUENCE_END = b"\x09\xf0", b"\x0a"
_GRAIN = mutated.film_grain("h264")
_OTHER = mutated.X264 + ":chroma-qp-offset=12"
_SEGMENTS = "error-resilient=1:static-thresh=800"


@dataclass(frozen=True)
class Mutation:
    """A change of a film's packets. It `differs` if decoders do not show the same pictures of it."""

    codec: str
    params: str
    change: Change
    differs: bool = False

    def write(self, path: Path) -> Path:
        return mutated.write(mutated.encoded(self.codec, self.params), path, self.change)

    def cut(self, folder: Path, *, full_proof: bool = False) -> Clip:
        """Cut a clip of the changed film with smart render. Both are in the folder."""
        profile, path = SMART_PROFILES[self.codec], self.write(folder / "film.mkv")
        return cut_file(path, START, END, folder / f"clip.{profile.container}", profile, full_proof=full_proof)


def _h264(change: Change, params: str = mutated.X264, *, differs: bool = False) -> Mutation:
    return Mutation("libx264", params, change, differs)


def _hevc(change: Change, params: str = mutated.X265, *, differs: bool = False) -> Mutation:
    return Mutation("libx265", params, change, differs)


def _vp8(change: Change, *, differs: bool = False) -> Mutation:
    return Mutation("libvpx", "", change, differs)


def _vp9(change: Change, *, differs: bool = False) -> Mutation:
    return Mutation("libvpx-vp9", "", change, differs)


def _after(unit: bytes, at: int) -> Change:
    return lambda number, data: join_with_lengths([*split_by_lengths(data), unit]) if number == at else data


def _without(*numbers: int) -> Change:
    return lambda number, data: b"" if number in numbers else data


def _delimited(number: int, data: bytes) -> bytes:
    end = [_SEQUENCE_END] if number % GOP == GOP - 1 else []
    return join_with_lengths([_DELIMITER, *split_by_lengths(data), *end])


def _damaged(number: int, data: bytes) -> bytes:
    half = len(data) // 2
    damage = bytes(each ^ 0x5A for each in data[half : half + 24])
    return data[:half] + damage + data[half + 24 :] if number == 84 else data


def _as_slices(number: int, data: bytes) -> bytes:
    """Give the keyframe of a middle GOP the type of other frames."""
    if number != 3 * GOP:
        return data
    units = split_by_lengths(data)
    return join_with_lengths(bytes([unit[0] & 0xE0 | 1]) + unit[1:] if unit_type(unit) == 5 else unit for unit in units)


def _with_other_set(wanted: Callable[[int], bool], pps_at: int) -> Change:
    """Take packets of a film with another PPS, which the last packet before `pps_at` gives."""

    def change(number: int, data: bytes) -> bytes:
        other = mutated.encoded("libx264", _OTHER)
        data = mutated.packets_of(other)[number] if wanted(number) else data
        [pps] = h264.read_parameter_sets(mutated.extradata_of(other)).pps
        return join_with_lengths([*split_by_lengths(data), pps]) if number == pps_at - 1 else data

    return change


def _mixed(codec: str, params: str, *gops: int) -> Change:
    """Take GOPs of the same film encoded with other parameters."""
    return lambda number, data: (
        mutated.packets_of(mutated.encoded(codec, params))[number] if number // GOP in gops else data
    )


MUTATIONS = {
    "delimiters and ends of sequences": _h264(_delimited, mutated.X264_REORDERED),
    "three slices in each frame": _h264(_without(), mutated.X264_REORDERED + ":slices=3"),
    "another set before the copied range": _h264(_with_other_set(lambda number: number >= 25, 25)),
    "another set in the range": _h264(_with_other_set(lambda number: number >= 75, 75)),
    "another set for one GOP": _h264(_with_other_set(lambda number: 75 <= number < 100, 75)),
    "film grain in a copied GOP": _h264(mutated.with_unit(_GRAIN, 50), mutated.X264_REORDERED, differs=True),
    "film grain in the first packet": _h264(mutated.with_unit(_GRAIN, 0), mutated.X264_REORDERED),
    "a frame is missing": _h264(_without(84), differs=True),
    "a frame of the first copied GOP is missing": _h264(_without(28), differs=True),
    "a keyframe is missing": _h264(_without(75), differs=True),
    "the first keyframe after the start is missing": _h264(_without(25), differs=True),
    "a damaged frame": _h264(_damaged, differs=True),
    "a keyframe of another type": _h264(_as_slices, differs=True),
    "hevc: a frame is missing": _hevc(_without(84), differs=True),
    "hevc: open GOPs": _hevc(_without(), mutated.X265_REORDERED),
    "hevc: film grain": _hevc(mutated.with_unit(mutated.film_grain("hevc"), 0)),
    "hevc: a sequence ends": _hevc(_after(bytes([36 << 1, 1]), 74), mutated.X265_REORDERED),
    "vp8: another version for one GOP": _vp8(_mixed("libvpx", "profile=1", 3)),
    "vp8: segments in every other GOP": _vp8(_mixed("libvpx", _SEGMENTS, 0, 2, 4)),
    "vp8: a frame is missing": _vp8(_without(84), differs=True),
    "vp8: a keyframe is missing": _vp8(_without(75), differs=True),
    "vp8: a damaged frame": _vp8(_damaged, differs=True),
    "vp9: error resilient GOPs between others": _vp9(_mixed("libvpx-vp9", "error-resilient=1:aq-mode=3", 0, 2, 4)),
    "vp9: a frame is missing": _vp9(_without(84), differs=True),
    "vp9: a keyframe is missing": _vp9(_without(75), differs=True),
    "vp9: a damaged frame": _vp9(_damaged, differs=True),
}
