"""Recordings in each kind of store: the folder in which a test writes them, or a bucket of S3.

A test that uses a fixture of this module runs with both. With S3 it is exhaustive.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from clipengine.settings.settings import Settings, Storage
from tests.support.s3 import S3Server, s3_settings
from tests.support.selection import cases


class Objects:
    """The objects of an engine's store. `env` are its settings."""

    def __init__(self, folder: Path, s3: S3Server | None = None, bucket: str = "") -> None:
        self._folder = folder
        self._s3 = s3
        self._bucket = bucket
        self.kind = "folder" if s3 is None else "s3"
        self.env = {} if s3 is None else s3_settings(s3, bucket)

    def put(self, key: str, data: bytes) -> None:
        """Store an object. One that is replaced changes at once, and keeps its ETag if its content is the same."""
        if self._s3 is not None:
            self._s3.client.put_object(self._bucket, key, io.BytesIO(data), len(data))
            return
        path = self._folder / key
        if path.exists() and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_bytes(data)
        path.with_suffix(".tmp").replace(path)

    def put_files(self, source: Path, prefix: str) -> None:
        """Store the files of a folder and those below it."""
        for path in sorted(source.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(source)}", path.read_bytes())

    def put_many(self, files: Mapping[str, Path]) -> None:
        """Store thousands of files by their keys, in a folder as links."""
        if self._s3 is not None:
            client = self._s3.client
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda key: client.fput_object(self._bucket, key, str(files[key])), files))
            return
        for key, path in files.items():
            (self._folder / key).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / key).hardlink_to(path)

    def keys(self, prefix: str) -> list[str]:
        if self._s3 is not None:
            listed = self._s3.client.list_objects(self._bucket, f"{prefix}/", recursive=True)
            return [each.object_name for each in listed]
        paths = sorted((self._folder / prefix).rglob("*"))
        return [str(path.relative_to(self._folder)) for path in paths if path.is_file()]

    def read(self, key: str) -> bytes:
        if self._s3 is not None:
            return self._s3.client.get_object(self._bucket, key).read()
        return (self._folder / key).read_bytes()

    def remove(self, key: str) -> None:
        if self._s3 is not None:
            self._s3.client.remove_object(self._bucket, key)
        else:
            (self._folder / key).unlink()


@pytest.fixture(params=cases(["folder", "s3"], ["folder"]))
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """Return the store of an engine whose data folder is `tmp_path / "data"`."""
    folder = tmp_path / "data" / "store"
    if request.param == "folder":
        return Objects(folder)
    return Objects(folder, request.getfixturevalue("s3"), request.getfixturevalue("bucket"))


class _Bucket(NamedTuple):
    s3: S3Server
    name: str
    copies: Iterator[int]


_bucket: ContextVar[_Bucket | None] = ContextVar("_bucket", default=None)


@pytest.fixture(params=cases(["folder", "s3"], ["folder"]))
def store_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the kind of the store that `stored` uses."""
    if request.param == "folder":
        yield "folder"
        return
    token = _bucket.set(_Bucket(request.getfixturevalue("s3"), request.getfixturevalue("bucket"), count()))
    yield "s3"
    _bucket.reset(token)


def stored(path: Path) -> tuple[Settings, str]:
    """Return the settings and the SOURCE of a local command for a recording, or for a pattern in a folder.

    In S3, each call copies the folder anew, so that what was deleted from it is missing.
    """
    bucket = _bucket.get()
    if bucket is None:
        return Settings(), str(path)
    folder = path.parent
    while not folder.is_dir():  # it has a part of the pattern
        folder = folder.parent
    prefix = f"copy{next(bucket.copies)}"
    Objects(folder, bucket.s3, bucket.name).put_files(folder, prefix)
    storage = Storage(
        kind="s3",
        endpoint=bucket.s3.endpoint,
        bucket=bucket.name,
        region=bucket.s3.region,
        access_key=bucket.s3.access_key,  # type: ignore[arg-type]
        secret_key=bucket.s3.secret_key,  # type: ignore[arg-type]
    )
    return Settings(storage=storage), f"s3://{bucket.name}/{prefix}/{path.relative_to(folder)}"
