"""Recordings: what clips are cut from."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clipengine.client.errors import WaitTimeout
from clipengine.client.models import Page, Recording
from clipengine.client.pages import follow
from clipengine.client.transport import Transport, at

_PIECE = 1 << 20
_POLL_SECONDS = 0.25


class Recordings:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self,
        bucket_path: str,
        *,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Recording:
        """Register an object that is already in the store. The same object, unchanged, is the same recording."""
        body: dict[str, object] = {"bucket_path": bucket_path}
        if name is not None:
            body["name"] = name
        if metadata:
            body["metadata"] = dict(metadata)
        return Recording.from_object(self._transport.create("/v1/recordings", body, idempotency_key=idempotency_key))

    def upload(self, path: str | Path, *, name: str | None = None) -> Recording:
        """Stream a file into the store and register it. `name` is the file's own unless given."""
        path = Path(path)
        options = {
            "content": _pieces(path),
            "params": {"name": name or path.name},
            "headers": {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)},
        }
        return Recording.from_object(self._transport.call("PUT", "/v1/recordings/upload", **options))

    def get(self, recording_id: str) -> Recording:
        return Recording.from_object(self._transport.get(at("recordings", recording_id)))

    def list(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Recording]:
        """One page, newest first."""
        params = {
            "status": status,
            "name": name,
            "created_after": created_after,
            "created_before": created_before,
            "limit": limit,
            "cursor": cursor,
        }
        answer = self._transport.get("/v1/recordings", params)
        return Page([Recording.from_object(each) for each in answer["data"]], answer.get("next_cursor"))

    def each(self, **filters: Any) -> Iterator[Recording]:
        """All that the filters of `list` let through, newest first, page after page."""
        return follow(lambda cursor: self.list(cursor=cursor, **filters))

    def wait(self, recording_id: str, *, timeout: float | None = None) -> Recording:
        """The recording when it is `complete` or `failed`. Raises WaitTimeout after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (recording := self.get(recording_id)).ended:
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(f"{recording_id} was still being read after {timeout:g} s")
            time.sleep(_POLL_SECONDS)
        return recording

    def delete(self, recording_id: str, *, object: bool = False) -> None:
        """Forget the recording; with `object`, delete its object from the store too."""
        params = {"object": "true"} if object else {}
        self._transport.call("DELETE", at("recordings", recording_id), params=params)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
