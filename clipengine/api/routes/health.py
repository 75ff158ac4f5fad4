"""`/livez`: the process answers. `/readyz`: it can do its work. Both are for probes and need no key."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.access import Object
from clipengine.api.http.auth import authorize, credential
from clipengine.api.http.operation import Public, json_response
from clipengine.api.http.ports import Engine
from clipengine.errors import ClipEngineError


def routes(engine: Engine) -> list[Route]:
    async def livez(request: Request) -> Response:
        return json_response({"status": "ok"})

    async def readyz(request: Request) -> Response:
        return await run_in_threadpool(_ready, engine, request)

    return [Route("/livez", Public(livez)), Route("/readyz", Public(readyz))]


def _ready(engine: Engine, request: Request) -> Response:
    checks = engine.health()
    known = _is_known(engine, request)
    shown = [{"name": each.name, "ok": each.ok, **({"detail": each.detail} if known else {})} for each in checks]
    ok = all(each.ok for each in checks)
    body = {"status": "ok" if ok else "failing", "checks": shown}
    return json_response(body, 200) if ok else json_response(body, 503, {"Retry-After": "5"})


def _is_known(engine: Engine, request: Request) -> bool:
    """Return True if the request has a valid key; details may contain addresses. False without a ledger."""
    try:
        authorize(engine.ledger, credential(request), "read", Object("status"))
    except ClipEngineError:
        return False
    return True
