"""Users and sessions: who the caller is, what users may do, and which sessions they have."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.access import Object, require
from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, page_response
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery
from clipengine.api.http.requests.users import ListSessions, UpdateUser
from clipengine.errors import Conflict, NotFound, UserNotFound
from clipengine.ledger.people.users import User
from clipengine.objects.user import MeObject, SessionObject, UserObject


def get_me(call: Call[NoQuery, NoBody]) -> Response:
    caller = call.caller
    user = None if caller.user is None else UserObject.of(caller.user)
    return json_response(MeObject(caller.id, caller.name, [*caller.scopes], user).to_object())  # type: ignore[list-item]


def list_users(call: Call[PageQuery, NoBody]) -> Response:
    page = call.ledger.users.list(limit=call.query.limit, cursor=call.query.cursor)
    return page_response(call, [UserObject.of(each) for each in page.data], page.next_cursor)


def get_user(call: Call[NoQuery, NoBody]) -> Response:
    return _response(call.ledger.users.get(call.path("user_id")))


def update_user(call: Call[NoQuery, UpdateUser]) -> Response:
    users, body, user_id = call.ledger.users, call.body, call.path("user_id")
    with call.ledger.transaction():
        user = users.get(user_id)
        if call.caller.id == user_id and (body.disabled or body.role not in (None, user.role)):
            raise Conflict("Users cannot change their own role", hint="Ask another operator, or use a key.")
        if body.role is not None:
            user = users.set_role(user_id, body.role)
        if body.disabled is not None:
            user = users.set_disabled(user_id, body.disabled)
        return _response(user)


def delete_user(call: Call[NoQuery, NoBody]) -> Response:
    call.ledger.users.delete(call.path("user_id"))
    return Response(status_code=204)


def _response(user: User) -> Response:
    return json_response(UserObject.of(user).to_object())


def list_sessions(call: Call[ListSessions, NoBody]) -> Response:
    query, caller = call.query, call.caller
    owner = None if query.all == "true" else query.user_id or caller.id
    if owner != caller.id:
        require(caller, "read", Object("users"))
    page = call.ledger.user_sessions.list(owner, limit=query.limit, cursor=query.cursor)
    return page_response(call, [SessionObject.of(each) for each in page.data], page.next_cursor)


def end_session(call: Call[NoQuery, NoBody]) -> Response:
    call.ledger.user_sessions.end_for(call.path("session_id"), call.permit("sessions"))
    return Response(status_code=204)


_USER = Answer(200, "The user.", UserObject)
_ONE = "/v1/users/{user_id}"
_MISSING = (UserNotFound,)

OPERATIONS = [
    Operation("GET", "/v1/me", "read", get_me, "Get the caller", [Answer(200, "The user or the key.", MeObject)]),
    Operation(
        "GET",
        "/v1/users",
        "read",
        list_users,
        "List users",
        [Answer(200, "One page of users, newest first.", UserObject, page=True)],
        query=PageQuery,
    ),
    Operation("GET", _ONE, "read", get_user, "Get a user", [_USER], _MISSING),
    Operation(
        "PATCH",
        _ONE,
        "write",
        update_user,
        "Change the role of a user, or disable one",
        [_USER],
        (*_MISSING, Conflict),
        body=UpdateUser,
        audit="user.update",
    ),
    Operation(
        "DELETE",
        _ONE,
        "delete",
        delete_user,
        "Delete a user, the sessions and the keys; objects stay",
        [NOTHING],
        _MISSING,
        audit="user.delete",
    ),
    Operation(
        "GET",
        "/v1/sessions",
        "read",
        list_sessions,
        "List sessions",
        [Answer(200, "One page of sessions, newest first.", SessionObject, page=True)],
        query=ListSessions,
    ),
    Operation(
        "DELETE",
        "/v1/sessions/{session_id}",
        "delete",
        end_session,
        "End a session",
        [NOTHING],
        (NotFound,),
        own=True,
        audit="session.end",
    ),
]
