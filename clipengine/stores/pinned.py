"""An object that is pinned to an ETag, and what it means for a recording that its object is gone or has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clipengine.errors import ObjectChanged, ObjectMissing, RecordingChanged, RecordingMissing
from clipengine.stores.base import StoredObject


def check_etag(found: StoredObject, etag: str | None) -> None:
    """Raises ObjectChanged where the object has another ETag; None pins nothing."""
    if etag not in (None, found.etag):
        raise ObjectChanged(f"{found.key} was replaced: its ETag is {found.etag}, no longer {etag}")


@contextmanager
def recording_faults() -> Iterator[None]:
    """While a recording's object is opened or read: raises RecordingMissing and RecordingChanged for the object's."""
    try:
        yield
    except ObjectMissing as error:
        raise RecordingMissing(error.message) from error
    except ObjectChanged as error:
        raise RecordingChanged(error.message) from error
