"""Transports that drive the calls of `exchange`, with httpx.Client or httpx.AsyncClient."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import httpx

from clipengine.client.errors import ClientError, NotClipengine, ServerUnreachable
from clipengine.client.exchange import Pause, Reply, Request, Steps, api_error

T = TypeVar("T")

# Proxies from the environment cannot reach this machine's loopback.
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")
# The server closes idle connections after 5 s. A request sent at that moment would fail, and only some are repeated.
_KEEPALIVE_SECONDS = 2.0


class _Transport:
    """Base class: URL, key and translation to httpx."""

    def __init__(self, url: str, api_key: str, *, timeout: float) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._key = api_key

    def _options(self) -> dict[str, Any]:
        headers = {"Accept": "application/json", "User-Agent": "clipengine-client/1"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        mounts = dict.fromkeys(_LOOPBACK)
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEEPALIVE_SECONDS)
        return {"base_url": self.url, "headers": headers, "timeout": self.timeout, "mounts": mounts, "limits": limits}

    def _wire(self, request: Request) -> dict[str, Any]:
        headers = dict(request.headers)
        if request.sink:
            # A compressed body would not have the length of the file.
            headers["Accept-Encoding"] = "identity"
        return {
            "method": request.method,
            # httpx would replace the query of a path by its `params`, and merging changes a signed one.
            "url": request.path
            if request.to_store
            else httpx.URL(request.path).copy_merge_params(dict(request.params)),
            "headers": headers,
            "json": request.json,
            "timeout": httpx.Timeout(self.timeout, read=self.timeout + request.extra_time),
        }

    def _prepared(self, wire: httpx.Request, request: Request) -> httpx.Request:
        """Return the request without the key if it is for the store."""
        if request.to_store:
            wire.headers.pop("Authorization", None)
        return wire

    def _unreachable(self, error: Exception, request: Request) -> ServerUnreachable:
        cause = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        transient = isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)
        return ServerUnreachable(self.url, cause, retryable=transient and request.sink is None)


def _reply(response: httpx.Response, body: bytes) -> Reply:
    return Reply(response.status_code, response.reason_phrase, response.headers, body)


def _length(response: httpx.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _check_events(response: httpx.Response) -> None:
    # An HTML page, for example of a proxy, would look like a stream without events.
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        raise NotClipengine("the response is not from clipengine")


class Transport(_Transport):
    """Blocking transport. Thread-safe."""

    def __init__(self, url: str, api_key: str, *, timeout: float) -> None:
        super().__init__(url, api_key, timeout=timeout)
        try:
            self._http = httpx.Client(**self._options())
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise ServerUnreachable(self.url, str(error)) from None

    def close(self) -> None:
        self._http.close()

    def run(self, steps: Steps[T]) -> T:
        """Drive a call and return its result."""
        try:
            advance: Callable[[], Request | Pause] = functools.partial(next, steps)
            while True:
                step = advance()
                try:
                    advance = functools.partial(steps.send, self._perform(step))
                except ClientError as error:
                    advance = functools.partial(steps.throw, error)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            steps.close()

    def _perform(self, step: Request | Pause) -> Reply:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return Reply()
        try:
            wire = self._prepared(self._http.build_request(**self._wire(step), content=step.content), step)
            response = self._http.send(wire, stream=True, follow_redirects=step.sink is not None)
            try:
                if step.sink is None or response.is_error:
                    return _reply(response, response.read())
                for chunk in response.iter_raw():
                    step.sink(chunk, _length(response))
                return _reply(response, b"")
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error, step) from error

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """Yield an iterator over the response body. Raises ApiError for an error response, and ServerUnreachable."""
        try:
            response = self._http.send(self._http.build_request(**self._wire(request)), stream=True)
            try:
                if not response.is_success:
                    raise api_error(_reply(response, response.read()))
                _check_events(response)
                yield response.iter_bytes()
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error, request) from error


class AsyncTransport(_Transport):
    """Asynchronous transport. Files are read and written in a thread."""

    def __init__(
        self, url: str, api_key: str, *, timeout: float, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(url, api_key, timeout=timeout)
        try:
            self._http = httpx.AsyncClient(**self._options(), transport=transport)
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise ServerUnreachable(self.url, str(error)) from None

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, steps: Steps[T]) -> T:
        """Drive a call and return its result."""
        try:
            advance: Callable[[], Request | Pause] = functools.partial(next, steps)
            while True:
                step = advance()
                try:
                    advance = functools.partial(steps.send, await self._perform(step))
                except ClientError as error:
                    advance = functools.partial(steps.throw, error)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            steps.close()

    async def _perform(self, step: Request | Pause) -> Reply:
        if isinstance(step, Pause):
            await anyio.sleep(step.seconds)
            return Reply()
        try:
            content = None if step.content is None else _in_thread(step.content)
            wire = self._prepared(self._http.build_request(**self._wire(step), content=content), step)
            response = await self._http.send(wire, stream=True, follow_redirects=step.sink is not None)
            try:
                if step.sink is None or response.is_error:
                    return _reply(response, await response.aread())
                async for chunk in response.aiter_raw():
                    await anyio.to_thread.run_sync(step.sink, chunk, _length(response))
                return _reply(response, b"")
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error, step) from error

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield an iterator over the response body. Raises ApiError for an error response, and ServerUnreachable."""
        try:
            response = await self._http.send(self._http.build_request(**self._wire(request)), stream=True)
            try:
                if not response.is_success:
                    raise api_error(_reply(response, await response.aread()))
                _check_events(response)
                yield response.aiter_bytes()
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error, request) from error

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while chunk := await anyio.to_thread.run_sync(next, chunks, b""):
        yield chunk
