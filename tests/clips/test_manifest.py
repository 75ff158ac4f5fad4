"""Manifests of clips: content, signature, and detection of changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clipengine.clips.clip import Clip, ClipResult, Recording
from clipengine.clips.manifest import MAX_MANIFEST_BYTES, check_file, check_manifest, make_manifest, public_key
from clipengine.errors import InvalidRequest, VerificationFailed

KEY, OTHER = bytes(range(32)), bytes(32)
RESULT: dict[str, Any] = {
    "actual_start_seconds": 119.96,
    "actual_end_seconds": 150.0,
    "duration_seconds": 30.04,
    "frames": 900,
    "width": 1920,
    "height": 1080,
    "video_codec": "h264",
    "audio_codec": "aac",
    "size_bytes": 4,
    "sha256": "ab" * 32,
    "poster_path": None,
    "encode_seconds": 3.5,
    "bytes_read": 9,
    "render": "smart",
    "copied_seconds": 28.0,
    "encoded_seconds": 2.04,
    "warnings": [],
}


@pytest.fixture
def manifest() -> bytes:
    recording = Recording("rec_1", "complete", "a/été.mp4", "etag", 1, 1)
    clip = Clip("clip_1", "rec_1", 'Tor "1"', 120.0, 150.0, "uploading", "a/clips/tor-clip_1.mp4", 1, subtitles="none")
    return make_manifest(clip, [(recording, "cd" * 32)], ClipResult(**RESULT), ffmpeg="8.1", key=KEY)


def test_manifest_describes_source_ranges_and_file(manifest: bytes) -> None:
    content = check_manifest(manifest, trusted=public_key(KEY))
    assert content["recordings"] == [
        {"recording_id": "rec_1", "path": "a/été.mp4", "etag": "etag", "sha256": "cd" * 32}
    ]
    (part,) = content["parts"]
    assert (part["start_seconds"], part["actual_start_seconds"]) == (120.0, 119.96)
    assert (content["render"], content["made_with"]["ffmpeg"]) == ("smart", "8.1")
    assert content["subtitles"] == {"mode": "none", "language": None}
    check_file(content, sha256="ab" * 32, size=4)


def test_changed_clip_or_manifest_is_detected(manifest: bytes) -> None:
    trusted = public_key(KEY)
    content = check_manifest(manifest, trusted=trusted)
    for sha256, size in (("ab" * 31 + "00", 4), ("ab" * 32, 5)):
        with pytest.raises(VerificationFailed, match="SHA-256"):
            check_file(content, sha256=sha256, size=size)
    changed = json.loads(manifest)
    changed["parts"][0]["start_seconds"] = 121.0
    with pytest.raises(VerificationFailed, match="signature of the manifest is wrong"):
        check_manifest(json.dumps(changed).encode(), trusted=trusted)
    with pytest.raises(VerificationFailed, match="another installation"):
        check_manifest(manifest, trusted=public_key(OTHER))
    reordered = json.dumps(json.loads(manifest), sort_keys=True).encode()
    assert check_manifest(reordered, trusted=trusted) == content


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"\xff", b"{}", b'{"signature": 1}', b"[" * 100_000, b" " * (MAX_MANIFEST_BYTES + 1)],
    ids=["empty", "list", "no text", "unsigned", "number", "deep", "large"],
)
def test_file_that_is_no_manifest_is_rejected(text: bytes) -> None:
    with pytest.raises(InvalidRequest):
        check_manifest(text, trusted=public_key(KEY))


def test_invalid_key_is_rejected(manifest: bytes) -> None:
    for key in ("", "xyz", "00"):
        with pytest.raises(InvalidRequest, match="not a public"):
            check_manifest(manifest, trusted=key)
