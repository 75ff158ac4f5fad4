"""Transcripts and transcriptions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clipengine.api.http.requests.fields import LANGUAGE, Body, Filter, PageQuery, Query, like
from clipengine.clips.texts.cues import (
    WrittenFormat,
)
from clipengine.clips.texts.language_tags import MAX_LANGUAGE_CHARACTERS
from clipengine.clips.texts.words import MAX_QUERY_CHARACTERS
from clipengine.clips.transcription import Transcriber


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
