"""Base of the API's objects, which is the same for the server and the client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PlainValidator, with_config

from clipengine.basis.moments import Notices, is_moment, rfc3339

Object = dict[str, Any]  # JSON
_JSON = frozenset((str, int, float, bool, dict, type(None)))

Status = Literal["processing", "complete", "failed"]
RecordingStatus = Literal["processing", "recording", "complete", "failed"]
Time = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
]
MaybeTime = Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]

# Of a typed dict that is not a field of an object, whose configuration it would have.
described = with_config(ConfigDict(use_attribute_docstrings=True))


def described_as(kind: Any) -> Any:
    """Describe JSON in the document by the type that it was made from."""
    return PlainValidator(lambda value: value, json_schema_input_type=kind)


_shown_otherwise = Notices("rows with a time before 1970 or after 2199")


def shown_time(millis: int | None) -> str | None:
    """Return a time in ms since 1970 as the API shows it."""
    return None if millis is None else rfc3339(millis)


def _shown_time(millis: int | None, row: Any, kind: type[ApiObject], name: str) -> str | None:
    """Return a stored time as the API shows it, and log once for each row that it is another one."""
    if millis is None:
        return None
    if not is_moment(millis):
        ident = next((getattr(row, each, None) for each in _names(kind) if each.endswith("_id")), None)
        message = "%s of %s is before 1970 or after 2199 and is shown as %s: `clipengine doctor` counts such rows"
        _shown_otherwise.note(ident, message, name, ident, rfc3339(millis))
    return rfc3339(millis)


def _require_all(schema: dict[str, Any]) -> None:
    """Make all fields required: the server sends each of them."""
    schema["required"] = [*schema["properties"]]
    for field in schema["properties"].values():
        field.pop("default", None)


@dataclass(frozen=True)
class ApiObject:
    """An object of the API. Defaults are for servers of earlier versions, which do not send all fields."""

    __pydantic_config__ = ConfigDict(json_schema_extra=_require_all, use_attribute_docstrings=True)
    parsers: ClassVar[Mapping[str, Callable[[Object], Any]]] = {}  # of the fields that are objects themselves
    raw: ClassVar[Object] = {}  # the JSON that an object was parsed from, with fields of later versions

    @classmethod
    def of(cls, value: Any, /, **given: Any) -> Self:
        """Return the object of a value of the engine: its attributes of the same names, with times as text.

        `given` are the fields that differ from the attributes.
        """
        for name, is_time in _shape(cls):
            if name not in given:
                found = getattr(value, name)
                given[name] = _shown_time(found, value, cls, name) if is_time else found
        made = object.__new__(cls)
        vars(made).update(given)  # has all fields; a frozen dataclass takes five times as long to be created
        return made

    @classmethod
    def from_object(cls, obj: Object, **bound: Any) -> Self:
        """Return the object of JSON from a server of any version. Values are taken unchecked, unknown fields ignored.

        `bound` are fields that are not in the JSON.
        """
        known = {name: obj[name] for name in _names(cls) if name in obj}
        parsed = {name: parse(known[name]) for name, parse in cls.parsers.items() if known.get(name)}
        made = cls(**known | parsed | bound)
        object.__setattr__(made, "raw", obj)
        return made

    def to_object(self) -> Object:
        """Return the JSON."""
        return _members(self)


class JobObject(ApiObject):
    """An object with a `status`, which is `processing` until clips can be cut of it, or it has ended."""

    @property
    def ended(self) -> bool:
        return getattr(self, "status", "") != "processing"


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if not each.name.startswith("_"))


def _fields_and_times(kind: Any) -> tuple[tuple[str, bool], ...]:
    """Return the fields, and whether their annotations are `Time` or `MaybeTime`."""
    types = {each.name: each.type for each in fields(kind)}
    return tuple((name, types[name] in ("Time", "MaybeTime")) for name in _names(kind))


_names: Callable[[Any], tuple[str, ...]] = cache(_fields)
_shape: Callable[[Any], tuple[tuple[str, bool], ...]] = cache(_fields_and_times)


def _members(value: Any) -> Object:
    held = vars(value)
    return {name: held[name] if type(held[name]) in _JSON else _plain(held[name]) for name in _names(type(value))}


def _plain(value: Any) -> Any:
    """Return a value as JSON: dataclasses as dicts."""
    if isinstance(value, list):
        return [each if type(each) in _JSON else _plain(each) for each in value]
    return _members(value)
