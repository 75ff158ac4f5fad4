"""The old index of an AVI (`idx1`), read for the palette changes that FFmpeg's demuxer leaves out."""

from __future__ import annotations

from clipengine.media.input.containers.cached_reader import MediaReader

_ENTRY_BYTES = 16
_MAX_INDEX_BYTES = 16 * 1024 * 1024  # a million packets
_MAX_CHUNKS = 64  # at the top of the file


def palette_changes(reader: MediaReader) -> bool:
    """Return True if the palette of a video changes after its first frame, by the file's index. Moves the reader."""
    index = _index(reader)
    kinds = [index[at + 2 : at + 4] for at in range(0, len(index) - _ENTRY_BYTES + 1, _ENTRY_BYTES)]
    frames = [number for number, kind in enumerate(kinds) if kind in (b"db", b"dc")]
    return bool(frames) and b"pc" in kinds[frames[0] :]


def _index(reader: MediaReader) -> bytes:
    reader.seek(0)
    head, at = reader.read(12), 12
    if head[:4] != b"RIFF" or head[8:] != b"AVI ":
        return b""
    for _ in range(_MAX_CHUNKS):
        reader.seek(at)
        chunk = reader.read(8)
        if len(chunk) < 8:
            return b""
        size = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"idx1":
            return _read(reader, min(size, _MAX_INDEX_BYTES))
        at += 8 + size + size % 2
    return b""


def _read(reader: MediaReader, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length and (part := reader.read(length - len(parts))):
        parts += part
    return bytes(parts)
