"""Display order: frames get their packets' times in order, also where some packets have no frame."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from clipengine.media.input.timing.display_order import DisplayOrder, OrderCheck, stores_decoding_times


def _shown(decoded: Sequence[int], frames: Sequence[tuple[int, bool]]) -> list[int | None]:
    """Return the times of frames, given as (stamp of the frame's packet, is a keyframe), in display order."""
    order = DisplayOrder()
    for stamp in decoded:
        packet: Any = SimpleNamespace(pts=stamp)
        order.add(packet)
    found = []
    for stamp, key in frames:
        frame: Any = SimpleNamespace(pts=stamp, key_frame=key)
        found.append(order.stamp_of(frame))
    return found


def test_frames_get_the_times_in_order() -> None:
    # I0 P1 B2 B3 P4: shown as I0 B2 B3 P1 P4
    assert _shown(range(5), [(0, True), (2, False), (3, False), (1, False), (4, False)]) == [0, 1, 2, 3, 4]


def test_keyframe_of_an_open_gop_corrects_the_count() -> None:
    # I0 [B1 B2: not decodable] P3 I4 B5 B6 P7: shown as I0 P3 B5 B6 I4 P7, and I4 is the seventh picture
    frames = [(0, True), (3, False), (5, False), (6, False), (4, True), (7, False)]
    assert _shown(range(8), frames)[-2:] == [6, 7]


def test_packets_without_a_frame_shift_frames_only_up_to_the_next_keyframe() -> None:
    frames = [(0, True), (3, False), (4, False), (5, True), (6, False)]
    assert _shown(range(7), frames) == [0, 1, 2, 5, 6]


def test_stamps_of_a_long_clip_are_dropped_once_used() -> None:
    order, times = DisplayOrder(), []
    for stamp in range(20_000):
        packet: Any = SimpleNamespace(pts=stamp)
        order.add(packet)
        frame: Any = SimpleNamespace(pts=stamp, key_frame=stamp % 250 == 0)
        times.append(order.stamp_of(frame))
    assert times == list(range(20_000))
    assert len(order._stamps) <= 4096


def _goes_back(packets: Sequence[tuple[int | None, int]], frames: Sequence[int]) -> bool:
    """Check packets, given as (pts, dts), each followed by a frame with this pts."""
    stream: Any = SimpleNamespace(codec_context=SimpleNamespace(has_b_frames=True))
    check = OrderCheck(stream)
    for (pts, dts), stamp in zip(packets, frames, strict=True):
        packet: Any = SimpleNamespace(pts=pts, dts=dts)
        frame: Any = SimpleNamespace(pts=stamp)
        if check.needs(packet):
            check.add(frame)
    return check.goes_back


@pytest.mark.parametrize(
    ("packets", "frames", "found"),
    [
        ([(0, 0), (1, 1), (2, 2), (3, 3), (4, 3)], [0, 2, 1, 3, 3], True),
        ([(0, 0), (1, 1), (2, 2), (3, 3)], [0, 1, 2, 3], False),
        ([(2, 0), (5, 1), (3, 2), (4, 3)], [2, 3, 4, 5], False),
        ([(0, 0), (1, 1), (0, 0), (1, 1)], [0, 1, 0, 1], False),  # the timestamps of the packets go back
        ([(0, 0), (None, 1), (2, 2), (3, 3)], [0, 2, 1, 3], False),
    ],
)
def test_packets_with_decoding_times_are_recognized_by_the_order_of_their_frames(
    packets: Sequence[tuple[int | None, int]], frames: Sequence[int], found: bool
) -> None:
    assert _goes_back(packets, frames) is found


def test_only_containers_without_presentation_times_are_reordered() -> None:
    assert stores_decoding_times("avi", "h264")
    assert stores_decoding_times("ogg", "mpeg2video")
    assert not stores_decoding_times("avi", "mjpeg")
    assert not stores_decoding_times("ogg", "theora")
    assert not stores_decoding_times("mov", "h264")
    assert stores_decoding_times("mov", "vc1")


def test_only_packed_mpeg4_in_avi_is_reordered() -> None:
    assert stores_decoding_times("avi", "mpeg4", b"\0\0\1\xb2DivX503b1977p")
    assert stores_decoding_times("avi", "mpeg4", b"\0\0\1\xb2DivX501Build1p")
    assert not stores_decoding_times("avi", "mpeg4", b"\0\0\1\xb2DivX503b1393")
    assert not stores_decoding_times("avi", "mpeg4", bytes(1024) + b"DivX503b1977p")  # far behind the header
    assert not stores_decoding_times("mov", "mpeg4", b"DivX503b1977p")
