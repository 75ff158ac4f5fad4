"""Decoding of the audio of a clip: from packets to frames with their times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags2

from clipengine.media.input.decoding.audio_timestamps import corrected
from clipengine.media.input.decoding.damage import Damage
from clipengine.media.input.decoding.events import AudioFrameEvent
from clipengine.media.input.seeking.seekers import AnySeeker
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.memory import raise_if_out_of_memory
from clipengine.media.sandbox.limits import is_out_of_memory


def raise_if_memory_ran_out(error: av.FFmpegError, seeker: AnySeeker) -> None:
    """Raise MemoryError if a packet did not decode because memory ran out."""
    if is_out_of_memory(error):
        raise error
    video = seeker.video
    raise_if_out_of_memory(video.codec_context.width * video.codec_context.height if video is not None else 0)


class AudioDecoder:
    """Decodes the seeker's audio streams. Packets that are read before the clip's origin is known are held."""

    def __init__(self, seeker: AnySeeker, end: Fraction) -> None:
        self._seeker = seeker
        self._end = end  # of the clip: damage after it does not concern it
        self._damage = Damage()
        self._held: list[TimedPacket] | None = []  # None if they were decoded
        self._ends: dict[int, Fraction] = {}  # number of a stream -> end of its latest frame
        self._streams: dict[int, AudioStream] = {}  # number of a stream -> the stream whose decoder is open

    def prepare(self, damage: Damage) -> None:
        """Forget the decoders; call it after each seek. Damaged packets are counted in `damage`."""
        self._held = []
        self._ends = {}
        self._damage = damage
        self._streams = {}

    def begin(self) -> Iterator[AudioFrameEvent]:
        """Decode the packets that were held, after the clip's origin is known."""
        held, self._held = self._held, None
        for timed in held or ():
            yield from self.events(timed)

    def events(self, timed: TimedPacket) -> Iterator[AudioFrameEvent]:
        """Decode a packet, or hold it until `begin`."""
        if self._held is not None:
            self._held.append(timed)
            return
        stream = timed.packet.stream
        if stream is not self._streams.get(timed.stream):
            yield from self._open(timed.stream, stream)
        try:
            frames = stream.codec_context.decode(timed.packet)
        except av.FFmpegError as error:
            raise_if_memory_ran_out(error, self._seeker)
            self._damage.packets += timed.time < self._end
            return
        if timed.packet.is_discard:  # pre-roll
            return
        end: Fraction | None = None
        for frame in frames:
            time = self._seeker.time_of(frame, stream)
            if time is None:  # it follows the frame before it, like in FFmpeg
                time = self._ends.get(timed.stream, timed.time)
            time = corrected(self._seeker.tracks[timed.stream], time, timed.packet, frame)
            # All frames of a packet (AMR) may have the packet's time: place them one after the other.
            if len(frames) > 1:
                time = time if end is None else max(time, end)
                end = time + Fraction(frame.samples, frame.sample_rate)
            self._ends[timed.stream] = time + Fraction(frame.samples, frame.sample_rate)
            yield AudioFrameEvent(timed.stream, time, frame)

    def _open(self, number: int, stream: AudioStream) -> Iterator[AudioFrameEvent]:
        """Decode the audio of this number with the decoder of this stream from now on."""
        if number in self._streams:  # the codec changes
            yield from self._drain(number)
        self._streams[number] = stream
        stream.codec_context.thread_count = 1
        # Otherwise some versions drop the edit list's pre-roll wherever decoding starts; the timeline trims it.
        stream.codec_context.flags2 |= Flags2.skip_manual

    def drain(self) -> Iterator[AudioFrameEvent]:
        """Yield the frames that are still inside the decoders."""
        for number in sorted(self._streams):
            yield from self._drain(number)

    def _drain(self, number: int) -> Iterator[AudioFrameEvent]:
        stream = self._streams[number]
        try:
            frames = stream.codec_context.decode(None)
        except MemoryError:
            raise
        except av.FFmpegError:
            return
        for frame in frames:
            time = self._seeker.time_of(frame, stream)
            if time is not None:
                yield AudioFrameEvent(number, time, frame)
