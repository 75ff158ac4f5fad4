"""Addresses and query names of release 0.1.0, which release 0.3 removes.

Each answers as its successor does, with the headers Deprecation (RFC 9745) and Sunset (RFC 8594). The OpenAPI document
has the successors only.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from pydantic import BaseModel

from clipengine.api.http.requests.fields import MAX_PARAMETERS

FORMER_HEADERS = {"Deprecation": "@1795824000", "Sunset": "Mon, 31 May 2027 00:00:00 GMT"}  # since 2026-11-28

_CLIP, _BELOW_ITS_RECORDING = "/v1/clips/{clip_id}", "/v1/recordings/{recording_id}/clips/{clip_id}"
_QUERY_NAMES = {"start": "start_seconds", "end": "end_seconds", "at": "at_seconds", "within": "within_seconds"}


def former_path(path: str) -> str | None:
    """Return the former path of a route about one clip, or None."""
    return path.replace(_CLIP, _BELOW_ITS_RECORDING) if path.startswith(_CLIP) else None


def current_name(model: type[BaseModel], name: str) -> str:
    """Return the name of a parameter of the query, which may be given by its former name."""
    current = _QUERY_NAMES.get(name, name)
    return current if current in model.model_fields else name


def uses_former_name(model: type[BaseModel], query: bytes) -> bool:
    """Return True if a query gives a parameter by its former name. False if it has too many, so that it is rejected."""
    former = {name for name in _QUERY_NAMES if current_name(model, name) != name}
    if not former:
        return False
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return False
    return any(name in former for name, _ in pairs)
