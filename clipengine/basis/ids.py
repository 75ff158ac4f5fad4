"""Identifiers: TypeIDs (https://github.com/jetify-com/typeid, v0.3), lower-case and sortable by creation time.

Ids in requests are treated as opaque strings.
"""

from __future__ import annotations

from typing import Literal

from typeid import TypeID

Prefix = Literal[
    "rec", "clip", "evt", "whk", "dlv", "key", "inst", "store", "shr", "trn", "rul", "bat", "upl", "user", "ses", "aud"
]


def new_id(prefix: Prefix) -> str:
    """Return a new id such as `clip_01j9xz…` (prefix, underscore, 26 characters)."""
    return str(TypeID(prefix=prefix))
