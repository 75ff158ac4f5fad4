"""moto's server with the bucket policy of docs/direct-uploads: copies into parts are denied.

The first argument is what the names of buckets begin with that allow copies; the others are moto's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main

_DENIED = b"<Error><Code>AccessDenied</Code><Message>denied by the policy</Message></Error>"

_answer = DomainDispatcherApplication.__call__


def _guarded(app: Any, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    is_copy = "HTTP_X_AMZ_COPY_SOURCE" in environ and "partNumber=" in environ.get("QUERY_STRING", "")
    if not is_copy or environ["PATH_INFO"].startswith(f"/{sys.argv[1]}"):
        return _answer(app, environ, start)  # type: ignore[no-any-return]
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(_DENIED)))])
    return [_DENIED]


if __name__ == "__main__":
    DomainDispatcherApplication.__call__ = _guarded
    main(sys.argv[2:])
