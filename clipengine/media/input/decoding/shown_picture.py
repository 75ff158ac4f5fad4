"""Checksums of pictures, to compare the frames of two decoders."""

from __future__ import annotations

import zlib

import av


def shown_picture(frame: av.VideoFrame, width: int | None = None, height: int | None = None) -> int:
    """Return a checksum of the format, size and samples of a frame, or of its upper left part of this size."""
    width, height = width or frame.width, height or frame.height
    format = av.VideoFormat(frame.format.name, width, height)
    checksum = zlib.crc32(f"{format.name} {width}x{height}".encode())
    for plane, component in zip(frame.planes, format.components, strict=False):
        line, shown = plane.line_size, component.width * ((component.bits + 7) // 8)
        data, end = memoryview(plane), component.height * line
        if line == shown:
            checksum = zlib.crc32(data[:end], checksum)
            continue
        for start in range(0, end, line):
            checksum = zlib.crc32(data[start : start + shown], checksum)
    return checksum
