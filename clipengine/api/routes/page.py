"""The page at `/` and its files under `/assets/`, read once at start and served from memory.

The Content-Security-Policy allows scripts, styles and fonts from this server only, none inline. Images and media may
also come from the store, if its download links lead to another origin.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple, get_args
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import clipengine
from clipengine.api.http.operation import Public
from clipengine.api.http.problems import on_http_exception
from clipengine.api.http.ranges import matches
from clipengine.api.http.requests.clips import MAX_BATCH
from clipengine.api.http.requests.fields import MAX_IDS, MAX_PAGE
from clipengine.clips.edit import MAX_PARTS
from clipengine.clips.metadata import MAX_TAG_CHARACTERS, MAX_TAGS
from clipengine.clips.options.output import MAX_POINTS
from clipengine.clips.options.without import MAX_REMOVED
from clipengine.clips.request import MAX_LABEL_CHARACTERS
from clipengine.clips.texts.subtitles import LONGEST_FRAME
from clipengine.clips.texts.words import MAX_QUERY_CHARACTERS
from clipengine.events import DEFAULT_EVENTS, EventType
from clipengine.ledger.recordings import MAX_COUNTED_CLIPS
from clipengine.recordings.media_types import ending
from clipengine.settings import Settings, Storage

# Limits of the API that the page needs, for `web/lib/limits.d.ts`.
_LIMITS = {
    "batch": MAX_BATCH,
    "counted": MAX_COUNTED_CLIPS,
    "default_events": DEFAULT_EVENTS,
    "events": get_args(EventType),
    "frame_seconds": float(LONGEST_FRAME),
    "ids": MAX_IDS,
    "label": MAX_LABEL_CHARACTERS,
    "page": MAX_PAGE,
    "parts": MAX_PARTS,
    "points": MAX_POINTS,
    "query": MAX_QUERY_CHARACTERS,
    "removed": MAX_REMOVED,
    "tag": MAX_TAG_CHARACTERS,
    "tags": MAX_TAGS * (MAX_TAG_CHARACTERS + len(", ")),
}
_FOLDER = Path(clipengine.__file__).parent / "web"
_ENTRY = "app.js"
_MISSING = "missing.html"
_SCRIPT = f'<script type="module" src="/assets/{_ENTRY}">'.encode()
_IMPORT = re.compile(r'^import [^"]*"(\.[^"]+)";$', re.MULTILINE)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}


class _File(NamedTuple):
    body: bytes
    headers: dict[str, str]
    media_type: str


def routes(settings: Settings) -> list[Route]:
    """Return the routes of the page. `web/player/player.js` is served as `/assets/player/player.js`."""
    paths = [path for path in sorted(_FOLDER.rglob("*")) if ending(path.name) in _TYPES]
    contents = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in paths}
    limits = _LIMITS | {"transcribers": settings.transcription.sources, "suggesters": settings.suggestions.sources}
    contents["lib/limits.js"] = f"export const LIMITS = {json.dumps(limits)};\n".encode()
    links = "".join(f'<link rel="modulepreload" href="/assets/{name}">\n  ' for name in _modules(contents))
    contents["index.html"] = contents["index.html"].replace(_SCRIPT, links.encode() + _SCRIPT)
    headers = page_headers(settings)
    files = {
        name: _File(body, headers | {"ETag": _etag(body)}, _TYPES[ending(name)]) for name, body in contents.items()
    }

    async def index(request: Request) -> Response:
        return _serve(request, files["index.html"])

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise HTTPException(404)
        return _serve(request, files[name])

    return [Route("/", Public(index)), Route("/assets/{name:path}", Public(asset))]


def handle_http_exception(settings: Settings) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return a handler that shows a person at an unknown address a page, and programs a problem document."""
    body = (_FOLDER / _MISSING).read_bytes()
    headers = page_headers(settings)

    async def handle(request: Request, error: Exception) -> Response:
        unknown = isinstance(error, HTTPException) and error.status_code == 404
        if unknown and "text/html" in request.headers.get("accept", ""):
            return Response(body, status_code=404, headers=headers, media_type="text/html")
        return await on_http_exception(request, error)

    return handle


def page_headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every HTML document."""
    media = " ".join(["'self'", *store_origins(settings.storage)])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"{media} data:",
        "media-src": f"{media} blob:",  # a MediaSource has such a URL
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }


def store_origins(storage: Storage) -> list[str]:
    """Return the origin of the store's own download links."""
    if storage.kind != "s3":
        return []
    address = urlsplit(storage.public_endpoint or storage.endpoint)
    host = address.netloc if storage.path_style else f"{storage.bucket}.{address.netloc}"
    return [f"{address.scheme}://{host}"]


def _modules(files: Mapping[str, bytes]) -> list[str]:
    """Return the modules that the page needs before its first paint, without those that it imports later.

    Links to them let the browser request all at once; otherwise it learns of a module when the one before it is there.
    """
    found = [_ENTRY]
    for name in found:
        for address in _IMPORT.findall(files[name].decode()):
            module = posixpath.normpath(posixpath.join(posixpath.dirname(name), address))
            if module not in found:
                found.append(module)
    return found[1:]


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _serve(request: Request, file: _File) -> Response:
    if matches(request.headers.get("if-none-match"), file.headers["ETag"]):
        return Response(status_code=304, headers=file.headers)
    return Response(file.body, headers={**file.headers, "Content-Type": file.media_type})
