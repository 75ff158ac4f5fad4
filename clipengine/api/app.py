"""The HTTP API as one Starlette application over an engine, and the small ones of a worker and of a waiting engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.built_once import built_once
from clipengine.api.http.change_broadcast import ChangeBroadcast
from clipengine.api.http.middleware import layers
from clipengine.api.http.open_streams import OpenStreams
from clipengine.api.http.operation import Operation, Public, json_response, routes
from clipengine.api.http.ports import Endpoint, Engine
from clipengine.api.http.problems import on_error, on_http_exception
from clipengine.api.http.provider_slots import ProviderSlots
from clipengine.api.http.proxy_identity import ProxyIdentities
from clipengine.api.http.request_origin import OwnOrigin
from clipengine.api.http.session_cookies import Cookies
from clipengine.api.http.upload_slots import UploadSlots
from clipengine.api.reference import openapi
from clipengine.api.routes import (
    archives,
    audit,
    batches,
    captions,
    clip_plans,
    clips,
    documents,
    downloads,
    events,
    framing,
    health,
    ingest,
    keys,
    metrics,
    oidc,
    page,
    previews,
    profiles,
    proxies,
    ranges,
    recordings,
    resumable_uploads,
    rules,
    segments,
    selections,
    sessions,
    share_links,
    shares,
    status,
    storage,
    transcriptions,
    transcripts,
    uploads,
    users,
    webhooks,
)
from clipengine.errors import ClipEngineError, StorageUnavailable
from clipengine.settings.settings import Settings


def create_app(engine: Engine, endpoints: Sequence[Endpoint] = ()) -> Starlette:
    """Return the ASGI application of the API and of further endpoints.

    Call `app.state.changes.close()`, from any thread, when the server begins to stop: it ends all long polls, streams
    and uploads, for which the server would otherwise wait. `app.state.codes.issue()` creates a one-time code for a
    sign-in link.
    """
    changes = ChangeBroadcast()
    engine.ledger.on_change(changes.notify)
    upload_slots = UploadSlots()
    operations: list[Operation] = [
        *recordings.OPERATIONS,
        *uploads.operations(upload_slots),
        *resumable_uploads.operations(upload_slots, engine.settings),
        *transcripts.OPERATIONS,
        *transcriptions.OPERATIONS,
        *previews.OPERATIONS,
        *ranges.OPERATIONS,
        *segments.OPERATIONS,
        *proxies.OPERATIONS,
        *profiles.OPERATIONS,
        *clip_plans.OPERATIONS,
        *captions.OPERATIONS,
        *framing.OPERATIONS,
        *clips.OPERATIONS,
        *selections.OPERATIONS,
        *batches.OPERATIONS,
        *downloads.OPERATIONS,
        *archives.OPERATIONS,
        *shares.OPERATIONS,
        *webhooks.OPERATIONS,
        *rules.OPERATIONS,
        *keys.OPERATIONS,
        *users.OPERATIONS,
        *audit.OPERATIONS,
        *status.OPERATIONS,
        *storage.OPERATIONS,
        *events.operations(events.Feed(engine, changes)),
    ]

    codes = sessions.SignInCodes()
    slots = ProviderSlots()
    cookies = Cookies(engine.settings.server.public_url)
    registry = CollectorRegistry()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for endpoint in endpoints:
                await stack.enter_async_context(endpoint.running(app))
            yield
            changes.close()

    described = built_once(partial(openapi.describe, operations))
    app = Starlette(
        routes=[
            *health.routes(engine),
            *metrics.routes(engine, registry),
            openapi.route(described),
            openapi.redirect(),
            *documents.routes(described, engine.settings),
            *routes(operations, engine, changes),
            ingest.route(engine, registry),
            sessions.route(engine, codes, slots, cookies),
            *oidc.routes(engine, slots, cookies),
            *share_links.routes(engine),
            *page.routes(engine.settings),
            *(Route(endpoint.path, endpoint) for endpoint in endpoints),
        ],
        middleware=layers(engine.settings.server.cors_origins, registry, engine=engine.instance_id),
        exception_handlers={ClipEngineError: on_error, HTTPException: page.handle_http_exception(engine.settings)},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # its redirect is built from the Host header, which is the client's word
    app.state.changes = changes
    app.state.streams = OpenStreams()
    app.state.codes = codes
    _know_callers(app, engine.settings, cookies)
    return app


def _know_callers(app: Starlette, settings: Settings, cookies: Cookies) -> None:
    """Set how requests state their callers: by a proxy, by sessions of a provider, by cookies of the own page."""
    app.state.proxy_identities = ProxyIdentities(settings.auth.proxy)
    app.state.oidc_issuer = settings.auth.oidc.active_issuer
    app.state.cookies = cookies
    app.state.own_origin = OwnOrigin(settings.server.public_url)


def create_worker_app(engine: Engine) -> Starlette:
    """Return the ASGI application of an engine without the API: `/livez`, `/readyz` and `/metrics`."""
    registry = CollectorRegistry()
    app = Starlette(
        routes=[*health.routes(engine), *metrics.routes(engine, registry)],
        middleware=layers((), registry, engine=engine.instance_id),
        exception_handlers={ClipEngineError: on_error, HTTPException: on_http_exception},
    )
    app.router.redirect_slashes = False
    _know_callers(app, engine.settings, Cookies(engine.settings.server.public_url))
    return app


def create_waiting_app() -> Starlette:
    """Return the ASGI application of an engine whose ledger is not open yet: `/livez`, and 503 for all else."""

    async def livez(request: Request) -> Response:
        return json_response({"status": "ok"})

    async def readyz(request: Request) -> Response:
        body = {"status": "failing", "checks": [{"name": "database", "ok": False}]}
        return json_response(body, 503, {"Retry-After": "5"})

    async def unavailable(request: Request, error: Exception) -> Response:
        hint = "The server starts when its database is available; send the same request again."
        return await on_error(request, StorageUnavailable("the database is not ready yet", hint=hint))

    return Starlette(
        routes=[Route("/livez", Public(livez)), Route("/readyz", Public(readyz))],
        exception_handlers={HTTPException: unavailable},
    )
