"""Parameter sets that are followed from keyframe to keyframe of an annex B stream."""

from __future__ import annotations

import pytest

from clipengine.media.bitstream.in_band_sets import InBandSets

_CODE = b"\0\0\0\1"
_SPS, _OTHER_SPS, _PPS, _OTHER_PPS, _IDR = b"\x67a", b"\x67b", b"\x68a", b"\x68b", b"\x65x"


def _data(*units: bytes) -> bytes:
    return b"".join(_CODE + unit for unit in units)


@pytest.mark.parametrize(
    ("keyframes", "needed"),
    [
        ([[_SPS, _PPS, _IDR]], None),
        ([[_IDR]], [_SPS, _PPS]),
        ([[_OTHER_SPS, _OTHER_PPS, _IDR], [_IDR]], [_OTHER_SPS, _OTHER_PPS]),
        ([[_OTHER_PPS, _IDR]], [_SPS, _PPS, _OTHER_PPS]),  # the later set with the same id applies
        ([[_OTHER_PPS, _IDR], [_PPS, _IDR]], [_SPS, _OTHER_PPS, _PPS]),
        ([[_OTHER_PPS, _OTHER_SPS, _IDR], [b""]], [_OTHER_SPS, _OTHER_PPS]),
    ],
)
def test_keyframe_without_all_sets_needs_the_latest_ones(
    keyframes: list[list[bytes]], needed: list[bytes] | None
) -> None:
    sets = InBandSets("h264", _data(_SPS, _PPS))
    assert [sets.needed_at(_data(*units)) for units in keyframes][-1] == (needed and _data(*needed))


def test_header_and_packets_that_cannot_be_parsed_have_no_sets() -> None:
    sets = InBandSets("hevc", b"\1\2\3")
    assert sets.header == b""
    assert sets.needed_at(b"\0\0\1\x65" * 10_000) == b""
