"""API keys: create, list and revoke them."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, once, page_response
from clipengine.api.http.requests.access import CreateKey
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.errors import KeyNotFound, UserNotFound, located
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.key import KeyObject, NewKeyObject


def create_key(call: Call[NoQuery, CreateKey]) -> Response:
    def work() -> StoredAnswer:
        body = call.body
        if body.user_id is not None:
            with located(pointer="/user_id"):
                call.ledger.users.get(body.user_id)
        key, text = call.ledger.keys.create(body.name, scopes=body.scopes, user_id=body.user_id)
        return StoredAnswer(201, NewKeyObject.of(key, key=text).to_object(), {}, private=True)

    return once(call, work)


def list_keys(call: Call[NoQuery, NoBody]) -> Response:
    return page_response(call, [KeyObject.of(key) for key in call.ledger.keys.list()], None)


def revoke_key(call: Call[NoQuery, NoBody]) -> Response:
    call.ledger.keys.revoke(call.path("key_id"))
    return Response(status_code=204)


OPERATIONS = [
    Operation(
        "POST",
        "/v1/keys",
        "write",
        create_key,
        "Create an API key",
        [Answer(201, "The key, which is not shown again.", NewKeyObject)],
        (UserNotFound,),
        body=CreateKey,
        creates=True,
        audit="key.create",
    ),
    Operation(
        "GET",
        "/v1/keys",
        "read",
        list_keys,
        "List API keys",
        [Answer(200, "All keys, also revoked ones, oldest first.", KeyObject, page=True)],
    ),
    Operation(
        "DELETE",
        "/v1/keys/{key_id}",
        "delete",
        revoke_key,
        "Revoke an API key",
        [NOTHING],
        (KeyNotFound,),
        audit="key.revoke",
    ),
]
