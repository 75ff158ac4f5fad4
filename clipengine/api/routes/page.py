"""The page at `/` and its files under `/assets/`: read once when the server starts, served from memory.

Nothing of it may come from elsewhere and no script or style may stand in the document: the policy says so to the
browser. Only pictures and films may also come from the store, where its links lead to another address.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import clipengine
from clipengine.api.http.dispatch import Public
from clipengine.api.http.media_types import ending
from clipengine.api.http.ranges import matches
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
    files = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if ending(path.name) in _TYPES}
    headers = page_headers(settings)

    async def index(request: Request) -> Response:
        return _serve(request, "index.html", files["index.html"], headers)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in files:
            raise NotFound(f"There is nothing at {request.scope['path']}")
        return _serve(request, name, files[name], headers)

    return [Route("/", Public(index)), Route("/assets/{name}", Public(asset))]


def page_headers(settings: Settings) -> dict[str, str]:
    """What every document that a person looks at is served with."""
    media = " ".join(["'self'", *_store_origins(settings.storage)])
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


def _store_origins(storage: Storage) -> list[str]:
    """Where the store's own links lead to."""
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
