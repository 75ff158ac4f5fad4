"""Sizes that the headers of AVI, WAV, AIFF and ASF state."""

from __future__ import annotations

import io

import pytest

from clipengine.recordings.containers import stated_size

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(14)
_OTHER = bytes(16) + (24).to_bytes(8, "little")  # an object without content


class _Bytes(io.BytesIO):
    @property
    def size(self) -> int:
        return len(self.getvalue())


def _properties(size: int, flags: int) -> bytes:
    """Return a File Properties Object."""
    kind = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
    head = kind + (104).to_bytes(8, "little") + bytes(16) + size.to_bytes(8, "little")
    return head + bytes(40) + flags.to_bytes(4, "little") + bytes(12)


@pytest.mark.parametrize(
    ("header", "size"),
    [
        (b"RIFF" + (1000).to_bytes(4, "little") + b"WAVE", 1008),
        (b"FORM" + (1000).to_bytes(4, "big") + b"AIFF", 1008),
        (b"RF64" + b"\xff" * 4 + b"WAVEds64" + bytes(4) + (5 << 32).to_bytes(8, "little"), (5 << 32) + 8),
        (b"RIFF" + bytes(4) + b"WAVE", None),  # not finished
        (b"RIFF" + b"\xff" * 4 + b"WAVE", None),  # written to a pipe, as by FFmpeg
        (b"RIFF" + (0x7FFF_F024).to_bytes(4, "little") + b"WAVE", None),  # as by SoX
        (_ASF + _OTHER + _properties(5000, 2), 5000),
        (_ASF + _OTHER + _properties(5000, 3), None),  # streamed
        (_ASF + _OTHER * 999 + _properties(5000, 2), 5000),
        (_ASF + _OTHER * 1000 + _properties(5000, 2), None),  # more objects than the limit
        (_ASF + bytes(16) + b"\xff" * 8 + _properties(5000, 2), None),  # an object that reaches beyond the file
        (_ASF + bytes(200), None),
        (b"\0\0\0\x18ftypisom", None),
        (b"", None),
    ],
)
def test_size_that_a_header_states(header: bytes, size: int | None) -> None:
    assert stated_size(_Bytes(header)) == size
