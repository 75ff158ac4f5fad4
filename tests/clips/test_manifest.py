"""Manifests of clips: content, signature, and detection of changes."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from clipengine.clips.clip import Clip, ClipResult
from clipengine.clips.manifest import (
    MAX_MANIFEST_BYTES,
    MAX_PIECES,
    ReadRecording,
    check_file,
    check_manifest,
    make_manifest,
    public_key,
)
from clipengine.errors import InvalidRequest, VerificationFailed
from clipengine.recordings.pieces import ObjectRange
from clipengine.recordings.recording import Recording

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


def _clip(label: str, key: str, **options: Any) -> Clip:
    state: dict[str, Any] = {"state": "uploading", "object_key": key, "created_at": 1}
    return Clip(label, 120.0, 150.0, clip_id="clip_1", recording_id="rec_1", **state, **options)


@pytest.fixture
def manifest() -> bytes:
    recording = Recording("rec_1", "complete", "a/été.mp4", "etag", 1, 1)
    clip = _clip('Tor "1"', "a/clips/tor-clip_1.mp4", subtitles="none")
    return make_manifest(clip, [ReadRecording(recording, "cd" * 32)], ClipResult(**RESULT), ffmpeg="8.1", key=KEY)


def test_manifest_describes_source_ranges_and_file(manifest: bytes) -> None:
    content = check_manifest(manifest, trusted=public_key(KEY))
    assert content["recordings"] == [
        {"recording_id": "rec_1", "path": "a/été.mp4", "etag": "etag", "sha256": "cd" * 32}
    ]
    (part,) = content["parts"]
    assert (part["start_seconds"], part["actual_start_seconds"]) == (120.0, 119.96)
    assert (content["render"], content["made_with"]["ffmpeg"]) == ("smart", "8.1")
    assert content["subtitles"] == {"mode": "none", "language": None, "style": None}
    check_file(content, sha256="ab" * 32, size=4)


def test_manifest_lists_the_pieces_that_were_read() -> None:
    pieces = [ObjectRange("k" * 1024, "e" * 32, number, 9) for number in range(MAX_PIECES + 1)]
    recording = Recording("rec_1", "complete", "a/index.m3u8", "pieces-1", 1, 1)
    clip = _clip("a", "a/clips/a-clip_1.mp4")
    made = make_manifest(clip, [ReadRecording(recording, None, pieces)], ClipResult(**RESULT), ffmpeg="8.1", key=KEY)
    (found,) = check_manifest(made, trusted=public_key(KEY))["recordings"]
    assert len(found["pieces"]) == MAX_PIECES
    assert found["pieces"][1] == {"key": "k" * 1024, "etag": "e" * 32, "offset": 1, "length": 9}


def test_changed_clip_or_manifest_is_detected(manifest: bytes) -> None:
    trusted = public_key(KEY)
    content = check_manifest(manifest, trusted=trusted)
    for sha256, size in (("ab" * 31 + "00", 4), ("ab" * 32, 5)):
        with pytest.raises(VerificationFailed, match="SHA-256"):
            check_file(content, sha256=sha256, size=size)
    changed = json.loads(manifest)
    changed["parts"][0]["start_seconds"] = 121.0
    with pytest.raises(VerificationFailed, match="signature of the manifest is wrong"):
        check_manifest(json.dumps(changed, ensure_ascii=False).encode(), trusted=trusted)
    with pytest.raises(VerificationFailed, match="another installation"):
        check_manifest(manifest, trusted=public_key(OTHER))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b""])
def test_white_space_and_order_of_members_may_change(manifest: bytes, line_end: bytes) -> None:
    content = check_manifest(manifest, trusted=public_key(KEY))
    text = json.dumps(json.loads(manifest), sort_keys=True, ensure_ascii=False, indent=1).encode()
    assert check_manifest(text.replace(b"\n", line_end), trusted=public_key(KEY)) == content


@pytest.mark.exhaustive
def test_every_change_of_one_byte_is_detected(manifest: bytes) -> None:
    """Row 89 of the faults: a changed byte, a repeated member, another encoding, further members."""
    accepted = []
    for place in (place for place, byte in enumerate(manifest) if not chr(byte).isspace()):
        before, byte, after = manifest[:place], manifest[place], manifest[place + 1 :]
        changed = {b"", b" ", b"\\", *(bytes([byte ^ bit]) for bit in (1, 0x20, 0x80)), bytes([byte, byte])}
        for new in changed - {bytes([byte])}:
            try:
                check_manifest(before + new + after, trusted=public_key(KEY))
            except (InvalidRequest, VerificationFailed):
                continue
            accepted.append((place, new))
    assert not accepted


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(manifest: bytes) -> bytes:
        assert manifest.count(old) == 1
        return manifest.replace(old, new)

    return change


def _signed_with(**members: Any) -> Callable[[bytes], bytes]:
    """Return a change of members of `signature`, which the signature does not cover."""

    def change(manifest: bytes) -> bytes:
        content = json.loads(manifest)
        content["signature"] |= members
        return json.dumps(content, ensure_ascii=False, indent=2).encode() + b"\n"

    return change


def _with_another_scalar(manifest: bytes) -> bytes:
    """Return the manifest with S + L for S, which a lax verifier of Ed25519 accepts as well."""
    content = json.loads(manifest)
    value = base64.b64decode(content["signature"]["value"])
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(value[32:], "little") + order
    return _signed_with(value=base64.b64encode(value[:32] + scalar.to_bytes(32, "little")).decode())(manifest)


def _with_spare_bits(manifest: bytes) -> bytes:
    """Return the manifest with another last character of the base64, which decodes to the same bytes."""
    (last,) = re.findall(rb'(.)=="', manifest)
    return manifest.replace(last + b'=="', bytes([last[0] + 1]) + b'=="')


@pytest.mark.parametrize(
    "change",
    [
        _replaced(b'"version": 1', b'"version": 2, "version": 1'),
        _replaced(b'"clip_id": "clip_1"', b'"clip_id": "clip_2", "clip_id": "clip_1"'),
        _replaced(b'"algorithm"', b'"algorithm": "none", "algorithm"'),
        _replaced(b'"signature": {', b'"signature": 1, "signature": {'),
        _signed_with(public_key=public_key(OTHER)),
        _signed_with(public_key=public_key(KEY).upper()),
        _signed_with(public_key=None),
        _signed_with(note="approved"),
        _with_another_scalar,
        _with_spare_bits,
        lambda manifest: manifest.decode().encode("utf-16"),
        lambda manifest: manifest.decode().encode("utf-16-le"),
        lambda manifest: manifest.decode().encode("utf-32"),
        lambda manifest: manifest.decode().encode("utf-8-sig"),
        lambda manifest: json.dumps(json.loads(manifest)).encode(),
        _replaced(b'"offset_seconds": 0.0', b'"offset_seconds": 0.00'),
        _replaced(b'"offset_seconds": 0.0', b'"offset_seconds": 0e0'),
        _replaced(b'"version": 1', b'"version": 1.0'),
        _replaced(b'"path": "a/clips', b'"path": "a\\/clips'),
        lambda manifest: manifest + b"{}",
        lambda manifest: manifest + b"\0",
    ],
    ids=[
        "repeated member",
        "repeated inner member",
        "repeated member of the signature",
        "repeated signature",
        "another public key",
        "public key in capitals",
        "no public key",
        "further member",
        "another scalar",
        "spare bits",
        "UTF-16",
        "UTF-16 without BOM",
        "UTF-32",
        "BOM",
        "escaped letters",
        "longer number",
        "exponent",
        "float for an integer",
        "escaped slash",
        "second value",
        "NUL",
    ],
)
def test_manifest_in_another_form_is_rejected(manifest: bytes, change: Callable[[bytes], bytes]) -> None:
    """Row 89 of the faults."""
    changed = change(manifest)
    assert changed != manifest
    with pytest.raises((InvalidRequest, VerificationFailed)):
        check_manifest(changed, trusted=public_key(KEY))


def test_deeply_nested_member_is_rejected(manifest: bytes) -> None:
    for depth in (*range(100, sys.getrecursionlimit() + 100, 50), 100_000):
        nested = _replaced(b'"version": 1', b'"version": ' + b"[" * depth + b"]" * depth)(manifest)
        with pytest.raises((InvalidRequest, VerificationFailed)):
            check_manifest(nested, trusted=public_key(KEY))


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
