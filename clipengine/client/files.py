"""Files on their way: read in pieces for an upload, written whole or not at all by a download."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from clipengine.client.errors import ClientError
from clipengine.client.exchange import Request, Steps, exchange

_PIECE = 1 << 20

# Called with the bytes that are done and with all there are, None where that is not known. Not in any fixed thread.
Progress = Callable[[int, int | None], None]


def pieces(path: Path, on_progress: Progress | None) -> Iterator[bytes]:
    """The file's bytes; `on_progress` is told of each piece once it was taken and the next one is asked for."""
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
            done += len(piece)
            if on_progress:
                on_progress(done, total)


def _begin(part: Path, target: Path) -> BinaryIO:
    try:
        return part.open("xb")
    except OSError as error:  # of a file that nobody has named
        raise OSError(error.errno, error.strerror, str(target)) from None


def save(
    path: str, target: str | Path, on_progress: Progress | None, params: Mapping[str, Any] | None = None
) -> Steps[int]:
    """GET bytes into `target`, which is there when it is whole, or not at all; how many bytes it has."""
    target = Path(target)
    part = target.with_name(f".{target.name[:60]}.{uuid.uuid4().hex}.part")
    try:
        with _begin(part, target) as file:

            def write(piece: bytes, total: int | None) -> None:
                file.write(piece)
                if on_progress:
                    on_progress(file.tell(), total)

            reply = yield from exchange(Request("GET", path, params=params or {}, sink=write), 1)
            size = file.tell()
        if size != int(reply.headers.get("content-length", size)):
            raise ClientError(f"the download of {path} ended early")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size
