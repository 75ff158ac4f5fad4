"""JSON request bodies: read within limits and parsed strictly.

Starlette reads a body of any size, and Python's parser accepts more than JSON allows and builds every value before it
can be rejected. Here a body has a size limit and a deadline; depth, members per object and array, and the number of
tokens are checked before parsing; it must be UTF-8 without duplicate keys. NaN and Infinity parse to floats, so that
the error can name their field.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import Request

from clipengine.clips.request import lone_surrogate
from clipengine.errors import InvalidRequest, MalformedRequest, PayloadTooLarge, UnsupportedContentType

MAX_DEPTH = 32
MAX_MEMBERS = 200  # of one object or array; the largest valid one is a `metadata` of 100 keys
MAX_TOKENS = 20_000  # strings, brackets and commas
READ_SECONDS = 30

# A whole string, a bracket or a comma. Possessive, and a string may lack its end: the scan is linear on any input.
_TOKENS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|[\[\]{},]', re.DOTALL)
_JSON_TYPE = re.compile(r"application/json\s*(?:;\s*charset\s*=\s*\"?utf-8\"?\s*)?\Z", re.IGNORECASE)


async def read_body(request: Request, *, limit: int) -> bytearray:
    """Return the whole body.

    Raise UnsupportedContentType, PayloadTooLarge if it has more than `limit` bytes, and MalformedRequest if it is not
    complete after READ_SECONDS.
    """
    content_type = request.headers.get("content-type")
    if content_type is None or not _JSON_TYPE.match(content_type.strip()):
        raise UnsupportedContentType(f"Content-Type is {(content_type or 'missing')[:100]}")
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
    return body


def declared_length(request: Request) -> int:
    """Return Content-Length, or 0 if it is missing or not a number."""
    text = request.headers.get("content-length", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def parse_json(body: bytes | bytearray) -> Any:
    """Return the value of a JSON text. Raise MalformedRequest with the reason if it is invalid or exceeds a limit."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"The body is not UTF-8: byte {error.start} is wrong") from None
    _check_limits(text)
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except ValueError:  # Python's own limit on the digits of an integer
        raise MalformedRequest("The body has a number with too many digits") from None


def _check_limits(text: str) -> None:
    """Raise MalformedRequest as soon as the text is deeper, wider or longer than allowed."""
    commas: list[int] = []  # of each object or array that is open
    for count, match in enumerate(_TOKENS.finditer(text)):
        if count == MAX_TOKENS:
            raise MalformedRequest(f"The body has more than {MAX_TOKENS} strings, brackets and commas")
        token = text[match.start()]
        if token in "[{":
            commas.append(0)
            if len(commas) > MAX_DEPTH:
                raise MalformedRequest(f"The body is nested deeper than {MAX_DEPTH} levels")
        elif token in "]}" and commas:
            commas.pop()
        elif token == "," and commas:
            commas[-1] += 1
            if commas[-1] == MAX_MEMBERS:
                raise MalformedRequest(f"An object or array of the body has more than {MAX_MEMBERS} members")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Raise InvalidRequest or MalformedRequest if a key is not text or is there twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if half := lone_surrogate(name):
            raise InvalidRequest(f"The body has a key with {half}")
        if name in found:
            raise MalformedRequest(f"The body has the key {name[:100]!r} twice")
        found[name] = value
    return found
