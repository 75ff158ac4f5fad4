"""Text that is safe for terminals and for lines of a log."""

from __future__ import annotations

import unicodedata


def one_line(text: str) -> str:
    """Replace control characters, which could move the cursor of the terminal, by spaces."""
    if text.isprintable():
        return text
    return "".join(" " if unicodedata.category(each) in {"Cc", "Zl", "Zp"} else each for each in text)
