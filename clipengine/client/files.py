"""File transfer: reading for uploads, atomic writing of downloads."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from clipengine.client.errors import ClientError
from clipengine.client.exchange import Request, Steps, exchange

_CHUNK_BYTES = 1 << 20

# Called with the bytes transferred and the total, or None if it is unknown. May be called from any thread.
Progress = Callable[[int, int | None], None]


def read_chunks(path: Path, on_progress: Progress | None) -> Iterator[bytes]:
    """Yield the file's content. `on_progress` is called after each chunk has been sent."""
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
            done += len(chunk)
            if on_progress:
                on_progress(done, total)


def _create(part: Path, target: Path) -> BinaryIO:
    try:
        return part.open("xb")
    except OSError as error:  # report the caller's file name, not the temporary one
        raise OSError(error.errno, error.strerror, str(target)) from None


def save(
    path: str,
    target: str | Path,
    on_progress: Progress | None,
    params: Mapping[str, Any] | None = None,
    *,
    method: str = "GET",
    json: object = None,
) -> Steps[int]:
    """Write the response of a request atomically to the file `target` and return its size."""
    target = Path(target)
    part = target.with_name(f".{target.name[:60]}.{uuid.uuid4().hex}.part")
    try:
        with _create(part, target) as file:

            def write(chunk: bytes, total: int | None) -> None:
                file.write(chunk)
                if on_progress:
                    on_progress(file.tell(), total)

            reply = yield from exchange(Request(method, path, params=params or {}, json=json, sink=write), 1)
            size = file.tell()
        if size != int(reply.headers.get("content-length", size)):
            raise ClientError(f"the download of {path} ended early")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size
