"""Speeds of encoders for the names of x264's presets."""

from __future__ import annotations

# SVT-AV1 presets (0 slow to 13 fast). From 10 on, blocks of the previous frame remain after a scene cut; 9 takes a
# sixth longer than 10.
AV1_PRESETS = {
    "ultrafast": 12, "superfast": 10, "veryfast": 9, "faster": 8, "fast": 7, "medium": 6, "slow": 5, "slower": 4,
    "veryslow": 3, "placebo": 2,
}  # fmt: skip
# `cpu-used` of libvpx.
VPX_SPEEDS = {
    "ultrafast": 8, "superfast": 8, "veryfast": 7, "faster": 6, "fast": 5, "medium": 4, "slow": 2, "slower": 1,
    "veryslow": 0, "placebo": 0,
}  # fmt: skip
# `compression_level` of libwebp.
WEBP_METHODS = {
    "ultrafast": "0", "superfast": "1", "veryfast": "2", "faster": "3", "fast": "4", "medium": "4", "slow": "5",
    "slower": "6", "veryslow": "6", "placebo": "6",
}  # fmt: skip
