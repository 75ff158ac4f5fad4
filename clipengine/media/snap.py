"""Keyframes, silences and scene changes near the cuts of a clip, or next to a time.

Only the media near the cuts or the time is read. Also all silences of a range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from fractions import Fraction
from typing import Any

from clipengine.clips.cut_range import CutRange
from clipengine.clips.options.snap import Edge
from clipengine.clips.removal import written_silences
from clipengine.clips.snap_moments import Found, Span, nearest, silence_moment, silence_moments
from clipengine.media.audio.silence import LEAST_SECONDS, SilenceDetector
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import is_presented, media_errors
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import AudioFrameEvent, BeginEvent, VideoFrameEvent
from clipengine.media.input.read_request import ReadRequest, as_json
from clipengine.media.input.seeking.seekers import AnySeeker, open_seeker
from clipengine.media.video.scene_changes import FRAMES_BEFORE, SceneDetector
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import stored_seek_index
from clipengine.recordings.seek_index import SeekIndex

_FIRST_SECONDS = Fraction(4)  # of a search for the next moment; each further part is twice as long
_SAME_FRAME = Fraction(3, 4)  # of a frame: a cut is at most half a frame away from a moment
_SAME_SECONDS = Fraction(1, 1000)  # the same without video


def read_moments(request: ReadRequest) -> bytes:
    """Return the JSON of the moments to which the cuts of a part move."""
    moments, _ = snap_part(request.source, request.facts, request.values, threads=request.threads)
    return as_json([None if moment is None else str(moment) for moment in moments])


def read_jump(request: ReadRequest) -> bytes:
    """Return the JSON of the next moment."""
    moment = next_moment(request.source, request.facts, request.values, threads=request.threads)
    until = request.seconds("until") if moment is None else moment
    return as_json(
        {
            "to": request.values["to"],
            "seconds": None if moment is None else round(float(moment), 6),
            "searched_from_seconds": round(float(request.seconds("at")), 6),
            "searched_to_seconds": round(float(until), 6),
            "more": 0 < until < request.facts.duration,
        }
    )


def read_silences(request: ReadRequest) -> bytes:
    """Return the JSON of the silences of a part."""
    silences, _ = part_silences(request.source, request.facts, request.values, threads=request.threads)
    return as_json(silences)


def part_silences(source: ByteSource, facts: SourceFacts, part: Mapping[str, Any], *, threads: int) -> tuple[str, int]:
    """Return the silences of a part, in the form of `SilenceReport`, and the number of bytes that were read.

    `part` has the values of `work.children.jobs.silence_values` and the `seek_index`. Raises RecordingError.
    """
    seek_index = None if part["seek_index"] is None else stored_seek_index(part["seek_index"])
    tracks = [int(each) for each in str(part["tracks"]).split(",") if each]
    with MediaReader(source) as reader:
        finder = _Finder(reader, facts, seek_index, threads, tracks)
        with media_errors(reader):
            found = written_silences(finder.silences(Fraction(part["start"]), Fraction(part["end"])))
        reader.release()
        return found, reader.bytes_read


def snap_part(source: ByteSource, facts: SourceFacts, part: Mapping[str, Any], *, threads: int) -> tuple[Found, int]:
    """Return the moments to which the cuts of a part move, and the number of bytes that were read.

    `part` has the values of `work.children.jobs.snap_values` and the `seek_index`. Raises RecordingError.
    """
    seek_index = None if part["seek_index"] is None else stored_seek_index(part["seek_index"])
    within, tracks = Fraction(part["within"]), [int(each) for each in str(part["tracks"]).split(",") if each]
    with MediaReader(source) as reader:
        finder = _Finder(reader, facts, seek_index, threads, tracks)
        with media_errors(reader):
            found = Found(*(finder.find(part["to"], edge, Fraction(part[edge]), within) for edge in ("start", "end")))
        reader.release()
        return found, reader.bytes_read


def next_moment(source: ByteSource, facts: SourceFacts, job: Mapping[str, Any], *, threads: int) -> Fraction | None:
    """Return the moment nearest to the time `at` on the way to the time `until`, or None. Raises RecordingError.

    `until` may be earlier than `at`. A moment of the frame at `at` does not count, so that searches can be repeated.
    """
    seek_index = None if job["seek_index"] is None else stored_seek_index(job["seek_index"])
    with MediaReader(source) as reader, media_errors(reader):
        finder = _Finder(reader, facts, seek_index, threads, [track.index for track in facts.audio])
        return finder.next(job["to"], Fraction(job["at"]), Fraction(job["until"]))


class _Finder:
    """Finds moments in one recording."""

    def __init__(
        self, reader: MediaReader, facts: SourceFacts, seek_index: SeekIndex | None, threads: int, tracks: list[int]
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._seek_index = seek_index
        self._threads = threads
        self._tracks = tuple(track for track in facts.audio if track.index in tracks)

    def find(self, to: str, edge: Edge, at: Fraction, within: Fraction) -> Fraction | None:
        duration = self._facts.duration
        at = min(at, duration)
        return nearest(self._moments(to, edge, at, within), at, within, duration)

    def next(self, to: str, at: Fraction, until: Fraction) -> Fraction | None:
        """Return the moment nearest to `at` on the way to `until`, searched in parts of increasing length."""
        same = _SAME_SECONDS if self._facts.video is None else self._facts.video.frame_seconds * _SAME_FRAME
        direction, step = (1, _FIRST_SECONDS) if until > at else (-1, _FIRST_SECONDS)
        begin, last = at + direction * same, min(max(Fraction(0), until + direction * same), self._facts.duration)
        while (last - begin) * direction > 0:
            end = begin + direction * min(step, abs(last - begin))
            low, high = min(begin, end), max(begin, end)
            found = [each for each in self._between(to, low, high) if low <= each <= high]
            if found:
                return min(found, key=lambda each: abs(each - at))
            begin, step = end, 2 * step
        return None

    def _between(self, to: str, low: Fraction, high: Fraction) -> Iterable[Fraction]:
        """Return the moments between two times, and maybe some more. A silence has one at each of its ends."""
        duration = self._facts.duration
        if to == "silence":
            silences = self.silences(low - 2 * LEAST_SECONDS, high + 2 * LEAST_SECONDS)
            edges: tuple[Edge, ...] = ("end", "start")
            found = (silence_moment(silence, edge, duration) for silence in silences for edge in edges)
            moments = {moment for moment in found if moment is not None}
        elif to == "keyframe":
            moments = self._keyframes(low, high + self._range(low, high).frame_seconds)
        else:
            moments = self._scenes(low, high) | {Fraction(0)}
        return {moment for moment in moments if 0 <= moment < duration}

    def _moments(self, to: str, edge: Edge, at: Fraction, within: Fraction) -> Iterable[Fraction]:
        """Return the moments within the distance, and maybe some more."""
        low, high = at - within, at + within
        if to == "silence":
            silences = self.silences(low - 2 * LEAST_SECONDS, high + 2 * LEAST_SECONDS)
            return silence_moments(silences, edge, at, within, self._facts.duration)
        if to == "keyframe":
            found = self._keyframes(low, high)
        else:
            found = self._scenes(low, high)
            if edge == "start":  # the first scene begins with the recording
                found.add(Fraction(0))
        if edge == "end":  # the last scene, and the last GOP, end with it
            found.add(self._facts.duration)
        return found

    def _range(self, low: Fraction, high: Fraction) -> CutRange:
        low, high = max(Fraction(0), low), min(self._facts.duration, high)
        video = self._facts.video
        return CutRange(low, high) if video is None else CutRange(low, high, video.frame_seconds, video.tick)

    def _keyframes(self, low: Fraction, high: Fraction) -> set[Fraction]:
        if self._facts.video is None:
            return set()
        with self._seeker(self._range(low, high), video=True) as seeker:
            seeker.seek()
            packets = (timed for timed in seeker.packets() if timed.packet.is_keyframe and is_presented(timed.packet))
            return {timed.time for timed in packets}

    def _scenes(self, low: Fraction, high: Fraction) -> set[Fraction]:
        if self._facts.video is None:
            return set()
        usual = self._facts.video.frame_seconds
        cut = self._range(low - FRAMES_BEFORE * usual, high + usual)
        detector, origin = SceneDetector(), cut.start
        found = set()
        for event in self._events(cut, video=True):
            if isinstance(event, BeginEvent):
                origin = event.origin
            elif isinstance(event, VideoFrameEvent) and detector.begins_scene(event.frame):
                found.add(origin + event.time)
        return found

    def silences(self, low: Fraction, high: Fraction) -> list[Span]:
        """Return the times between two times in which all tracks are silent."""
        if not self._tracks:
            return []
        cut, detector = self._range(low, high), SilenceDetector()
        audio = AudioTracks(detector, self._tracks, mix=False, origin=cut.start, end=cut.end)
        for event in self._events(cut, video=False):
            if isinstance(event, AudioFrameEvent):
                audio.write_audio(event)
        audio.finish(())
        return [(start + cut.start, end + cut.start) for start, end in detector.finish()]

    def _events(self, cut: CutRange, *, video: bool) -> Iterator[Any]:
        with (
            self._seeker(cut, video=video) as seeker,
            closing(ClipDecoder(seeker, cut, threads=self._threads if video else 1).events()) as events,
        ):
            yield from events

    def _seeker(self, cut: CutRange, *, video: bool) -> AnySeeker:
        audio = [] if video else [track.index for track in self._tracks]
        return open_seeker(self._reader, self._facts, cut, video=video, audio=audio, seek_index=self._seek_index)
