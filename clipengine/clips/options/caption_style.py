"""Styles of captions: how subtitles that are drawn into the picture look. Pure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from clipengine.basis.settings_table import Options

CaptionName = Literal["outline", "box", "word"]
MAX_LINES = 2  # of a styled caption
_COLOUR = "^#[0-9a-fA-F]{6}$"


class CaptionStyle(Options):
    """Look of captions. They have at most two lines; longer texts follow each other during the time of their cue."""

    name: CaptionName = Field(
        default="outline",
        description="`outline`: letters with a dark outline. `box`: letters on a dark box. `word`: as `outline`, and "
        "the word that is spoken is coloured, if the transcript has the times of its words.",
    )
    size: float | None = Field(
        default=None,
        ge=0.02,
        le=0.15,
        description="Size of the text, as a fraction of the shorter side of the picture. Default: 0.05 of the height, "
        "or 0.06 of the width if that is less.",
    )
    colour: str | None = Field(
        default=None,
        pattern=_COLOUR,
        description="Of the letters (default `#ffffff`), or with `word` of the spoken word (default `#ffc53d`).",
        examples=["#ffc53d"],
    )
    height: float | None = Field(
        default=None,
        ge=0,
        le=0.9,
        description="Distance of the text from the lower edge, as a fraction of the height of the picture. Default: "
        "0.2 in pictures that are higher than wide, otherwise 0.1, which is above the buttons of players.",
    )
    speaker: bool = Field(default=False, description="Put the name of the speaker before the text.")

    @model_serializer(mode="wrap")
    def _without_nulls(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    def to_object(self) -> dict[str, Any]:
        """Return the options that are given, and the options with a default."""
        return self.model_dump(mode="json")
