"""The manual at `/docs`, rendered from Markdown. It needs no key, no script and no other host.

The pages are the Markdown files of `clipengine/docs` and the reference made from the OpenAPI document. All links are
relative, so that they also work behind a proxy with a path prefix. Requests are looked up among the known files; text
from a client never becomes a path.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clipengine.api.http.operation import Public
from clipengine.api.reference.manual import Hit, Page, render, search
from clipengine.api.reference.markdown import reference

# The order of reading; a page that is not named here comes last.
ORDER = (
    "start",
    "page",
    "api",
    "reference",
    "errors",
    "webhooks",
    "recordings",
    "ingest",
    "cli",
    "python",
    "typescript",
    "n8n",
    "agents",
    "configuration",
    "operations",
    "moving",
    "architecture",
    "contributing",
    "glossary",
    "licenses",
)

_ASSET_TYPES = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png"}
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "max-age=60"}
# An SVG may be opened by itself; its own colours for light and dark stand in it.
_ASSET_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "max-age=60",
}


def routes(openapi: Mapping[str, Any]) -> list[Route]:
    """Return the routes of the manual; `openapi` is the source of the reference."""

    @functools.cache
    def pages() -> dict[str, Page]:
        return {name: render(name, text) for name, text in _texts(openapi).items()}

    @functools.cache
    def assets() -> dict[str, tuple[bytes, str]]:
        return {name: (file.read_bytes(), kind) for name, (file, kind) in _assets().items()}

    async def first(request: Request) -> Response:
        return RedirectResponse(f"docs/{ORDER[0]}", 307)

    async def document(request: Request) -> Response:
        name = request.path_params["name"]
        if name in assets():
            body, kind = assets()[name]
            return Response(body, media_type=kind, headers=_ASSET_HEADERS)
        if not name:
            return RedirectResponse(ORDER[0], 307)
        if name == "search":
            query = request.query_params.get("q", "").strip()[:200]
            return await run_in_threadpool(lambda: _found(pages(), query))  # other requests go on meanwhile
        page = pages().get(name)
        if page is None:
            return _answer(pages(), "Not found", _MISSING, status=404)
        return _answer(pages(), page.title, page.html, current=name)

    return [Route("/docs", Public(first)), Route("/docs/{name:path}", Public(document))]


def _texts(openapi: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown of each page by name, in reading order."""
    written = {
        each.name.removesuffix(".md"): each.read_text("utf-8")
        for each in _folder().iterdir()
        if each.name[-3:] == ".md"
    }
    written["reference"] = reference(openapi)
    return {name: written[name] for name in [*ORDER, *sorted(written.keys() - {*ORDER})]}


def _folder() -> Traversable:
    return files("clipengine") / "docs"


def _assets() -> dict[str, tuple[Traversable, str]]:
    found = {}
    screens = _folder() / "screens"
    for prefix, folder in (("", _folder()), ("screens/", screens)):
        for each in folder.iterdir() if folder.is_dir() else ():
            kind = _ASSET_TYPES.get(each.name[each.name.rfind(".") :])
            if kind is not None:
                found[prefix + each.name] = (each, kind)
    return found


_MISSING = "<h1>There is no such page</h1>\n<p>Choose one from the list, or search for what it was about.</p>"


def _found(pages: Mapping[str, Page], query: str) -> Response:
    hits = search(pages.values(), query)
    if not query:
        told = "<p>Type a word: an error code, a setting, a command, an address.</p>"
    elif not hits:
        told = "<p>Nothing has any of these words.</p>"
    else:
        told = "\n".join(map(_hit, hits))
    return _answer(pages, "Search", f"<h1>Search</h1>\n{told}", query=query)


def _hit(hit: Hit) -> str:
    address = hit.page + (f"#{hit.anchor}" if hit.anchor else "")
    where = f" <small>{escape(hit.page_title)}</small>" if hit.title != hit.page_title else ""
    return (
        f'<section class="hit"><a href="{escape(address)}">{escape(hit.title)}</a>{where}<p>{hit.excerpt}</p></section>'
    )


def _answer(
    pages: Mapping[str, Page], title: str, body: str, *, current: str = "", query: str = "", status: int = 200
) -> Response:
    mark: Callable[[str], str] = lambda name: ' aria-current="page"' if name == current else ""  # noqa: E731
    entries = "\n".join(
        f'<li><a href="{name}"{mark(name)}>{escape(page.title)}</a></li>' for name, page in pages.items()
    )
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · clipengine</title>
<link rel="icon" href="../assets/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="style.css">
</head>
<body>
<a class="skip" href="#main">To the text</a>
<header>
<a class="home" href="../"><img src="../assets/mark.svg" alt="" width="22" height="22">clipengine</a>
<form action="search" role="search">
<label for="q">Search the documents</label>
<input id="q" type="search" name="q" value="{escape(query)}" placeholder="webhook signature" maxlength="200">
<button>Search</button>
</form>
</header>
<details class="menu"><summary>All documents</summary>
<nav aria-label="Documents"><ul>
{entries}
</ul></nav>
</details>
<div class="columns">
<nav aria-label="Documents"><ul>
{entries}
</ul></nav>
<main id="main">
{body}
</main>
</div>
</body>
</html>
"""
    return Response(html, status_code=status, media_type="text/html", headers=_PAGE_HEADERS)
