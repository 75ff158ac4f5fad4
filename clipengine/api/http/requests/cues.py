"""Cues of a transcript in JSON, which a child may parse: it imports little."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, RootModel
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.fields import Body, seconds
from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, MAX_CUE_SECONDS, MAX_SPEAKER_CHARACTERS, MAX_TIMED_WORDS


def _milliseconds(value: object) -> int:
    time = seconds(value)
    if not 0 <= time <= MAX_CUE_SECONDS:
        raise PydanticCustomError("seconds", f"must be from 0 to {MAX_CUE_SECONDS} seconds")
    return round(time * 1000)


Millis = Annotated[
    int, BeforeValidator(_milliseconds), Field(json_schema_extra={"type": "number", "maximum": MAX_CUE_SECONDS})
]
# Not strict: JSON has no tuples.
TimedWord = Annotated[
    tuple[Millis, Millis, Annotated[str, Field(strict=True, max_length=MAX_CUE_CHARACTERS)]], Field(strict=False)
]


class TranscriptCue(Body):
    """A cue of a transcript in JSON. Times are rounded to milliseconds."""

    start_ms: Millis = Field(alias="start_seconds", ge=0)
    end_ms: Millis = Field(alias="end_seconds", ge=0)
    text: str = Field(max_length=MAX_CUE_CHARACTERS)
    speaker: str | None = Field(default=None, max_length=MAX_SPEAKER_CHARACTERS)
    words: list[TimedWord] = Field(
        default=[], max_length=MAX_TIMED_WORDS, description="Start, end and text of each word, if they are known."
    )


class TranscriptCues(RootModel[list[TranscriptCue]]):
    pass
