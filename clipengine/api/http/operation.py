"""Operations: one method on one path with its action, request types, responses and documentation, and their dispatch.

Routes and OpenAPI document are both made from these values, so they cannot disagree. Handlers run in the thread pool
inside one session of the ledger. A handler that waits returns a coroutine, which holds no thread and uses `in_session`
for each access to the ledger.

A request is authorised, read, validated and handled in the same order everywhere: 401 and 403 come first, then 429,
then a body that cannot be read (413, 415, 400), then the faults of its form together (422), then the errors of the
handler.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from clipengine.access.roles import Scope
from clipengine.api.http.access import PUBLIC, Action, Object, needed_scope, require
from clipengine.api.http.acts import act_of, actor_of, named_ids, recording, set_actor
from clipengine.api.http.auth import Credential, authenticate, credential
from clipengine.api.http.change_broadcast import ChangeBroadcast
from clipengine.api.http.former import FORMER_HEADERS, former_path, uses_former_name
from clipengine.api.http.open_streams import LARGE_BYTES, large_request, own_turn, set_caller, set_credential
from clipengine.api.http.ports import Engine
from clipengine.api.http.problems import problem
from clipengine.api.http.requests.fields import B, Body, NoBody, NoQuery, Q
from clipengine.api.http.rights import Rights
from clipengine.api.http.validation import (
    collected,
    idempotency_key,
    parse_json,
    raise_all,
    read_body,
    validate_body,
    validate_query,
)
from clipengine.basis import tracing
from clipengine.errors import ClipEngineError, Internal, MethodNotAllowed, RequestError, StorageError
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.ledger.rows.permission import Owner, Permit
from clipengine.limits.rate import RateLimiter
from clipengine.objects.audit import AuditAction
from clipengine.objects.base import ApiObject

_METHOD_CHARACTERS = 20  # of a method in an error

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[Q, B]):
    """An authorised and validated request."""

    engine: Engine
    changes: ChangeBroadcast
    request: Request
    rights: Rights
    query: Q
    body: B

    @property
    def caller(self) -> Principal:
        return self.rights.caller

    @property
    def ledger(self) -> Ledger:
        return self.engine.ledger

    def path(self, name: str) -> str:
        """Return a parameter of the path, an opaque id."""
        return cast(str, self.request.path_params[name])

    @property
    def request_id(self) -> str:
        return cast(str, self.request.scope["request_id"])

    @property
    def traceparent(self) -> str | None:
        """The traceparent of the span of this request, or of the caller if no spans are recorded."""
        return tracing.current(otherwise=_caller(self.request))

    def concerns(self, ids: Sequence[str]) -> None:
        """Name the objects of the request for the audit log, if its path does not."""
        if (act := act_of(self.request)) is not None:
            act.name(ids)

    def permit(self, kind: str) -> Permit:
        """Return what decides, in the transaction of the ledger, if the caller may end an object of this kind."""

        def decide(owner: Owner) -> None:
            if not self.ledger.database.in_transaction:
                raise Internal("a right that depends on a row is decided outside of its transaction")
            require(self.caller, "delete", Object(kind, owner=owner))

        return decide

    async def in_thread(self, work: Callable[..., T], *values: object) -> T:
        """Run `work` in the thread pool, in one of the caller's threads. For async handlers."""
        async with own_turn(self.request.scope):
            return await run_in_threadpool(work, *values)

    async def in_session(self, work: Callable[[], T]) -> T:
        """Run `work` in the thread pool inside a session of the ledger, as `in_thread`.

        Raises Unauthorized or Forbidden if the caller has meanwhile lost the right to make the request.
        """

        def checked() -> T:
            self.rights.check()
            return work()

        return await self.in_thread(in_session, self.ledger, checked)

    async def check_rights(self) -> None:
        """Raise Unauthorized or Forbidden if the caller has meanwhile lost the right to make the request.

        While the ledger cannot be read, nothing is raised: rights do not change either.
        """
        await check_rights(self.request.scope, self.ledger, self.rights)


Handler = Callable[[Call[Any, Any]], Response | Awaitable[Response]]


@dataclass(frozen=True)
class Answer:
    """A successful response: the JSON of `model`, or of `other`, a page of it, or bytes of `media_type`.

    `media_type` may list several types, separated by commas.
    """

    status: int
    description: str
    model: type[Any] | None = None
    page: bool = False
    media_type: str | None = None
    other: type[Any] | None = None


NOTHING = Answer(204, "Done. The response has no body.")


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    action: Action
    handler: Handler
    summary: str
    answers: Sequence[Answer]
    errors: Sequence[type[ClipEngineError]] = ()
    query: type[Any] = NoQuery
    body: type[Any] = NoBody
    creates: bool = False  # takes an Idempotency-Key
    uploads: Sequence[str] = ()  # media types of the bytes that it takes
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # schemas of the headers that it takes
    answer_headers: Mapping[str, str] = field(default_factory=dict)  # of all responses of its path
    is_former: bool = False  # at an address of an earlier release
    multiplies: bool = False  # a small body may stand for the work of a large one
    own: bool = False  # ends an object of its caller, or of others if the ledger permits it, see `Call.permit`
    audit: AuditAction | None = None  # of an operation that changes, downloads or discloses something

    @property
    def changes(self) -> bool:
        return self.action in ("write", "delete") and self.method != "GET"

    @property
    def deletes(self) -> bool:
        return self.method == "DELETE" or self.path.endswith("/delete")

    @property
    def takes_json(self) -> bool:
        return self.body is not NoBody

    @property
    def scope(self) -> Scope:
        """The scope that a key needs."""
        return needed_scope(self.action, self.object({}))

    def object(self, ids: Mapping[str, str], caller: Principal | None = None) -> Object:
        """Return the object that the path names first, as one of the caller if the operation ends `own` objects.

        `ids` are the parameters of the path.
        """
        _, _, kind, *rest = self.path.split("/")
        owner = (lambda: caller.id) if self.own and caller is not None else None
        return Object(kind, ids.get(rest[0].strip("{}")) if rest else None, owner)


def in_session(ledger: Ledger, work: Callable[[], T]) -> T:
    with ledger.session():
        return work()


async def check_rights(scope: AsgiScope, ledger: Ledger, rights: Rights) -> None:
    """Look the rights up in the thread pool if that is due, see `Call.check_rights`."""
    if rights.are_due:
        with suppress(StorageError):
            async with own_turn(scope):
                await run_in_threadpool(in_session, ledger, rights.check)


def json_response(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text.encode(), status_code=status, headers=headers, media_type="application/json")


def page_response(call: Call[Any, Any], objects: Sequence[ApiObject], next_cursor: str | None) -> Response:
    """Return one page of a list, with `Link: rel="next"` if there is another page."""
    headers = {}
    if next_cursor is not None:
        query = [(name, value) for name, value in call.request.query_params.multi_items() if name != "cursor"]
        address = f"{quote(call.request.scope['path'])}?{urlencode([*query, ('cursor', next_cursor)])}"
        headers["Link"] = f'<{address}>; rel="next"'
    data = [each.to_object() for each in objects]
    return json_response({"data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor}, 200, headers)


def list_filters(call: Call[Any, Any]) -> dict[str, Any]:
    """Return the filters of a list of clips or recordings, with the caller for `mine`."""
    values: dict[str, Any] = call.query.model_dump()
    return values | {"created_by": call.caller.id if values.pop("mine") == "true" else None}


def once(call: Call[Q, B], work: Callable[[], StoredAnswer], then: Callable[[], None] | None = None) -> Response:
    """Return the response of `work`, or the stored response of the same request, marked `Idempotent-Replayed`.

    Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a POST that is sent twice takes effect once. A key is
    scoped to one caller, method and path. Two requests are the same if their validated bodies are equal, so a default
    that is written out makes no difference.

    `work` runs in one transaction, in which its response is built as well, and does no I/O except on the ledger; its
    errors are not stored. `then` is called after the commit, but not for a replay: a repeated cancel must not kill the
    next attempt of the clip.
    """
    built: list[Response] = []

    def answered() -> StoredAnswer:
        answer = work()
        built[:] = [json_response(answer.body, answer.status, answer.headers)]
        return answer

    answer, replayed = kept_answer(call, answered, fingerprint(call.body))
    if replayed:
        return json_response(answer.body, answer.status, {**answer.headers, "Idempotent-Replayed": "true"})
    if then is not None:
        then()
    return built[0]


def written(call: Call[Any, Any], work: Callable[[], Response]) -> Response:
    """Return the response of `work`, which changes the ledger and builds its response in one transaction.

    If the response cannot be built, nothing is stored. `work` does no I/O except on the ledger.
    """
    with call.ledger.writing():
        return work()


def kept_answer(call: Call[Q, B], work: Callable[[], StoredAnswer], request_hash: str) -> tuple[StoredAnswer, bool]:
    """Return the answer of `work`, or the stored one of the same request and True, see `once`."""
    request = call.request

    def named() -> StoredAnswer:
        answer = work()
        call.concerns(named_ids(answer.body))
        return answer

    return call.ledger.idempotency.once(
        idempotency_key(request.headers.get("idempotency-key")),
        scope=f"{call.caller.id} {request.method} {request.scope['path']}",
        fingerprint=request_hash,
        work=named,
    )


def fingerprint(body: Body) -> str:
    """Return a hash of the body that stays the same if a later release adds fields to it."""
    values = body.model_dump(mode="json")
    given = body.model_dump(mode="json", exclude_defaults=True)
    kept = given | {name: value for name, value in values.items() if name in body.always_hashed}
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def routes(operations: Sequence[Operation], engine: Engine, changes: ChangeBroadcast) -> list[Route]:
    """Return one route for each path, fixed paths before paths with parameters."""
    rates = RateLimiter(engine.settings.limits.requests_per_minute)
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in [*operations, *filter(None, map(_former, operations))]:
        by_path.setdefault(operation.path, {}).setdefault(operation.method, operation)
    ordered = sorted(by_path.items(), key=lambda item: item[0].count("{"))
    by_method: dict[str, list[Operation]] = {}
    for operation in operations:
        by_method.setdefault(operation.method, []).append(operation)
    return [Route(path, Resource(path, methods, by_method, engine, changes, rates)) for path, methods in ordered]


def _former(operation: Operation) -> Operation | None:
    """Return the operation at its former path, or None if it has none."""
    path = former_path(operation.path)
    return None if path is None else replace(operation, path=path, is_former=True)


class Public:
    """ASGI application of one GET route that needs no key."""

    def __init__(self, handler: Callable[[Request], Awaitable[Response]]) -> None:
        self._handler = handler

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            require(None, "read", PUBLIC)
            response = await self._handler(Request(scope, receive))
        else:
            response = other_method(scope, "GET, HEAD, OPTIONS")
        await response(scope, receive, send)


def _caller(request: Request) -> str | None:
    return tracing.parse_traceparent(request.headers.getlist("traceparent"))


def other_method(scope: AsgiScope, allow: str, meant: str | None = None) -> Response:
    """Return the response to a method that a path lacks. `allow` lists its methods, `meant` is a path that has it."""
    method = scope["method"][:_METHOD_CHARACTERS]
    if method == "OPTIONS":
        return Response(status_code=204, headers={"Allow": allow})
    usable = " or ".join(", ".join(each for each in allow.split(", ") if each != "OPTIONS").rsplit(", ", 1))
    hint = f"Use {usable} here. Did you mean {method} {meant}?" if meant else f"Use {usable}."
    return problem(scope, MethodNotAllowed(f"{method} is not allowed at this path", hint=hint), {"Allow": allow})


def _probable_path(path: str, method: str, operations: Iterable[Operation]) -> str | None:
    """Return the path that was probably meant: with the same last segment, or with one segment more.

    A POST creates in another list of the same name; other methods need the id of an object.
    """
    known = [operation.path for operation in operations if not operation.is_former]
    last = path.rpartition("/")[2]
    same_end = next((each for each in known if each.rpartition("/")[2] == last), None)
    longer = next((each for each in known if each.rpartition("/")[0] == path), None)
    return same_end or longer if method == "POST" else longer or same_end


class Resource:
    """ASGI application of all methods of one path. HEAD is GET without a body; OPTIONS lists the methods."""

    def __init__(
        self,
        path: str,
        methods: Mapping[str, Operation],
        by_method: Mapping[str, Sequence[Operation]],  # of all paths
        engine: Engine,
        changes: ChangeBroadcast,
        rates: RateLimiter,
    ) -> None:
        self.path = path  # label of the metrics
        self._methods = methods
        self._by_method = by_method
        self._engine = engine
        self._changes = changes
        self._rates = rates
        names = [*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])]
        self._allow = ", ".join(sorted(names))
        self._headers = {name: text for each in methods.values() for name, text in each.answer_headers.items()}

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        operation = self._methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        headers = self._headers
        if operation is not None:
            if operation.is_former or uses_former_name(operation.query, scope["query_string"]):
                headers = {**headers, **FORMER_HEADERS}
            scope["answer_headers"] = headers  # of a response to an error
            response = await self._traced(operation, Request(scope, receive))
        else:
            meant = _probable_path(self.path, scope["method"], self._by_method.get(scope["method"], ()))
            response = other_method(scope, self._allow, meant)
        response.headers.update(headers)
        await response(scope, receive, send)

    async def _traced(self, operation: Operation, request: Request) -> Response:
        """Answer the request, inside a span if spans are recorded. It ends when the response begins."""
        if not tracing.is_on():
            return await self._perform(operation, request)
        attributes = {**tracing.bound(), "http.request.method": request.method, "http.route": self.path}
        with tracing.span(f"{request.method} {self.path}", _caller(request), "server", attributes):
            try:
                response = await self._perform(operation, request)
            except Exception as error:
                known = error if isinstance(error, ClipEngineError) else Internal("")
                tracing.set_attribute("http.response.status_code", known.status)
                if known.status >= 500:
                    tracing.set_error(known.code)
                raise
            tracing.set_attribute("http.response.status_code", response.status_code)
            return response

    async def _perform(self, operation: Operation, request: Request) -> Response:
        """Answer the request, and record it in the audit log if its operation has an action there."""
        if operation.audit is None:
            return await self._answer(operation, request)
        ledger = self._engine.ledger
        with recording(ledger.audit, request, operation.audit, changes=operation.changes) as act:
            response = await self._answer(operation, request)
        is_viewing = not operation.changes and request.method != "HEAD" and response.status_code < 400
        if is_viewing and ledger.audit.begins_viewing(act):
            await run_in_threadpool(in_session, ledger, lambda: ledger.audit.record_viewing(act))
        return response

    async def _answer(self, operation: Operation, request: Request) -> Response:
        given = credential(request)
        set_credential(request.scope, given.text)
        if not operation.takes_json:
            return await self._call(operation, request, lambda: self._admitted(operation, request, given))
        # A body takes memory and time, so it is read only for a key that may send it.
        async with own_turn(request.scope):
            rights = await run_in_threadpool(
                in_session, self._engine.ledger, lambda: self._admitted(operation, request, given)
            )
        text = await read_body(
            request,
            limit=operation.body.limit(self._engine.settings.server.max_body_bytes),
            check=lambda: check_rights(request.scope, self._engine.ledger, rights),
        )

        def checked() -> Rights:
            rights.check()
            return rights

        if len(text) <= LARGE_BYTES and not operation.multiplies:
            return await self._call(operation, request, checked, text)
        with large_request(request.scope):
            return await self._call(operation, request, checked, text)

    async def _call(
        self,
        operation: Operation,
        request: Request,
        admitted: Callable[[], Rights],
        text: bytes | bytearray = b"{}",
    ) -> Response:
        """Authorise, validate and call the handler in one session, in the thread pool. Return its answer."""

        def work() -> Response | Awaitable[Response]:
            call = self._validated(operation, request, admitted(), text)
            if operation.deletes:
                return self._engine.disk.freeing(lambda: operation.handler(call))
            return operation.handler(call)

        async with own_turn(request.scope):
            answer = await run_in_threadpool(in_session, self._engine.ledger, work)
        return await answer if isinstance(answer, Awaitable) else answer

    def _admitted(self, operation: Operation, request: Request, given: Credential) -> Rights:
        """Return the rights of the caller, and count the request against the caller's rate limit."""
        ledger = self._engine.ledger

        def permitted(caller: Principal) -> Principal:
            require(caller, operation.action, operation.object(request.path_params, caller))
            return caller

        caller = authenticate(ledger, given)
        if operation.audit is not None:
            set_actor(request, actor_of(caller, request, given), ledger.audit)
        permitted(caller)
        self._rates.spend(caller.id)
        set_caller(request.scope, caller.id)
        later = given.for_later_checks()
        return Rights(caller, lambda: permitted(authenticate(ledger, later)))

    def _validated(
        self, operation: Operation, request: Request, rights: Rights, text: bytes | bytearray
    ) -> Call[Any, Any]:
        """Return the validated call. Raise the errors of the body, the query and the headers together."""
        value = parse_json(text, members=operation.body.max_members, tokens=operation.body.max_tokens)
        parameters = request.scope["query_string"].decode("latin-1")
        found: list[RequestError] = []
        body = collected(found, lambda: validate_body(operation.body, value))
        query = collected(found, lambda: validate_query(operation.query, parameters))
        if operation.creates:
            collected(found, lambda: idempotency_key(request.headers.get("idempotency-key")))
        raise_all(found)
        return Call(self._engine, self._changes, request, rights, query, body)
