"""Metadata and tags of clips and recordings: flat maps of strings, and words, that clients attach."""

from __future__ import annotations

from collections.abc import Mapping

from clipengine.errors import InvalidRequest

MAX_METADATA = 100  # keys
MAX_TAGS = 20
MAX_TAG_CHARACTERS = 50


def merged(metadata: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    """Return the metadata after a JSON merge patch (RFC 7396): None removes a key.

    Raises InvalidRequest if it has more than MAX_METADATA keys then.
    """
    result = {key: value for key, value in {**metadata, **patch}.items() if value is not None}
    if len(result) > MAX_METADATA:
        raise InvalidRequest(
            f"metadata would have {len(result)} keys, at most {MAX_METADATA} are allowed",
            errors=[{"detail": f"would have {len(result)} keys", "pointer": "/metadata"}],
            hint="Remove keys: set them to null.",
        )
    return result
