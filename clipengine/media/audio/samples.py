"""Pieces of audio frames, and silence."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av

# Audio fades out before a seam and fades in after it, so that no step of the waveform is heard as a click.
FADE_SECONDS = Fraction(1, 400)
_SILENCE_SAMPLES = 8192


def slice_of(frame: av.AudioFrame, start: int, count: int) -> av.AudioFrame:
    """Return a new frame with `count` samples from sample `start` on, with their time if the frame has one."""
    part = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=count)
    width = frame.format.bytes * (1 if frame.format.is_planar else frame.layout.nb_channels)
    for source, target in zip(frame.planes, part.planes, strict=True):
        data = bytes(source)[start * width : (start + count) * width]
        target.update(data.ljust(target.buffer_size, b"\0"))
    part.sample_rate = frame.sample_rate
    if frame.pts is not None and frame.time_base is not None:
        part.pts, part.time_base = frame.pts + start, frame.time_base
    return part


def scale(frame: av.AudioFrame, gains: Sequence[float]) -> None:
    """Multiply the samples of a frame of floats by the gain of each."""
    channels = 1 if frame.format.is_planar else frame.layout.nb_channels
    for plane in frame.planes:
        samples = array("f", bytes(plane)[: 4 * frame.samples * channels])
        for number in range(len(samples)):
            samples[number] *= gains[number // channels]
        plane.update(samples.tobytes().ljust(plane.buffer_size, b"\0"))


def silent_frame(format: str, layout: str, rate: int, samples: int) -> av.AudioFrame:
    """Return a frame of silence, in a format whose zero is silence."""
    frame = av.AudioFrame(format=format, layout=layout, samples=samples)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate = rate
    return frame


def silence(format: str, layout: str, rate: int, samples: int) -> Iterator[av.AudioFrame]:
    """Yield frames with so many samples of silence together, none if the number is not positive."""
    for first in range(0, samples, _SILENCE_SAMPLES):
        yield silent_frame(format, layout, rate, min(samples - first, _SILENCE_SAMPLES))
