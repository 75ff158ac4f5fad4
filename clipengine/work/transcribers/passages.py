"""Passages of a recording for transcribers: decoded by a child, and cut at silences."""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from fractions import Fraction

from clipengine.clips.plan.read_jobs import SPEECH
from clipengine.clips.transcription import SAMPLE_RATE
from clipengine.errors import DecoderCrashed, NoMediaInRange
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Encoding
from clipengine.work.children.jobs import Job, read_job

MAX_SECONDS = 120  # of sound, whose transcription a killed engine loses at most
_SEARCHED_SECONDS = 30  # of the end of a passage
_BLOCK = SAMPLE_RATE // 50
_SILENCE_BLOCKS = 15  # 0.3 s
_QUIET = 583  # -35 dB, as in the search for silences
_SILENT = 104  # -50 dB: the whole passage has no speech

RunJob = Callable[[Job], bytes]


def total_samples(facts: SourceFacts) -> int:
    """Return the number of samples of a whole recording."""
    return int(facts.duration * SAMPLE_RATE)


def read_passage(
    run: RunJob,
    encoding: Encoding,
    facts: SourceFacts,
    seek_index: SeekIndex | None,
    *,
    start: int,
    track: int,
) -> array.array[int]:
    """Return the samples of the passage that begins at the sample `start`, up to a silence or the recording's end.

    Raises RecordingError.
    """
    stop = min(start + MAX_SECONDS * SAMPLE_RATE, total_samples(facts))
    begin, end = Fraction(start, SAMPLE_RATE), Fraction(stop, SAMPLE_RATE)
    values: dict[str, str | int] = {"start": str(begin), "end": str(end), "track": track}
    job = read_job(encoding, SPEECH, facts, values, seek_index=seek_index and seek_index.between(begin, end))
    try:
        samples = _samples(run(job), stop - start)
    except NoMediaInRange:  # a gap between two files of the recording
        samples = _samples(b"", stop - start)
    return samples if stop == total_samples(facts) else samples[: silent_end(samples)]


def is_silent(samples: array.array[int]) -> bool:
    """Return True if the audio is silent."""
    return not samples or max(max(samples), -min(samples)) < _SILENT


def silent_end(samples: array.array[int]) -> int:
    """Return where a passage ends: in the middle of the longest silence near its end, or where it is quietest."""
    first = max(len(samples) * 3 // 4, len(samples) - _SEARCHED_SECONDS * SAMPLE_RATE)
    levels = []
    for begin in range(first, len(samples) - _BLOCK + 1, _BLOCK):
        block = samples[begin : begin + _BLOCK]
        levels.append(max(max(block), -min(block)))
    begin, length = _longest_quiet(levels)
    if length < _SILENCE_BLOCKS:
        begins = reversed(range(max(1, len(levels) - _SILENCE_BLOCKS + 1)))
        begin = min(begins, key=lambda each: max(levels[each : each + _SILENCE_BLOCKS], default=0))
        length = _SILENCE_BLOCKS
    return min(len(samples), first + (2 * begin + length) * _BLOCK // 2)


def _longest_quiet(levels: list[int]) -> tuple[int, int]:
    """Return the first and the number of the blocks of the longest run that is quiet."""
    best = (0, 0)
    begin = 0
    for number, level in enumerate([*levels, _QUIET]):
        if level >= _QUIET:
            if number - begin > best[1]:
                best = (begin, number - begin)
            begin = number + 1
    return best


def _samples(data: bytes, expected: int) -> array.array[int]:
    """Return so many samples: the end of a resampled track may differ by some. Raises DecoderCrashed."""
    if len(data) % 2 or len(data) > 2 * (expected + SAMPLE_RATE):
        raise DecoderCrashed(f"the decoder process returned {len(data)} bytes of samples")
    samples = array.array("h", data[: 2 * expected])
    if sys.byteorder == "big":
        samples.byteswap()
    samples.extend([0] * (expected - len(samples)))
    return samples
