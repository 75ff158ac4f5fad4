"""Pre-roll: the packets before a clip that must be decoded for its first frame and sample to be exact."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from av.packet import Packet

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.containers.codec_headers import new_header
from clipengine.media.input.containers.container import is_presented
from clipengine.media.input.timing.display_order import REORDERED_FRAMES
from clipengine.media.input.timing.packet_timestamps import TimedPacket

# Audio decoders need earlier packets to be exact: Opus 80 ms (RFC 7845, section 4.6), MP3 its bit reservoir, AAC and
# Vorbis the overlap of one frame.
PREROLL_SECONDS = Fraction(3, 20)
_MAX_KEPT_BYTES = 64 * 1024 * 1024

_Numbered = tuple[int, TimedPacket]  # with its position in file order


class Preroll:
    """Keeps the packets that decoding from the clip's start needs: the last GOP before it, and some audio.

    `video` says whether video is read, `audio` are the numbers of the audio streams. `decoding_times`: packets have dts
    only, so the GOP before is kept too, from which the display order becomes known, unless the clip's GOP begins at
    `first_frame`, the time of the recording's first frame. `any_packet`: decoding may begin with a packet that is not a
    keyframe.
    """

    def __init__(
        self,
        cut: CutRange,
        video: bool,
        audio: Collection[int],
        *,
        decoding_times: bool,
        first_frame: Fraction,
        trusts_keyframes: bool,
        any_packet: bool,
    ) -> None:
        self._cut = cut
        self._video = video
        self._decoding_times = decoding_times
        self._first_frame = first_frame
        self._trusts_keyframes = trusts_keyframes
        self._any_packet = any_packet
        # A keyframe up to here is presented at or before the clip's start.
        self._latest = cut.start - (REORDERED_FRAMES * cut.frame_seconds if decoding_times else 0)
        self._gops = _LastGops(2 if decoding_times else 1)
        self._audio: list[_Numbered] = []
        self._streams_without = set(audio)  # audio streams without a packet before the start
        self._read = 0
        self._kept_bytes = 0
        self._reached_start = False
        self.has_new_header = False  # a packet came with a codec header

    def add(self, timed: TimedPacket) -> None:
        """Add the next packet in file order."""
        self._read += 1
        self.has_new_header |= new_header(timed.packet) is not None
        if self._video and timed.is_video:
            self._add_video(timed)
        else:
            self._add_audio(timed)

    def _add_video(self, timed: TimedPacket) -> None:
        packet = timed.packet
        # Pre-roll of an edit list is never shown, so a seek must not rely on it.
        usable = packet.is_keyframe and self._trusts_keyframes and not packet.is_discard
        if usable and timed.time <= self._latest:
            self._kept_bytes = self._gops.begin_gop()
        if self._gops.packets or packet.is_keyframe or self._any_packet:
            self._gops.packets.append((self._read, timed))
            self._kept_bytes += packet.size
        else:
            self._gops.note_header(packet)
        self._reached_start |= timed.dts > self._cut.start

    def _add_audio(self, timed: TimedPacket) -> None:
        self._audio.append((self._read, timed))
        self._kept_bytes += timed.packet.size
        if timed.time <= self._cut.first_moment - PREROLL_SECONDS:
            self._streams_without.discard(timed.stream)
        self._reached_start |= not self._video and timed.time > self._cut.start

    @property
    def complete(self) -> bool:
        """True if no further packet is needed, or allowed."""
        return self._reached_start or self._kept_bytes > _MAX_KEPT_BYTES

    @property
    def gop(self) -> list[TimedPacket]:
        return [timed for _, timed in self._gops.packets]

    @property
    def on_screen(self) -> Fraction | None:
        """Pts of the frame on screen at the clip's start."""
        start = self._cut.start
        shown = (timed.time for timed in self.gop if timed.time <= start and is_presented(timed.packet))
        return max(shown, default=None)

    @property
    def has_video(self) -> bool:
        """True if the frame at the clip's start can be decoded, or there is no video."""
        return not self._video or (self.on_screen is not None and self.gop[0].time <= self._cut.start)

    @property
    def has_audio(self) -> bool:
        """True if every audio stream has packets from long enough before the earliest start of the clip."""
        return not self._streams_without

    @property
    def knows_display_order(self) -> bool:
        """True if a GOP is decoded before the clip's, or decoding starts at the recording's first frame."""
        if not self._decoding_times or not self._video:
            return True
        return self._gops.complete or self.gop[0].time <= self._first_frame

    @property
    def video_header(self) -> bytes | None:
        """The codec header of the first packet of video to decode, if it came with a packet before it."""
        return self._gops.header

    def audio_header(self, stream: int) -> bytes | None:
        """Return the same of an audio stream."""
        kept = self._kept_audio()
        first = next((number for number, timed in kept if timed.stream == stream), 0)
        earlier = (timed for number, timed in self._audio if number < first)
        headers = [new_header(timed.packet) for timed in earlier if timed.stream == stream]
        return next((header for header in reversed(headers) if header is not None), None)

    @property
    def has_field_packets(self) -> bool:
        """True if some packets are closer than frames, and all of these are half a frame apart: second fields.

        Frames at a variable rate are close at other distances, too.
        """
        usual, half = self._cut.frame_seconds, self._cut.half_frame
        allowed = max(self._cut.tick, half / 10)
        distances = (later.time - earlier.time for earlier, later in pairwise(self.gop))
        close = [distance for distance in distances if 0 < distance < usual * Fraction(3, 4)]
        return bool(close) and all(abs(distance - half) <= allowed for distance in close)

    def packets(self) -> list[TimedPacket]:
        """Return the packets to decode, in file order."""
        kept = [*self._gops.packets, *self._kept_audio()]
        return [timed for _, timed in sorted(kept, key=lambda numbered: numbered[0])]

    def _kept_audio(self) -> list[_Numbered]:
        return _since(self._audio, self._cut.first_moment - 4 * PREROLL_SECONDS)


class _LastGops:
    """The video packets of the last GOPs."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._starts: list[int] = []
        self.packets: list[_Numbered] = []
        self.header: bytes | None = None  # the codec header that changed last before these packets

    @property
    def complete(self) -> bool:
        return len(self._starts) >= self._count

    def begin_gop(self) -> int:
        """Drop packets before the last GOPs; the next packet begins one. Return the size of the rest."""
        self._starts = [*self._starts, len(self.packets)][-self._count :]
        if self.complete:
            dropped = self._starts[0]
            for _, timed in self.packets[:dropped]:
                self.note_header(timed.packet)
            self.packets = self.packets[dropped:]
            self._starts = [start - dropped for start in self._starts]
        return sum(timed.packet.size for _, timed in self.packets)

    def note_header(self, packet: Packet[Any]) -> None:
        """Note the codec header of a packet that is not kept."""
        self.header = new_header(packet) or self.header


def _since(audio: Sequence[_Numbered], time: Fraction) -> list[_Numbered]:
    """Return each stream's packets from this time on, and the packet before, which may last beyond it."""
    first: dict[int, int] = {}
    for number, timed in audio:
        if timed.time <= time and timed.packet.pts is not None:  # packets without pts follow a packet with a time
            first[timed.stream] = number
    return [(number, timed) for number, timed in audio if number >= first.get(timed.stream, 0)]
