"""Decoding runs ahead of encoding by a bounded number of bytes, however large a picture is."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing

import av
import pytest

from clipengine.media.input.decoding.background_producer import BUFFER_BYTES, produce_in_background
from clipengine.media.input.decoding.events import EventSizes, VideoFrameEvent


@pytest.mark.parametrize(("size", "most"), [(100, 8), (1000, 1), (5000, 1)])
def test_queue_is_bounded_by_bytes(size: int, most: int) -> None:
    made = 0
    waits = threading.Event()

    def produce() -> Generator[int]:
        nonlocal made
        for number in range(40):
            made += 1
            # All that fits and the one that is held in hand: the producer cannot come further than this.
            if made > most + 1:
                waits.set()
            yield number

    with closing(produce_in_background(produce, lambda item: size, max_bytes=max(800, size))) as items:
        taken = []
        for item in items:
            taken.append(item)
            assert made <= item + 1 + most + 2
    assert taken == list(range(40))


def test_error_of_the_producer_is_raised_after_its_items() -> None:
    def produce() -> Generator[int]:
        yield 1
        raise ValueError("broken")

    items = produce_in_background(produce, lambda item: 1)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_stopping_early_ends_the_thread() -> None:
    closed = threading.Event()

    def produce() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    before = {*threading.enumerate()}
    with closing(produce_in_background(produce, lambda item: 1, max_bytes=3)) as items:
        next(items)
    assert closed.is_set()
    assert not {*threading.enumerate()} - before


def test_size_of_a_frame_is_the_size_of_its_planes() -> None:
    sizes = EventSizes()
    large, deep = av.VideoFrame(3840, 2160, "yuv420p"), av.VideoFrame(3840, 2160, "yuv420p10le")
    for frame, least in ((large, 3840 * 2160 * 3 // 2), (deep, 3840 * 2160 * 3)):
        assert least <= sizes(VideoFrameEvent(0, frame)) <= least * 1.1
    assert BUFFER_BYTES // sizes(VideoFrameEvent(0, av.VideoFrame(1920, 1080, "yuv420p"))) == 2
