"""Validation of object keys, the same for every store."""

from __future__ import annotations

import re
import unicodedata

from clipengine.errors import InvalidBucketPath

URL_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
RESERVED = ".clipengine"  # the stores keep their own files and objects under this name
PARTIAL = "uploads"  # below it: objects that are stored in steps
MAX_KEY_BYTES = 1024
INVALID_KEY = f"its name has control characters or '.' parts, is not UTF-8, or has more than {MAX_KEY_BYTES} bytes"


def check_key(key: str) -> str:
    """Return the key if every store accepts it. Raises InvalidBucketPath.

    Rejects keys that could leave the prefix (absolute, `.` and `..` parts), that have two spellings (empty parts), or
    that break a header or a log line (control characters, lone surrogates).
    """
    if not key.strip():
        raise InvalidBucketPath("bucket_path is empty")
    _check_characters(key)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidBucketPath(f"bucket_path has {len(key.encode())} bytes; at most {MAX_KEY_BYTES} are allowed")
    parts = key.split("/")
    if not parts[0]:
        raise InvalidBucketPath("bucket_path must be relative to the configured prefix, without a leading '/'")
    if URL_SCHEME.match(key):
        raise InvalidBucketPath("bucket_path is a URL: give only the key, without s3:// and the bucket's name")
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidBucketPath("bucket_path has an empty, '.' or '..' part")
    if parts[0] == RESERVED:
        raise InvalidBucketPath(f"bucket_path begins with {RESERVED!r}, which is reserved")
    return key


def check_list_prefix(prefix: str) -> str:
    """Return the prefix if its folders form a valid key; its last part may be any printable text."""
    folder, slash, name = prefix.rpartition("/")
    if slash:
        check_key(folder)
    _check_characters(name)
    return prefix


def clean_prefix(prefix: str) -> str:
    """Return a configured prefix as "" or `folder/`, without surrounding slashes."""
    folder = prefix.strip("/")
    return check_key(folder) + "/" if folder else ""


def is_key(key: str) -> bool:
    """Return True if the key is valid. Objects of other programs may not be, such as folder markers (`a/`)."""
    try:
        check_key(key)
    except InvalidBucketPath:
        return False
    return True


def _check_characters(text: str) -> None:
    if text.isascii() and text.isprintable():  # nearly all of a list of thousands
        return
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidBucketPath("bucket_path contains control characters")
