"""ETag preconditions, and object errors translated for recordings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clipengine.errors import (
    ObjectChanged,
    ObjectClosed,
    ObjectMissing,
    RecordingChanged,
    RecordingClosing,
    RecordingMissing,
)
from clipengine.stores.base import StoredObject


def check_etag(found: StoredObject, etag: str | None) -> None:
    """Raise ObjectChanged if the object's ETag differs from `etag`. None matches every object."""
    if etag not in (None, found.etag):
        raise ObjectChanged(f"{found.key} was replaced or changed")


@contextmanager
def as_recording_errors() -> Iterator[None]:
    """Translate ObjectMissing, ObjectChanged and ObjectClosed to the errors of recordings."""
    try:
        yield
    except ObjectMissing as error:
        raise RecordingMissing(error.message) from error
    except ObjectClosed as error:
        raise RecordingClosing(error.message) from error
    except ObjectChanged as error:
        raise RecordingChanged(error.message) from error
