"""Markers of other programs: in generic events, and in files such as `talk.markers.json` beside `talk.mp4`. Pure.

The most expensive file within the limits takes less than 50 ms of CPU, so that no child has to read it.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, NamedTuple, NoReturn

from pydantic import ConfigDict, Field, ValidationError, model_validator

from clipengine.basis.json_budget import JsonLimits
from clipengine.clips.texts.cues import clean_line
from clipengine.errors import InvalidRequest
from clipengine.ingest.event import OUTSIDE, Body, Moment, without_nul
from clipengine.recordings.markers import MAX_LABEL_CHARACTERS, MAX_MARKERS, MAX_SECONDS, Marker

MAX_FILE_BYTES = 256 * 1024
_HINT = 'Write {"markers": [{"at_seconds": 3.5, "label": "goal"}]}.'
_refusal = partial(InvalidRequest, hint=_HINT)
_LIMITS = JsonLimits("the file", _refusal, max_depth=3, max_tokens=20 * MAX_MARKERS, max_members=MAX_MARKERS)


class MarkerBody(Body):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at_seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS)] | None = None
    time: Moment | None = None
    seconds: Annotated[float, Field(ge=0, le=MAX_SECONDS)] = 0.0
    label: Annotated[str, Field(max_length=MAX_LABEL_CHARACTERS)] = ""

    @model_validator(mode="after")
    def _has_one_place(self) -> MarkerBody:
        if (self.at_seconds is None) == (self.time is None):
            raise ValueError("a marker has either at_seconds or time")
        return self

    @property
    def marker(self) -> Marker:
        return Marker(self.at_seconds, self.time, self.seconds, " ".join(clean_line(self.label).split()))


class _File(Body):
    model_config = ConfigDict(frozen=True, extra="forbid")

    markers: Annotated[tuple[Any, ...], Field(max_length=MAX_MARKERS)]


class MarkerFile(NamedTuple):
    """Markers of a file, and why others are left out: their times are before 1970 or after 2199."""

    markers: list[Marker]
    left_out: list[str]


def markers_of_file(data: bytes) -> MarkerFile:
    """Return the markers of a file. Raises InvalidRequest if it is invalid or exceeds a limit."""
    if len(data) > MAX_FILE_BYTES:
        raise _refusal(f"it has more than {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
        _LIMITS.check(text)
        file = _File.model_validate(without_nul(json.loads(text, parse_constant=_refuse)))
    except ValidationError as error:
        raise _refusal(f"it is not a list of markers: {_fault(error)}") from None
    except ValueError:  # also of bytes that are not UTF-8, and numbers with too many digits
        raise _refusal("it is not JSON in UTF-8") from None
    found = MarkerFile([], [])
    for number, each in enumerate(file.markers):
        try:
            found.markers.append(MarkerBody.model_validate(each).marker)
        except ValidationError as error:
            fault = _fault(error, "markers", number)
            if {each["type"] for each in error.errors()} != {OUTSIDE}:
                raise _refusal(f"it is not a list of markers: {fault}") from None
            found.left_out.append(fault)
    return found


def _fault(error: ValidationError, *place: str | int) -> str:
    """Return the place and the message of the first fault."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = "".join(f"/{part}" for part in (*place, *first["loc"]))[:200]
    return f"{where or 'the file'}: {first['msg']}"


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
