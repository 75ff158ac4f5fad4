"""Entrances: how a recording is entered in its middle without reading what lies before.

Matroska and fragmented MP4 are shown to the demuxer with a hole: their head, then one element that says to be as long
as all that is left out and to be skipped (a `Void` element, a `free` box), then the cluster or fragment at which to
begin. No byte changes its place, and the demuxer reads nothing that it has not seen this way from the start.
MPEG-TS, MPEG-PS and FLV are opened at their head, and the demuxer is sent to a byte.
"""

from __future__ import annotations

from dataclasses import dataclass

_MIN_HOLE = 16


@dataclass(frozen=True)
class HeaderSplice:
    """The media begins at the byte `offset`; from `head_end` to there nothing is read."""

    head_end: int
    offset: int
    filler: bytes


def splice_at(container: str, head_end: int, offset: int) -> HeaderSplice | None:
    """The way into a container (FFmpeg's first name for it) at a byte; None where it is not entered like this."""
    hole = offset - head_end
    if hole < _MIN_HOLE:
        return None
    if container == "mov":
        return HeaderSplice(head_end, offset, b"\0\0\0\1free" + hole.to_bytes(8, "big"))
    if container == "matroska":
        return HeaderSplice(head_end, offset, b"\xec\1" + (hole - 9).to_bytes(7, "big"))
    return None
