"""Threads of requests to the provider: few, and not from the pool of other requests, because a provider may be slow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from clipengine.limits.shares import SIGN_IN_THREADS, SIGN_INS_WAITING
from clipengine.oidc.errors import TooManySignIns

_WAIT_SECONDS = 10.0

T = TypeVar("T")


class ProviderSlots:
    """Used by the event loop only."""

    def __init__(self, threads: int = SIGN_IN_THREADS, waiting: int = SIGN_INS_WAITING) -> None:
        self._free = asyncio.Semaphore(threads)
        self._limiter = anyio.CapacityLimiter(threads)
        self._most = threads + waiting
        self._present = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work`, which sends requests to the provider, in a thread. Raises TooManySignIns."""
        if self._present >= self._most:
            raise TooManySignIns(f"{self._present} sign-ins wait for the provider")
        self._present += 1
        try:
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._free.acquire()
            except TimeoutError:
                raise TooManySignIns(f"no thread was free within {_WAIT_SECONDS:g} s") from None
            try:
                return await anyio.to_thread.run_sync(work, limiter=self._limiter)
            finally:
                self._free.release()
        finally:
            self._present -= 1
