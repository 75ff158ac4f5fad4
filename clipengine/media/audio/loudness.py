"""Loudness of a clip's audio tracks (EBU R 128), measured before the clip is encoded.

The audio of the range is read and decoded once more, without the video. All tracks get the effects that the clip will
have, so that one gain brings each of them to the target.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import av

from clipengine.clips.cut_range import CutRange
from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.effects import effects_of
from clipengine.clips.options.profiles import Profile
from clipengine.clips.warnings import warning
from clipengine.media.audio.encoder_format import encoder_format
from clipengine.media.audio.filter_graph import linear_graph, pull_all
from clipengine.media.audio.part_audio import PartAudio
from clipengine.media.audio.tracks import AudioTracks
from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.media.input.decoding.decode import ClipDecoder
from clipengine.media.input.decoding.events import AudioFrameEvent
from clipengine.media.input.seeking.seekers import open_seeker
from clipengine.recordings.facts import AudioFacts, TrackNames

_SILENT = -69.0  # LUFS; the gate of the measurement is at -70
# Encoders change peaks by some tenths of a decibel: with this margin the true peak stays below -1 dBTP.
_HIGHEST_PEAK = -1.5
_TOLERANCE = 0.05  # decibels
# The filter reports peaks with three decimals. It measures amplified audio, so that quiet peaks are exact too.
_PEAK_DECIBELS, _LEAST_PEAK = 40, 0.001


class Loudness(NamedTuple):
    """Integrated loudness (LUFS) and true peak (dBTP) of a track."""

    integrated: float
    true_peak: float

    @property
    def silent(self) -> bool:
        return not self.integrated > _SILENT

    def gain(self, target: float) -> float:
        """Return the gain in decibels that brings the track to the target, or as near as its peaks allow."""
        return 0.0 if self.silent else min(target - self.integrated, _HIGHEST_PEAK - self.true_peak)


class Gains(NamedTuple):
    """The gain of each track in decibels, and warnings of tracks that miss the target."""

    decibels: tuple[float, ...]
    warnings: tuple[str, ...]


class LoudnessMeter:
    """Measures the tracks of a clip, part by part, as they will be written."""

    def __init__(self, profile: Profile, parts: int) -> None:
        self._profile = profile
        self._meter = _Meter(profile.audio)
        self._joined = PartAudio(self._meter, parts)

    def add_part(
        self,
        reader: MediaReader,
        part: PlannedPart,
        cut: CutRange,
        tracks: Sequence[AudioFacts],
    ) -> None:
        """Read and measure the audio of the next part, whose range is `cut`."""
        joined, output = self._joined, self._profile.output
        length = (part.kept_end - part.start) / output.tempo
        joined.begin_part(length)
        effects = effects_of(output, length, start=joined.start, first=joined.is_first, last=joined.is_last)
        mix = self._profile.audio_tracks == "mix"
        audio = AudioTracks(
            joined, tuple(tracks), effects, mix=mix, origin=cut.start, end=cut.end, removed=part.removed
        )
        indexes = [track.index for track in tracks]
        if tracks:
            with open_seeker(reader, part.facts, cut, video=False, audio=indexes, seek_index=part.seek_index) as seeker:
                with closing(ClipDecoder(seeker, cut, threads=1).events()) as events:
                    for event in events:
                        if isinstance(event, AudioFrameEvent):
                            audio.write_audio(event)
                audio.finish(seeker.resume_times)
        joined.end_part()

    def finish(self, target: float) -> Gains:
        """Return the gains that bring the tracks to the loudness `target`."""
        found = self._meter.finish()
        warnings = [text for number, each in enumerate(found) for text in _warnings(number, each, target)]
        return Gains(tuple(each.gain(target) for each in found), tuple(warnings))


def _warnings(number: int, loudness: Loudness, target: float) -> Iterator[str]:
    if loudness.silent:
        yield warning("loudness_missed", f"audio track {number} is silent, or too short to be measured")
        return
    reached = loudness.integrated + loudness.gain(target)
    if reached < target - _TOLERANCE:
        text = f"audio track {number} has {reached:.1f} LUFS instead of {target:g}, as its peaks would clip"
        yield warning("loudness_missed", text)


class _Meter:
    """Measures tracks instead of writing them."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._tracks: list[_TrackMeter] = []

    def add_audio(self, *, rate: int, channels: int, names: TrackNames) -> tuple[str, str]:
        format, layout = encoder_format(self._codec, channels)
        self._tracks.append(_TrackMeter(format, layout, rate))
        return format, layout

    def write_audio(self, track: int, frame: av.AudioFrame) -> None:
        self._tracks[track].add(frame)

    def finish(self) -> list[Loudness]:
        return [track.finish() for track in self._tracks]


class _TrackMeter:
    def __init__(self, format: str, layout: str, rate: int) -> None:
        filters = (
            ("volume", f"volume={_PEAK_DECIBELS}dB:precision=double"),
            ("ebur128", "metadata=1:peak=true:framelog=quiet"),
            ("volume", f"volume=-{_PEAK_DECIBELS}dB:precision=double"),
            ("ebur128", "metadata=1:framelog=quiet"),
        )
        self._graph = linear_graph(filters, format=format, layout=layout, rate=rate)
        self._integrated, self._true_peak = -70.0, 0.0  # LUFS; linear

    def add(self, frame: av.AudioFrame) -> None:
        self._graph.push(frame)
        self._pull()

    def finish(self) -> Loudness:
        self._graph.push(None)
        self._pull()
        return Loudness(self._integrated, 20 * math.log10(max(self._true_peak, _LEAST_PEAK)) - _PEAK_DECIBELS)

    def _pull(self) -> None:
        for measured in pull_all(self._graph):
            values = measured.metadata
            self._integrated = float(values.get("lavfi.r128.I", self._integrated))
            self._true_peak = float(values.get("lavfi.r128.true_peak", self._true_peak))
