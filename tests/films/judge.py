"""Exactness of a clip: its content, as read back, compared with the content declared by the film.

The rules are those of "What a clip holds": the clip starts with the frame that begins within half a frame of `start`,
else exactly at `start` with the frame on screen; every later frame that begins before `end` keeps its own time; audio
is within 3 ms; further rules are given at each check.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from tests.films.film import Film, Sound
from tests.films.picture import BLACK_LEVEL, COLOURS, WHITE_LEVEL
from tests.films.reader import ClipReading, TrackReading
from tests.films.sound import LEVEL, locate

_MS = Fraction(1, 1000)
_SOUND_TOLERANCE = 0.003  # seconds
_WINDOW = Fraction(1, 5)  # seconds of audio that are located at head, middle and tail
_SHORTEST_WINDOW = Fraction(1, 50)
_RINGING = Fraction(45, 1000)  # a lossy codec smears audio over two of its frames


@dataclass(frozen=True)
class Expected:
    """Content of a clip of [origin, end): (clip time, number) per frame; the last `optional` ones may be missing.

    They are so near to the end of the range that rounding by the container decides.
    """

    origin: Fraction
    end: Fraction
    frames: tuple[tuple[Fraction, int], ...]
    optional: int = 0

    @property
    def length(self) -> Fraction:
        return self.end - self.origin


def expectations(film: Film, start: Fraction, end: Fraction) -> list[Expected]:
    """Return the permitted contents: several if two frames are equally near to `start`, or half a frame off."""
    end = min(end, film.duration)
    near = film.frame_seconds / 2 if film.frame_seconds else Fraction(0)
    # Half a frame is known to a tenth with a variable rate, else to the container's time base.
    unsure = near / 10 if film.gaps else film.grid
    # A range shorter than half a frame that ends before such a frame starts at its own start.
    found = [time for time, _ in film.frames if abs(time - start) <= near + unsure and time < end - film.grid / 2]
    best = min((abs(time - start) for time in found), default=near)
    origins = [time for time in found if abs(time - start) - best <= max(film.grid, _MS / 2)]
    if not found or best > near - unsure:
        origins.append(start)
    return [_from(film, origin, end) for origin in origins]


def any_origin(film: Film, start: Fraction, end: Fraction) -> list[Expected]:
    """Return the contents that cutters with other rules may produce: any origin within a frame of `start`.

    The origin is a frame near `start`, or `start` itself with or without the frame on screen.
    """
    end = min(end, film.duration)
    step = (film.frame_seconds or Fraction(0)) + film.grid
    origins = [time for time, _ in film.frames if abs(time - start) <= step]
    answers = [_from(film, origin, end) for origin in [start, *origins]]
    late = tuple((time - start, number) for time, number in film.frames if start <= time < end)
    return [*answers, Expected(start, end, late)] if late else answers


def _from(film: Film, origin: Fraction, end: Fraction) -> Expected:
    edge = max(film.grid / 2, _MS / 2) if film.grid else Fraction(1, 100_000)
    frames = [(time - origin, number) for time, number in film.frames if origin <= time < end + edge]
    held = film.on_screen(origin)
    if (not frames or frames[0][0] > 0) and held is not None:
        frames.insert(0, (Fraction(0), held))
    doubtful = [time for time, _ in frames if time > 0 and time >= end - origin - edge]
    return Expected(origin, end, tuple(frames), len(doubtful))


def judge(
    film: Film,
    reading: ClipReading,
    start: Fraction,
    end: Fraction,
    actual_start: float | None = None,
    actual_end: float | None = None,
    *,
    lenient: bool = False,
    copied: bool = False,
) -> list[str]:
    """Return every deviation of the clip; empty if it is exact. Without `actual_*` these are not checked.

    `reading` is of a clip made with the default profile. `lenient` is for other cutters: any origin within a frame of
    `start`, a length within a frame, and no checks specific to the default profile (faststart, H.264 High, 4:2:0).
    `copied` is for clips with packets of the recording, whose H.264 profile they keep.
    """
    answers = []
    for expected in (any_origin if lenient else expectations)(film, start, end):
        faults = _frame_faults(expected, reading) + _length_faults(film, expected, reading, lenient)
        if actual_start is not None and actual_end is not None:
            faults += _actual_faults(film, expected, actual_start, actual_end)
        answers.append(faults + _sound_faults(film, expected, reading))
    own = [] if lenient else _container_faults(reading, copied)
    return min(answers, key=len) + own + picture_faults(film, reading)


def judge_part(film: Film, reading: ClipReading, start: Fraction, end: Fraction, offset: Fraction) -> list[str]:
    """Return every deviation of the frames and the audio of one part, which begins at `offset` in the clip."""
    answers = []
    for expected in expectations(film, start, end):
        part = _part(reading, offset, expected.length)
        answers.append(_frame_faults(expected, part) + _sound_faults(film, expected, part))
    return min(answers, key=len)


def _part(reading: ClipReading, offset: Fraction, length: Fraction) -> ClipReading:
    """Return the frames that begin in the part, and the audio, with times from the start of the part."""
    low, high = offset - _MS / 2, offset + length - _MS / 2
    tracks = [
        replace(track, chunks=[replace(chunk, start=chunk.start - offset) for chunk in track.chunks])
        for track in reading.tracks
    ]
    frames = [(time - offset, sight) for time, sight in reading.frames if low <= time < high]
    return replace(reading, frames=frames, tracks=tracks)


def _frame_faults(expected: Expected, reading: ClipReading) -> list[str]:
    faults = []
    seen = [(time, sight.number) for time, sight in reading.frames]
    unreadable = [float(time) for time, number in seen if number is None]
    if unreadable:
        faults.append(f"{len(unreadable)} frames show no number, first at {unreadable[0]:.3f}")
    turned = {sight.orientation for _, sight in reading.frames if sight.number is not None and not sight.upright}
    if turned:
        faults.append(f"not upright: {', '.join(sorted(turned))}")
    wanted = [number for _, number in expected.frames]
    numbers = [number for _, number in seen if number is not None]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    required = wanted[: len(wanted) - expected.optional]
    missing = [number for number in required if number not in numbers]
    wrong = [number for number in numbers if number not in wanted]
    for what, which in (("missing", missing), ("twice", twice), ("not of the range", wrong)):
        if which:
            faults.append(f"{len(which)} frames {what}: {_some(which)} (of {len(wanted)}: {wanted[0]} to {wanted[-1]})")
    if not (missing or twice or wrong) and numbers != wanted[: len(numbers)]:
        faults.append("frames out of order")
    times = {number: time for time, number in expected.frames}
    late = [(number, float(time - times[number]) * 1000) for time, number in seen if number in times]
    late = [(number, off) for number, off in late if abs(off) > 1.0]
    if late:
        number, off = max(late, key=lambda entry: abs(entry[1]))
        faults.append(f"{len(late)} frames off their time, the most {number} by {off:+.1f} ms")
    return faults


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:4])) + (" …" if len(numbers) > 4 else "")


def _length_faults(film: Film, expected: Expected, reading: ClipReading, lenient: bool) -> list[str]:
    """Check the length to half a frame (half an audio packet without video), with `lenient` to a whole one."""
    whole = film.frame_seconds or Fraction(1024, 44100)
    slack = (whole if lenient else whole / 2) + _MS
    faults = []
    length = reading.duration or Fraction(0)
    if abs(length - expected.length) > slack:
        faults.append(f"length {float(length):.4f}, must be {float(expected.length):.4f}")
    # Audio may be longer than video; players keep showing the last frame.
    shortest = min(expected.length, max(film.picture_end - expected.origin, film.frame_seconds or Fraction(0)))
    if (
        len(expected.frames) > expected.optional
        and not shortest - slack <= reading.video_end <= expected.length + slack
    ):
        faults.append(f"the picture ends at {float(reading.video_end):.4f}, must at {float(shortest):.4f}")
    return faults


def _actual_faults(film: Film, expected: Expected, actual_start: float, actual_end: float) -> list[str]:
    faults = []
    if abs(actual_start - float(expected.origin)) > 0.001:
        faults.append(f"actual_start_seconds {actual_start:.4f}, is {float(expected.origin):.4f}")
    if abs(actual_end - float(expected.end)) > 0.001 + float(film.frame_seconds or 0) / 2:
        faults.append(f"actual_end_seconds {actual_end:.4f}, is {float(expected.end):.4f}")
    return faults


def _sound_faults(film: Film, expected: Expected, reading: ClipReading) -> list[str]:
    if len(reading.tracks) != len(film.sounds):
        return [f"{len(reading.tracks)} audio tracks, must be {len(film.sounds)}"]
    faults = []
    for index, (track, sound) in enumerate(zip(reading.tracks, film.sounds, strict=True)):
        name = f"track {index}: " if len(film.sounds) > 1 else ""
        if sound.language and track.language != sound.language:
            faults.append(f"{name}language {track.language}, was {sound.language}")
        faults += [name + fault for fault in _track_faults(track, sound, expected)]
    return faults


def _track_faults(track: TrackReading, sound: Sound, expected: Expected) -> list[str]:
    faults = []
    for low, high in sound.spans(expected.origin, expected.end):
        window = min(_WINDOW, high - low)
        if window < _SHORTEST_WINDOW:
            continue
        for place, at in (("head", low), ("middle", (low + high - window) / 2), ("tail", high - window)):
            heard = track.between(at - expected.origin, at - expected.origin + window)
            found = locate(heard, track.rate, float(at + sound.lead(at)), seed=sound.seed)
            where = f"sound at the {place} ({float(at - expected.origin):.3f})"
            if found.peak < 0.5:
                loud = float(np.sqrt(np.mean(heard**2))) if heard.size else 0.0
                faults.append(f"{where}: {'not this sound' if loud > LEVEL / 10 else 'silence'}")
            elif abs(found.offset) > _SOUND_TOLERANCE:
                # Audio from later in the recording is played too early.
                faults.append(f"{where} is {abs(found.offset) * 1000:.1f} ms {'early' if found.offset > 0 else 'late'}")
    for low, high in sound.quiet(expected.origin, expected.end):
        heard = track.between(low + _RINGING - expected.origin, high - _RINGING - expected.origin)
        if heard.size and float(np.sqrt(np.mean(heard**2))) > LEVEL / 20:
            faults.append(f"no silence from {float(low - expected.origin):.3f} to {float(high - expected.origin):.3f}")
    return faults


def _container_faults(reading: ClipReading, copied: bool) -> list[str]:
    faults = [f"decoding: {error}" for error in reading.errors[:1]]
    if reading.faststart is not True:
        faults.append("not faststart")
    if reading.video_codec is None:
        return faults
    if not reading.first_is_key:
        faults.append("the first packet is no key frame")
    if (reading.video_codec, reading.codec_tag) != ("h264", "avc1"):
        faults.append(f"video is {reading.video_codec} ({reading.codec_tag})")
    high = copied or (reading.profile or "").startswith("High")
    if not high or reading.pix_fmt not in ("yuv420p", "yuvj420p"):
        faults.append(f"H.264 {reading.profile}, {reading.pix_fmt}")
    if reading.rotation:
        faults.append(f"a display matrix turns the clip by {reading.rotation} degrees")
    return faults


def picture_faults(film: Film, reading: ClipReading) -> list[str]:
    """Check size, aspect ratio, colour tags and levels."""
    if not film.frames or not reading.frames:
        return []
    faults = []
    even = {(film.width + dx, film.height + dy) for dx in (0, 1, -1) for dy in (0, 1, -1)}
    if "resizes" not in film.traits and (reading.width, reading.height) not in even:
        faults.append(f"{reading.width}x{reading.height}, shown as {film.width}x{film.height}")
    if reading.width % 2 or reading.height % 2:
        faults.append(f"odd size {reading.width}x{reading.height}")
    if len(reading.sizes) > 1:
        faults.append(f"sizes change: {reading.sizes}")
    if "resizes" not in film.traits and abs(reading.sar / film.sar - 1) > Fraction(2, 100):
        faults.append(f"SAR {reading.sar}, was {film.sar}")
    return faults + (_hdr_faults(film, reading) if film.tags.hdr else _colour_faults(film, reading))


def _colour_faults(film: Film, reading: ClipReading) -> list[str]:
    faults = []
    tags = film.tags
    pairs = {
        "primaries": (reading.primaries, tags.primaries),
        "transfer": (reading.transfer, tags.transfer),
        "matrix": (_same(reading.matrix), _same(tags.matrix)),
    }
    for name, (now, was) in pairs.items():
        if now != was and was != 2:
            faults.append(f"colour {name} {now}, was {was}")
    first = reading.frames[0][1]
    if first.number is not None:
        if abs(first.black - BLACK_LEVEL) > 0.04 or abs(first.white - WHITE_LEVEL) > 0.04:
            faults.append(f"levels: black {first.black:.2f} white {first.white:.2f}, were {BLACK_LEVEL} {WHITE_LEVEL}")
        pairs_of_levels = zip(np.ravel(first.colours), np.ravel(COLOURS), strict=True)
        if not faults and max(abs(now - was) for now, was in pairs_of_levels) > 0.06:
            faults.append("colours have changed")
    return faults


def _hdr_faults(film: Film, reading: ClipReading) -> list[str]:
    """Check that HDR is tone-mapped to SDR, or kept in 10 bits with all its tags, and never grey or flat."""
    faults = []
    seen = (reading.primaries, reading.transfer, reading.matrix)
    tags = film.tags
    ten_bit = reading.pix_fmt.endswith("10le")
    if ten_bit and seen != (tags.primaries, tags.transfer, tags.matrix):
        faults.append(f"HDR in 10 bits with tags {seen}")
    if not ten_bit and seen != (1, 1, 1):
        faults.append(f"HDR in 8 bits with tags {seen}")
    first = reading.frames[0][1]
    if first.number is not None:
        if first.white - first.black < 0.3:
            faults.append(f"flat: black {first.black:.2f}, white {first.white:.2f}")
        if max(abs(level) for colour in first.colours for level in colour[1:]) < 0.08:
            faults.append("grey")
    return faults


def _same(matrix: int) -> int:
    """Compare matrices. BT.470BG and SMPTE 170M are the same matrix with two codes."""
    return 6 if matrix == 5 else matrix
