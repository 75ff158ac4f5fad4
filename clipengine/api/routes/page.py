"""The page at `/` and its files under `/assets/`, read once at start and served from memory.

The Content-Security-Policy allows scripts and styles from this server only, none inline. Images and media may also come
from the store, if its download links lead to another origin.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import clipengine
from clipengine.api.http.operation import Public
from clipengine.api.http.ranges import matches
from clipengine.clips.media_types import ending
from clipengine.errors import NotFound
from clipengine.settings import Settings, Storage

_FOLDER = Path(clipengine.__file__).parent / "web"
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def routes(settings: Settings) -> list[Route]:
    """Return the routes of the page. `web/player/player.js` is served as `/assets/player/player.js`."""
    paths = [path for path in sorted(_FOLDER.rglob("*")) if ending(path.name) in _TYPES]
    files = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in paths}
    headers = page_headers(settings)

    async def index(request: Request) -> Response:
        return _serve(request, "index.html", files["index.html"], headers)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise NotFound(f"There is nothing at {request.scope['path']}")
        return _serve(request, name, files[name], headers)

    return [Route("/", Public(index)), Route("/assets/{name:path}", Public(asset))]


def page_headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every HTML document."""
    media = " ".join(["'self'", *store_origins(settings.storage)])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"{media} data:",
        "media-src": media,
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


def _serve(request: Request, name: str, body: bytes, headers: dict[str, str]) -> Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**headers, "ETag": etag}
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers={**headers, "Content-Type": _TYPES[ending(name)]})
