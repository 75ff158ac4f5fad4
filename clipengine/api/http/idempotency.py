"""Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a POST that is sent twice takes effect once.

A key is scoped to one API key, method and path. Two requests are the same if their validated bodies are equal, so a
default that is written out makes no difference. The work and the stored response are one transaction of the ledger.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

from starlette.responses import Response

from clipengine.api.http.operation import Call, json_response
from clipengine.api.http.requests import B, Q
from clipengine.errors import InvalidRequest
from clipengine.ledger.idempotency import Answer

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}\Z")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"\Z')


def idempotency_key(header: str | None) -> str | None:
    """Return the key, or None without a header. `"abc"` (a string of RFC 9651) and `abc` are the same key."""
    if header is None:
        return None
    text = header.strip(" \t")
    if quoted := _QUOTED.match(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    if not _VISIBLE.match(text):
        detail = "must be 1 to 255 visible ASCII characters"
        raise InvalidRequest(f"Idempotency-Key {detail}", errors=[{"detail": detail, "header": "Idempotency-Key"}])
    return text


def once(call: Call[Q, B], work: Callable[[], Answer], then: Callable[[], None]) -> Response:
    """Return the response of `work`, or the stored response of the same request, marked `Idempotent-Replayed`.

    `work` runs in one transaction and does no I/O except on the ledger; its errors are not stored. `then` is called
    after the commit, but not for a replay: a repeated cancel must not kill the next attempt of the clip.
    """
    request = call.request
    canonical = json.dumps(call.body.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    answer, replayed = call.ledger.idempotency.once(
        idempotency_key(request.headers.get("idempotency-key")),
        scope=f"{call.key.key_id} {request.method} {request.scope['path']}",
        fingerprint=hashlib.sha256(canonical.encode()).hexdigest(),
        work=work,
    )
    if replayed:
        return json_response(answer.body, answer.status, {**answer.headers, "Idempotent-Replayed": "true"})
    then()
    return json_response(answer.body, answer.status, answer.headers)
