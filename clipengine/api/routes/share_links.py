"""Links of shares: the page of one clip, its player for other sites, its video and poster, and oEmbed.

They need no key, so a link gives nothing but its clip: a request is only looked up by its token, and every object key
comes from the row of the clip. Unknown, expired and revoked links have the same response.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.access import Action, Object, may
from clipengine.api.http.open_streams import set_caller
from clipengine.api.http.operation import Public, in_session, json_response
from clipengine.api.http.ports import Engine
from clipengine.api.http.visitor_texts import VisitorTexts, texts_for
from clipengine.api.routes.downloads import serve_clip, serve_poster
from clipengine.api.routes.page import store_origins
from clipengine.api.routes.share_page import Address, missing_page, oembed, player_page, share_page, start_of
from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.errors import ClipNotFound, NotFound, StorageError, StorageUnavailable
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.database.act import Actor
from clipengine.limits.rate import RateLimiter
from clipengine.objects.audit import AuditAction
from clipengine.stores.base import Store

log = logging.getLogger(__name__)

_UNKNOWN = "unknown"  # all links that do not work share one rate limit
_MAX_URL = 2000  # of an oEmbed request
_MAX_PIXELS = 10_000
_SECONDS_TO_START = 300
# Services and browsers that fetch a link without showing it to a person.
_NOT_A_VIEWER = re.compile(r"bot\b|crawl|spider|preview|embed|facebookexternalhit|whatsapp|iframely", re.IGNORECASE)
_OBJECT_HEADERS = {"Cross-Origin-Resource-Policy": "cross-origin", "X-Robots-Tag": "noindex"}


@dataclass(frozen=True)
class _Found:
    """The share and the clip of a token."""

    share: Share
    clip: Clip
    address: Address


def routes(engine: Engine) -> list[Route]:
    links = _Links(engine)

    def public(handler: Callable[[Request], Response]) -> Public:
        async def answer(request: Request) -> Response:
            try:
                return await run_in_threadpool(in_session, engine.ledger, lambda: handler(request))
            except StorageError as error:  # its message may name the database, the bucket or the key
                log.warning("a shared clip cannot be opened: %s", error.message)
                raise StorageUnavailable("The clip cannot be opened", hint="Try again in some seconds.") from None

        return Public(answer)

    return [
        Route("/s/{token}", public(links.page)),
        Route("/s/{token}/video", public(links.video)),
        Route("/s/{token}/poster", public(links.poster)),
        Route("/s/{token}/download", public(links.download)),
        Route("/embed/{token}", public(links.player)),
        Route("/oembed", public(links.oembed)),
    ]


class _Links:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settings = engine.settings
        limit = engine.settings.shares.requests_per_minute
        self._rates = RateLimiter(limit, subject="This link may receive")
        media = " ".join(["'self'", *store_origins(engine.settings.storage)])
        self._policy = (
            f"default-src 'none'; style-src 'self'; font-src 'self'; img-src {media}; media-src {media}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors "
        )

    def page(self, request: Request) -> Response:
        def render(found: _Found) -> str:
            return share_page(found.share, found.clip, found.address, _start(request, found), texts=_texts(request))

        return self._html(request, render, "'none'")

    def player(self, request: Request) -> Response:
        ancestors = " ".join(self._settings.shares.frame_ancestors) or "'none'"

        def render(found: _Found) -> str:
            return player_page(found.clip, found.address, _start(request, found), texts=_texts(request))

        return self._html(request, render, ancestors, "embed")

    def video(self, request: Request) -> Response:
        found = self._find(request, request.path_params["token"])
        return self._object(serve_clip(self._store, request, found.clip, kind="inline", link_seconds=_valid(found)))

    def download(self, request: Request) -> Response:
        found = self._find(request, request.path_params["token"], "download")
        response = self._object(serve_clip(self._store, request, found.clip, link_seconds=_valid(found)))
        if request.method == "GET" and _begins(request, response):
            self._count("share.download", found.share)
        return response

    def poster(self, request: Request) -> Response:
        found = self._find(request, request.path_params["token"])
        return self._object(serve_poster(self._store, request, found.clip, link_seconds=_valid(found)))

    def oembed(self, request: Request) -> Response:
        query = request.query_params
        if query.get("format", "json") != "json":
            return Response(status_code=501)  # as oEmbed requires for XML
        prefix = f"{Address.base_of(request, self._settings)}/s/"
        url = query.get("url", "")[:_MAX_URL]
        token = url.removeprefix(prefix) if url.startswith(prefix) else ""
        found = self._find(request, token, "embed")
        width, height = _pixels(query.get("maxwidth")), _pixels(query.get("maxheight"))
        return json_response(oembed(found.clip, found.address, width, height))

    @property
    def _store(self) -> Store:
        return self._engine.store

    def _find(self, request: Request, token: str, action: Action = "read") -> _Found:
        """Return the share and the clip of the token, and count the request.

        Raise RateLimited, and NotFound without a share or if it excludes the action.
        """
        ledger = self._engine.ledger
        share = ledger.shares.find(token) if self._settings.shares.enabled else None
        self._rates.spend(share.share_id if share else _UNKNOWN)
        set_caller(request.scope, share.share_id if share else _UNKNOWN)
        if share is None or not may(share, action, Object("clips", share.clip_id)):
            raise _nothing()
        try:
            clip = ledger.clips.get(share.clip_id)
        except ClipNotFound:  # deleted since, and the share with it
            raise _nothing() from None
        if clip.state != "complete":  # a rule has shared it in advance
            raise _nothing()
        return _Found(share, clip, Address.of(request, self._settings, token))

    def _html(
        self, request: Request, render: Callable[[_Found], str], ancestors: str, action: Action = "read"
    ) -> Response:
        headers = {
            "Content-Security-Policy": self._policy + ancestors,
            "X-Robots-Tag": "noindex, nofollow",
            "Content-Language": _texts(request).language,
            "Vary": "Accept-Language",
        }
        try:
            found = self._find(request, request.path_params["token"], action)
        except NotFound:
            return Response(missing_page(_texts(request)), status_code=404, media_type="text/html", headers=headers)
        if request.method == "GET" and _is_viewer(request):
            self._engine.ledger.shares.count_view(found.share.share_id)
            self._count("share.view", found.share)
        return Response(render(found), media_type="text/html", headers=headers)

    def _count(self, action: AuditAction, share: Share) -> None:
        """Count a visit for the audit log, without the address of the visitor."""
        visitor = Actor("share", share.share_id, "share", share.share_id)
        self._engine.ledger.audit.count(action, visitor, share.clip_id)

    @staticmethod
    def _object(response: Response) -> Response:
        response.headers.update(_OBJECT_HEADERS)
        return response


def _begins(request: Request, response: Response) -> bool:
    """Return True unless the request continues a download, or the client has the bytes already."""
    return response.status_code in (200, 206, 302) and request.headers.get("range", "bytes=0-").startswith("bytes=0-")


def _nothing() -> NotFound:
    return NotFound("This link does not work", hint="It may have expired or been revoked: ask for a new one.")


def _valid(found: _Found) -> int:
    """Return for how many seconds a link to the store is valid: long enough to play the clip, twice if it is paused.

    Such a link also works after the share was revoked.
    """
    clip, expires_at = found.clip, found.share.expires_at
    seconds = _SECONDS_TO_START + round(2 * (clip.end_seconds - clip.start_seconds))
    return seconds if expires_at is None else min(seconds, (expires_at - now_ms()) // 1000)


def _texts(request: Request) -> VisitorTexts:
    return texts_for(request.headers.get("accept-language", ""))


def _start(request: Request, found: _Found) -> float:
    return start_of(request.query_params.get("t"), found.clip)


def _is_viewer(request: Request) -> bool:
    headers = request.headers
    if "prefetch" in headers.get("sec-purpose", "") + headers.get("purpose", ""):
        return False
    return not _NOT_A_VIEWER.search(headers.get("user-agent", ""))


def _pixels(text: str | None) -> int | None:
    """Return a size of an oEmbed request, or None if it is missing or invalid."""
    if text is None or not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        return None
    return min(int(text), _MAX_PIXELS) or None
