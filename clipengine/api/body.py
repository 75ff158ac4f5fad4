"""A request's JSON body: read within limits, parsed strictly.

Starlette reads a body of any size and Python's parser takes what JSON forbids. Here a body has a size cap and a
deadline, a depth limit that holds before parsing, valid UTF-8 and no key twice. NaN and Infinity parse to floats, so
that the field they stand in can refuse them by its name.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import Request

from clipengine.clips.request import half_character
from clipengine.errors import InvalidRequest, MalformedRequest, PayloadTooLarge, UnsupportedContentType

MAX_DEPTH = 32
READ_SECONDS = 30

# A whole string or one bracket. Possessive, and a string may lack its end: so the scan is linear on any input.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{}]', re.DOTALL)
_JSON_TYPE = re.compile(r"application/json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?\Z", re.IGNORECASE)


async def read_body(request: Request, *, limit: int) -> bytes:
    """The whole body. Raises PayloadTooLarge, UnsupportedContentType, and MalformedRequest when it comes too slowly."""
    content_type = request.headers.get("content-type")
    if content_type is None or not _JSON_TYPE.match(content_type.strip()):
        raise UnsupportedContentType(f"Content-Type is {content_type or 'missing'}")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedContentType(
            "Content-Encoding is not supported", hint="Send the body as it is, not compressed."
        )
    too_large = PayloadTooLarge(f"The body is larger than {limit} bytes", hint=f"Send at most {limit} bytes.")
    if declared_length(request) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise MalformedRequest(f"The body was not complete after {READ_SECONDS} seconds") from None
    return bytes(body)


def declared_length(request: Request) -> int:
    """Content-Length, 0 where it is absent."""
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def parse_json(body: bytes) -> Any:
    """The value that `body` is. Raises MalformedRequest with the reason."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} is wrong") from None
    _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise MalformedRequest("The body has a number with too many digits") from None


def _check_depth(text: str) -> None:
    depth = 0
    for match in _TOKENS.finditer(text):
        token = match[0]
        if token in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise MalformedRequest(f"The body is nested deeper than {MAX_DEPTH} levels")
        elif token in ("]", "}"):
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if half := half_character(name):
            raise InvalidRequest(f"The body has a key with {half}")
        if name in found:
            raise MalformedRequest(f"The body has the key {name[:100]!r} twice")
        found[name] = value
    return found
