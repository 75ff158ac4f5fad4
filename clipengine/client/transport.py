"""One request to the server: key, deadline, retries, and errors as values of `clipengine.client.errors`.

A request that creates carries an Idempotency-Key, so that it can be sent again when the connection broke and no one
knows whether it arrived. Only GET and such requests are sent again; nothing else is, and no answer ever is.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from clipengine.client.errors import ApiError, ServerUnreachable
from clipengine.client.models import Object

_RETRY_PAUSES = (0.2, 0.6)  # seconds before the second and the third try
# A proxy of the environment is for other machines: it could not reach this one's loopback.
_DIRECT = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}


class Transport:
    """Not for users: `Client` hands it to its parts."""

    def __init__(self, url: str, api_key: str, *, timeout: float) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        headers = {"Accept": "application/json", "User-Agent": "clipengine-client/1"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, mounts=_DIRECT)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise ServerUnreachable(self.url, str(error)) from None

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Object:
        return self._json(self._send("GET", path, params=_given(params), timeout=timeout or self.timeout))

    def create(self, path: str, body: Object | None = None, *, idempotency_key: str | None = None) -> Object:
        """POST what makes something, with an Idempotency-Key: the caller's, or a new one."""
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._json(self._send("POST", path, json=body, headers=headers))

    def call(self, method: str, path: str, **options: Any) -> Object:
        """Any other request, sent once."""
        return self._json(self._send(method, path, **options))

    @contextmanager
    def stream(self, path: str) -> Iterator[httpx.Response]:
        """GET a body in pieces; a redirect to the store's own link is followed, without the key."""
        try:
            # As it is stored: a body that was compressed on the way would not have the length that it says.
            headers = {"Accept-Encoding": "identity"}
            with self._http.stream("GET", path, headers=headers, follow_redirects=True) as response:
                if response.is_error:
                    response.read()
                    raise _api_error(response)
                yield response
        except httpx.HTTPError as error:
            raise ServerUnreachable(self.url, _cause(error)) from error

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        again = method == "GET" or "Idempotency-Key" in (options.get("headers") or {})
        pauses = iter(_RETRY_PAUSES if again else ())
        while True:
            try:
                response = self._http.request(method, path, **options)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                pause = next(pauses, None) if isinstance(error, httpx.TransportError) else None
                if pause is None or isinstance(error, httpx.UnsupportedProtocol):
                    raise ServerUnreachable(self.url, _cause(error)) from error
                time.sleep(pause)
                continue
            if not response.is_success:
                raise _api_error(response)
            return response

    def _json(self, response: httpx.Response) -> Object:
        if not response.content:
            return {}
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ServerUnreachable(self.url, "what answers there is not clipengine")
        return answer


def _given(params: Mapping[str, Any] | None) -> Object:
    return {key: value for key, value in (params or {}).items() if value is not None}


def at(collection: str, identifier: str, *rest: str) -> str:
    """The path of one resource: `at("clips", "clip_1", "cancel")` is `/v1/clips/clip_1/cancel`."""
    return "/".join(["/v1", collection, quote(identifier, safe=""), *rest])


def _cause(error: Exception) -> str:
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


def _api_error(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(
        response.status_code,
        str(problem.get("code") or f"http_{response.status_code}"),
        str(problem.get("detail") or problem.get("title") or f"{response.status_code} {response.reason_phrase}"),
        str(problem.get("hint") or ""),
        problem.get("errors") or (),
    )
