"""Decoding of a timelapse: one frame for each frame of the clip, without the frames between them."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction

from clipengine.clips.cut_range import CutRange, begun_frames
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.decoding.damage import Damage
from clipengine.media.input.decoding.events import BeginEvent, Event, VideoFrameEvent
from clipengine.media.input.decoding.shown_frames import shown_frames
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex


class TimelapseDecoder:
    """Yields one BeginEvent, then a video frame event every `step` seconds of the recording, from `lead` on.

    Of frames over a second apart, each is the last keyframe within a `step` before its time, or the exact frame.
    """

    def __init__(
        self,
        reader: MediaReader,
        facts: SourceFacts,
        cut: CutRange,
        *,
        step: Fraction,
        lead: Fraction,
        threads: int,
        seek_index: SeekIndex | None,
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._cut = cut
        self._step = step
        self._lead = lead
        self._threads = threads
        self._seek_index = seek_index
        self.damage = Damage()
        self.last_time: Fraction | None = None  # recording time up to which the last frame is shown

    def events(self) -> Generator[Event]:
        start = self._cut.start + self._lead
        count = max(1, begun_frames((self._cut.end - start) / self._step))
        moments = [start + number * self._step for number in range(count)]
        for moment, frame in shown_frames(
            self._reader,
            self._facts,
            moments,
            threads=self._threads,
            seek_index=self._seek_index,
            damage=self.damage,
        ):
            event = VideoFrameEvent(moment - self._cut.start, frame)
            if self.last_time is None:
                yield BeginEvent(self._cut.start, frame)
            self.last_time = moment + self._step
            yield event
        if self.last_time is None:
            yield BeginEvent(self._cut.start, None)
