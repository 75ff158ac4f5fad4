"""Names and groups of users, as a proxy or a provider states them: limits, and hidden characters."""

from __future__ import annotations

import unicodedata

MAX_NAME = 200  # characters
MAX_GROUP = 200  # characters
MAX_GROUPS = 1000  # of a user
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # categories of control and format characters, surrogates, and separators


def has_hidden(text: str) -> bool:
    """Return True if a text has characters that do not show: names that look the same could differ."""
    return any(unicodedata.category(character) in _HIDDEN for character in text)
