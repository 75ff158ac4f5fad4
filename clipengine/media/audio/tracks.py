"""Audio tracks of a clip: each on its own timeline, kept separate or mixed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import av

from clipengine.clips.options.effects import Effects
from clipengine.clips.removed import NOTHING, Removed
from clipengine.clips.warnings import warning
from clipengine.media.audio.effects import AudioEffects
from clipengine.media.audio.limiter import Limiter
from clipengine.media.audio.mix import AudioMix
from clipengine.media.audio.removed_samples import RemovedSamples
from clipengine.media.audio.timeline import AudioTimeline
from clipengine.media.input.decoding.events import AudioFrameEvent
from clipengine.recordings.facts import AudioFacts, TrackNames


class AudioWriter(Protocol):
    """Encoder and muxer of the audio tracks (`media.output.writer`)."""

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]: ...

    def write_audio(self, track: int, frame: av.AudioFrame) -> None: ...


class AudioTracks:
    """Aligns, mixes (if requested), changes and writes the tracks. `written` is the number of tracks in the clip.

    `gains` has the gain of each written track in decibels, or is empty. The `removed` ranges are not written. Tracks
    are `limited` to full scale as decoded, so that fades begin at what is heard. Tracks that are mixed always are: the
    limiter of the mix would lower all of them.
    """

    def __init__(
        self,
        writer: AudioWriter,
        kept: tuple[AudioFacts, ...],
        effects: Effects = Effects(),
        *,
        mix: bool,
        origin: Fraction,
        end: Fraction,
        gains: Sequence[float] = (),
        removed: Removed = NOTHING,
        limited: bool = False,
    ) -> None:
        self._writer = writer
        self._mix = AudioMix([facts.sample_rate for facts in kept]) if mix and len(kept) > 1 else None
        self._timelines: dict[int, AudioTimeline] = {}  # by the recording's stream index, in the clip's order
        self._numbers = {facts.index: number for number, facts in enumerate(kept)}
        self.written = 1 if self._mix else len(kept)
        if self._mix is not None:
            writer.add_audio(rate=self._mix.rate, channels=2, names=TrackNames(kept[0].language))
        for facts in kept:
            format, layout = self._add_track(facts)
            self._timelines[facts.index] = AudioTimeline(
                format=format,
                layout=layout,
                rate=facts.sample_rate,
                origin=origin,
                end=end,
                has_begun=facts.start is not None and facts.start < origin,
            )
        self._limiters: list[Limiter] = []  # of each of the recording's tracks
        if limited or self._mix is not None:
            self._limiters = [Limiter(each.format, each.layout, each.rate) for each in self._timelines.values()]
        shapes: Sequence[AudioMix | AudioTimeline] = [self._mix] if self._mix else [*self._timelines.values()]
        self._removed: list[RemovedSamples] = []  # of each written track
        if removed.spans:
            self._removed = [RemovedSamples(removed, origin, shape.rate) for shape in shapes]
        self._effects: list[AudioEffects] = []  # the same
        if effects.changes_audio or any(gains):
            self._effects = [
                AudioEffects(
                    effects,
                    format=shape.format,
                    layout=shape.layout,
                    rate=shape.rate,
                    gain=gains[number] if number < len(gains) else 0.0,
                )
                for number, shape in enumerate(shapes)
            ]

    def _add_track(self, facts: AudioFacts) -> tuple[str, str]:
        """Add the track to the clip unless it is mixed into one, and return its sample format and channel layout."""
        if self._mix is not None:
            return self._mix.format, self._mix.layout
        format, layout = self._writer.add_audio(rate=facts.sample_rate, channels=facts.channels, names=facts.names)
        return format, layout

    @property
    def has_audio(self) -> bool:
        """True if at least one sample came from the recording."""
        return any(timeline.decoded_samples for timeline in self._timelines.values())

    @property
    def end(self) -> Fraction:
        """End of the recording's audio, in seconds of clip time."""
        return max((timeline.audio_end for timeline in self._timelines.values()), default=Fraction(0))

    def write_audio(self, event: AudioFrameEvent) -> None:
        timeline = self._timelines.get(event.stream_index)
        if timeline is not None and not timeline.done:
            self._write(self._numbers[event.stream_index], timeline.feed(event.frame, event.time))

    def finish(self, resume_times: Collection[int]) -> None:
        """Fill ended tracks with silence up to the clip's end. Streams in `resume_times` continue after it."""
        for index, timeline in self._timelines.items():
            self._write(self._numbers[index], timeline.finish(resumes=index in resume_times))
        if self._mix is not None:
            for frame in self._mix.finish():
                self._write_track(0, frame)
        for track, effects in enumerate(self._effects):
            for frame in effects.finish():
                self._writer.write_audio(track, frame)

    def warnings(self) -> Iterator[str]:
        for number, timeline in enumerate(self._timelines.values()):
            if timeline.filled_samples:
                seconds = timeline.filled_samples / timeline.rate
                yield warning("audio_gap_filled", f"audio track {number}: {seconds:.3f} s of gaps are silence")
            if timeline.repeated_samples:
                seconds = timeline.repeated_samples / timeline.rate
                text = f"audio track {number}: timestamps go back, {seconds:.3f} s left out"
                yield warning("timestamps_repeated", text)
        for number, (limiter, timeline) in enumerate(zip(self._limiters, self._timelines.values(), strict=False)):
            if limiter.limited_samples:
                seconds = limiter.limited_samples / timeline.rate
                yield warning(
                    "audio_clipped", f"audio track {number}: {seconds:.3f} s above full scale were limited to it"
                )

    def _write(self, number: int, frames: Iterator[av.AudioFrame]) -> None:
        for frame in frames:
            if self._mix is None:
                self._write_track(number, frame)
                continue
            for mixed in self._mix.feed(number, self._limiters[number].apply(frame)):
                self._write_track(0, mixed)

    def _write_track(self, track: int, frame: av.AudioFrame) -> None:
        for kept in self._removed[track].apply(frame) if self._removed else (frame,):
            held = kept if self._mix or not self._limiters else self._limiters[track].apply(kept)
            for changed in self._effects[track].apply(held) if self._effects else (held,):
                self._writer.write_audio(track, changed)
