"""Clips: create, wait for and download them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from clipengine.client.errors import ClientError
from clipengine.client.exchange import Api, Steps, filters, given_fields, route, without_none
from clipengine.client.files import Progress, save
from clipengine.client.long_poll import wait_until_ended
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import (
    Batch,
    ClipData,
    ClipPlan,
    Delivery,
    ListedShare,
    Object,
    Page,
    Selection,
    Share,
    SharedLink,
    format_time,
)
from clipengine.client.transport import AsyncTransport, Transport
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.without import Removable
from clipengine.clips.request import GapMode
from clipengine.clips.spec import OnTimeout

C = TypeVar("C", bound=ClipData)


class ClipFields(TypedDict, total=False):
    """Fields of a request for a clip besides its label and its seconds. The API's defaults replace None.

    A test compares them with the body of the API.
    """

    start_time: str | datetime | None
    end_time: str | datetime | None
    parts: Sequence[Mapping[str, Any]] | None
    last_seconds: float | None
    profile: str | None
    render: Render | None
    output: Mapping[str, Any] | None
    subtitles: Mapping[str, Any] | None
    snap: Mapping[str, Any] | None
    without: Sequence[Removable] | None
    keep_ranges: Sequence[Mapping[str, Any]] | None
    gaps: GapMode | None
    wait_until: str | datetime | None
    on_timeout: OnTimeout | None
    metadata: Mapping[str, str] | None
    tags: Sequence[str] | None
    priority: int | None
    webhook_url: str | None
    poster: bool | None
    expires_at: str | datetime | None


class ClipCalls(Generic[C]):
    """The calls about clips. `make` creates the client's clip class from a JSON object."""

    def __init__(self, api: Api, make: Callable[[Object], C]) -> None:
        self._api = api
        self._make = make

    def create(
        self,
        recording_id: str,
        label: str,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[ClipFields],
    ) -> Steps[C]:
        """Create the clip `[start_seconds, end_seconds)`. The server has stored the job when this returns.

        `start_time` and `end_time` give the range by the clock of the recording. `parts` replaces the range: each has
        `start_seconds`, `end_seconds` (or the two times) and, for another recording, `recording_id`.
        With the `render` "smart" whole GOPs of the recording are copied if that is possible; None is the profile's.
        `output` has the options of the API that change the picture and the audio. `subtitles` are
        `{"mode": "keep", "language": "en"}`, `{"mode": "burn", "language": "en"}` to draw them into the picture, also
        with a style, such as `"style": {"name": "word"}`, or `{"mode": "none"}`; by default all transcripts are kept.
        `snap`, such as `{"to": "keyframe", "within_seconds": 2}`, moves the cuts. `without` removes pauses and
        filler words, `["silence", "fillers"]`, except in the `keep_ranges`, such as some of the `removed` of a plan.
        `gaps` says what becomes of gaps of a recording of many files: "hold", "skip" or "fail". At `expires_at` the
        clip and its object are deleted.

        `last_seconds` replaces the range with the last seconds of the recording, which may still be written. Of one
        that is, the range may lie in the future: the clip waits until `wait_until`, and then fails, or is cut as far as
        the recording is written if `on_timeout` is "clamp".
        """
        body: Object = {"label": label, **_body(start_seconds, end_seconds, fields)}
        path = route("recordings", recording_id, "clips")
        return self._make((yield from self._api.create(path, body, idempotency_key=idempotency_key)))

    def plan(
        self,
        recording_id: str,
        start_seconds: float | None = None,
        end_seconds: float | None = None,
        **fields: Unpack[ClipFields],
    ) -> Steps[ClipPlan]:
        """Return the plan of the clip `[start_seconds, end_seconds)`, or of the `parts`, without making it."""
        body = {"label": "plan", **_body(start_seconds, end_seconds, fields)}
        path = route("recordings", recording_id, "clips", "plan")
        return ClipPlan.from_object((yield from self._api.send("POST", path, json=body)))

    def create_many(
        self, clips: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> Steps[Sequence[C]]:
        """Create 1 to 100 clips, or none if one of them is invalid, and return them in the same order.

        Each is a JSON object with `recording_id` and the fields of a request for one clip.
        """
        body: Object = {"clips": [dict(clip) for clip in clips]}
        answer = yield from self._api.create("/v1/clips/batch", body, idempotency_key=idempotency_key)
        return [self._make(clip) for clip in answer["data"]]

    def by_time(
        self,
        series: Sequence[str],
        label: str,
        start_time: str | datetime,
        end_time: str | datetime,
        *,
        options: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Sequence[C]]:
        """Create a clip of each series in one range by the clock, or none, and return them in the same order.

        Over midnight, a clip has a part of each recording. The range may end in the future: a clip waits for a
        recording that is still written. `options` has the other fields of a request for a clip, such as `on_timeout`.
        """
        times = {"start_time": format_time(start_time), "end_time": format_time(end_time)}
        body: Object = {**(options or {}), "series": [*series], "label": label, **times}
        answer = yield from self._api.create("/v1/clips/by-time", body, idempotency_key=idempotency_key)
        return [self._make(clip) for clip in answer["data"]]

    def update(
        self,
        clip_id: str,
        *,
        label: str | None = None,
        metadata: Mapping[str, str | None] | None = None,
        tags: Sequence[str] | None = None,
        expires_at: str | datetime | None = None,
    ) -> Steps[C]:
        """Change the values that are not None. `metadata` is merged; None removes a key. `tags` replaces all tags."""
        new_tags = None if tags is None else [*tags]
        values = {"label": label, "metadata": metadata, "tags": new_tags, "expires_at": format_time(expires_at)}
        body = without_none(values)
        return self._make((yield from self._api.send("PATCH", route("clips", clip_id), json=body)))

    def get(self, clip_id: str) -> Steps[C]:
        return self._make((yield from self._api.get(route("clips", clip_id))))

    def list(
        self,
        *,
        recording_id: str | None = None,
        status: str | None = None,
        label: str | None = None,
        created_after: str | datetime | None = None,
        created_before: str | datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        q: str | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, str] | None = None,
        sort: str | None = None,
        variant_of: str | None = None,
        mine: bool = False,
    ) -> Steps[Page[C]]:
        """Return one page of clips of one recording or of all, newest first unless `sort` is given.

        They have the words of `q`, or some of them are said in them, all `tags` and all pairs of `metadata`, and are
        variants of the clip `variant_of`. `sort` is `created_at`, `label`, `duration` or `size`, after a `-` if
        descending.
        """
        params = {
            "status": status,
            "label": label,
            "variant_of": variant_of,
            "created_after": format_time(created_after),
            "created_before": format_time(created_before),
            "limit": limit,
            "cursor": cursor,
            **filters(q, tags, metadata, sort, mine),
        }
        path = route("recordings", recording_id, "clips") if recording_id else "/v1/clips"
        return Page.of((yield from self._api.get(path, params)), self._make)

    def wait(
        self, clip_id: str, *, timeout: float | None = None, on_progress: Callable[[C], None] | None = None
    ) -> Steps[C]:
        """Wait until the clip is `complete` or `failed` and return it. Raises WaitTimeout after `timeout` seconds.

        `on_progress` is called with the clip twice a second.
        """
        return wait_until_ended(
            self._api, route("clips", clip_id), self._make, timeout=timeout, on_progress=on_progress
        )

    def cancel(self, clip_id: str) -> Steps[C]:
        return self._make((yield from self._api.send("POST", route("clips", clip_id, "cancel"))))

    def retry(self, clip_id: str) -> Steps[C]:
        return self._make((yield from self._api.send("POST", route("clips", clip_id, "retry"))))

    def delete(self, clip_id: str) -> Steps[None]:
        """Delete the clip and its object."""
        yield from self._api.send("DELETE", route("clips", clip_id))

    def delete_many(self, clip_ids: Sequence[str], *, idempotency_key: str | None = None) -> Steps[Sequence[str]]:
        """Delete 1 to 100 clips and their objects, and return the ids of the clips that existed."""
        body: Object = {"clip_ids": [*clip_ids]}
        answer = yield from self._api.create("/v1/clips/delete", body, idempotency_key=idempotency_key)
        return [str(clip_id) for clip_id in answer["deleted"]]

    def variants(
        self,
        changes: Mapping[str, Any],
        *,
        clip_ids: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,
        selection: str | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Batch]:
        """Make a variant of each of up to 1,000 complete clips, with other options, and return the batch.

        The clips are given by their ids or by a filter, such as `{"tag": ["auto"]}`. `changes` are a merge patch of
        their options, such as `{"output": {"aspect": "9:16"}}`. With the `selection` of `try_variants`, the request is
        refused if it selects other clips by now.
        """
        body = without_none({"changes": {**changes}, **_selected(clip_ids, filter), "selection": selection})
        return Batch.from_object(
            (yield from self._api.create("/v1/clips/variants", body, idempotency_key=idempotency_key))
        )

    def try_variants(
        self,
        changes: Mapping[str, Any],
        *,
        clip_ids: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> Steps[Selection]:
        """Return which variants `variants` would make, without making them."""
        body = without_none({"changes": {**changes}, **_selected(clip_ids, filter), "dry_run": True})
        return Selection.from_object((yield from self._api.create("/v1/clips/variants", body)))

    def delete_matching(
        self,
        filter: Mapping[str, Any],
        selection: str,
        *,
        include_processing: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Batch]:
        """Delete the clips that match a filter, at most 10,000, and return the batch.

        `selection` comes from `try_delete_matching`. Clips that are processing are left out unless
        `include_processing`.
        """
        body = without_none({"filter": {**filter}, "selection": selection, "include_processing": include_processing})
        return Batch.from_object(
            (yield from self._api.create("/v1/clips/delete", body, idempotency_key=idempotency_key))
        )

    def try_delete_matching(
        self, filter: Mapping[str, Any], *, include_processing: bool | None = None
    ) -> Steps[Selection]:
        """Return how many clips `delete_matching` would delete, and their bytes, without deleting them."""
        body = without_none({"filter": {**filter}, "dry_run": True, "include_processing": include_processing})
        return Selection.from_object((yield from self._api.create("/v1/clips/delete", body)))

    def delete_of_recording(
        self, recording_id: str, selection: str, *, include_processing: bool | None = None
    ) -> Steps[Batch]:
        """Delete all clips of a recording and return the batch.

        `selection` comes from `try_delete_matching` with a filter that has only this `recording_id`.
        """
        processing = None if include_processing is None else str(include_processing).lower()
        params = without_none({"selection": selection, "include_processing": processing})
        path = route("recordings", recording_id, "clips")
        return Batch.from_object((yield from self._api.send("DELETE", path, params=params)))

    def download(self, clip_id: str, path: str | Path, *, on_progress: Progress | None = None) -> Steps[int]:
        """Write the clip atomically to the file `path` and return its size."""
        return save(route("clips", clip_id, "download"), path, on_progress)

    def archive(self, clip_ids: Sequence[str], path: str | Path, *, on_progress: Progress | None = None) -> Steps[int]:
        """Write 1 to 100 complete clips as a ZIP archive, atomically, to the file `path` and return its size."""
        body: Object = {"clip_ids": [*clip_ids]}
        return save("/v1/clips/archive", path, on_progress, method="POST", json=body)

    def poster(self, clip_id: str, path: str | Path) -> Steps[int]:
        """Write the clip's first frame as a JPEG to the file `path` and return its size."""
        return save(route("clips", clip_id, "poster"), path, None)

    def deliveries(self, clip_id: str, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Delivery]]:
        """Return one page of the clip's webhook deliveries, newest first."""
        answer = yield from self._api.get(route("clips", clip_id, "deliveries"), {"limit": limit, "cursor": cursor})
        return Page.of(answer, Delivery.from_object)

    def share(
        self,
        clip_id: str,
        *,
        expires_at: str | datetime | None = None,
        download: bool | None = None,
        embed: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Share]:
        """Create a link that opens the clip without a key, which is in `url`.

        `download` offers the file beside the player, `embed` allows other sites to show the player; both are on unless
        turned off.
        """
        body = without_none({"expires_at": format_time(expires_at), "download": download, "embed": embed})
        path = route("clips", clip_id, "shares")
        return Share.from_object((yield from self._api.create(path, body, idempotency_key=idempotency_key)))

    def shares(self, clip_id: str, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[Share]]:
        """Return one page of the clip's shares, newest first."""
        answer = yield from self._api.get(route("clips", clip_id, "shares"), {"limit": limit, "cursor": cursor})
        return Page.of(answer, Share.from_object)

    def all_shares(
        self, *, expires: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Steps[Page[ListedShare]]:
        """Return one page of the shares of all clips, newest first, each with the label of its clip.

        `expires="never"` returns only shares without an end.
        """
        answer = yield from self._api.get("/v1/shares", {"expires": expires, "limit": limit, "cursor": cursor})
        return Page.of(answer, ListedShare.from_object)

    def share_link(self, clip_id: str, share_id: str) -> Steps[SharedLink]:
        """Return a share with its link. `url` is None, with `url_reason`, if it cannot be shown again."""
        return SharedLink.from_object((yield from self._api.get(route("clips", clip_id, "shares", share_id))))

    def share_code(
        self, clip_id: str, share_id: str, path: str | Path, *, start_seconds: float | None = None
    ) -> Steps[int]:
        """Write the link of a share as a QR code (SVG) to the file `path` and return its size.

        The link begins the clip at `start_seconds`.
        """
        params = without_none({"start_seconds": start_seconds})
        return save(route("clips", clip_id, "shares", share_id, "qr.svg"), path, None, params)

    def unshare(self, clip_id: str, share_id: str) -> Steps[None]:
        """Revoke a share: its link no longer works."""
        yield from self._api.send("DELETE", route("clips", clip_id, "shares", share_id))


@dataclass(frozen=True)
class Clip(ClipData):
    """A clip of a Client."""

    _clips: Clips | None = field(default=None, repr=False, compare=False)

    def wait(self, *, timeout: float | None = None, on_progress: Callable[[Clip], None] | None = None) -> Clip:
        """Wait until the clip is `complete` or `failed` and return it. `raise_for_error` raises if it failed."""
        return self._owner().wait(self.clip_id, timeout=timeout, on_progress=on_progress)

    def download(self, path: str | Path, *, on_progress: Progress | None = None) -> int:
        """Write the clip atomically to the file `path` and return its size."""
        return self._owner().download(self.clip_id, path, on_progress=on_progress)

    def _owner(self) -> Clips:
        if self._clips is None:
            raise ClientError("this clip did not come from a Client: fetch it with clips.get")
        return self._clips


class Clips(Resource[ClipCalls[Clip]]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, ClipCalls(api, lambda obj: Clip.from_object(obj, _clips=self)))

    create = blocking(ClipCalls[Clip].create)
    plan = blocking(ClipCalls[Clip].plan)
    create_many = blocking(ClipCalls[Clip].create_many)
    by_time = blocking(ClipCalls[Clip].by_time)
    update = blocking(ClipCalls[Clip].update)
    get = blocking(ClipCalls[Clip].get)
    list = blocking(ClipCalls[Clip].list)
    each = iterating(ClipCalls[Clip].list)
    wait = blocking(ClipCalls[Clip].wait)
    cancel = blocking(ClipCalls[Clip].cancel)
    retry = blocking(ClipCalls[Clip].retry)
    delete = blocking(ClipCalls[Clip].delete)
    delete_many = blocking(ClipCalls[Clip].delete_many)
    variants = blocking(ClipCalls[Clip].variants)
    try_variants = blocking(ClipCalls[Clip].try_variants)
    delete_matching = blocking(ClipCalls[Clip].delete_matching)
    try_delete_matching = blocking(ClipCalls[Clip].try_delete_matching)
    delete_of_recording = blocking(ClipCalls[Clip].delete_of_recording)
    download = blocking(ClipCalls[Clip].download)
    archive = blocking(ClipCalls[Clip].archive)
    poster = blocking(ClipCalls[Clip].poster)
    deliveries = blocking(ClipCalls[Clip].deliveries)
    share = blocking(ClipCalls[Clip].share)
    shares = blocking(ClipCalls[Clip].shares)
    all_shares = blocking(ClipCalls[Clip].all_shares)
    each_share = iterating(ClipCalls[Clip].all_shares)
    share_link = blocking(ClipCalls[Clip].share_link)
    share_code = blocking(ClipCalls[Clip].share_code)
    unshare = blocking(ClipCalls[Clip].unshare)


@dataclass(frozen=True)
class AsyncClip(ClipData):
    """A clip of an AsyncClient."""

    _clips: AsyncClips | None = field(default=None, repr=False, compare=False)

    async def wait(
        self, *, timeout: float | None = None, on_progress: Callable[[AsyncClip], None] | None = None
    ) -> AsyncClip:
        """Wait until the clip is `complete` or `failed` and return it. `raise_for_error` raises if it failed."""
        return await self._owner().wait(self.clip_id, timeout=timeout, on_progress=on_progress)

    async def download(self, path: str | Path, *, on_progress: Progress | None = None) -> int:
        """Write the clip atomically to the file `path` and return its size."""
        return await self._owner().download(self.clip_id, path, on_progress=on_progress)

    def _owner(self) -> AsyncClips:
        if self._clips is None:
            raise ClientError("this clip did not come from an AsyncClient: fetch it with clips.get")
        return self._clips


class AsyncClips(AsyncResource[ClipCalls[AsyncClip]]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, ClipCalls(api, lambda obj: AsyncClip.from_object(obj, _clips=self)))

    create = awaiting(ClipCalls[AsyncClip].create)
    plan = awaiting(ClipCalls[AsyncClip].plan)
    create_many = awaiting(ClipCalls[AsyncClip].create_many)
    by_time = awaiting(ClipCalls[AsyncClip].by_time)
    update = awaiting(ClipCalls[AsyncClip].update)
    get = awaiting(ClipCalls[AsyncClip].get)
    list = awaiting(ClipCalls[AsyncClip].list)
    each = aiterating(ClipCalls[AsyncClip].list)
    wait = awaiting(ClipCalls[AsyncClip].wait)
    cancel = awaiting(ClipCalls[AsyncClip].cancel)
    retry = awaiting(ClipCalls[AsyncClip].retry)
    delete = awaiting(ClipCalls[AsyncClip].delete)
    delete_many = awaiting(ClipCalls[AsyncClip].delete_many)
    variants = awaiting(ClipCalls[AsyncClip].variants)
    try_variants = awaiting(ClipCalls[AsyncClip].try_variants)
    delete_matching = awaiting(ClipCalls[AsyncClip].delete_matching)
    try_delete_matching = awaiting(ClipCalls[AsyncClip].try_delete_matching)
    delete_of_recording = awaiting(ClipCalls[AsyncClip].delete_of_recording)
    download = awaiting(ClipCalls[AsyncClip].download)
    archive = awaiting(ClipCalls[AsyncClip].archive)
    poster = awaiting(ClipCalls[AsyncClip].poster)
    deliveries = awaiting(ClipCalls[AsyncClip].deliveries)
    share = awaiting(ClipCalls[AsyncClip].share)
    shares = awaiting(ClipCalls[AsyncClip].shares)
    all_shares = awaiting(ClipCalls[AsyncClip].all_shares)
    each_share = aiterating(ClipCalls[AsyncClip].all_shares)
    share_link = awaiting(ClipCalls[AsyncClip].share_link)
    share_code = awaiting(ClipCalls[AsyncClip].share_code)
    unshare = awaiting(ClipCalls[AsyncClip].unshare)


def _selected(clip_ids: Sequence[str] | None, filter: Mapping[str, Any] | None) -> Object:
    return {"clip_ids": clip_ids and [*clip_ids], "filter": None if filter is None else {**filter}}


def _body(start_seconds: float | None, end_seconds: float | None, fields: ClipFields) -> Object:
    """Return the seconds and the given fields as JSON. Raises TypeError for unknown names."""
    parts = {} if fields.get("parts") is None else {"parts": [dict(part) for part in fields["parts"] or ()]}
    seconds: Object = without_none({"start_seconds": start_seconds, "end_seconds": end_seconds})
    return seconds | given_fields(fields, ClipFields) | parts
