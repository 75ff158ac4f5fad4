"""What a key may be, checked in this one place for every store, before any store sees it."""

from __future__ import annotations

import re
import unicodedata

from clipengine.errors import InvalidBucketPath

# The folder store keeps its own files under this name, so that no store lets an object have it.
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")  # how an address begins, with its scheme; no key does
RESERVED = ".clipengine"
MAX_KEY_BYTES = 1024


def check_key(key: str) -> str:
    """The key as it is. Raises InvalidBucketPath, with what is wrong, for a key that no store takes.

    Refused are keys that could leave the prefix (absolute, `.` and `..` parts), that two spellings would share
    (empty parts), and that break a header or a log (control characters, lone surrogates).
    """
    if not key.strip():
        raise InvalidBucketPath("bucket_path is empty")
    _check_characters(key)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidBucketPath(f"bucket_path has {len(key.encode())} bytes, at most {MAX_KEY_BYTES} are allowed")
    parts = key.split("/")
    if not parts[0]:
        raise InvalidBucketPath("bucket_path begins with '/': give it relative to the configured prefix")
    if ADDRESS.match(key):
        raise InvalidBucketPath("bucket_path is an address: give the key alone, without s3:// and the bucket's name")
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidBucketPath("bucket_path has an empty, '.' or '..' part")
    if parts[0] == RESERVED:
        raise InvalidBucketPath(f"bucket_path begins with {RESERVED!r}, which is reserved")
    return key


def check_list_prefix(prefix: str) -> str:
    """The beginning of keys to list, as it is: its folders must be such as a key has, its last part may be any text."""
    folder, slash, name = prefix.rpartition("/")
    if slash:
        check_key(folder)
    _check_characters(name)
    return prefix


def clean_prefix(prefix: str) -> str:
    """A store's configured prefix as "" or `folder/`, whatever slashes the operator put around it."""
    folder = prefix.strip("/")
    return check_key(folder) + "/" if folder else ""


def is_key(key: str) -> bool:
    """Whether an object that others made can be named at all; folder markers (`a/`) cannot."""
    try:
        check_key(key)
    except InvalidBucketPath:
        return False
    return True


def _check_characters(text: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidBucketPath("bucket_path contains control characters")
