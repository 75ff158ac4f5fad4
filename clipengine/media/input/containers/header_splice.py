"""Header splices: start demuxing in the middle of a recording without reading the part before.

For Matroska and fragmented MP4 the demuxer sees the header, then a single filler element (`Void`, or a `free` box) as
long as the skipped part, then the cluster or fragment to start at. All byte offsets stay the same. MPEG-TS, MPEG-PS
and FLV need no splice: their demuxers can seek to a byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from clipengine.recordings.pieces import MIN_DISTANCE


@dataclass(frozen=True)
class HeaderSplice:
    """Replaces the bytes from `head_end` to `offset` with `filler`."""

    head_end: int
    offset: int
    filler: bytes


def splice_at(container: str, head_end: int, offset: int) -> HeaderSplice | None:
    """Return the splice that starts at a byte offset, or None if the container (FFmpeg's first name) needs none."""
    hole = offset - head_end
    if hole < MIN_DISTANCE:
        return None
    if container == "mov":
        return HeaderSplice(head_end, offset, b"\0\0\0\1free" + hole.to_bytes(8, "big"))
    if container == "matroska":
        return HeaderSplice(head_end, offset, b"\xec\1" + (hole - 9).to_bytes(7, "big"))
    return None
