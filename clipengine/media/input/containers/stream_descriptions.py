"""Streams as FFmpeg describes them in a log text, which has more of them than PyAV, and the tags of unknown codecs."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

import av.logging
from av.container import InputContainer

from clipengine.media.memory import log_library_errors

# `Stream #0:2[0x20]: Audio: mp2`, `Stream #0:0: Video: none (XYZ1 / 0x315A5958)`
_DESCRIBED = re.compile(r"Stream #0:(\d{1,5})\S*: (\w+): (\w{1,40})(?: \(([^\n/]{4,20}) / 0x)?")
_UNKNOWN = "none"


class StreamDescription(NamedTuple):
    """Number, kind and codec of a stream; a codec that FFmpeg does not know is its tag, in quotes."""

    number: int
    kind: str
    codec: str


def describe(container: InputContainer) -> list[StreamDescription]:
    """Return all streams that were found so far."""
    av.logging.set_level(av.logging.INFO)
    try:
        described = str(cast(Any, container).dumps_format())
    finally:
        log_library_errors()
    found = (match.groups() for match in _DESCRIBED.finditer(described))
    return [
        StreamDescription(int(number), kind.lower(), f'"{tag}"' if codec == _UNKNOWN and tag else codec)
        for number, kind, codec, tag in found
    ]
