"""Types of fields, and what all bodies and queries have.

The OpenAPI document is made from the types of this package. A body's types are strict: a string of digits is no number.
The handler checks later what depends on the recording, the settings or the ledger.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from clipengine.basis.moments import OutsideBounds, parse_moment
from clipengine.basis.settings_table import NO_NUL, without_nul
from clipengine.basis.timecode import parse_time
from clipengine.clips.metadata import MAX_METADATA, MAX_TAG_CHARACTERS, MAX_TAGS
from clipengine.clips.texts.language_tags import MAX_LANGUAGE_CHARACTERS, validated_language
from clipengine.clips.texts.words import MAX_QUERY_CHARACTERS, indexed_words
from clipengine.errors import InvalidRequest, InvalidWebhookUrl
from clipengine.ledger.rows.cursors import decode_cursor
from clipengine.objects.base import Status
from clipengine.outbound.address import MAX_URL_CHARACTERS, parse

N = TypeVar("N")
MAX_MEMBERS = 200  # of one object or array of JSON; the largest usual one is a `metadata` of 100 keys
MAX_TOKENS = 20_000  # strings, brackets and commas of JSON
MAX_PAGE = 100  # objects of a list
# Schemas of values that a validator checks.
UNIQUE: JsonDict = {"uniqueItems": True}
_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
LINE: JsonDict = {"pattern": f"^[^{_CONTROLS}]*$"}
_TAG: JsonDict = {"pattern": rf"^[^,\s{_CONTROLS}]([^,{_CONTROLS}]*[^,\s{_CONTROLS}])?$"}
LANGUAGE: JsonDict = {"pattern": "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"}
_CURSOR: JsonDict = {"pattern": "^[A-Za-z0-9_-]+={0,2}$"}
_TIME_CHARACTERS = 20  # of a text that is read as a time for a hint
MAX_PARAMETERS = 50  # of a query
MAX_IDS = 40  # of a query, which has other parameters as well


def seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = _number_for(value) if isinstance(value, str) else None
        raise PydanticCustomError("number", "must be a number of seconds", {"hint": hint} if hint else None)
    try:
        return float(value) + 0.0  # turn -0.0 into 0.0
    except OverflowError:  # too large for a float: the range check rejects infinity
        return float("inf") if value > 0 else float("-inf")


def _number_for(text: str) -> str | None:
    """Return a hint with the number for a text such as `90` or `00:01:30`, or None for another text."""
    try:
        return f"Send the number {float(parse_time(text)):.12g}." if len(text) <= _TIME_CHARACTERS else None
    except ValueError:
        return None


def line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise PydanticCustomError("control", "must not contain control characters")
    return text


def _address(text: str) -> str:
    try:
        parse(text)
    except InvalidWebhookUrl as error:
        raise PydanticCustomError("webhook_url", "{reason}", {"reason": error.message}) from None
    return text


def moment(value: object) -> int:
    """Parse a time. Only text is accepted: the unit of a bare number would be ambiguous."""
    try:
        if isinstance(value, str):
            return parse_moment(value)
    except OutsideBounds as error:
        raise PydanticCustomError("moment", "{reason}", {"reason": str(error)}) from None
    except ValueError:
        pass
    raise PydanticCustomError("moment", "must be a time such as 2025-04-05T11:00:00.000Z")


def _cursor(text: str) -> str:
    try:
        decode_cursor(text, kind=str)
    except InvalidRequest as error:
        raise PydanticCustomError("cursor", "is not a valid cursor", {"hint": error.hint}) from None
    return text


def distinct(names: list[N]) -> list[N]:
    if len(set(names)) != len(names):
        raise PydanticCustomError("distinct", "must not contain a value twice")
    return names


def _tag(text: str) -> str:
    if "," in text or text != text.strip():
        raise PydanticCustomError("tag", "must not contain commas, nor spaces at its ends")
    return line(text)


def _has_word(text: str) -> str:
    if not indexed_words(text):
        raise PydanticCustomError("word", "must contain a letter or a digit")
    return text


Seconds = Annotated[float, BeforeValidator(seconds)]
Line = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=LINE), AfterValidator(line)]
Address = Annotated[
    str, Field(json_schema_extra={"format": "uri", "maxLength": MAX_URL_CHARACTERS}), AfterValidator(_address)
]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG_CHARACTERS, json_schema_extra=_TAG), AfterValidator(_tag)]
Tags = Annotated[
    list[Tag],
    Field(max_length=MAX_TAGS, description="Words to find it by, without commas.", json_schema_extra=UNIQUE),
    AfterValidator(distinct),
]
MetadataKey = Annotated[str, Field(min_length=1, max_length=100, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
MetadataValue = Annotated[str, Field(max_length=2000, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(max_length=MAX_METADATA, description="A flat map of strings without U+0000, returned unchanged."),
]
MetadataPatch = Annotated[
    dict[MetadataKey, MetadataValue | None],
    Field(max_length=MAX_METADATA, description="Is merged (RFC 7396): null removes a key, other keys stay."),
]
MOMENT_SCHEMA: JsonDict = {"type": "string", "format": "date-time"}
Moment = Annotated[int, BeforeValidator(moment), Field(json_schema_extra=MOMENT_SCHEMA)]


class Body(BaseModel):
    """A JSON body of at most `max_bytes`; None means that only `server.max_body_bytes` limits it.

    Idempotency hashes the fields in `always_hashed` and the fields that differ from their defaults. 0.1.0 hashed all of
    its fields, so these stay in the hash: a client may repeat a request from before an upgrade. Do not add new fields.
    """

    max_bytes: ClassVar[int | None] = 16 * 1024
    max_members: ClassVar[int] = MAX_MEMBERS  # of one object or array
    max_tokens: ClassVar[int] = MAX_TOKENS
    always_hashed: ClassVar[Collection[str]] = ()

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, json_schema_extra={"additionalProperties": False}
    )

    @classmethod
    def limit(cls, ceiling: int) -> int:
        """Return the maximum size in bytes of a body of this type; `ceiling` is `server.max_body_bytes`."""
        return ceiling if cls.max_bytes is None else min(cls.max_bytes, ceiling)


def like(exclusive: JsonDict | None = None, /, **example: Any) -> ConfigDict:
    """Return the configuration of a body with an example, and what the schema says of fields that exclude others."""
    return ConfigDict(json_schema_extra={"additionalProperties": False, "examples": [example], **(exclusive or {})})


def one_of(first: dict[str, str], *others: dict[str, str]) -> JsonDict:
    """Return the schema of a body with the fields of exactly one of these, which are given with their types.

    It is written as a condition, which generators of clients ignore: `oneOf` would change their types.
    """
    if not others:
        return {"required": [*first], "properties": _typed(first)}
    excluded = {name: "null" for each in others for name in each}
    return {
        "if": {"required": [*first], "properties": _typed(first)},
        "then": {"properties": _typed(excluded)},
        "else": one_of(*others),
    }


def _typed(fields: dict[str, str]) -> JsonDict:
    return {name: {"type": kind} | ({"items": {}} if kind == "array" else {}) for name, kind in fields.items()}


Language = Annotated[
    str, Field(max_length=MAX_LANGUAGE_CHARACTERS, json_schema_extra=LANGUAGE), AfterValidator(validated_language)
]


class Changes(Body):
    """Changes of a clip or a recording. Omitted fields are not changed."""

    max_bytes = None  # as for a clip

    metadata: MetadataPatch | None = None
    tags: Tags | None = Field(default=None, description="Replaces all tags; null removes them.")

    def columns(self) -> dict[str, Any]:
        """Return the new values by column. Metadata is merged by the ledger."""
        values = self.model_dump(include=self.model_fields_set - {"metadata"})
        return {name: [] if name == "tags" and value is None else value for name, value in values.items()}


class Query(BaseModel):
    """Query parameters. Unknown ones are rejected; the limit of the request line bounds their length."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Filter = Annotated[str, Field(max_length=200, json_schema_extra=NO_NUL), AfterValidator(without_nul)]
MetadataName = Annotated[MetadataKey, AfterValidator(_has_word)]
SORT = (
    "Ascending, or descending with `-`. Labels and names are compared by their first 60 characters, without case. An "
    "unknown duration or size counts as 0."
)


class NoBody(Body):
    pass


class NoQuery(Query):
    pass


class PageQuery(Query):
    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Number of objects of a page.")
    cursor: Annotated[str, Field(max_length=500, json_schema_extra=_CURSOR), AfterValidator(_cursor)] | None = Field(
        default=None, description="`next_cursor` of the previous page."
    )


Words = Annotated[
    str,
    Field(min_length=1, max_length=MAX_QUERY_CHARACTERS, json_schema_extra=NO_NUL),
    AfterValidator(without_nul),
    AfterValidator(_has_word),
]
SYNTAX = '`"two words"` must follow each other; `bud*` is the beginning of a word.'


class ListFilters(BaseModel):
    """Filters of clips and recordings. An item meets all of them."""

    status: Status | None = Field(default=None, description="With this status.")
    created_after: Moment | None = Field(default=None, description="Created after this time.")
    created_before: Moment | None = Field(default=None, description="Created before this time.")
    q: Words | None = Field(
        default=None, description=f"All words, in any case, are in its name, its tags or its metadata. {SYNTAX}"
    )
    tag: list[Tag] = Field(default=[], max_length=MAX_TAGS, description="A tag. May be repeated.")
    metadata: dict[MetadataName, Filter] = Field(
        default={},
        max_length=MAX_TAGS,
        description="`metadata.KEY=VALUE` or `metadata[KEY]=VALUE`: this value of this key. May be repeated.",
    )


class ListQuery(PageQuery, ListFilters):
    """One page of clips or recordings."""

    mine: Literal["true", "false"] = Field(default="false", description="`true`: only your own.")


class WaitQuery(Query):
    wait: float = Field(
        default=0,
        ge=0,
        le=60,
        allow_inf_nan=False,
        examples=[30],
        description="Respond when it has ended, or after this many seconds.",
    )


B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
