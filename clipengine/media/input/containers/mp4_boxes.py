"""Parser for the MP4 boxes that FFmpeg's demuxer does not expose (ISO/IEC 14496-12, section 8.2.2)."""

from __future__ import annotations

import os
from fractions import Fraction

from clipengine.media.input.containers.cached_reader import MediaReader
from clipengine.recordings.containers import boxes


def is_truncated(reader: MediaReader) -> bool:
    """Return True if the file is an MP4 file that ends before or inside its index."""
    found = list(boxes(reader))
    kinds = [kind for kind, _, _ in found]
    if not found or kinds[0] != b"ftyp" or b"moov" in kinds[:-1]:
        return False
    return kinds[-1] == b"mdat" or (kinds[-1] == b"moov" and found[-1][2] > reader.seek(0, os.SEEK_END))


def has_index(reader: MediaReader) -> bool:
    """Return True if the file is an MP4 file with a complete index."""
    end = reader.seek(0, os.SEEK_END)
    return any(kind == b"moov" and last <= end for kind, _, last in boxes(reader))


def movie_seconds(reader: MediaReader) -> Fraction | None:
    """Return the duration in the movie header, which players show, or None if there is none.

    Demuxers derive it from dts, which end earlier if frames of a variable rate are reordered.
    """
    for kind, content, end in boxes(reader):
        if kind != b"moov":
            continue
        for inner, start, _ in boxes(reader, content, end):
            if inner == b"mvhd":
                reader.seek(start)
                header = reader.read(32)
                if header[:1] == b"\x01":
                    return Fraction(int.from_bytes(header[24:32], "big"), int.from_bytes(header[20:24], "big") or 1)
                return Fraction(int.from_bytes(header[16:20], "big"), int.from_bytes(header[12:16], "big") or 1)
    return None
