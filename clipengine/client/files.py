"""File transfer: reading for uploads, atomic writing of downloads."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from clipengine.client.errors import ClientError
from clipengine.client.exchange import Request, Steps, exchange

_CHUNK_BYTES = 1 << 20

# Called with the bytes transferred and the total, or None if it is unknown. May be called from any thread.
Progress = Callable[[int, int | None], None]


@contextmanager
def opened(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """Yield the file of a path, or a file that the caller has opened and closes. Raises TypeError for a text file."""
    if isinstance(source, io.TextIOBase):
        raise TypeError('the file is open in text mode: open it with "rb"')
    if isinstance(source, str | Path):
        with open(source, "rb") as file:
            yield file
    else:
        yield source


def name_of(file: BinaryIO) -> str:
    """Return the name of a file without its folder. Raises TypeError if it has none."""
    name = getattr(file, "name", None)
    if not isinstance(name, str | PathLike):  # the number of a descriptor, or an object in memory
        raise TypeError('pass the name of the recording, such as name="meeting.mp4"')
    return Path(name).name


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield the file's content."""
    with path.open("rb") as file:
        yield from chunks_of(file, None, None)


def chunks_of(file: BinaryIO, on_progress: Progress | None, total: int | None, *, done: int = 0) -> Iterator[bytes]:
    """Yield the rest of a file. `on_progress` is called after each chunk has been sent; `done` bytes came before."""
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
