"""Check of a film: a sequential decode of the whole file, compared with the declared content."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from tests.films.film import Film, Sound
from tests.films.reader import Chunk, ClipReading, Frame, TrackReading, read_clip
from tests.films.sound import LEVEL, locate

_MS = Fraction(1, 1000)
Entry = tuple[Fraction, Fraction, Any]  # start, end, content
_JUMP = Fraction(10)  # players close steps back and steps ahead of more than this


def disagreements(film: Film) -> list[str]:
    """Return the differences between the file and its declaration; empty if there are none."""
    reading = on_timeline(read_clip(film.path), jumps="jumps" in film.traits)
    found = list(reading.errors)
    shown = [(time, seen.number) for time, seen in reading.frames]
    if len(shown) != len(film.frames):
        found.append(f"{len(shown)} frames are decoded, {len(film.frames)} are declared")
    for (time, number), (true_time, true_number) in zip(shown, film.frames, strict=False):
        if number != true_number or abs(time - true_time) > _MS:
            found.append(f"frame {number} at {float(time):.4f}, declared {true_number} at {float(true_time):.4f}")
            break
    if len(reading.tracks) != len(film.sounds):
        return [*found, f"{len(reading.tracks)} audio tracks, {len(film.sounds)} are declared"]
    for index, (track, sound) in enumerate(zip(reading.tracks, film.sounds, strict=True)):
        if "loose_sound" not in film.traits:  # its packets overlap or leave gaps, which players smooth
            found += [f"track {index}: {fault}" for fault in _sound_faults(track, sound, film.duration)]
    # Only the index has the duration of a last frame that is longer than the others.
    if min(abs(end - film.duration) for end in (reading.end, reading.duration or 0)) > Fraction(2, 100):
        found.append(f"the file ends at {float(reading.end):.4f}, declared {float(film.duration):.4f}")
    if film.frames:
        found += _picture_faults(film, reading)
    return found


def _picture_faults(film: Film, reading: ClipReading) -> list[str]:
    found = []
    sideways = "sideways" in film.traits
    stored = (film.height, film.width) if sideways else (film.width, film.height)
    if (reading.width, reading.height) != stored:
        found.append(f"stored as {reading.width}x{reading.height}, declared {stored[0]}x{stored[1]}")
    if reading.sar != (1 / film.sar if sideways else film.sar):
        found.append(f"SAR {reading.sar}, declared {film.sar}")
    tags = film.tags
    seen = (reading.primaries, reading.transfer, reading.matrix)
    if seen != (tags.primaries, tags.transfer, tags.matrix):
        found.append(f"colour tags {seen}, declared {(tags.primaries, tags.transfer, tags.matrix)}")
    if tags.full_range is not None and reading.color_range != (2 if tags.full_range else 1):
        found.append(f"range {reading.color_range}, declared full={tags.full_range}")
    first = reading.frames[0][1] if reading.frames else None
    if first and (abs(first.black - 0.12) > 0.04 or abs(first.white - 0.85) > 0.04):
        found.append(f"levels: black {first.black:.3f}, white {first.white:.3f}")
    return found


def _sound_faults(track: TrackReading, sound: Sound, duration: Fraction) -> list[str]:
    found = []
    if (track.rate, track.channels) != (sound.rate, sound.channels):
        found.append(f"{track.rate} Hz, {track.channels} channels; declared {sound.rate}, {sound.channels}")
    if sound.language and track.language != sound.language:
        found.append(f"language {track.language}, declared {sound.language}")
    for low, high in sound.spans(Fraction(0), duration):
        window = min(Fraction(1, 10), high - low)
        for at in (low, (low + high - window) / 2, high - window):
            heard = track.between(at, at + window)
            place = locate(heard, track.rate, float(at + sound.lead(at)), seed=sound.seed)
            if place.peak < 0.6 or abs(place.offset) > 0.001:
                found.append(f"sound at {float(at):.3f}: {place.offset * 1000:+.2f} ms, correlation {place.peak:.2f}")
    for low, high in sound.quiet(Fraction(0), duration):
        margin = Fraction(25, 1000)  # a lossy codec rings within its frame
        heard = track.between(low + margin, high - margin)
        if heard.size and float(np.sqrt(np.mean(heard**2))) > LEVEL / 20:
            found.append(f"no silence from {float(low):.3f} to {float(high):.3f}")
    return found


def on_timeline(reading: ClipReading, *, jumps: bool) -> ClipReading:
    """Move the reading to the recording's timeline: 0 is the earliest time; with `jumps`, clock steps are closed."""
    split = _parts if jumps else (lambda entries: [entries] if entries else [])
    frames = split([(time, time, (time, seen)) for time, seen in reading.frames])
    tracks = [
        split([(c.start, c.start + Fraction(c.samples.size, t.rate), c) for c in t.chunks]) for t in reading.tracks
    ]
    usual = _usual_distance(reading.frames)
    closed_frames: list[Frame] = []
    closed_chunks: list[list[Chunk]] = [[] for _ in tracks]
    here = Fraction(0)  # where the next part begins on the timeline
    for number in range(max(map(len, [frames, *tracks]), default=0)):
        streams = [stream[number] for stream in [frames, *tracks] if number < len(stream)]
        move = here - min(entry[0] for stream in streams for entry in stream)
        ends = [entry[1] for stream in streams for entry in stream]
        if number < len(frames):
            ends.append(max(entry[0] for entry in frames[number]) + usual)
            closed_frames += [(time + move, seen) for _, _, (time, seen) in frames[number]]
        for index, track in enumerate(tracks):
            if number < len(track):
                closed_chunks[index] += [Chunk(c.start + move, c.samples) for _, _, c in track[number]]
        here = max(ends) + move
    last = max((time for time, _ in closed_frames), default=Fraction(0))
    closed_tracks = [replace(t, chunks=c) for t, c in zip(reading.tracks, closed_chunks, strict=True)]
    return replace(reading, frames=closed_frames, tracks=closed_tracks, video_end=last + usual)


def _parts(entries: list[Entry]) -> list[list[Entry]]:
    """Return entries (start, end, content) in decode order, split where the clock steps back or far ahead."""
    parts: list[list[Entry]] = []
    end: Fraction | None = None
    for entry in entries:
        if end is None or entry[0] < end - Fraction(1, 10) or entry[0] > end + _JUMP:
            parts.append([])
        parts[-1].append(entry)
        end = entry[1]
    return parts


def _usual_distance(frames: list[Frame]) -> Fraction:
    distances = sorted(b[0] - a[0] for a, b in itertools.pairwise(frames))
    return distances[len(distances) // 2] if distances else Fraction(0)
