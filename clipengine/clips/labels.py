"""Labels of clips and ranges. Pure."""

from __future__ import annotations

import re
import unicodedata

from clipengine.errors import InvalidLabel

MAX_LABEL_CHARACTERS = 200
_SURROGATE = re.compile("[\ud800-\udfff]")


def lone_surrogate(text: str) -> str | None:
    """Return the description of a lone surrogate in the text, for an error message, or None."""
    half = _SURROGATE.search(text)
    if half is None:
        return None
    return f"\\u{ord(half[0]):04x} in it, one half of a surrogate pair, which is not a character"


def check_label(label: str) -> str:
    """Return the label unchanged. Raises InvalidLabel: empty, too long, control characters or lone surrogates."""
    if not label.strip():
        raise InvalidLabel("label is empty")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise InvalidLabel(f"label has {len(label)} characters, at most {MAX_LABEL_CHARACTERS} are allowed")
    for character in label:
        if half := lone_surrogate(character):
            raise InvalidLabel(f"label has {half}")
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            raise InvalidLabel("label contains control characters")
    return label
