"""Transcripts and transcriptions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, RootModel
from pydantic_core import PydanticCustomError

from clipengine.api.http.requests.fields import LANGUAGE, Body, Filter, PageQuery, Query, like, seconds
from clipengine.clips.texts.cues import (
    MAX_CUE_CHARACTERS,
    MAX_CUE_SECONDS,
    MAX_SPEAKER_CHARACTERS,
    MAX_TIMED_WORDS,
    WrittenFormat,
)
from clipengine.clips.texts.transcript_file import MAX_LANGUAGE_CHARACTERS
from clipengine.clips.texts.words import MAX_QUERY_CHARACTERS
from clipengine.clips.transcription import Transcriber


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


class Transcribe(Body):
    model_config = like(language="en")

    language: str | None = Field(
        default=None,
        max_length=MAX_LANGUAGE_CHARACTERS,
        json_schema_extra=LANGUAGE,
        description="BCP 47 tag of the language that is spoken. Default: it is detected.",
    )
    source: Transcriber | None = Field(
        default=None, description="A model of this engine, or a server. Default: `local` if it is configured."
    )
    track: int = Field(default=0, ge=0, le=999, description="Number of the audio track, from 0.")


class ListTranscriptions(PageQuery):
    recording_id: Filter | None = Field(default=None, description="Only those of this recording.")
    status: Literal["processing", "complete", "failed"] | None = Field(
        default=None, description="Only those with this status."
    )


class GetTranscript(Query):
    format: WrittenFormat = Field(default="vtt", description="WebVTT, SubRip, JSON, or plain text without times.")


class SearchText(PageQuery):
    q: str = Field(
        min_length=1,
        max_length=MAX_QUERY_CHARACTERS,
        examples=["budget"],
        description='A cue must contain all words, in any case. `"two words"` must follow each other; `bud*` is the '
        "beginning of a word.",
    )
