"""Decorators that turn a call into a method of the blocking or the asynchronous client.

`create = blocking(ClipCalls.create)` keeps the signature, the types and the docstring of the call.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Concatenate, Generic, ParamSpec, TypeVar

from clipengine.client.exchange import Steps
from clipengine.client.models import Page
from clipengine.client.transport import AsyncTransport, Transport

K = TypeVar("K")
P = ParamSpec("P")
T = TypeVar("T")


class Resource(Generic[K]):
    """A resource of a Client: its calls and the transport that drives them."""

    def __init__(self, transport: Transport, calls: K) -> None:
        self._transport = transport
        self._calls = calls


class AsyncResource(Generic[K]):
    """A resource of an AsyncClient."""

    def __init__(self, transport: AsyncTransport, calls: K) -> None:
        self._transport = transport
        self._calls = calls


def blocking(call: Callable[Concatenate[K, P], Steps[T]]) -> Callable[Concatenate[Resource[K], P], T]:
    @functools.wraps(call)
    def method(self: Resource[K], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._transport.run(call(self._calls, *args, **kwargs))

    return method


def awaiting(call: Callable[Concatenate[K, P], Steps[T]]) -> Callable[Concatenate[AsyncResource[K], P], Awaitable[T]]:
    @functools.wraps(call)
    async def method(self: AsyncResource[K], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._transport.run(call(self._calls, *args, **kwargs))

    return method


def iterating(call: Callable[Concatenate[K, P], Steps[Page[T]]]) -> Callable[Concatenate[Resource[K], P], Iterator[T]]:
    """Return a method that yields the items of all pages, which are fetched as needed."""

    @functools.wraps(call)
    def method(self: Resource[K], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        while True:
            page = self._transport.run(call(self._calls, *args, **kwargs))
            yield from page.data
            if page.next_cursor is None:
                return
            kwargs["cursor"] = page.next_cursor

    return method


def aiterating(
    call: Callable[Concatenate[K, P], Steps[Page[T]]],
) -> Callable[Concatenate[AsyncResource[K], P], AsyncIterator[T]]:
    """Return a method that yields the items of all pages, which are fetched as needed."""

    @functools.wraps(call)
    async def method(self: AsyncResource[K], /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        while True:
            page = await self._transport.run(call(self._calls, *args, **kwargs))
            for each in page.data:
                yield each
            if page.next_cursor is None:
                return
            kwargs["cursor"] = page.next_cursor

    return method
