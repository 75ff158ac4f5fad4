"""Interface of transcribers."""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import Protocol

from clipengine.clips.texts.spoken import Spoken
from clipengine.clips.transcription import SAMPLE_RATE

# Called several times a second with the finished part, or None if it is not known. An exception ends the work.
Report = Callable[[float | None], None]


class SpeechSource(Protocol):
    """Recognizes speech in samples (16-bit, mono, 16 kHz). Thread-safe."""

    def transcribe(self, samples: array.array[int], *, language: str | None, report: Report) -> Spoken:
        """Return the cues with the times of their words, from the first sample on.

        Raises TranscriberFailed, TranscriberUnavailable, and the exceptions of `report`.
        """

    def close(self) -> None:
        """End all work; it raises TranscriberUnavailable or Stopping."""


def length_of(samples: array.array[int]) -> float:
    return len(samples) / SAMPLE_RATE


def whisper_language(language: str | None) -> str | None:
    """Return the tag as Whisper and its servers know it, without script and region; None has it detected."""
    return None if language is None or language == "und" else language.partition("-")[0]
