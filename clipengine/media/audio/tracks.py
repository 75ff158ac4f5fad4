"""The clip's sound: the recording's tracks that the profile keeps, each on its timeline, side by side or as one mix."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction

import av

from clipengine.clips.facts import AudioFacts
from clipengine.clips.warnings import warning
from clipengine.media.audio.mix import AudioMix
from clipengine.media.audio.timeline import AudioTimeline
from clipengine.media.input.decode import AudioFrameEvent
from clipengine.media.output.writer import ClipWriter


class AudioTracks:
    """Lays, mixes where asked to, and writes the tracks. `written` is how many tracks the clip gets."""

    def __init__(
        self, writer: ClipWriter, kept: tuple[AudioFacts, ...], *, mix: bool, origin: Fraction, end: Fraction
    ) -> None:
        self._writer = writer
        self._mix = AudioMix([facts.sample_rate for facts in kept]) if mix and len(kept) > 1 else None
        self._timelines: dict[int, AudioTimeline] = {}  # by the recording's stream index, in the clip's order
        self._numbers = {facts.index: number for number, facts in enumerate(kept)}
        self._downmixed: list[tuple[int, int]] = []  # track, channels
        self.written = 1 if self._mix else len(kept)
        if self._mix is not None:
            writer.add_audio(rate=self._mix.rate, channels=2, language=kept[0].language)
        for number, facts in enumerate(kept):
            if self._mix is not None:
                format, layout = self._mix.format, self._mix.layout
            else:
                format, layout = writer.add_audio(
                    rate=facts.sample_rate, channels=facts.channels, language=facts.language
                )
                if layout == "stereo" and facts.channels > 2:
                    self._downmixed.append((number, facts.channels))
            self._timelines[facts.index] = AudioTimeline(
                format=format, layout=layout, rate=facts.sample_rate, origin=origin, end=end
            )

    @property
    def heard(self) -> bool:
        """Whether anything came from the recording."""
        return any(timeline.heard for timeline in self._timelines.values())

    @property
    def end(self) -> Fraction:
        """How far the recording's sound came, in seconds of clip time."""
        return max((timeline.audio_end for timeline in self._timelines.values()), default=Fraction(0))

    def write_audio(self, sound: AudioFrameEvent) -> None:
        timeline = self._timelines.get(sound.index)
        if timeline is not None and not timeline.done:
            self._write(self._numbers[sound.index], timeline.feed(sound.frame, sound.time))

    def finish(self, resume_times: Collection[int]) -> None:
        """Silence to the clip's end where a track has ended. `following` are the streams that go on after that."""
        for index, timeline in self._timelines.items():
            self._write(self._numbers[index], timeline.finish(resumes=index in resume_times))
        if self._mix is not None:
            for frame in self._mix.finish():
                self._writer.write_audio(0, frame)

    def warnings(self) -> Iterator[str]:
        for number, channels in self._downmixed:
            yield warning("audio_downmixed", f"audio track {number}: its {channels} channels were mixed to stereo")
        for number, timeline in enumerate(self._timelines.values()):
            if timeline.filled_samples:
                seconds = timeline.filled_samples / timeline.rate
                yield warning("audio_gap_filled", f"audio track {number}: {seconds:.3f} s of gaps are silence")

    def _write(self, number: int, frames: Iterator[av.AudioFrame]) -> None:
        for frame in frames:
            if self._mix is None:
                self._writer.write_audio(number, frame)
                continue
            for mixed in self._mix.feed(number, frame):
                self._writer.write_audio(0, mixed)
