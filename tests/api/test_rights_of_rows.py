"""Rights that depend on rows: each is decided in the transaction that uses it, and a request finds the rows of then."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

import clipengine
from clipengine.api.http.operation import Call
from clipengine.clips.texts.cues import Cue
from clipengine.errors import Internal
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.database import Database
from tests.api.test_roles import DELETIONS, LATER, Made, key_of, make
from tests.support.api import ApiServer, RecordedEngine, api_server, recorded_engine
from tests.support.postgres import database_url, kinds_of_ledger, migrated_location, postgres  # noqa: F401 - fixtures

# The functions of the ledger that ask for a right, and the rows on which it depends.
DECIDED = {
    "clips.cancel": "the creator of the clip",
    "clips.delete": "the creator of the clip",
    "clips.delete_all": "the creators of the clips",
    "clips.update": "the creator of the clip, its tag `keep`",
    "recordings.delete": "the creator of the recording, and of its clips, transcripts, transcriptions and segments",
    "recordings.update": "the creator of the recording, and of its clips, transcripts, transcriptions and segments",
    "requested_batches.cancel": "the creator of the batch",
    "shares.delete": "the creator of the share",
    "transcriptions.cancel": "the creator of the transcription",
    "transcripts.delete": "the creator of the transcript",
    "user_sessions.end_for": "the user of the session",
}
# The other places that name the owner of an object. No transaction changes it, and no other row counts.
NAMED = {
    "http/operation.py object": "the caller: a request is admitted if the caller may end own objects",
    "http/operation.py decide": "the answer to the functions above",
    "http/access.py _extent": "what the page offers",
    "routes/resumable_uploads.py _own": "the key of an upload, which does not change",
    "routes/selections.py _object": "the creators of clips, which do not change, in the transaction of their batch",
}
PACKAGE = Path(clipengine.__file__).parent


def functions(package: Path) -> Iterator[tuple[str, str, ast.AST]]:
    """Yield file, name and tree of each function, inner ones alone, without the trees of inner functions."""
    for path in sorted(package.rglob("*.py")):
        for each in ast.walk(ast.parse(path.read_text())):
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                yield str(path.relative_to(package)), each.name, each


def calls(function: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls in a function, without those in the functions that it defines."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.Call):
            yield node
        waiting += ast.iter_child_nodes(node)


@pytest.fixture(params=kinds_of_ledger())
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordedEngine]:
    sections: dict[str, Any] = {}
    if request.param == "postgres":
        place: PostgresLocation = request.getfixturevalue("migrated_location")
        sections["database"] = {"url": place.url, "secrets_key": place.secrets_key}
    with recorded_engine(tmp_path / "engine", **sections) as engine:
        yield engine


@pytest.fixture
def server(engine: RecordedEngine) -> Iterator[ApiServer]:
    with api_server(engine) as server:
        yield server


@pytest.fixture
def people(server: ApiServer) -> dict[str, str]:
    """The ids of two editors."""
    users = server.engine.ledger.users
    return {name: users.sign_in(name, source="proxy", name=name, role="editor").user_id for name in ("editor", "other")}


@pytest.fixture
def http(server: ApiServer, people: dict[str, str]) -> Iterator[httpx.Client]:
    user = server.engine.ledger.users.get(people["editor"])
    with server.client(key_of(server, user)) as client:
        yield client


def before_the_transaction(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> list[bool]:
    """Call `change` when the next request begins its transaction: all that it has read is old. Append True then."""
    original, began = Database.transaction, list[bool]()

    def transaction(self: Database, *, durable: bool = True, ordered: bool = True) -> AbstractContextManager[None]:
        if durable and not began and not self.in_transaction:
            began.append(True)
            change()
        return original(self, durable=durable, ordered=ordered)

    monkeypatch.setattr(Database, "transaction", transaction)
    return began


def taken_over(engine: RecordedEngine, owner: str) -> None:
    """Let another user own all objects, in a transaction of its own."""
    for table in ("recordings", "clips", "shares", "transcripts", "transcriptions", "batches"):
        engine.ledger.database.run(f"UPDATE {table} SET created_by = ?", (owner,))


def counts(engine: RecordedEngine) -> list[Any]:
    """Return the number of all objects, and the states and expiries of those that have one."""
    run = engine.ledger.database.run
    with engine.ledger.session():
        counted = [run(f"SELECT COUNT(*) FROM {each}") for each in ("recordings", "transcripts", "shares", "events")]
        found = ["SELECT clip_id, state, expires_at, tags FROM clips", "SELECT batch_id, state FROM batches"]
        found += ["SELECT transcript_id, state FROM transcriptions", "SELECT expires_at FROM recordings"]
        return [*counted, *(sorted(map(str, run(each))) for each in found)]


@pytest.mark.parametrize("name", DELETIONS)
def test_object_that_another_user_gets_before_the_transaction_is_kept(
    engine: RecordedEngine, people: dict[str, str], http: httpx.Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, before = make(engine, people["editor"]), list[Any]()

    class Sending:
        """The client, which starts the race with its request: what the deletion prepares comes before."""

        def __getattr__(self, method: str) -> Callable[..., httpx.Response]:
            def send(*values: Any, **options: Any) -> httpx.Response:
                before.extend(counts(engine))
                began = before_the_transaction(monkeypatch, lambda: taken_over(engine, people["other"]))
                answer: httpx.Response = getattr(http, method)(*values, **options)
                assert began
                assert counts(engine) == before
                return answer

            return send

    answer = DELETIONS[name](Sending(), engine, made, people["editor"])  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden"), answer.text


@pytest.mark.parametrize(("method", "body"), [("DELETE", None), ("PATCH", {"expires_at": LATER})])
def test_recording_of_which_another_user_stores_a_transcript_before_the_transaction_is_kept(
    engine: RecordedEngine,
    people: dict[str, str],
    http: httpx.Client,
    method: str,
    body: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id = make(engine, people["editor"]).recording.recording_id
    put, cues = engine.ledger.transcripts.put, [Cue(0, 1000, "x")]
    before_the_transaction(monkeypatch, lambda: put(id, "de", cues, created_by=people["other"]))
    answer = http.request(method, f"/v1/recordings/{id}", json=body)
    assert answer.status_code == 403
    assert answer.json()["detail"] == "This belongs to someone else. Ask its creator or an operator."
    assert engine.ledger.recordings.get(id).expires_at is None
    assert engine.ledger.transcripts.find(id, "de")


def test_clip_that_another_user_keeps_before_the_transaction_stays_kept(
    engine: RecordedEngine, people: dict[str, str], http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip_id, clips = make(engine, people["other"]).clip.clip_id, engine.ledger.clips
    clips.update(clip_id, {"tags": []}, {})
    before_the_transaction(monkeypatch, lambda: clips.update(clip_id, {"tags": ["keep"]}, {}))
    assert http.patch(f"/v1/clips/{clip_id}", json={"tags": ["x"]}).status_code == 403
    assert [*clips.get(clip_id).tags] == ["keep"]


def test_own_objects_are_ended(engine: RecordedEngine, people: dict[str, str], http: httpx.Client) -> None:
    for name, delete in DELETIONS.items():
        made: Made = make(engine, people["editor"])
        assert delete(http, engine, made, people["editor"]).is_success, name
    for path in ("recordings/rec_x", "clips/clip_x", "recordings/rec_x/transcripts/en", "sessions/ses_x"):
        assert http.delete(f"/v1/{path}").status_code == 404, path


def test_session_of_another_user_is_not_ended(
    engine: RecordedEngine, people: dict[str, str], http: httpx.Client
) -> None:
    own, theirs = (engine.ledger.user_sessions.begin(people[name])[0].session_id for name in ("editor", "other"))
    assert http.delete(f"/v1/sessions/{theirs}").status_code == 403
    assert [http.delete(f"/v1/sessions/{own}").status_code for _ in range(2)] == [204, 404]
    assert engine.ledger.user_sessions.get(theirs)


def test_each_right_that_depends_on_rows_is_in_the_table(engine: RecordedEngine) -> None:
    found = set()
    for name, repository in vars(engine.ledger).items():
        for function, value in inspect.getmembers(type(repository), inspect.isfunction):
            if "permit" in inspect.signature(value).parameters:
                found.add(f"{name}.{function}")
    assert found == set(DECIDED)


def test_each_route_passes_the_right_of_its_caller_to_the_ledger() -> None:
    """A route that leaves it out would end objects of everybody."""
    passing = set()
    for file, name, function in functions(PACKAGE / "api"):
        for call in calls(function):
            called = ".".join(ast.unparse(call.func).split(".")[-2:])
            if called in DECIDED:
                given = [ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "permit"]
                given += [ast.unparse(each) for each in call.args]
                assert any("permit" in each for each in given), f"{file} {name}: {called} without a right"
                passing.add(called)
    assert passing == set(DECIDED)


def test_no_other_place_of_the_api_decides_by_an_owner() -> None:
    """A right that is decided by an owner that was read before, outside of the transaction that uses it, may be old."""
    found = set()
    for file, name, function in functions(PACKAGE / "api"):
        for call in calls(function):
            names_owner = len(call.args) > 2 or any(keyword.arg == "owner" for keyword in call.keywords)
            if ast.unparse(call.func) == "Object" and names_owner:
                found.add(f"{file} {name}")
    assert found == set(NAMED)


def test_right_that_is_decided_outside_of_a_transaction_is_an_error_of_the_engine(engine: RecordedEngine) -> None:
    """So that no route can ask for a row first, and use the answer later."""
    unused: Any = None
    permit = Call(engine, unused, unused, unused, unused, unused).permit("clips")
    with pytest.raises(Internal, match="outside of its transaction"):
        permit(lambda: None)
