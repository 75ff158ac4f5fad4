"""Actions of the page: a caller is only offered those whose request the server accepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import pytest

import clipengine
from clipengine.access.roles import Role, Scope
from clipengine.api.http import access
from clipengine.api.http.access import Action, Object, may, rights
from clipengine.api.http.operation import Operation
from clipengine.ledger.people.keys import ApiKey
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.people.users import User
from tests.support.api import ApiServer

MODULES = [path for path in (Path(clipengine.__file__).parent / "web").rglob("*.js") if "vendor" not in path.parts]
METHODS = {"post": "POST", "postText": "POST", "put": "PUT", "patch": "PATCH", "remove": "DELETE"}
_INSERTED = re.compile(r"\$\{(?:[^{}]|\{[^{}]*\})*\}")
_REQUEST = re.compile(r"\b(post|postText|put|patch|remove|request)\(\s*(?:\"([A-Z]+)\",\s*)?[`\"](/v1/[^`\"?]*)")
# What the page asks before it offers the action that sends a request. `kind:` is a view in the navigation.
ASKED = {
    'may("write", "uploads")': ["POST /v1/uploads", "POST /v1/uploads/*/parts", "DELETE /v1/uploads/*"],
    "mayEdit()": [
        "POST /v1/recordings/*/clips",
        "POST /v1/recordings/*/ranges",
        "POST /v1/recordings/*/transcripts",
        "PUT /v1/recordings/*/transcripts/*",
        "PUT /v1/recordings/*/segments",
        "POST /v1/clips/batch",
    ],
    'may("write", "recordings")': ["POST /v1/recordings", "PATCH /v1/recordings/*"],
    'may("delete", "recordings", ': ["DELETE /v1/recordings/*"],
    'may("write", "clips")': [
        "PATCH /v1/clips/*",
        "POST /v1/clips/*/retry",
        "POST /v1/clips/delete",
        "POST /v1/clips/variants",
        "POST /v1/clips/*/shares",
    ],
    'may("delete", "clips", clip)': ["DELETE /v1/clips/*", "POST /v1/clips/*/cancel"],
    'may("delete", "clips", share)': ["DELETE /v1/clips/*/shares/*"],
    'may("delete", "transcriptions", made)': ["POST /v1/transcriptions/*/cancel"],
    'kind: "rules"': [
        "POST /v1/rules",
        "PATCH /v1/rules/*",
        "DELETE /v1/rules/*",
        "POST /v1/rules/*/try",
        "POST /v1/rules/try",
    ],
    'kind: "webhooks"': [
        "POST /v1/webhooks",
        "PATCH /v1/webhooks/*",
        "DELETE /v1/webhooks/*",
        "POST /v1/webhooks/*/test",
        "POST /v1/deliveries/*/redeliver",
    ],
    'may("read", "keys")': ["POST /v1/keys", "DELETE /v1/keys/*"],
    'may("write", "users")': ["PATCH /v1/users/*"],
    'may("delete", "users")': ["DELETE /v1/users/*"],
}
# Of sessions in a list, which are those that the caller may end, and of a batch that the page has requested.
OWN = {"DELETE /v1/sessions/*", "POST /v1/batches/*/cancel"}
READING = {"POST /v1/clips/archive", "POST /v1/recordings/*/ranges/file"}


@pytest.fixture
def operations(server: ApiServer) -> list[Operation]:
    return server.operations


def callers() -> Iterator[Principal]:
    """Yield a user of each role, and keys of the installation."""
    for role in get_args(Role):
        user = User(f"user_{role}", role, "proxy", role, role, 0)
        yield Principal(user.user_id, user.name, user.scopes, user)
    keys: list[tuple[Scope, ...]] = [("read",), ("read", "write"), ("read", "write", "admin")]
    for scopes in keys:
        yield Principal.of_key(ApiKey("key_1", "key", scopes, 0))


def requests_of_the_page() -> set[str]:
    found = set()
    for path in MODULES:
        for call, method, address in _REQUEST.findall(_INSERTED.sub("*", path.read_text("utf-8"))):
            found.add(f"{method or METHODS[call]} {address}")
    return found


def asked(question: str) -> tuple[Action, str]:
    """Return the action and the kind of a question of the page."""
    if question == "mayEdit()":
        return "write", "recordings"
    words = re.findall(r'"(\w+)"', question)
    return (words[0], words[1]) if len(words) == 2 else ("read", words[0])


def offered(caller: Principal, question: str, owner: str) -> bool:
    """Return the answer of the page, as `may` of rights.js does."""
    action, kind = asked(question)
    extent = rights(caller)[kind].get(action)
    return extent == "all" or (extent == "own" and owner == caller.id)


def test_every_action_of_the_page_is_one_that_the_caller_may_do(operations: list[Operation]) -> None:
    source = "".join(path.read_text("utf-8") for path in MODULES)
    by_name: dict[str, Operation] = {f"{each.method} {re.sub(r'{.*?}', '*', each.path)}": each for each in operations}
    listed = {name for names in ASKED.values() for name in names}
    assert requests_of_the_page() - listed == READING | OWN
    assert {name for name in READING if by_name[name].scope != "read"} == set()
    for question, names in ASKED.items():
        assert question in source
        for name in names:
            operation = by_name[name]
            kind = operation.object({}).kind
            for caller in callers():
                for owner in (caller.id, "user_other"):
                    allowed = may(caller, operation.action, Object(kind, owner=_owned_by(owner)))
                    assert allowed or not offered(caller, question, owner), (name, caller.name, owner)


def _owned_by(id: str) -> Callable[[], str]:
    return lambda: id


def test_rights_have_every_kind_of_object(operations: list[Operation]) -> None:
    kinds = {each.object({}).kind for each in operations if each.scope != "read"}
    assert kinds <= access._KINDS
    by_role = {each.name: rights(each) for each in callers() if each.user}
    assert by_role["viewer"]["clips"] == {"read": "all"}
    assert by_role["viewer"]["sessions"] == {"read": "all", "write": "all", "delete": "own"}
    assert by_role["editor"]["clips"] == {"read": "all", "write": "all", "delete": "own"}
    assert by_role["editor"]["uploads"] == {"read": "own", "write": "own", "delete": "own"}
    assert by_role["editor"]["keys"] == {}
    assert by_role["operator"]["clips"] == {"read": "all", "write": "all", "delete": "all"}
