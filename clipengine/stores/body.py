"""A body on its way into a store: counted and hashed as it is read, and held against what was promised of it."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from clipengine.errors import VerificationFailed


class Body:
    """At most `size` bytes of a stream. What `read` of the stream raises reaches the caller as it is."""

    def __init__(self, stream: BinaryIO, *, size: int) -> None:
        self._stream = stream
        self._size = size
        self._hash = hashlib.sha256()
        self.taken = 0

    def take(self, length: int) -> bytes:
        """The next `length` bytes; fewer only at the end, however short the stream's own reads are."""
        chunks: list[bytes] = []
        missing = min(length, self._size - self.taken)
        while missing > 0:
            chunk = self._stream.read(missing)
            if not chunk:
                break
            self._hash.update(chunk)
            self.taken += len(chunk)
            missing -= len(chunk)
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    @property
    def sha256(self) -> str:
        """Of what was taken so far, in hex."""
        return self._hash.hexdigest()

    def check(self, key: str, *, sha256: str) -> None:
        """Raises VerificationFailed unless exactly the promised bytes were taken."""
        if self.taken != self._size:
            raise VerificationFailed(f"the body of {key} ended after {self.taken} of {self._size} bytes")
        if self.sha256 != sha256:
            raise VerificationFailed(f"the body of {key} has sha256 {self.sha256}, not {sha256}")
