"""A request body that is counted and hashed while it is read."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from clipengine.errors import VerificationFailed


class Body:
    """At most `size` bytes of a stream. Exceptions of the stream are passed on unchanged."""

    def __init__(self, stream: BinaryIO, *, size: int) -> None:
        self._stream = stream
        self._size = size
        self._hash = hashlib.sha256()
        self.bytes_read = 0

    def read(self, length: int) -> bytes:
        """Return the next `length` bytes, even if the stream returns short reads; fewer only at the end."""
        chunks: list[bytes] = []
        missing = min(length, self._size - self.bytes_read)
        while missing > 0:
            chunk = self._stream.read(missing)
            if not chunk:
                break
            self._hash.update(chunk)
            self.bytes_read += len(chunk)
            missing -= len(chunk)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def sha256(self) -> str:
        """The hex digest of the bytes read so far."""
        return self._hash.hexdigest()

    def verify(self, key: str, *, sha256: str) -> None:
        """Raise VerificationFailed if the length or the digest differs from what the caller announced."""
        if self.bytes_read != self._size:
            raise VerificationFailed(f"the body of {key} ended after {self.bytes_read} of {self._size} bytes")
        if self.sha256 != sha256:
            raise VerificationFailed(f"the body of {key} has sha256 {self.sha256}, expected {sha256}")
