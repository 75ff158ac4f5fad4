"""The page at `/` and its files under `/assets/`, read once at start and served compressed from memory.

The page names its files by the digest of all of them, `/assets/0123456789ab/base.css`, so that browsers keep them and
ask for `/` only. Its modules are joined into two files. Other addresses of a file serve its present content.

The Content-Security-Policy allows scripts, styles and fonts from this server only, none inline. Images and media may
also come from the store, if its download links lead to another origin.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
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
from clipengine.api.routes.page_modules import imported, imported_later, joined
from clipengine.basis.events import DEFAULT_EVENTS, EventType
from clipengine.clips.edit import MAX_PARTS
from clipengine.clips.labels import MAX_LABEL_CHARACTERS
from clipengine.clips.metadata import MAX_TAG_CHARACTERS, MAX_TAGS
from clipengine.clips.options.output import MAX_POINTS
from clipengine.clips.options.without import MAX_REMOVED
from clipengine.clips.texts.subtitles import LONGEST_FRAME
from clipengine.clips.texts.words import MAX_QUERY_CHARACTERS
from clipengine.ledger.recordings.recordings import MAX_COUNTED_CLIPS
from clipengine.recordings.media_types import ending
from clipengine.settings.settings import Settings, Storage

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
_SHEET = re.compile(rb'  <link rel="stylesheet" href="/assets/(?P<name>[^"]+)">\n')
_STYLES = "joined.css"
_JOINED, _LATER = "joined.js", "later.js"  # the modules for the first paint, and the modules of views that follow it
_ASSETS = b"/assets/"
_DIGEST = 12  # characters of the digest in addresses
_VERSION = re.compile(rf"(?P<version>[0-9a-f]{{{_DIGEST}}})/(?P<name>.+)")
_FOREVER = "public, max-age=31536000, immutable"
_TEXTS = {"html", "css", "js", "svg", "txt"}  # which are compressed
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "woff2": "font/woff2",
}


class _Form(NamedTuple):
    """A file in one encoding."""

    body: bytes
    headers: dict[str, str]


class _File(NamedTuple):
    plain: _Form
    zipped: _Form


def routes(settings: Settings) -> list[Route]:
    """Return the routes of the page. `web/player/media/player.js` is served as `/assets/player/media/player.js`."""
    headers = page_headers(settings)
    provider = settings.auth.oidc.name if settings.auth.oidc.enabled else ""
    version, files = page_files(tuple(settings.transcription.sources), tuple(settings.suggestions.sources), provider)

    async def index(request: Request) -> Response:
        return _serve(request, files["index.html"], headers)

    async def asset(request: Request) -> Response:
        name, cached = request.path_params["name"], {}
        if match := _VERSION.fullmatch(name):
            name = match["name"]
            cached = {"Cache-Control": _FOREVER} if match["version"] == version else {}
        if name not in files:
            raise HTTPException(404)
        return _serve(request, files[name], headers | cached)

    return [Route("/", Public(index)), Route("/assets/{name:path}", Public(asset))]


@lru_cache(maxsize=4)
def page_files(
    transcribers: tuple[str, ...], suggesters: tuple[str, ...], provider: str = ""
) -> tuple[str, Mapping[str, _File]]:
    """Return the version of the files, and the files by name. They name each other by the version.

    They take 0.2 s of CPU and are the same for each application of a process.
    """
    paths = [path for path in sorted(_FOLDER.rglob("*")) if ending(path.name) in _TYPES]
    contents = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in paths}
    limits = _LIMITS | {"transcribers": transcribers, "suggesters": suggesters, "provider": provider}
    contents["lib/limits.js"] = f"export const LIMITS = {json.dumps(limits)};\n".encode()
    contents |= _joined({name: body.decode() for name, body in contents.items() if ending(name) == "js"})
    version = hashlib.sha256(b"".join(b"%s\0%s\0" % (name.encode(), contents[name]) for name in contents)).hexdigest()
    version = version[:_DIGEST]
    index = contents["index.html"]
    sheets = [found["name"].decode() for found in _SHEET.finditer(index)]
    contents[_STYLES] = b"".join(contents[name] for name in sheets)
    link = f'  <link rel="stylesheet" href="/assets/{_STYLES}">\n'.encode()
    contents["index.html"] = _SHEET.sub(b"", index).replace(b"  <script type", link + b"  <script type")
    contents["index.html"] = contents["index.html"].replace(_ENTRY.encode(), _JOINED.encode())
    files = {}
    for name, body in contents.items():
        kind = ending(name)
        text = body.replace(_ASSETS, _ASSETS + version.encode() + b"/") if kind in _TEXTS else body
        plain = _form(text, _TYPES[kind])
        files[name] = _File(plain, _form(text, _TYPES[kind], zipped=True) if kind in _TEXTS else plain)
    return version, files


def _joined(modules: Mapping[str, str]) -> dict[str, bytes]:
    first = imported(modules, [_ENTRY])
    later = imported_later(modules, first)
    return {
        _JOINED: joined(modules, first, later=_LATER).encode(),
        _LATER: joined(modules, later, later=_LATER, first=_JOINED).encode(),
    }


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
    origins = store_origins(settings.storage)
    media = " ".join(["'self'", *origins])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "worker-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "connect-src": " ".join(["'self'", *(origins if settings.storage.direct_uploads else [])]),
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
    """Return the origin of the store's links for downloads and uploads."""
    if storage.kind != "s3":
        return []
    address = urlsplit(storage.public_endpoint or storage.endpoint)
    host = address.netloc if storage.path_style else f"{storage.bucket}.{address.netloc}"
    return [f"{address.scheme}://{host}"]


def _form(body: bytes, media_type: str, *, zipped: bool = False) -> _Form:
    sent = gzip.compress(body, mtime=0) if zipped else body
    tag = {"ETag": f'"{hashlib.sha256(sent).hexdigest()[:32]}"', "Vary": "Accept-Encoding"}
    return _Form(sent, tag | {"Content-Type": media_type} | ({"Content-Encoding": "gzip"} if zipped else {}))


def _serve(request: Request, file: _File, headers: Mapping[str, str]) -> Response:
    form = file.zipped if _takes_gzip(request) else file.plain
    if matches(request.headers.get("if-none-match"), form.headers["ETag"]):
        kept = {name: form.headers[name] for name in ("ETag", "Vary")}
        return Response(status_code=304, headers={**headers, **kept})
    return Response(form.body, headers={**headers, **form.headers})


def _takes_gzip(request: Request) -> bool:
    encodings = request.headers.get("accept-encoding", "").replace(" ", "").split(",")
    return "gzip" in encodings  # with a rank, as no browser sends it, the file is not compressed
