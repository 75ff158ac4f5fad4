"""Shares of a clip: create, list and delete links that open it without a key. `share_links` serves the links."""

from __future__ import annotations

import contextlib
import io
import ipaddress
from urllib.parse import urlsplit

import segno
from starlette.responses import Response

from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, once, page_response
from clipengine.api.http.requests.clips import CreateShare, GetShareCode, ListShares
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery
from clipengine.api.routes.lookups import find_clip
from clipengine.api.routes.share_page import Address, embed_code
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.request import check_expiry
from clipengine.errors import ClipNotComplete, ClipNotFound, Conflict, ShareNotFound
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.share import ListedShareObject, NewShareObject, SharedLinkObject, ShareObject


def create_share(call: Call[NoQuery, CreateShare]) -> Response:
    clip, body, settings = find_clip(call), call.body, call.engine.settings.shares
    if not settings.enabled:
        raise Conflict("Shares are disabled", hint="The operator can enable them with `shares.enabled`.")
    expires_at = body.expires_at
    if expires_at is None and settings.keep_ms is not None:
        expires_at = now_ms() + settings.keep_ms
    check_expiry(expires_at)
    base = Address.base_of(call.request, call.engine.settings)

    def work() -> StoredAnswer:
        shares = call.ledger.shares
        share, token = shares.create(
            clip.clip_id,
            expires_at=expires_at,
            download=body.download,
            embed=body.embed,
            created_by=call.caller.id,
        )
        made = NewShareObject.of(share, **_links(base, clip, share, token))
        return StoredAnswer(201, made.to_object(), {}, private=True)

    return once(call, work)


def _links(base: str, clip: Clip, share: Share, token: str | None) -> dict[str, str | None]:
    """Return the links of a share as fields of its object."""
    if token is None:
        return dict.fromkeys(("url", "embed_url", "embed_code", "video_url", "note"))
    address = Address(base, token)
    return {
        "url": address.page,
        "embed_url": address.embed if share.embed else None,
        "embed_code": embed_code(clip, address) if share.embed else None,
        "video_url": address.video,
        "note": loopback_note(base),
    }


def loopback_note(base: str) -> str | None:
    """Return what to do about links to this machine only, or None if others can probably open them."""
    host = urlsplit(base).hostname or ""
    with contextlib.suppress(ValueError):
        host = "localhost" if ipaddress.ip_address(host).is_loopback else host
    return _LOOPBACK if host == "localhost" or host.endswith(".localhost") else None


def get_share(call: Call[NoQuery, NoBody]) -> Response:
    clip = find_clip(call)
    share, token = call.ledger.shares.get(clip.clip_id, call.path("share_id"))
    base = Address.base_of(call.request, call.engine.settings)
    reason = _OTHER_KEY if token is None else None
    return json_response(SharedLinkObject.of(share, **_links(base, clip, share, token), url_reason=reason).to_object())


def get_share_code(call: Call[GetShareCode, NoBody]) -> Response:
    _, token = call.ledger.shares.get(find_clip(call).clip_id, call.path("share_id"))
    if token is None:
        raise Conflict(_OTHER_KEY, hint="Create another share.")
    url = Address(Address.base_of(call.request, call.engine.settings), token).page
    start = call.query.start_seconds
    picture = io.BytesIO()
    segno.make_qr(f"{url}?t={start:g}" if start else url).save(picture, kind="svg", scale=4, light="#fff")
    return Response(picture.getvalue(), media_type="image/svg+xml")


def list_shares(call: Call[PageQuery, NoBody]) -> Response:
    page = call.ledger.shares.list(find_clip(call).clip_id, limit=call.query.limit, cursor=call.query.cursor)
    return page_response(call, [ShareObject.of(share) for share in page.data], page.next_cursor)


def list_all_shares(call: Call[ListShares, NoBody]) -> Response:
    query = call.query
    page = call.ledger.shares.list_all(without_end=query.expires == "never", limit=query.limit, cursor=query.cursor)
    shown = [ListedShareObject.of(share, label=label) for share, label in page.data]
    return page_response(call, shown, page.next_cursor)


def delete_share(call: Call[NoQuery, NoBody]) -> Response:
    call.ledger.shares.delete(find_clip(call).clip_id, call.path("share_id"), permit=call.permit("clips"))
    return Response(status_code=204)


_LOOPBACK = (
    "Only this machine can open the link: set server.public_url to an address of the engine that others can reach."
)
_OTHER_KEY = "The link was made with another key of the secrets, so it cannot be shown again"
_SHARES = "/v1/clips/{clip_id}/shares"

OPERATIONS = [
    Operation(
        "POST",
        _SHARES,
        "write",
        create_share,
        "Share a clip",
        [Answer(201, "The share, with its link.", NewShareObject)],
        (ClipNotFound, ClipNotComplete, Conflict),
        body=CreateShare,
        creates=True,
        audit="share.create",
    ),
    Operation(
        "GET",
        _SHARES,
        "read",
        list_shares,
        "List the shares of a clip",
        [Answer(200, "One page of shares, newest first.", ShareObject, page=True)],
        (ClipNotFound,),
        query=PageQuery,
    ),
    Operation(
        "GET",
        "/v1/shares",
        "read",
        list_all_shares,
        "List the shares of all clips",
        [Answer(200, "One page of shares, newest first, with their clips' labels.", ListedShareObject, page=True)],
        query=ListShares,
    ),
    Operation(
        "GET",
        f"{_SHARES}/{{share_id}}",
        "write",
        get_share,
        "Get a share with its link",
        [Answer(200, "The share, with its link.", SharedLinkObject)],
        (ClipNotFound, ShareNotFound),
        audit="share.read",
    ),
    Operation(
        "GET",
        f"{_SHARES}/{{share_id}}/qr.svg",
        "write",
        get_share_code,
        "Get the link of a share as a QR code",
        [Answer(200, "The QR code.", media_type="image/svg+xml")],
        (ClipNotFound, ShareNotFound, Conflict),
        query=GetShareCode,
        audit="share.read",
    ),
    Operation(
        "DELETE",
        f"{_SHARES}/{{share_id}}",
        "delete",
        delete_share,
        "Revoke a share",
        [NOTHING],
        (ClipNotFound, ShareNotFound),
        own=True,
        audit="share.delete",
    ),
]
