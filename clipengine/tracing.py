"""Trace context of a clip (W3C Trace Context): from the request that creates it to its webhooks."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Version 00, in lower case, with a trace id and a parent id that are not zero: exactly 55 characters.
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def parse_traceparent(values: Sequence[str]) -> str | None:
    """Return the only value of the header `traceparent`, or None if it is missing, repeated or invalid.

    An invalid value is ignored and never an error, as the specification demands.
    """
    if len(values) != 1 or not _TRACEPARENT.fullmatch(values[0]):
        return None
    return values[0]
