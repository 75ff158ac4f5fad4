"""Bytes in memory, as an object that a child reads."""

from __future__ import annotations

import os

from clipengine.stores.base import StoredObject


class BytesReader:
    """Bytes that a child reads by the descriptor of a file in memory."""

    def __init__(self, name: str, data: bytes) -> None:
        self.info = StoredObject(name, len(data), "", 0)
        self._file = os.memfd_create(name)
        with open(self._file, "wb", closefd=False) as file:
            file.write(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return os.pread(self._file, length, offset)

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> BytesReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
