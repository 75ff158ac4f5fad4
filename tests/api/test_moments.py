"""Times beyond the calendar: no request stores one, and one that an earlier version has stored breaks no answer.

The fields of requests are those of the OpenAPI document, the columns those of the schema.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import reduce
from typing import Any, NamedTuple

import httpx
import pytest

from clipengine.ledger.database.database import Database, DueField, MomentField
from clipengine.ledger.database.moment_columns import count_outside, moment_columns
from clipengine.ledger.database.schema import TABLES
from clipengine.recordings.markers import Marker
from tests.support.api import RecordedEngine
from tests.support.described import Described, described_server

JSON = "application/json"
# Whether each is a time that a field may have.
EDGES = {
    "0001-01-01T00:00:00+23:59": False,
    "0001-01-01T00:00:00Z": False,
    "1969-12-31T23:59:59.999Z": False,
    "1970-01-01T00:00:00+00:01": False,
    "1970-01-01T00:00:00Z": True,
    "2199-12-31T23:59:59.999Z": True,
    "2199-12-31T23:59:59.9996Z": False,  # 2200, to the millisecond
    "2199-12-31T23:59:00-00:01": False,
    "2200-01-01T00:00:00Z": False,
    "2200-01-01T00:00:00+00:01": True,
    "9999-12-31T23:59:59-23:59": False,
    "10000-01-01T00:00:00Z": False,
    "2030-01-01T00:00:00+23:59:59.999999": True,
    "2030-01-01T00:00:00+24:00": False,
    "2030-01-01T00:00:00": False,
    "2030-06-30T23:59:60Z": False,
    "2030-02-29T00:00:00Z": False,
    f"2030-01-01T00:00:00.{'9' * 30}Z": True,
    f"2030-01-01T00:00:00.{'9' * 100}Z": False,
    "253402300800": False,
    "9" * 500: False,
    "NaN": False,
    "-Infinity": False,
    "": False,
    "٢٠٣٠-01-01T00:00:00Z": False,
    "2030-01-01T00:00:00\u0000Z": False,
}
OTHERS: list[Any] = [0, -1, 1e308, 253_402_300_800_000, 10**400, True, ["2030-01-01T00:00:00Z"], {}]
REASONS = ("must be a time", "must be between 1970 and 2199")
YEAR_10000 = 253_402_387_139_000
YEAR_0 = -62_167_305_540_000


class Field(NamedTuple):
    """A field of a request whose type is a time: a parameter of the query, or a path into the body."""

    method: str
    path: str
    parameter: str | None
    pointer: tuple[str | int, ...]
    example: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.parameter or self.pointer}"

    @property
    def place(self) -> str:
        return self.parameter or "".join(f"/{each}" for each in self.pointer)


def send(http: httpx.Client, path: str, fields: Sequence[Field], value: Any) -> httpx.Response:
    """Send the request of an operation with a value in these fields of it."""
    method, body = fields[0].method, deepcopy(fields[0].example)
    query = {each.parameter: value for each in fields if each.parameter is not None}
    if query:
        return http.request(method, path, params=query)
    for each in fields:
        body = _set(body, each.pointer, value)
    return http.request(method, path, content=json.dumps(body), headers={"Content-Type": JSON})


def _set(value: Any, pointer: tuple[str | int, ...], new: Any) -> Any:
    """Return JSON with another value at a place, which is added if it is missing."""
    if not pointer:
        return new
    name, *rest = pointer
    if isinstance(name, int):
        inner = value[0] if isinstance(value, list) and value else {}
        return [_set(inner, tuple(rest), new)]
    held = value if isinstance(value, dict) else {}
    return {**held, name: _set(held.get(name), tuple(rest), new)}


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = reduce(lambda found, name: found[name], schema["$ref"].removeprefix("#/").split("/"), document)
    return schema


def _times(document: dict[str, Any], schema: dict[str, Any], at: tuple[str | int, ...] = ()) -> Iterator[Any]:
    """Yield the places of times in the values of a schema, some several times."""
    schema = _resolved(document, schema)
    if schema.get("format") == "date-time":
        yield at
    if len(at) > 6:
        return
    for name, each in schema.get("properties", {}).items():
        yield from _times(document, each, (*at, name))
    if isinstance(schema.get("items"), dict):
        yield from _times(document, schema["items"], (*at, 0))
    for each in (other for kind in ("anyOf", "oneOf", "allOf") for other in schema.get(kind, ())):
        yield from _times(document, each, at)


def fields_of(document: dict[str, Any]) -> Iterator[Field]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for each in (_resolved(document, parameter) for parameter in operation.get("parameters", ())):
                if any(True for _ in _times(document, each.get("schema", {}))):
                    assert each["in"] == "query"
                    yield Field(method.upper(), path, each["name"], ())
            schema = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
            example = _resolved(document, schema).get("examples", [{}])[0]
            for at in dict.fromkeys(_times(document, schema)):
                yield Field(method.upper(), path, None, at, example)


def readable(document: dict[str, Any]) -> list[str]:
    """Return the paths that give JSON of the ledger."""
    return [
        path
        for path, methods in document["paths"].items()
        if JSON in methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
    ]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    with described_server(tmp_path_factory.mktemp("moments")) as found:
        _complete(found.server.engine, found.ids)
        yield found


def _complete(engine: RecordedEngine, ids: dict[str, str]) -> None:
    """Add rows of the tables with times that are still empty."""
    ledger = engine.ledger
    ledger.markers.add(ids["recording_id"], [Marker(None, 1_700_000_000_000, 0, "goal"), Marker(1.0, None)])
    ledger.users.sign_in("bert", source="proxy", name="Bert", role="viewer")


@pytest.fixture
def http(described: Described) -> Iterator[httpx.Client]:
    with described.server.client() as client:
        yield client


@pytest.fixture
def document(http: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = http.get("/v1/openapi.json").json()
    return found


def _reasons(answer: httpx.Response, place: str) -> list[str]:
    """Return what an answer says of a field."""
    found = answer.json().get("errors", []) if answer.status_code == 422 else []
    return [each["detail"] for each in found if place in (each.get("pointer"), each.get("parameter"))]


def test_times_of_every_request_are_moments_or_are_refused_with_their_field(
    described: Described, http: httpx.Client, document: dict[str, Any]
) -> None:
    fields, faults = list(fields_of(document)), []
    assert len(fields) > 40
    operations: dict[tuple[str, str], list[Field]] = {}
    for field in fields:
        operations.setdefault((field.method, field.path), []).append(field)
    for (_, path), of_operation in operations.items():
        others = [] if of_operation[0].parameter else OTHERS
        tries = [(edge, False, of_operation) for edge in [*(text for text, good in EDGES.items() if not good), *others]]
        tries += [(text, True, [field]) for text, good in EDGES.items() if good for field in of_operation]
        for edge, is_moment, tried in tries:
            answer = send(http, path.format(**described.ids), tried, edge)
            for field in tried:
                reasons = _reasons(answer, field.place)
                is_refused = any(each.startswith(REASONS) for each in reasons)
                if answer.status_code >= 500 or is_refused == is_moment:
                    faults.append(f"{field} {str(edge)[:60]!r}: {answer.status_code} {answer.text[:300]}")
    assert not faults, "\n".join(faults)
    for path in ("/v1/recordings", "/v1/clips", "/v1/rules", "/v1/batches", "/v1/audit", "/v1/users"):
        assert http.get(path).status_code == 200, path


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2200-01-01T00:00:00Z"])
def test_start_in_the_metadata_of_an_upload_is_bounded(http: httpx.Client, time: str) -> None:
    described = base64.b64encode(json.dumps({"started_at": time}).encode()).decode()
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "5",
        "Upload-Metadata": f"filename YS5tcDQ=,recording {described}",
    }
    answer = http.post("/v1/uploads", headers=headers)
    assert answer.status_code == 422
    assert "must be between 1970 and 2199" in answer.json()["detail"]


def test_columns_of_times_have_the_type_of_times() -> None:
    for table in TABLES:
        for column in table._meta.sorted_fields:
            is_named = column.name.endswith(("_at", "_time", "_since", "_until", "_start"))
            if is_named or column.name in ("at", "time", "day"):
                assert isinstance(column, MomentField), f"{table._meta.table_name}.{column.name}"


class Column(NamedTuple):
    """A column of a time."""

    table: str
    name: str
    may_be_never: bool

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"

    @contextmanager
    def altered(self, database: Database, time: int, *, key_id: str) -> Iterator[int]:
        """Store a time in the column of all rows, or of this API key only, and yield the number of rows."""
        only = f" WHERE key_id = '{key_id}'" if self.table == "api_keys" else ""
        saved = f"saved_{self.table}_{self.name}"
        database.run(f"CREATE TABLE {saved} AS SELECT rowid AS id, {self.name} AS kept FROM {self.table}")
        database.run(f"UPDATE {self.table} SET {self.name} = ?{only}", (time,))
        yield int(database.run(f"SELECT COUNT(*) FROM {self.table}{only}")[0][0])
        kept = f"(SELECT kept FROM {saved} WHERE id = {self.table}.rowid)"
        were = f"rowid IN (SELECT id FROM {saved})"  # a read may add rows to the audit log
        database.run(f"UPDATE {self.table} SET {self.name} = {kept} WHERE {were}")
        database.run(f"DROP TABLE {saved}")


COLUMNS = [
    Column(table._meta.table_name, column.name, isinstance(column, DueField))
    for table in TABLES
    for column in table._meta.sorted_fields
    if isinstance(column, MomentField) and not column.primary_key
]
HIDING = ("removed_at", "replaced_at", "disabled_at", "revoked_at")  # such rows are not shown


def _broken(described: Described, http: httpx.Client, document: dict[str, Any]) -> list[str]:
    """Read every list and object and return the failures."""
    paths = [*(path.format(**described.ids) for path in readable(document)), f"/s/{described.token}"]
    answers = {path: http.get(path) for path in paths}
    assert answers["/v1/me"].status_code == 200
    return [
        f"{path}: {each.status_code} {each.text[:200]}" for path, each in answers.items() if each.status_code >= 500
    ]


def test_ledger_full_of_times_of_the_year_10000_can_be_read(
    described: Described, http: httpx.Client, document: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    http.patch(f"/v1/clips/{described.ids['clip_id']}", json={"label": "renamed"}).raise_for_status()  # audited
    database = described.server.engine.ledger.database
    columns = [each for each in COLUMNS if each.name not in HIDING]
    counted = {}
    with ExitStack() as stack:
        for each in columns:
            rows = stack.enter_context(each.altered(database, YEAR_10000, key_id=described.ids["key_id"]))
            counted |= {str(each): rows} if rows and not each.may_be_never else {}
        existing = {table: {*names} for table, names in moment_columns().items()}
        assert count_outside(database.run, existing) == counted
        broken = _broken(described, http, document) + _broken(described, http, document)
        shown = http.get(f"/v1/clips/{described.ids['clip_id']}").json()
    assert not broken, "\n".join(broken)
    assert (shown["created_at"], shown["expires_at"]) == ("2199-12-31T23:59:59.999Z",) * 2
    assert {"clips.expires_at", "recordings.expires_at", "shares.expires_at", "markers.time", "audit.at"} <= {*counted}
    notes = [each.getMessage() for each in caplog.records if "before 1970 or after 2199" in each.getMessage()]
    assert len([each for each in notes if described.ids["clip_id"] in each]) == 1  # not one of each read


@pytest.mark.exhaustive
@pytest.mark.parametrize("time", [YEAR_10000, YEAR_0, -1, 7_258_118_400_000])
def test_no_column_with_a_time_out_of_bounds_breaks_an_answer(
    described: Described, http: httpx.Client, document: dict[str, Any], time: int
) -> None:
    database = described.server.engine.ledger.database
    existing = {table: {*names} for table, names in moment_columns().items()}
    faults = []
    for each in COLUMNS:
        with each.altered(database, time, key_id=described.ids["key_id"]) as rows:
            counts = count_outside(database.run, existing)
            assert counts == ({str(each): rows} if rows and not each.may_be_never else {})
            faults += [f"{each}: {fault}" for fault in (_broken(described, http, document) if rows else [])]
    assert not faults, "\n".join(faults)
