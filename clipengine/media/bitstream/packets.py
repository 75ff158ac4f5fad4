"""Copied packets."""

from __future__ import annotations

from typing import NamedTuple


class CopiedPacket(NamedTuple):
    """A packet for a file, and the checksum that it must have there.

    The checksum is computed from the packet as it was read from the recording. NAL units that are not written are left
    out, and rewritten ones are replaced: the slices of a renumbered IDR frame, and of the first copied keyframe of HEVC
    if its leading pictures are dropped.

    `keyframe_id` is None if the packet does not start a GOP. Adjacent keyframes of H.264 have different ids.
    `follows_gap` is True if the packet says that frames before it are missing.
    """

    data: bytes
    checksum: int
    keyframe_id: int | None
    follows_gap: bool = False
