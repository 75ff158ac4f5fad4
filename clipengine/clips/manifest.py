"""Signed manifests of clips: where a clip comes from and how it was made.

A manifest is a JSON object. `signature` has an Ed25519 signature over the canonical JSON of all other members: sorted
keys, no spaces, UTF-8. Anyone who has the public key of the installation can check it, without its secrets.

Every byte of a manifest counts, except white space between tokens and the order of members: if JSON can write a value
in several ways (escapes, numbers, repeated members, encodings), it is accepted only as `make_manifest` writes it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

import clipengine
from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip, ClipResult, ResultPart
from clipengine.errors import InvalidRequest, VerificationFailed
from clipengine.recordings.pieces import ObjectRange
from clipengine.recordings.recording import Recording

MAX_MANIFEST_BYTES = 8 << 20
MAX_PIECES = 5000  # of a recording; more than a clip of one range can use
_ALGORITHM = "Ed25519"
_STRING_OR_SPACE = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"?+)|[ \t\n\r]+')
_HINT = "The file was changed, damaged, or belongs to another clip: get clip and manifest from the store again."


class ReadRecording(NamedTuple):
    """A recording of a clip, its SHA-256 if that is known, and the pieces that were read if it has several."""

    recording: Recording
    sha256: str | None = None
    pieces: Sequence[ObjectRange] = ()

    def to_object(self) -> dict[str, Any]:
        recording = self.recording
        found = {"recording_id": recording.recording_id, "path": recording.bucket_path, "etag": recording.etag}
        if not self.pieces:
            return {**found, "sha256": self.sha256}
        return {**found, "sha256": self.sha256, "pieces": [each._asdict() for each in self.pieces[:MAX_PIECES]]}


def make_manifest(
    clip: Clip, recordings: Sequence[ReadRecording], result: ClipResult, *, ffmpeg: str, key: bytes
) -> bytes:
    """Return the signed manifest of a finished clip.

    `recordings` are the recordings of its parts. `key` is the seed of the installation's key, 32 bytes.
    """
    whole = ResultPart(
        recording_id=clip.recording_id,
        start_seconds=clip.start_seconds,
        end_seconds=clip.end_seconds,
        offset_seconds=0.0,
        actual_start_seconds=result.actual_start_seconds,
        actual_end_seconds=result.actual_end_seconds,
    )
    content = {
        "version": 1,
        "clip": {
            "clip_id": clip.clip_id,
            "label": clip.label,
            "path": clip.object_key,
            "size_bytes": result.size_bytes,
            "sha256": result.sha256,
            "duration_seconds": result.duration_seconds,
        },
        "recordings": [each.to_object() for each in recordings],
        "parts": [vars(part) for part in result.parts or [whole]],
        "profile": clip.profile,
        "render": result.render,
        "output": clip.output and clip.output.to_object(),
        "snap": clip.snap and clip.snap.model_dump(),
        "without": [*clip.without.kinds],
        "keep_ranges": [each.model_dump() for each in clip.without.keep],
        "subtitles": clip.subtitles_object(),
        "made_at": rfc3339(now_ms()),
        "made_with": {"clipengine": clipengine.__version__, "ffmpeg": ffmpeg},
    }
    secret = _secret_key(key)
    value = eddsa.new(secret, "rfc8032").sign(_canonical(content))
    signed = content | {"signature": _signature(public_key(key), value)}
    return json.dumps(signed, ensure_ascii=False, indent=2).encode() + b"\n"


def public_key(key: bytes) -> str:
    """Return the public key, in hexadecimal digits, that belongs to the seed `key`."""
    return _secret_key(key).public_key().export_key(format="raw").hex()


def check_manifest(text: bytes, *, trusted: str) -> dict[str, Any]:
    """Return the content of a manifest that was signed with the trusted public key.

    Raises InvalidRequest if it is not a manifest or `trusted` is not a key, and VerificationFailed if the signature is
    wrong or by another key.
    """
    content = _parsed(text)
    signature = content.pop("signature", None)
    if not isinstance(signature, dict) or signature.get("algorithm") != _ALGORITHM:
        raise InvalidRequest("the manifest has no Ed25519 signature", hint="Give the manifest that the engine stored.")
    try:
        key = bytes.fromhex(trusted)
        verifier = eddsa.new(eddsa.import_public_key(key), "rfc8032")
    except ValueError:
        raise InvalidRequest(
            "the key is not a public Ed25519 key", hint="`clipengine verify --public-key` prints it: 64 hex digits."
        ) from None
    if signature.get("public_key") != key.hex():
        raise VerificationFailed("the manifest was signed by another installation", hint=_HINT)
    try:
        value = base64.b64decode(str(signature.get("value")), validate=True)
        verifier.verify(_canonical(content), value)
    except (ValueError, binascii.Error):
        raise VerificationFailed("the signature of the manifest is wrong", hint=_HINT) from None
    if signature != _signature(key.hex(), value):
        raise VerificationFailed("the signature of the manifest was changed", hint=_HINT)
    return content


def check_file(content: Mapping[str, Any], *, sha256: str, size: int) -> None:
    """Raise VerificationFailed unless a file of this hash and size is the clip of the manifest."""
    clip = content.get("clip")
    expected = (clip.get("sha256"), clip.get("size_bytes")) if isinstance(clip, dict) else (None, None)
    if expected != (sha256, size):
        said = f"the file has {size} bytes and the SHA-256 {sha256}, the manifest says {expected[1]} and {expected[0]}"
        raise VerificationFailed(said, hint=_HINT)


def _parsed(text: bytes) -> dict[str, Any]:
    if len(text) > MAX_MANIFEST_BYTES:
        raise InvalidRequest(f"the manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        decoded = text.decode()
        content = json.loads(decoded)
        written = _compact(content)
    except (ValueError, RecursionError):
        content, written = None, ""
    if not isinstance(content, dict):
        raise InvalidRequest("the manifest is not a JSON object", hint="Give the manifest that the engine stored.")
    if _STRING_OR_SPACE.sub(r"\1", decoded) != written:
        raise VerificationFailed("the manifest is not written as the engine writes it", hint=_HINT)
    return content


def _signature(public_key: str, value: bytes) -> dict[str, str]:
    return {"algorithm": _ALGORITHM, "public_key": public_key, "value": base64.b64encode(value).decode()}


def _canonical(content: Mapping[str, Any]) -> bytes:
    return _compact(content, sort_keys=True).encode()


def _compact(content: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(content, ensure_ascii=False, sort_keys=sort_keys, separators=(",", ":"))


def _secret_key(key: bytes) -> ECC.EccKey:
    return ECC.construct(curve=_ALGORITHM, seed=key)
