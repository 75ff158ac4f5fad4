"""The manual at `/docs`, rendered from Markdown. It needs no key and no other host, and works without scripts.

The pages are the Markdown files of `clipengine/docs` and the reference made from the OpenAPI document. Requests are
looked up among the known files; text from a client never becomes a path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clipengine.api.http.built_once import built_once
from clipengine.api.http.operation import Public
from clipengine.api.reference.examples import SERVER_URL
from clipengine.api.reference.manual import Page, render
from clipengine.api.reference.manual_layout import Group, document
from clipengine.api.reference.manual_search import MOST_HITS, search, suggest
from clipengine.api.reference.markdown import INDEX, PAGES, reference
from clipengine.api.routes.share_page import Address
from clipengine.settings.settings import Settings

_GROUPS = (
    Group("Begin", ("start", "what-if", "access", "recipes")),
    Group("Page", ("page", "timeline", "previews")),
    Group(
        "Clips",
        (
            "clips",
            "output",
            "subtitles",
            "smart-render",
            "results",
            "recordings",
            "uploads",
            "direct-uploads",
            "pieces",
            "live",
            "producers",
            "folders",
            "clock",
            "transcripts",
            "transcription",
            "sharing",
            "many-clips",
            "rules",
        ),
    ),
    Group("API", ("api", "refused", "errors", "webhooks", "ingest")),
    Group("Commands and clients", ("cli", "cli-remote", "cli-cut", "python", "typescript", "n8n", "agents")),
    Group("API reference", (INDEX, *PAGES)),
    Group(
        "Operate",
        (
            "configuration",
            "configuration-clips",
            "sizing",
            "operations",
            "full-disk",
            "machines",
            "connections",
            "monitoring",
            "audit",
            "troubleshooting",
            "moving",
        ),
    ),
    Group(
        "Recipes",
        (
            "recipes/livekit",
            "recipes/agora",
            "recipes/jitsi",
            "recipes/bigbluebutton",
            "recipes/zoom",
            "recipes/shorts",
            "recipes/obs",
            "recipes/frigate",
            "recipes/daily-best",
            "recipes/reolink",
            "recipes/mediamtx",
            "recipes/minio",
            "recipes/whisper",
            "recipes/vertical",
            "recipes/timelapse",
            "recipes/n8n",
            "recipes/home-assistant",
            "recipes/typescript",
            "recipes/go",
            "recipes/proxy",
            "recipes/sign-in",
            "recipes/oidc",
            "recipes/kubernetes",
        ),
    ),
    Group(
        "About",
        ("changelog", "architecture", "clip-life", "modules", "sandbox", "contributing", "glossary", "licenses"),
    ),
)
ORDER = tuple(name for group in _GROUPS for name in group.names)  # of reading

_ASSET_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_PAGE_HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "max-age=60"}
# An SVG may be opened by itself; its own colours for light and dark stand in it.
_ASSET_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "max-age=60",
}


_NEXT = (
    ("start", "Quick start: from nothing to a clip"),
    ("reference", "Every route, with curl and Python"),
    ("recipes", "Recipes: the engine with other systems"),
    ("what-if", "What happens if …"),
    ("troubleshooting", "Troubleshooting"),
    ("glossary", "Glossary: the words of these documents"),
)


def routes(openapi: Callable[[], Mapping[str, Any]], settings: Settings) -> list[Route]:
    """Return the routes of the manual; `openapi` is the source of the reference."""

    @built_once
    def pages() -> dict[str, Page]:
        return {name: render(name, text) for name, text in _texts(openapi()).items()}

    @built_once
    def assets() -> dict[str, tuple[bytes, str]]:
        return {name: (file.read_bytes(), kind) for name, (file, kind) in _assets().items()}

    async def first(request: Request) -> Response:
        return RedirectResponse(f"docs/{ORDER[0]}", 307)

    def found(request: Request) -> Response:
        name = request.path_params["name"]
        if name in assets():
            body, kind = assets()[name]
            return Response(body, media_type=kind, headers=_ASSET_HEADERS)
        if not name:
            return RedirectResponse(ORDER[0], 307)
        if name == "search":
            query = request.query_params.get("q", "").strip()[:200]
            return _found(pages(), query)
        return _page(pages(), name, Address.base_of(request, settings))

    async def entry(request: Request) -> Response:
        return await run_in_threadpool(found, request)  # the first request renders all pages

    return [Route("/docs", Public(first)), Route("/docs/{name:path}", Public(entry))]


def _texts(openapi: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown of each page by name, in reading order."""
    written = {name.removesuffix(".md"): file.read_text("utf-8") for name, file in _files() if name.endswith(".md")}
    written |= reference(openapi)
    return {name: written[name] for name in ORDER}


def _folder() -> Traversable:
    return files("clipengine") / "docs"


def _files() -> Iterator[tuple[str, Traversable]]:
    """Yield the files of the manual. The name of a file in a folder begins with the folder's name."""
    for prefix in ("", "recipes/", "screens/"):
        folder = _folder() / prefix
        for each in folder.iterdir() if folder.is_dir() else ():
            yield prefix + each.name, each


def _assets() -> dict[str, tuple[Traversable, str]]:
    kinds = ((name, file, _ASSET_TYPES.get(name[name.rfind(".") :])) for name, file in _files())
    return {name: (file, kind) for name, file, kind in kinds if kind is not None}


def _page(pages: Mapping[str, Page], name: str, server_url: str) -> Response:
    page = pages.get(name)
    if page is None:
        return _missing(pages, name)
    html = page.html
    if name.startswith(INDEX):  # its examples work as they are
        html = html.replace(SERVER_URL, escape(server_url))
    return _answer(document(_GROUPS, pages, page.title, current=name, sections=page.sections, body=html))


def _missing(pages: Mapping[str, Page], name: str) -> Response:
    current = "/" * name.count("/")
    return _answer(document(_GROUPS, pages, "Not found", template="manual_missing", current=current), status=404)


def _found(pages: Mapping[str, Page], query: str) -> Response:
    hits = search(pages.values(), query)
    similar = [] if hits else suggest(pages.values(), query)
    values: dict[str, Any] = {"hits": hits, "similar": similar, "next": _NEXT, "most": MOST_HITS}
    return _answer(document(_GROUPS, pages, "Search", template="manual_search", query=query, **values))


def _answer(html: str, *, status: int = 200) -> Response:
    return Response(html, status_code=status, media_type="text/html", headers=_PAGE_HEADERS)
