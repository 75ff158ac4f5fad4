"""Who calls, and what they may do: Bearer keys of the ledger, one scope for each operation.

A key that is missing, malformed, unknown or revoked gets the same 401, so that nothing can be learned from it.
"""

from __future__ import annotations

import re
from typing import Literal

from clipengine.errors import Forbidden, Unauthorized
from clipengine.ledger.keys import ApiKey, Keys

Scope = Literal["read", "write", "admin"]

_BEARER = re.compile(r"bearer +([\x21-\x7e]{1,300}) *\Z", re.IGNORECASE)


def bearer(header: str | None) -> str:
    """The key in an Authorization header. Raises Unauthorized."""
    match = _BEARER.match(header or "")
    if match is None:
        raise Unauthorized
    return match[1]


def authorize(keys: Keys, header: str | None, scope: Scope) -> ApiKey:
    """The key that calls. Raises Unauthorized, or Forbidden where the key lacks the scope."""
    key = keys.verify(bearer(header))
    if key is None:
        raise Unauthorized
    if scope not in key.scopes:
        raise Forbidden(f"This key does not have the scope `{scope}`")
    return key
