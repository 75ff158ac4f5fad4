"""Shares of a clip: create, list and delete links that open it without a key. `share_links` serves the links."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, once, page_response
from clipengine.api.http.requests import CreateShare, NoBody, NoQuery, PageQuery
from clipengine.api.http.validation import check_expiry
from clipengine.api.routes.lookups import find_clip
from clipengine.api.routes.share_page import Address
from clipengine.errors import ClipNotComplete, ClipNotFound, Conflict, ShareNotFound
from clipengine.ledger.idempotency import Answer as StoredAnswer
from clipengine.objects.share import NewShareObject, ShareObject
from clipengine.timecode import now_ms


def create_share(call: Call[NoQuery, CreateShare]) -> Response:
    clip_id, body, settings = find_clip(call).clip_id, call.body, call.engine.settings.shares
    if not settings.enabled:
        raise Conflict("Shares are disabled", hint="The operator can enable them with `shares.enabled`.")
    expires_at = body.expires_at
    if expires_at is None and settings.keep_ms is not None:
        expires_at = now_ms() + settings.keep_ms
    check_expiry(expires_at)
    base = Address.base_of(call.request, call.engine.settings)

    def work() -> StoredAnswer:
        shares = call.ledger.shares
        share, token = shares.create(clip_id, expires_at=expires_at, download=body.download, embed=body.embed)
        address = Address(base, token)
        embed_url = address.embed if share.embed else None
        shown = NewShareObject.of(share, url=address.page, embed_url=embed_url, video_url=address.video)
        return StoredAnswer(201, shown.to_object(), {}, private=True)

    return once(call, work)


def list_shares(call: Call[PageQuery, NoBody]) -> Response:
    page = call.ledger.shares.list(find_clip(call).clip_id, limit=call.query.limit, cursor=call.query.cursor)
    return page_response(call, [ShareObject.of(share) for share in page.data], page.next_cursor)


def delete_share(call: Call[NoQuery, NoBody]) -> Response:
    call.ledger.shares.delete(find_clip(call).clip_id, call.path("share_id"))
    return Response(status_code=204)


_SHARES = "/v1/clips/{clip_id}/shares"

OPERATIONS = [
    Operation(
        "POST",
        _SHARES,
        "write",
        create_share,
        "Share a clip",
        [Answer(201, "The share, with its link, which is not shown again.", NewShareObject)],
        (ClipNotFound, ClipNotComplete, Conflict),
        body=CreateShare,
        creates=True,
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
        "DELETE",
        f"{_SHARES}/{{share_id}}",
        "write",
        delete_share,
        "Revoke a share",
        [NOTHING],
        (ClipNotFound, ShareNotFound),
    ),
]
