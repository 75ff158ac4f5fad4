"""Version of the FFmpeg libraries in use."""

from __future__ import annotations

import av


def ffmpeg_version() -> str:
    """Return the versions of FFmpeg and libavcodec, such as `8.1.2, libavcodec 62.28.102`."""
    codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return f"{av.ffmpeg_version_info}, libavcodec {codec}"
