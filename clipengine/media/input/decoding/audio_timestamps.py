"""Correction of audio timestamps that do not mark the first sample of their packet.

Two kinds are known. Both look like jitter of 20 ms and more although the audio is continuous:

- FFmpeg before 2011 wrote Vorbis into Matroska with the time at which a packet's samples *end*; packets are short or
  long, so the start is off by up to one long block. Players show the first samples at their timestamp and all others
  without a gap after them.
- WMA has a bit reservoir: an ASF packet is stamped with its nominal time at a constant bit rate, but holds the frames
  that the encoder happened to finish in it. Counted in frames from the first packet, each has an exact time. The first
  packet's own timestamp cannot be negative, so it may be late by the frame that decoders begin with: then all others
  are early by that frame.

The probe detects them without decoding; the cut corrects the time of each frame.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

import av
from av.audio.stream import AudioStream
from av.packet import Packet

from clipengine.media.input.containers.container import codec_name, packet_time
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import AudioFacts, AudioStamps, EndStamps, FrameStamps

_DISTINCT_SECONDS = Fraction(1, 200)  # minimum difference of block lengths that distinguishes start from end
_ROUNDING_SECONDS = Fraction(1, 500)
_EVIDENCE = 4
_VORBIS_HEADER, _VORBIS_BLOCKS_AT = b"\x01vorbis", 28  # Vorbis I specification, 4.2.2
_WMA_RESERVOIR = 2  # flag in the codec's extradata


class TimestampAnalyzer(Protocol):
    """Determines from a stream's packets, in file order, which sample their timestamps mark."""

    def add(self, packet: Packet[Any]) -> None: ...

    def skip(self) -> None:
        """Note that packets are left out between the last one and the next one."""

    def stamps(self, origin: Fraction) -> AudioStamps | None:
        """Return the correction, or None if the timestamps mark the first sample."""


def timestamp_analyzer(stream: AudioStream) -> TimestampAnalyzer | None:
    """Return an analyzer if the stream may have such timestamps, else None."""
    context, codec = stream.codec_context, codec_name(stream)
    extradata = context.extradata or b""
    if codec == "vorbis":
        header = extradata.find(_VORBIS_HEADER)
        blocks = extradata[header + _VORBIS_BLOCKS_AT : header + _VORBIS_BLOCKS_AT + 1]
        if header < 0 or not blocks or not context.sample_rate:
            return None
        short, long = (1 << (blocks[0] & 15)) // 2, (1 << (blocks[0] >> 4)) // 2
        return _VorbisAnalyzer(short, long, context.sample_rate)
    if codec == "wmav2" and len(extradata) >= 6 and extradata[4] & _WMA_RESERVOIR:
        return _WmaAnalyzer(context.sample_rate)
    return None


def corrected(track: AudioFacts, time: Fraction, packet: Packet[Any], frame: av.AudioFrame) -> Fraction:
    """Return the presentation time of the frame's first sample; `time` is its timestamp (both recording time)."""
    match track.stamps:
        case EndStamps() as stamps:
            return time - Fraction(frame.samples - stamps.shortest, frame.sample_rate)
        case FrameStamps() as stamps:
            begin = round((time - stamps.first - stamps.lag) / stamps.frame_seconds)
            end = _wma_frames(packet) + (begin if time != stamps.first else -1)
            first = stamps.first - _seconds_late(stamps, track.start)
            return first + end * stamps.frame_seconds - Fraction(frame.samples, frame.sample_rate)
        case _:
            return time


def _seconds_late(stamps: FrameStamps, start: Fraction | None) -> Fraction:
    """Return by how many seconds the first packet's timestamp is late. Its first samples are shown at `start`."""
    seconds = max(0, -round(stamps.lag / stamps.frame_seconds)) * stamps.frame_seconds
    return seconds if start is not None and start >= seconds else Fraction(0)


class _VorbisAnalyzer:
    """Compares the distance of two timestamps with the durations of both packets.

    The numbers of samples of packets are `short`, `long`, or the mean of both.
    """

    def __init__(self, short: int, long: int, rate: int) -> None:
        self._short, self._long, self._rate = short, long, rate
        self._packets = 0
        self._first_samples = short
        self._last: tuple[Fraction, Fraction] | None = None
        self._starts = self._ends = 0

    def add(self, packet: Packet[Any]) -> None:
        time, length = packet_time(packet), (packet.duration or 0) * as_fraction(packet.time_base)
        if time is None or not length:
            self._last = None
            return
        self._packets += 1
        if self._packets == 2:  # a decoder returns no samples for the first packet
            sizes = (self._short, (self._short + self._long) // 2, self._long)
            self._first_samples = min(sizes, key=lambda size: abs(Fraction(size, self._rate) - length))
        if self._last is not None and abs(length - self._last[1]) >= _DISTINCT_SECONDS:
            distance = time - self._last[0]
            self._starts += abs(distance - self._last[1]) <= _ROUNDING_SECONDS
            self._ends += abs(distance - length) <= _ROUNDING_SECONDS
        self._last = time, length

    def skip(self) -> None:
        self._last = None

    def stamps(self, origin: Fraction) -> AudioStamps | None:
        ends = self._ends >= _EVIDENCE and self._ends > _EVIDENCE * self._starts
        late = Fraction(max(0, self._long - self._first_samples), self._rate)
        return EndStamps(shortest=self._first_samples, late=late) if ends else None


class _WmaAnalyzer:
    """Compares timestamps with times computed from the number of frames in all previous packets."""

    def __init__(self, rate: int) -> None:
        self._frame_seconds = Fraction(1 << _wma_frame_bits(rate), rate or 1)
        self._first: Fraction | None = None
        self._frames = 0
        self._packets = 0
        self._lags: list[Fraction] = []  # smallest and largest
        self._whole = True

    def add(self, packet: Packet[Any]) -> None:
        time = packet_time(packet)
        self._packets += 1
        if time is None:
            self._whole = False
        elif self._first is None:
            self._first = time
            self._frames = _wma_frames(packet) - 1  # no frame began before the first packet
        else:
            lag = time - self._first - self._frames * self._frame_seconds
            self._lags = [min([*self._lags, lag]), max([*self._lags, lag])]
            self._frames += _wma_frames(packet)

    def skip(self) -> None:
        self._whole = False

    def stamps(self, origin: Fraction) -> AudioStamps | None:
        if not self._whole or self._first is None or self._packets <= _EVIDENCE:
            return None
        low, high = self._lags
        if high - low >= self._frame_seconds:  # a gap, or jitter of more than a frame: frame numbers are uncertain
            return None
        return FrameStamps(
            first=self._first - origin,
            frame_seconds=self._frame_seconds,
            lag=(low + high) / 2,
            late=max(high, Fraction(0)),
        )


def _wma_frames(packet: Packet[Any]) -> int:
    """Return the number of frames that the packet completes, from its header: 4 bits of index, 4 bits of count."""
    return memoryview(packet)[0] & 15 if packet.size else 0


def _wma_frame_bits(rate: int) -> int:
    """Return the binary logarithm of the frame length of WMA version 2."""
    return 9 if rate <= 16_000 else 10 if rate <= 22_050 else 11
