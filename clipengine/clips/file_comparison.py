"""Comparison of a clip's file with its plan.

The recording may have taken over the child process that cut the clip. Its report is therefore accepted only if the
request, the profile and the recording's facts allow it, and if a second process found the same in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from clipengine.clips.edit import PlannedPart, chapters_of_parts, tracks_of_parts
from clipengine.clips.file_reports import CutReport, FileReport, TrackReport
from clipengine.clips.options.effects import FADE_STEP
from clipengine.clips.options.profiles import ANIMATION_TICKS, Profile
from clipengine.clips.plan.frames import kept_tracks
from clipengine.clips.texts.chapters import Chapter, chapters_digest
from clipengine.clips.texts.subtitles import TEXT_CODECS, Sample, TextDigest
from clipengine.clips.warnings import GAP_CODES, code_of
from clipengine.errors import ClipDiffers, VerificationFailed
from clipengine.recordings.facts import SourceFacts

# Matroska and MP3 store whole milliseconds or frames; audio ends with the codec's frame.
_TIME_TOLERANCE = 0.002
_AUDIO_TOLERANCE = 0.1
# Packets that encoders add before the first sample and after the last.
_PRIMING_PACKETS, _ROUNDED_PACKETS = 4, 2
# At a constant frame rate, frames are farther apart only if some are missing, and the clip then has a warning.
_STEADY_STEP, _STEADY_FRAMES, _SPARE_FRAMES = 1.5, 2, 100
# Bytes of a file outside its packets: headers, and an index with some numbers per packet.
_HEADER_BYTES, _INDEX_BYTES = 1 << 20, 96
# The largest packets: an almost uncompressed frame of 10 bits, and an audio frame of six channels of any codec.
_RAW_BYTES_PER_PIXEL, _FRAME_BYTES, _AUDIO_PACKET_BYTES = 3, 1 << 16, 1 << 13
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


@dataclass(frozen=True)
class FilePlan:
    """The plan of a clip: its parts, of which the first decides the tracks, and its profile."""

    parts: Sequence[PlannedPart]
    profile: Profile

    @property
    def facts(self) -> SourceFacts:
        return self.parts[0].facts

    def check(self, cut: CutReport, found: FileReport, size_bytes: int) -> None:
        """Raise ClipDiffers unless the reports of the file, of `size_bytes`, match this plan."""
        for fault in self._faults(cut, found, size_bytes):
            raise ClipDiffers(fault)

    def check_poster(self, cut: CutReport, poster: bytes) -> None:
        """Raise VerificationFailed unless the child's poster is a JPEG that may show a frame of the clip."""
        limit = _FRAME_BYTES + _RAW_BYTES_PER_PIXEL * (cut.width or 0) * (cut.height or 0)
        if not (poster.startswith(_JPEG_START) and poster.endswith(_JPEG_END) and cut.frames and len(poster) <= limit):
            raise VerificationFailed("the poster is not a picture of the clip")

    def _faults(self, cut: CutReport, found: FileReport, size_bytes: int) -> Iterator[str]:
        yield from self._range_faults(cut)
        yield from self._container_faults(cut, found)
        videos = [track for track in found.tracks if track.kind == "video"]
        for track in videos:
            yield from self._frame_size_faults(cut, track)
            yield from self._frame_faults(cut, track)
        for track in found.tracks:
            if track.kind == "audio":
                yield from self._audio_faults(cut, track)
        yield from self._render_faults(cut)
        if self.profile.output.max_bytes is not None and size_bytes > self.profile.output.max_bytes:
            yield f"the file has {size_bytes} bytes, more than {self.profile.output.max_bytes}"
        yield from _size_faults(cut, found, size_bytes)

    def _length(self, cut: CutReport) -> Fraction:
        """Return the length of the clip in seconds, which depends on its speed."""
        return cut.seconds / self.profile.output.tempo

    @property
    def _has_video(self) -> bool:
        return self.facts.video is not None and self.profile.video != "none"

    @property
    def _audio_tracks(self) -> int:
        kept = len(kept_tracks(self.profile, self.facts.audio))
        return min(kept, 1) if self.profile.audio_tracks == "mix" else kept

    def _range_faults(self, cut: CutReport) -> Iterator[str]:
        """Check that each part begins within half a frame of its start, and ends at its end."""
        if len(cut.parts) != len(self.parts):
            yield f"the clip has {len(cut.parts)} parts, expected {len(self.parts)}"
            return
        for part, made in zip(self.parts, cut.parts, strict=True):
            if not (part.cut_range.may_begin_at(made.actual_start) if cut.frames else made.actual_start == part.start):
                yield f"the clip begins at {float(made.actual_start):.3f} s, expected {float(part.start):.3f} s"
            if made.actual_end != part.kept_end or made.seconds <= 0:
                yield f"the clip ends at {float(made.actual_end):.3f} s of the recording"

    def _render_faults(self, cut: CutReport) -> Iterator[str]:
        """Check that packets were copied only if that was asked for, and that all of the clip was rendered."""
        if cut.render == "smart" and (self.profile.render == "encode" or not cut.frames):
            yield "packets were copied, which was not asked for"
        parts = (cut.copied_seconds, cut.encoded_seconds)
        if min(parts) < 0 or abs(sum(parts) - float(self._length(cut))) > _TIME_TOLERANCE:
            yield f"{parts[0]:.3f} s were copied and {parts[1]:.3f} s encoded, of {float(self._length(cut)):.3f} s"
        if cut.render == "encode" and cut.copied_seconds:
            yield f"{cut.copied_seconds:.3f} s were copied, although the clip was encoded"

    def _container_faults(self, cut: CutReport, found: FileReport) -> Iterator[str]:
        if found.container != self.profile.container:
            yield f"the file is {found.container}, not {self.profile.container}"
        texts = self._texts(cut)
        yield from self._track_faults(cut, [track.kind for track in found.tracks], len(texts))
        yield from self._codec_faults(cut, found.tracks)
        digests = [track.text_sha256 for track in found.tracks if track.kind == "subtitle"]
        if digests != [str(TextDigest(samples)) for samples in texts]:
            yield "the text tracks do not have the cues of the transcripts"
        if found.chapters_sha256 != chapters_digest((start, title) for start, _, title in self._chapters(cut)):
            yield "the chapters are not those of the recording"
        if abs(found.seconds - float(self._length(cut))) > self._length_tolerance(found):
            yield f"the clip is {found.seconds:.3f} s long, expected {float(self._length(cut)):.3f} s"

    def _texts(self, cut: CutReport) -> list[list[Sample]]:
        """Return the samples of each text track."""
        codec = TEXT_CODECS.get(self.profile.container)
        if codec is None:
            return []
        tracks = tracks_of_parts(self.parts, cut.ranges, codec, speed=self.profile.output.tempo)
        return [[sample for track in each for sample in track.samples(codec) or ()] for each in tracks]

    def _chapters(self, cut: CutReport) -> list[Chapter]:
        """Return the chapters of the clip. Animations have none."""
        if self.profile.is_animation:
            return []
        return chapters_of_parts(self.parts, cut.ranges, speed=self.profile.output.tempo)

    def _track_faults(self, cut: CutReport, kinds: list[str], texts: int) -> Iterator[str]:
        expected = ["video"] * bool(cut.frames) + ["audio"] * self._audio_tracks + ["subtitle"] * texts
        if self.profile.container in ("mp4", "m4a") and self._chapters(cut):
            expected.append("data")  # the titles of the chapters
        if kinds != expected or (cut.frames and not self._has_video) or not kinds:
            yield f"the file has the tracks {', '.join(kinds[:8]) or 'none'}, expected {', '.join(expected)}"

    def _codec_faults(self, cut: CutReport, tracks: list[TrackReport]) -> Iterator[str]:
        text = TEXT_CODECS.get(self.profile.container)
        codecs = {"video": self.profile.video, "audio": self.profile.audio, "subtitle": text, "data": "unknown"}
        for track in tracks:
            if track.codec != codecs[track.kind]:
                yield f"the {track.kind} track is {track.codec}, not {codecs[track.kind]}"
        allowed = (self.profile.video if cut.frames else None, self.profile.audio if self._audio_tracks else None)
        if (cut.video_codec, cut.audio_codec) != allowed:
            yield "the codecs that the encoder reports are not the profile's"

    def _length_tolerance(self, found: FileReport) -> float:
        """Return the allowed deviation of the file's length: some containers count whole packets."""
        packets = [_packet_seconds(track) for track in found.tracks if track.kind == "audio"]
        audio = _AUDIO_TOLERANCE + _ROUNDED_PACKETS * max(packets) if packets else _TIME_TOLERANCE
        tick = float(ANIMATION_TICKS.get(self.profile.container, 0))
        frame = max(part.cut_range.half_frame for part in self.parts) if self._has_video else 0
        return max(audio, float(frame), tick)

    def _frame_size_faults(self, cut: CutReport, track: TrackReport) -> Iterator[str]:
        if (track.width, track.height) != (cut.width, cut.height) or track.width is None or track.height is None:
            yield f"the video is {track.width}x{track.height}, the encoder reported {cut.width}x{cut.height}"
            return
        aspect, size = self.profile.output.aspect_ratio, self.profile.output.size
        if size is not None and (track.width > size.width or (size.enlarge and track.width < size.width)):
            yield f"the video is {track.width}x{track.height}, the size is {size.width}x{size.height}"
        if aspect is not None and abs(track.width - track.height * aspect) > 2 * (1 + aspect):  # rounded to even sizes
            yield f"the video is {track.width}x{track.height}, not {aspect.numerator}:{aspect.denominator}"
        if self.profile.max_height is not None and track.height > self.profile.max_height + 1:
            yield f"the video is {track.height} pixels high, more than the profile's {self.profile.max_height}"

    def _frame_faults(self, cut: CutReport, track: TrackReport) -> Iterator[str]:
        """Check number and times of the frames: exactly for a constant frame rate, else only their limits."""
        if track.packets != cut.frames or track.first_seconds is None or track.last_seconds is None:
            yield f"the clip has {track.packets} frames, the encoder reported {cut.frames}"
            return
        if not track.begins_with_keyframe:
            yield "the clip does not begin with a keyframe"
        if track.first_seconds < -_TIME_TOLERANCE or track.last_seconds > float(self._length(cut)) + _TIME_TOLERANCE:
            yield f"a frame is outside the clip, at {track.first_seconds:.3f} s or {track.last_seconds:.3f} s"
        if track.shortest_step_seconds is not None and track.shortest_step_seconds <= 0:
            yield "two frames of the clip have the same time"
        yield from self._rate_faults(cut, track, track.first_seconds)

    def _rate_faults(self, cut: CutReport, track: TrackReport, first_seconds: float) -> Iterator[str]:
        if self.profile.fps is not None:
            yield from self._fps_faults(cut, track.packets, first_seconds, Fraction(str(self.profile.fps)))
        elif all(part.facts.video is not None and not part.facts.video.variable_rate for part in self.parts):
            yield from self._constant_rate_faults(cut, track)

    def _fps_faults(self, cut: CutReport, frames: int, first: float, fps: Fraction) -> Iterator[str]:
        """Check the number of frames, from the first frame to the end, at the profile's `fps`.

        In animations, frames are held instead of repeated.
        """
        expected = (float(self._length(cut)) - first) * float(fps)
        least = 1 if self.profile.is_animation else expected - len(self.parts)
        if not least <= frames <= expected + 2 * len(self.parts) + self._drawn_changes:
            yield f"the clip has {frames} frames, expected {expected:.1f} at {float(fps):g} fps"

    @property
    def _drawn_changes(self) -> int:
        """Number of times at which boxes, movements and burnt subtitles begin or end, and held frames are repeated."""
        cues = sum(part.caption_changes for part in self.parts)
        removed = sum(len(part.removed.spans) for part in self.parts)
        moves = sum(map(len, self.profile.output.paths)) * len(self.parts) + 2 * removed
        return 2 * (len(self.profile.output.blur or ()) + moves + cues)

    def _constant_rate_faults(self, cut: CutReport, track: TrackReport) -> Iterator[str]:
        steps = [float(part.frame_seconds / self.profile.output.tempo) for part in self.parts]
        if not all(steps):
            return
        expected = sum(
            float(made.seconds / self.profile.output.tempo) / step for made, step in zip(cut.parts, steps, strict=True)
        )
        repeated = self._changing_seconds(cut) / float(FADE_STEP) + self._drawn_changes
        if track.packets > _STEADY_FRAMES * expected + repeated + _SPARE_FRAMES:
            yield f"the clip has {track.packets} frames, more than its {float(self._length(cut)):.3f} s can have"
        longest = track.longest_step_seconds or 0
        silent = GAP_CODES.isdisjoint(code_of(each) for each in set(cut.warnings) - set(self.facts.warnings))
        if silent and longest > max(_STEADY_STEP * max(steps), self._longest_hold(cut)) + _TIME_TOLERANCE:
            yield f"the clip has no frame for {longest:.3f} s, but no warning"

    def _changing_seconds(self, cut: CutReport) -> float:
        """Return for how many seconds the picture changes all the time at most."""
        output = self.profile.output
        moving = output.moving_seconds * len(self.parts)
        return min(2 * (output.fade_seconds or 0) + moving, float(self._length(cut)))

    def _longest_hold(self, cut: CutReport) -> float:
        """Return for how many seconds a part shows the last frame of a recording whose audio is longer."""
        holds = [Fraction(0)]
        for part, made in zip(self.parts, cut.parts, strict=True):
            if part.facts.video is not None and part.facts.video.last_frame is not None:
                last = part.removed.place(part.facts.video.last_frame)
                holds.append(made.actual_end - max(made.actual_start, last))
        return float(max(holds) / self.profile.output.tempo)

    def _audio_faults(self, cut: CutReport, track: TrackReport) -> Iterator[str]:
        """Check that audio is continuous from 0 to the end, in frames of the codec's length."""
        frame = _packet_seconds(track)
        if not frame:
            yield "an audio track has no sample rate"
            return
        seconds = float(self._length(cut))
        expected = seconds / frame
        if not expected - 1 <= track.packets <= expected + _PRIMING_PACKETS:
            yield f"an audio track has {track.packets} packets, expected {expected:.1f} for {seconds:.3f} s"
        if abs(track.first_seconds or 0) > _AUDIO_TOLERANCE + frame:
            yield f"an audio track begins at {track.first_seconds:.3f} s"
        if not -_TIME_TOLERANCE < (track.longest_step_seconds or frame) - frame < _TIME_TOLERANCE:
            yield f"an audio track has packets {track.longest_step_seconds:.3f} s apart, expected {frame:.3f} s"


def _packet_seconds(track: TrackReport) -> float:
    """Return the duration of a packet of an audio track, or 0 if its sample rate is unknown."""
    if track.sample_rate is None:
        return 0.0
    if track.codec == "mp3":
        samples = 1152 if track.sample_rate >= 32_000 else 576
    else:
        samples = 960 if track.codec == "opus" else 1024
    return samples / track.sample_rate


def _size_faults(cut: CutReport, found: FileReport, size_bytes: int) -> Iterator[str]:
    """Check that the file contains its packets, a header and an index, and nothing else."""
    if cut.size_bytes != size_bytes:
        yield f"the file has {size_bytes} bytes, the encoder reported {cut.size_bytes}"
    payload = sum(track.bytes for track in found.tracks)
    packets = sum(track.packets for track in found.tracks)
    if not payload <= size_bytes < payload + _HEADER_BYTES + _INDEX_BYTES * packets:
        yield f"the file has {size_bytes} bytes, its packets have {payload}"
    for track in found.tracks:
        pixels = (track.width or 0) * (track.height or 0)
        limit = _AUDIO_PACKET_BYTES if track.kind == "audio" else _FRAME_BYTES + _RAW_BYTES_PER_PIXEL * pixels
        if track.bytes > limit * track.packets:
            yield f"the {track.kind} track has {track.bytes} bytes in {track.packets} packets"
