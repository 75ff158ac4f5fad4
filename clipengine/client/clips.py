"""Clips: ask for them, wait for them, fetch them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from clipengine.client.errors import ClientError, WaitTimeout
from clipengine.client.models import Clip, Page
from clipengine.client.pages import follow
from clipengine.client.transport import Transport, at

_LONGEST_WAIT = 25  # seconds of one `?wait=`, below what proxies usually allow


class Clips:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        recording_id: str,
        label: str,
        start_seconds: float,
        end_seconds: float,
        *,
        profile: str | None = None,
        metadata: Mapping[str, str] | None = None,
        priority: int | None = None,
        webhook_url: str | None = None,
        poster: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Clip:
        """Ask for the clip `[start_seconds, end_seconds)`. It is accepted for good when this returns."""
        body: dict[str, object] = {"label": label, "start_seconds": start_seconds, "end_seconds": end_seconds}
        optional = {
            "profile": profile,
            "metadata": dict(metadata) if metadata else None,
            "priority": priority,
            "webhook_url": webhook_url,
            "poster": poster,
        }
        body |= {key: value for key, value in optional.items() if value is not None}
        return Clip.from_object(
            self._transport.create(at("recordings", recording_id, "clips"), body, idempotency_key=idempotency_key)
        )

    def get(self, clip_id: str) -> Clip:
        return Clip.from_object(self._transport.get(at("clips", clip_id)))

    def list(
        self,
        *,
        recording_id: str | None = None,
        status: str | None = None,
        label: str | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Clip]:
        """One page, newest first: of one recording, or of all."""
        params = {
            "status": status,
            "label": label,
            "created_after": created_after,
            "created_before": created_before,
            "limit": limit,
            "cursor": cursor,
        }
        path = at("recordings", recording_id, "clips") if recording_id else "/v1/clips"
        answer = self._transport.get(path, params)
        return Page([Clip.from_object(each) for each in answer["data"]], answer.get("next_cursor"))

    def each(self, **filters: Any) -> Iterator[Clip]:
        """All that the filters of `list` let through, newest first, page after page."""
        return follow(lambda cursor: self.list(cursor=cursor, **filters))

    def wait(
        self,
        clip_id: str,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Clip], None] | None = None,
    ) -> Clip:
        """The clip when it is `complete` or `failed`. Raises WaitTimeout after `timeout` seconds.

        With `on_progress` the clip is fetched twice a second and handed to it.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _LONGEST_WAIT if deadline is None else min(_LONGEST_WAIT, max(0.0, deadline - time.monotonic()))
            seconds = min(left, 0.5) if on_progress else left
            answer = self._transport.get(
                at("clips", clip_id), {"wait": f"{seconds:.3f}"}, timeout=seconds + self._transport.timeout
            )
            clip = Clip.from_object(answer)
            if on_progress:
                on_progress(clip)
            if clip.ended:
                return clip
            if deadline is not None and time.monotonic() >= deadline:
                raise WaitTimeout(f"{clip_id} had not ended after {timeout:g} s")

    def cancel(self, clip_id: str) -> Clip:
        return Clip.from_object(self._transport.call("POST", at("clips", clip_id, "cancel")))

    def retry(self, clip_id: str) -> Clip:
        return Clip.from_object(self._transport.call("POST", at("clips", clip_id, "retry")))

    def delete(self, clip_id: str) -> None:
        """Delete the clip and its object."""
        self._transport.call("DELETE", at("clips", clip_id))

    def download(self, clip_id: str, path: str | Path) -> int:
        """Write the clip to `path`, whole or not at all; how many bytes it has."""
        path = Path(path)
        with self._transport.stream(at("clips", clip_id, "download")) as response:
            part = path.with_name(f".{path.name[:60]}.{uuid.uuid4().hex}.part")
            try:
                with part.open("xb") as file:
                    for piece in response.iter_raw():
                        file.write(piece)
                    size = file.tell()
                if size != int(response.headers.get("Content-Length", size)):
                    raise ClientError(f"the download of {clip_id} ended early")
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return size
