"""Seeking in a recording of many files: the runs of pieces in a range, read one after the other.

A run is opened as one stream. A decoder stays in use across the borders of runs, because audio depends on the packet
before it, and a GOP may begin in the piece before. Only a run with another codec or codec header gets a new decoder.

    pieces    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 |
    runs      |   run A   | run B |     run C     |     (C has another codec header)
    decoders  |    of A's stream  | of C's stream |
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream
from av.stream import Stream
from av.video.stream import VideoStream

from clipengine.clips.cut_range import CutRange
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.containers.prefetch import CERTAIN_PART
from clipengine.media.input.seeking.clip_end import ClipEnd
from clipengine.media.input.seeking.piece_run import OpenRun, copy_of
from clipengine.media.input.seeking.preroll import PREROLL_SECONDS, Preroll
from clipengine.media.input.seeking.seek import STEPS_BACK
from clipengine.media.input.timing.packet_timestamps import TimedPacket
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import PieceSeekIndex, PlacedRun
from clipengine.recordings.pieces import track_of

# Positions at which reading may begin, tried in this order until the whole clip can be decoded. Each is a number of
# pieces and of seconds before the start of the pre-roll. Reading begins at the start of a piece, or, if there are
# seconds, inside of a large piece that is a run. After the last position, reading begins with the first piece.
#
#     pieces      |  0  |  1  |  2  |  3  |  4  |
#     pre-roll                         [------      it starts in piece 3
#     (0, 1 s)                       ^              one second earlier, or at the start of piece 3 if that is not large
#     (2, None)         ^                           at the start of piece 1
_STEPS_BACK = (*((0, back) for back in STEPS_BACK), *((back, None) for back in (0, 1, 2, 4, 8, 16, 32)))
# After this many steps without audio before the start, the stream is assumed to have a gap.
_AUDIO_STEPS = len(STEPS_BACK) + 3
# A piece is read from its start if it has fewer bytes than this, or if the position is nearer to its start.
_FAR_SECONDS, _LARGE_BYTES = 10, 4 << 20
_SAME_SECONDS = Fraction(1, 500)  # by which the times of a packet that is in two files may differ
_SLACK_SECONDS = Fraction(1, 2)  # between the streams of a piece


class _Leader(NamedTuple):
    """The stream whose decoder decodes the packets of one stream of the recording.

    The decoder is kept for a stream of a later run if both have the same `format`.
    """

    stream: Stream
    format: tuple[Any, ...]


class ChainSeeker:
    """Context manager that reads the pieces of a recording, with the interface of `Seeker`."""

    decoding_times = False
    header_changed = False

    def __init__(
        self,
        reader: MediaReader,
        facts: SourceFacts,
        cut: CutRange,
        *,
        video: bool,
        audio: Sequence[int],
        pieces: PieceSeekIndex,
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = cut
        self._pieces = pieces
        self._video_number = facts.video.index if video and facts.video is not None else None
        self._audio_numbers = [track.index for track in facts.audio if track.index in audio]
        self._numbers = {*self._audio_numbers, *([] if self._video_number is None else [self._video_number])}
        self._open: list[OpenRun] = []
        self._leaders: dict[int, _Leader] = {}
        self._preroll: Preroll | None = None
        self._following: Iterator[TimedPacket] = iter(())  # packets after the pre-roll
        self.tracks = {track.index: track for track in facts.audio}
        self.at_start = False
        self.trusts_keyframes = True
        self.has_field_packets = False
        self.resume_times: dict[int, Fraction] = {}
        self.on_screen: Fraction | None = None
        self.video: VideoStream | None = None
        self.audio: list[AudioStream] = []

    def __enter__(self) -> ChainSeeker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()

    def _close(self) -> None:
        self._following = iter(())
        self._preroll = None
        self._leaders = {}
        while self._open:
            self._open.pop().close()

    def seek(self, step: int = 0) -> int:
        """Seek with `step` (an index into _STEPS_BACK) or a later one, and return the step that succeeded.

        A step that would begin at the same places as the step before is skipped.
        """
        tried: list[tuple[int, Fraction | None]] = []
        while True:
            chains = [self._chain(number, step) for number in self._tracks()]
            places = [(chain.first, chain.inside) for chain in chains]
            if places != tried and (self._seek(step, chains) or self.at_start):
                return step
            tried = places
            step += 1

    def _seek(self, step: int, chains: Sequence[_Chain]) -> bool:
        """Seek once. Return True if the whole clip can be decoded from there."""
        self._close()
        self.at_start = all(chain.at_start for chain in chains)
        packets = heapq.merge(*(self._led(chain) for chain in chains), key=lambda timed: timed.dts)
        end = ClipEnd(self._facts, self._cut, self._video_number, self._audio_numbers, self.resume_times, Fraction(0))
        self._following = end.before(packets)
        return self._read_preroll(step)

    def _tracks(self) -> list[int]:
        return sorted({track_of(number) for number in self._numbers})

    def _chain(self, track: int, step: int) -> _Chain:
        preroll_start = self._cut.first_moment - PREROLL_SECONDS
        back = _STEPS_BACK[step] if step < len(_STEPS_BACK) and self.trusts_keyframes else None
        return _Chain(list(self._pieces.runs(track)), preroll_start, back, self._facts.duration)

    def _read_preroll(self, step: int) -> bool:
        preroll = self._preroll = Preroll(
            self._cut,
            self._video_number is not None,
            self._audio_numbers,
            decoding_times=False,
            first_frame=Fraction(0),
            trusts_keyframes=self.trusts_keyframes,
            any_packet=self.at_start,
        )
        for timed in self._following:
            preroll.add(timed)
            if preroll.complete:
                break
        self.on_screen = preroll.on_screen
        self.has_field_packets = preroll.has_field_packets
        self._set_streams(preroll.packets())
        return preroll.has_video and (preroll.has_audio or step >= _AUDIO_STEPS)

    def _set_streams(self, packets: Sequence[TimedPacket]) -> None:
        """Set the streams whose decoders are used first.

        They are the streams of the first packets. A stream without a packet in the pre-roll gets its leader.
        """
        first = {number: leader.stream for number, leader in self._leaders.items()}
        for timed in reversed(packets):
            first[timed.stream] = timed.packet.stream
        self.video = next((each for each in first.values() if isinstance(each, VideoStream)), None)
        found = [first[number] for number in self._audio_numbers if number in first]
        self.audio = [each for each in found if isinstance(each, AudioStream)]

    def packets(self) -> Iterator[TimedPacket]:
        """Yield the packets from the seek position to the clip's end, in the order of their dts."""
        if self._preroll is not None:
            preroll, self._preroll = self._preroll.packets(), None
            yield from preroll
            del preroll  # up to 64 MiB
        yield from self._following

    def time_of(self, frame: av.VideoFrame | av.AudioFrame, stream: Stream) -> Fraction | None:
        """Return a frame's presentation time in recording time: its packet has the timestamps of the recording."""
        return None if frame.pts is None else frame.pts * as_fraction(stream.time_base or 1)

    def _led(self, chain: _Chain) -> Iterator[TimedPacket]:
        """Yield the packets of a track, with the stream whose decoder decodes them (`_Leader`).

        A run that `overlaps` begins with packets that end the run before. They are left out:

            run before   p0 p1 p2 p3
            run                p2 p3 p4 p5
            yielded      p0 p1 p2 p3 p4 p5
        """
        last: dict[int, Fraction] = {}  # the dts of the last packet of each stream
        for first, run, window, next_start in chain.windows():
            known = dict(last) if run.overlaps else {}
            inside = chain.inside if first else None
            waits_for_keyframe = run.after_gap and not first
            for begin, opened in self._opened(run, *window, inside=inside, next_start=next_start):
                self._choose_leaders(opened)
                for timed in opened.packets():
                    if timed.stream in known and timed.dts < known[timed.stream] + _SAME_SECONDS:
                        continue  # the run before has it
                    last[timed.stream] = timed.dts
                    if timed.is_video and waits_for_keyframe:
                        if not timed.packet.is_keyframe:
                            continue  # its references are missing
                        waits_for_keyframe = False
                    yield self._on_timeline(timed, hidden=first and begin == 0 and inside is None)
                if not any(leader.stream in opened.streams.values() for leader in self._leaders.values()):
                    self._open.remove(opened)
                    opened.close()

    def _opened(
        self, run: PlacedRun, begin: int, last: int, *, inside: Fraction | None, next_start: Fraction
    ) -> Iterator[tuple[int, OpenRun]]:
        """Open the pieces `begin` to `last` of a run. Yield each `OpenRun` with the number of its first piece.

        The pieces are opened all at once, or one by one if they do not make one stream (MP3). `inside` is the time
        near which reading begins in a run of one piece, or None for its start. `next_start` is the start of the next
        run, or the end of the recording.
        """
        stop = last  # the last piece to open together with `begin`
        while begin <= last:
            after = next_start if stop == last else run.pieces[stop + 1].start
            certain = _certain_bytes(run, (begin, stop), inside, self._cut.end, after)
            opened = OpenRun(self._reader, run, begin, stop, self._numbers, certain=certain, inside=inside)
            if stop > begin and not opened.is_stream:
                opened.close()
                stop = begin
                continue
            self._open.append(opened)
            yield begin, opened
            begin, stop = stop + 1, last if stop == last else stop + 1  # one by one, after the first was alone

    def _choose_leaders(self, opened: OpenRun) -> None:
        for number, stream in opened.streams.items():
            format, leader = _format(stream), self._leaders.get(number)
            if leader is None or leader.format != format:
                self._leaders[number] = _Leader(stream, format)

    def _on_timeline(self, timed: TimedPacket, *, hidden: bool) -> TimedPacket:
        """Return the packet on the recording's timeline, with the stream and the time base of its leader.

        The edit list of a piece hides audio before its start (encoder delay). Only at the start of the recording it
        stays `hidden`: elsewhere it continues the audio of the piece before, so the copy has no discard flag.
        """
        packet, stream = timed.packet, self._leaders[timed.stream].stream
        if packet.is_discard and not hidden and not timed.is_video:
            packet = copy_of(packet)
        tick, own_tick = as_fraction(stream.time_base or 1), as_fraction(packet.time_base)
        pts, dts = round(timed.time / tick), round(timed.dts / tick)
        packet.duration = round((packet.duration or 0) * own_tick / tick)
        packet.stream, packet.time_base = stream, tick
        packet.pts, packet.dts = pts, min(pts, dts)
        return TimedPacket(packet, pts * tick, min(pts, dts) * tick, timed.stream)


class _Chain:
    """The runs of a track, read from a position before the start of the pre-roll.

    `back` is an item of `_STEPS_BACK`, or None to begin with the first piece. Reading begins with the piece number
    `first`, counted over all runs, at its start, or near the time `inside` if that is not None.
    """

    def __init__(
        self,
        runs: Sequence[PlacedRun],
        preroll_start: Fraction,
        back: tuple[int, Fraction | None] | None,
        recording_end: Fraction,
    ) -> None:
        self._runs, self._recording_end = runs, recording_end
        before = sum(piece.start <= preroll_start for run in runs for piece in run.pieces) - 1
        pieces_back, seconds_back = (before, None) if back is None else back
        self.first = max(0, before - pieces_back)
        self.inside: Fraction | None = None
        alone = {number: run.pieces[0] for number, run in self._numbered() if len(run.pieces) == 1}
        if seconds_back is not None and self.first in alone:
            piece, time = alone[self.first], preroll_start - seconds_back
            if piece.length >= _LARGE_BYTES and time - piece.start >= _FAR_SECONDS:
                self.inside = time

    def _numbered(self) -> Iterator[tuple[int, PlacedRun]]:
        """Yield the runs, each with the number of its first piece, counted over all runs."""
        number = 0
        for run in self._runs:
            yield number, run
            number += len(run.pieces)

    @property
    def at_start(self) -> bool:
        return self.first == 0 and self.inside is None

    def windows(self) -> Iterator[tuple[bool, PlacedRun, tuple[int, int], Fraction]]:
        """Yield each run to read, with its first and last piece, and the start of the next run or the recording's end.

        The first value of each tuple is True for the run with which reading begins. If `first` is 4:

            pieces of runs   0 1 2   0 1   0 1 2 3
            counted over all 0 1 2   3 4   5 6 7 8
            yielded                  (1, 1), then (0, 3)
        """
        skipped, first = self.first, True
        starts = [run.pieces[0].start for run in self._runs]
        for run, next_start in zip(self._runs, [*starts[1:], self._recording_end], strict=False):
            if skipped < len(run.pieces):
                yield first, run, (skipped, len(run.pieces) - 1), next_start
                first, skipped = False, 0
            else:
                skipped -= len(run.pieces)


def _certain_bytes(
    run: PlacedRun, numbers: tuple[int, int], inside: Fraction | None, clip_end: Fraction, next_start: Fraction
) -> int:
    """Return the number of bytes of the pieces that a clip with this end certainly reads.

    If `inside` is not None, the run has one piece, which is read from this time on. `next_start` is the start of the
    piece after them.
    """
    pieces = run.pieces[numbers[0] : numbers[1] + 1]
    found = 0
    for piece, after in zip(pieces, [*(each.start for each in pieces[1:]), next_start], strict=True):
        if piece.start >= clip_end - _SLACK_SECONDS:
            break
        read_from = piece.start if inside is None else inside
        seconds, read = after - piece.start, min(clip_end, after) - read_from
        whole = piece.length < _LARGE_BYTES or seconds <= 0 or read >= seconds
        found += piece.length if whole else int(piece.length * max(read, Fraction(0)) / seconds * CERTAIN_PART)
    return found


def _format(stream: Stream) -> tuple[Any, ...]:
    """Return the properties that must be equal in the streams of two runs for one decoder to decode both."""
    context: Any = stream.codec_context
    header = bytes(context.extradata or b"")
    if isinstance(stream, VideoStream):
        return context.name, header, context.width, context.height, stream.time_base
    return context.name, header, context.sample_rate, context.layout.name, stream.time_base
