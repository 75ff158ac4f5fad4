"""Names of objects that are made from labels and from names of recordings."""

from __future__ import annotations

import re
import unicodedata

_SLUG_CHARACTERS = 60


def slug(label: str) -> str:
    """Return the label as a safe, non-empty part of a key: letters and digits of any script, `-` and `_`.

    Compatibility forms are normalised first (NFKC), so that look-alikes of `/` and `.` cannot become separators later.
    """
    text = unicodedata.normalize("NFKC", label).lower()
    safe = "".join(c if c == "_" or unicodedata.category(c)[0] in "LMN" else "-" for c in text)
    short = re.sub(r"-{2,}", "-", safe)[:_SLUG_CHARACTERS].strip("-_")
    while len(short.encode()) > 3 * _SLUG_CHARACTERS:  # keys are limited in bytes, not in characters
        short = short[:-1]
    return short or "clip"
