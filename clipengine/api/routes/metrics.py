"""`/metrics`: for Prometheus. With a key of the scope `read`, open to all, or not there, as the settings say."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.access import Object
from clipengine.api.http.auth import authorize, credential
from clipengine.api.http.operation import Public, in_session
from clipengine.api.http.ports import Engine

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(engine: Engine, registry: CollectorRegistry) -> list[Route]:
    """Return the route of the metrics: the engine's, and the API's own in `registry`."""
    needed = engine.settings.server.metrics

    async def metrics(request: Request) -> Response:
        if needed == "key":
            given = credential(request)
            await run_in_threadpool(
                in_session, engine.ledger, lambda: authorize(engine.ledger, given, "read", Object("metrics"))
            )
        return Response(await run_in_threadpool(engine.metrics) + generate_latest(registry), media_type=CONTENT_TYPE)

    return [] if needed == "off" else [Route("/metrics", Public(metrics))]
