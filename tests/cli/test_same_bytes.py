"""The same clip has the same bytes whenever it is made, so that manifests and retries agree."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.support.server import run_command

_PROFILES = """
[profiles.hevc]
video = "hevc"
[profiles.av1]
video = "av1"
[profiles.vp8]
container = "webm"
video = "vp8"
audio = "opus"
[profiles.vp9]
container = "webm"
video = "vp9"
audio = "opus"
[profiles.mkv]
container = "mkv"
[profiles.m4a]
container = "m4a"
video = "none"
[profiles.mp3]
container = "mp3"
video = "none"
audio = "mp3"
"""
_RANGE = ["--start", "1.3", "--end", "3.1"]
_KINDS = {
    "mp4": ("mp4", _RANGE),
    "smart": ("mp4", [*_RANGE, "--render", "smart"]),
    "parts": ("mp4", ["--part", "0.5-1.2", "--part", "2-3.1", "--fade", "0.2"]),
    "reframed": (
        "mp4",
        [*_RANGE, "--aspect", "9:16", "--fit", "blur", "--max-height", "180", "--blur", "0,0,0.3,0.3,0.4"],
    ),
    "sound": ("mp4", [*_RANGE, "--loudness", "-16", "--mute", "0.2,0.5", "--speed", "1.5"]),
    "rate": ("mp4", [*_RANGE, "--fps", "30"]),
    "small": ("mp4", [*_RANGE, "--max-bytes", "60000"]),
    "gif": ("gif", _RANGE),
    "webp": ("webp", _RANGE),
    **{name: ("mp4", [*_RANGE, "--profile", name]) for name in ("hevc", "av1")},
    **{name: ("webm", [*_RANGE, "--profile", name]) for name in ("vp8", "vp9")},
    **{name: (name, [*_RANGE, "--profile", name]) for name in ("mkv", "m4a", "mp3")},
}


@pytest.mark.parametrize(
    "kind", [kind if kind == "reframed" else pytest.param(kind, marks=pytest.mark.exhaustive) for kind in _KINDS]
)
def test_clip_has_the_same_bytes_each_time(kind: str, film: Path, tmp_path: Path) -> None:
    settings = tmp_path / "clipengine.toml"
    settings.write_text(_PROFILES)
    extension, options = _KINDS[kind]
    digests = set()
    for number in range(2):
        clip = tmp_path / f"clip{number}.{extension}"
        done = run_command("cut", str(film), str(clip), *options, "--config", str(settings), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        digests.add(hashlib.sha256(clip.read_bytes()).hexdigest())
    assert len(digests) == 1
