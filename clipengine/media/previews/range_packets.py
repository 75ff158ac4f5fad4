"""Packets of the range of a clip, read without decoding: the times of its frames, and the gaps of its audio."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from statistics import median_low
from typing import Any, NamedTuple

import av
from av.packet import Packet

from clipengine.clips.cut_range import CutRange
from clipengine.clips.plan.frames import FrameSelector
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.container import is_presented, media_errors
from clipengine.media.input.events import AudioFrameEvent
from clipengine.media.input.seekers import open_seeker
from clipengine.media.input.source import ByteSource, MediaReader
from clipengine.media.input.timeline import as_fraction
from clipengine.media.previews.frame_times import shown_times
from clipengine.recordings.facts import AudioFacts, SourceFacts, TrackNames
from clipengine.recordings.seek_index import SeekIndex

MAX_BYTES, MAX_SECONDS = 32 << 20, 600  # of a range whose packets are read
_ROUNDING_SECONDS = Fraction(1, 500)  # of durations in the container
_LONGEST_PACKET = Fraction(2)
_LONG = 2  # times the usual number of samples


class RangePackets(NamedTuple):
    """Where a clip begins, the times of its frames from there, and the warnings of gaps in its audio."""

    origin: Fraction
    times: list[Fraction]
    audio_warnings: list[str]


class _Heard(NamedTuple):
    """A packet of audio: its stream, its time, and its number of samples, which may be the distance to the next one."""

    stream: int
    time: Fraction
    samples: int
    is_distance: bool


def read_range(
    source: ByteSource,
    facts: SourceFacts,
    cut: CutRange,
    tracks: Sequence[AudioFacts],
    seek_index: SeekIndex | None,
    *,
    video: bool,
) -> RangePackets | None:
    """Read the packets of the range, or return None if they have more than MAX_BYTES. Raises RecordingError."""
    rates = {track.index: track.sample_rate for track in tracks}
    seen, heard, size = set(), [], 0
    with (
        MediaReader(source) as reader,
        media_errors(reader),
        open_seeker(reader, facts, cut, video=video, audio=[*rates], seek_index=seek_index) as seeker,
    ):
        seeker.seek()
        for timed in seeker.packets():
            size += timed.packet.size
            if size > MAX_BYTES:
                return None
            if not is_presented(timed.packet):
                continue
            if timed.is_video:
                seen.add(timed.time)
            else:
                is_distance = timed.packet.stream.container.format.name.startswith("mov")
                samples = _samples(timed.packet, rates[timed.stream])
                heard.append(_Heard(timed.stream, timed.time, samples, is_distance))
        shown = shown_times(seen, seeker, facts)
        resumes = dict(seeker.resume_times)
    origin, times = selected(shown, cut)
    return RangePackets(origin, times, [*_audio_warnings(tracks, heard, cut, origin, resumes)])


def selected(shown: Sequence[Fraction], cut: CutRange) -> tuple[Fraction, list[Fraction]]:
    """Return where the clip begins, and the times of its frames from there."""
    selector: FrameSelector[Fraction] = FrameSelector(cut)
    times = [time for each in shown for time, _ in selector.push(each, each)]
    times += [time for time, _ in selector.finish()]
    return cut.start if selector.origin is None else selector.origin, times


def _samples(packet: Packet[Any], rate: int) -> int:
    """Return the number of samples of a packet: the codec's if the container's rounded duration agrees with it."""
    stated = (packet.duration or 0) * as_fraction(packet.time_base)
    own = packet.stream.codec_context.frame_size
    if own and (not stated or abs(Fraction(own, rate) - stated) <= _ROUNDING_SECONDS):
        return int(own)
    return round(min(stated, _LONGEST_PACKET) * rate)


def _without_gaps(heard: Sequence[_Heard]) -> Iterator[_Heard]:
    """Yield the packets with the usual number of samples if they have many more: MP4 stores distances of packets."""
    counts: defaultdict[int, list[int]] = defaultdict(list)
    for each in heard:
        counts[each.stream].append(each.samples)
    usual = {stream: median_low(found) for stream, found in counts.items()}
    for each in heard:
        is_long = each.is_distance and each.samples > _LONG * usual[each.stream]
        yield each._replace(samples=usual[each.stream]) if is_long else each


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
    # Only decoding tells the times of packets with corrected timestamps, and the length of those without a duration.
    if any(track.stamps is not None for track in tracks) or not all(each.samples for each in heard):
        return
    audio = AudioTracks(_NoWriter(), (*tracks,), mix=False, origin=origin, end=cut.end)
    rates = {track.index: track.sample_rate for track in tracks}
    for stream, time, samples, _ in _without_gaps(heard):
        frame = av.AudioFrame("fltp", "mono", samples)
        frame.sample_rate = rates[stream]
        audio.write_audio(AudioFrameEvent(stream, time, frame))
    audio.finish(resumes)
    yield from audio.warnings()
