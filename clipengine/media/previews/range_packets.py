"""Packets of the range of a clip, read without decoding: the times of its frames, and the gaps of its audio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from statistics import median_low
from typing import Any, NamedTuple

import av
from av.packet import Packet

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.frames import FrameSelector
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.bitstream.bits import BitstreamError
from clipengine.media.bitstream.vp8_frames import vp8_is_shown
from clipengine.media.bitstream.vp9_frames import vp9_is_shown
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import codec_name, is_presented, media_errors
from clipengine.media.input.containers.kept_source import MAX_KEPT_BYTES
from clipengine.media.input.decoding.decode import SMALLEST_STEP
from clipengine.media.input.decoding.events import AudioFrameEvent
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.repeated_times import RepeatedTimes
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.previews.frame_times import shown_times
from clipengine.recordings.facts import AudioFacts, SourceFacts, TrackNames
from clipengine.recordings.seek_index import SeekIndex

_ROUNDING_SECONDS = Fraction(1, 500)  # of durations in the container
_LONGEST_PACKET = Fraction(2)
# Codecs whose packets show one frame or none; others may have fields or slices in packets.
_SHOWN: dict[str, Callable[[bytes], bool]] = {"vp8": vp8_is_shown, "vp9": vp9_is_shown}
_LONG = 2  # times the usual number of samples


class RangePackets(NamedTuple):
    """Start of a clip, the times of its frames from that start, and the warnings of gaps in its audio."""

    origin: Fraction
    times: list[Fraction]
    audio_warnings: list[str]


class _Heard(NamedTuple):
    """A packet of audio: its stream, its time, and its number of samples.

    They are exact if the codec has them; the container's may be rounded, or the distance to the next packet.
    """

    stream: int
    time: Fraction
    samples: int
    is_exact: bool
    is_distance: bool

    @classmethod
    def of(cls, timed: TimedPacket, rate: int) -> _Heard:
        packet = timed.packet
        stated = (packet.duration or 0) * as_fraction(packet.time_base)
        own = int(packet.stream.codec_context.frame_size)
        is_exact = own > 0 and (not stated or abs(Fraction(own, rate) - stated) <= _ROUNDING_SECONDS)
        samples = own if is_exact else round(min(stated, _LONGEST_PACKET) * rate)
        return cls(timed.stream, timed.time, samples, is_exact, packet.stream.container.format.name.startswith("mov"))


def read_range(
    source: ByteSource,
    facts: SourceFacts,
    cut: CutRange,
    tracks: Sequence[AudioFacts],
    seek_index: SeekIndex | None,
    *,
    video: bool,
) -> RangePackets | None:
    """Read the packets of the range, or return None if they have more than MAX_KEPT_BYTES. Raises RecordingError."""
    rates = {track.index: track.sample_rate for track in tracks}
    seen: list[Fraction] = []
    heard: list[_Heard] = []
    size, shows_each = 0, False
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        open_seeker(reader, facts, cut, video=video, audio=[*rates], seek_index=seek_index) as seeker,
    ):
        seeker.seek()
        for timed in seeker.packets():
            size += timed.packet.size
            if size > MAX_KEPT_BYTES:
                return None
            if not is_presented(timed.packet):
                continue
            if timed.is_video:
                is_shown = _SHOWN.get(codec_name(timed.packet.stream))
                shows_each = is_shown is not None
                if is_shown is None or _shows(is_shown, timed.packet):
                    seen.append(timed.time)
            else:
                heard.append(_Heard.of(timed, rates[timed.stream]))
        shown = _one_by_one(seen, cut.frame_seconds) if shows_each else shown_times({*seen}, seeker, facts)
        resumes = dict(seeker.resume_times)
    origin, times = selected(shown, cut)
    return RangePackets(origin, times, [*_audio_warnings(tracks, heard, cut, origin, resumes)])


def _shows(is_shown: Callable[[bytes], bool], packet: Packet[Any]) -> bool:
    try:
        return is_shown(bytes(packet))
    except BitstreamError:
        return True


def _one_by_one(times: Iterable[Fraction], usual: Fraction) -> list[Fraction]:
    """Return the times of frames, given in their order, as a decoder shows them: rising, without repeated ones."""
    repeated, shown = RepeatedTimes(usual), list[Fraction]()
    for time in times:
        is_repeated = repeated.add(time, time)
        if not shown or not is_repeated:
            shown.append(max(time, shown[-1] + SMALLEST_STEP) if shown else time)
    return shown


def selected(shown: Sequence[Fraction], cut: CutRange) -> tuple[Fraction, list[Fraction]]:
    """Return the start of the clip, and the times of its frames from that start."""
    selector: FrameSelector[Fraction] = FrameSelector(cut)
    times = [time for each in shown for time, _ in selector.push(each, each)]
    times += [time for time, _ in selector.finish()]
    return cut.start if selector.origin is None else selector.origin, times


def _lengths(packets: Sequence[_Heard], rate: int) -> Iterator[tuple[Fraction, int]]:
    """Yield the times of a stream's packets with their numbers of samples, without the gaps after them.

    MP4 stores the distance to the next packet, and Matroska rounds durations to milliseconds.
    """
    usual = median_low([each.samples for each in packets])
    for each, following in zip(packets, [*packets[1:], None], strict=True):
        samples = usual if each.is_distance and each.samples > _LONG * usual else each.samples
        if following is not None and not each.is_exact:
            distance = round((following.time - each.time) * rate)
            samples = distance if distance > 0 and abs(distance - samples) <= _ROUNDING_SECONDS * rate else samples
        yield each.time, samples


class _NoWriter:
    """Accepts audio tracks and writes nothing."""

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        return "fltp", "mono"

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        pass


def _audio_warnings(
    tracks: Sequence[AudioFacts], heard: Sequence[_Heard], cut: CutRange, origin: Fraction, resumes: dict[int, Fraction]
) -> Iterator[str]:
    """Yield the warnings of gaps, from frames without content on the timelines of the clip."""
    # Only decoding tells the times of packets with corrected timestamps, and the length of packets without a duration.
    if any(track.stamps is not None for track in tracks) or not all(each.samples for each in heard):
        return
    audio = AudioTracks(_NoWriter(), (*tracks,), mix=False, origin=origin, end=cut.end)
    for track in tracks:
        packets = [each for each in heard if each.stream == track.index]
        for time, samples in _lengths(packets, track.sample_rate) if packets else ():
            frame = av.AudioFrame("fltp", "mono", samples)
            frame.sample_rate = track.sample_rate
            audio.write_audio(AudioFrameEvent(track.index, time, frame))
    audio.finish(resumes)
    yield from audio.warnings()
