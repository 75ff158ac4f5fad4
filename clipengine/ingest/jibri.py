"""Jibri's `metadata.json`, which it writes beside a recording: the URL of the meeting, and its participants.

Only recordings with Jibri's file names, `<room>_2026-01-31-09-00-00.mp4`, are looked up, so that others cost no request
to the store, and files of other programs with this common name are not read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError

from clipengine.clips.metadata import MAX_METADATA
from clipengine.clips.texts.cues import clean_line
from clipengine.errors import ObjectMissing, StorageDenied
from clipengine.ingest.event import Body
from clipengine.recordings.discovery import clean_name
from clipengine.stores.base import Store

log = logging.getLogger(__name__)

MAX_BYTES = 64 * 1024
_FILE = re.compile(r"(?P<room>.+)_\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d\.\w{2,4}\Z", re.ASCII | re.DOTALL)
_MAX_VALUE = 2000  # characters of a value of metadata


class _User(Body):
    name: Annotated[str, Field(max_length=1000)] = ""
    id: Annotated[str, Field(max_length=1000)] = ""


class _Participant(Body):
    user: _User = _User()


class _Metadata(Body):
    meeting_url: Annotated[str, Field(max_length=_MAX_VALUE)] = ""
    participants: list[_Participant] = Field(default=[], max_length=1000)


def described(
    store: Store, key: str, name: str | None, metadata: Mapping[str, str]
) -> tuple[str | None, dict[str, str]]:
    """Return the given name and metadata, completed with Jibri's. Raises StorageUnavailable."""
    match = _FILE.match(PurePosixPath(key).name)
    found = _read(store, str(PurePosixPath(key).parent / "metadata.json")) if match else None
    if match is None or found is None:
        return name, dict(metadata)
    own = {"source": "jibri", "meeting_url": clean_line(found.meeting_url), "participants": _names(found)}
    known = {field: value for field, value in own.items() if value and field not in metadata}
    room = unquote(urlsplit(found.meeting_url).path.rpartition("/")[2], errors="replace") or match["room"]
    free = MAX_METADATA - len(metadata)
    return name or clean_name(room), {**metadata, **dict(list(known.items())[:free])}


def _read(store: Store, key: str) -> _Metadata | None:
    """Return the metadata in the object, or None if there is none or it is not Jibri's."""
    try:
        with closing(store.open(key)) as reader:
            body = reader.read_at(0, MAX_BYTES + 1)
        if len(body) <= MAX_BYTES:
            return _Metadata.model_validate_json(body)
        reason = f"it has more than {MAX_BYTES} bytes"
    except ObjectMissing:
        return None
    except StorageDenied as error:
        reason = error.message
    except ValidationError as error:
        reason = f"{error.error_count()} values are not those of Jibri"
    log.warning("%s is ignored: %s", key, reason)
    return None


def _names(found: _Metadata) -> str:
    """Return the names of the participants, or their ids, each once, separated by commas."""
    names = dict.fromkeys(clean_line(each.user.name or each.user.id) for each in found.participants)
    text = ", ".join(name for name in names if name)
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"
