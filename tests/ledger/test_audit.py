"""The audit log: rows belong to the transaction of their change, and the chain finds what was changed afterwards."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from clipengine.access.roles import Role
from clipengine.basis.timecode import now_ms
from clipengine.errors import QueueFull
from clipengine.ledger.audit import audit
from clipengine.ledger.audit import chain as audit_chain
from clipengine.ledger.audit.audit import AuditFilter
from clipengine.ledger.audit.chain import AuditChain
from clipengine.ledger.audit.head import HeadFile, Link
from clipengine.ledger.audit.records import Fault
from clipengine.ledger.database.act import Act, Actor, acting
from clipengine.ledger.database.database import compact_json
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.people.users import User
from clipengine.ledger.rows.idempotency import Answer
from clipengine.objects.audit import AuditAction, AuditEntryObject

pytestmark = pytest.mark.proof

ACTOR = Actor("key", "key_1", "key", "key_1", "192.0.2.1")
DAY = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four rows, each of which has another time, as its order is that of the times."""
    monkeypatch.setattr(audit_chain, "ROWS_OF_A_BATCH", 4)
    times = count(now_ms())
    monkeypatch.setattr("clipengine.ledger.audit.audit.now_ms", lambda: next(times))


def _add(ledger: Ledger, count: int, actor: Actor = ACTOR) -> list[str]:
    """Add rows as requests do, and return the ids of their objects."""
    made = []
    for _ in range(count):
        with acting(Act("key.create", actor)):
            made.append(ledger.keys.create("a")[0].key_id)
    return made


def _seal(ledger: Ledger) -> Link | None:
    head = None
    while (link := ledger.audit_chain.seal()) is not None:
        head = link
    return head


def _found(chain: AuditChain, known: Sequence[Link] = ()) -> list[tuple[str, str]]:
    return [(each.kind, each.id) for each in chain.verify(known) if isinstance(each, Fault)]


def _faults(ledger: Ledger, known: Sequence[Link] = ()) -> list[tuple[str, str]]:
    return _found(ledger.audit_chain, known)


def _chain(ledger: Ledger, folder: Path) -> AuditChain:
    """Return the chain of an engine with this data folder."""
    return AuditChain(ledger.database, ledger._vault.derive, HeadFile(folder))


def _run(ledger: Ledger, sql: str, *params: object) -> None:
    with ledger.transaction():
        ledger.database.run(sql, params)


def test_row_exists_if_and_only_if_its_change_was_committed(ledger: Ledger) -> None:
    """Also for callers that share one commit, in which each may fail alone."""
    errors: list[BaseException] = []

    def request(number: int) -> None:
        def work() -> Answer:
            key, _ = ledger.keys.create(f"key {number}")
            if number % 2:
                raise QueueFull("full")
            return Answer(201, {"key_id": key.key_id})

        try:
            with acting(Act("key.create", Actor("key", f"key_{number}"))):
                ledger.idempotency.once(f"{number}", scope="s", fingerprint="f", work=work)
        except QueueFull as error:
            errors.append(error)

    threads = [threading.Thread(target=request, args=(number,)) for number in range(8)]
    with ledger.transaction():
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 4
    rows = list(ledger.audit.all())
    assert sorted(str(each.actor_id) for each in rows) == ["key_0", "key_2", "key_4", "key_6"]
    by_actor = {each.actor_id: each.object_id for each in rows}
    assert by_actor == {f"key_{key.name[-1]}": key.key_id for key in ledger.keys.list()}


def _fail(ledger: Ledger) -> None:
    with ledger.transaction():
        ledger.keys.create("a")
        raise QueueFull("full")


def test_failed_transaction_leaves_no_row_and_its_repetition_one(ledger: Ledger) -> None:
    with acting(Act("key.create", ACTOR)):
        with pytest.raises(QueueFull):
            _fail(ledger)
        assert list(ledger.audit.all()) == []
        with ledger.transaction():
            made = {ledger.keys.create(name)[0].key_id for name in "bc"}
        ledger.keys.create("d")  # one act is recorded once
    assert {each.object_id for each in ledger.audit.all()} == made


def test_act_is_recorded_with_the_first_change_of_an_object(ledger: Ledger) -> None:
    with acting(Act("key.revoke", ACTOR)):
        ledger.user_sessions.end("ses_none")  # changes no row
        with ledger.transaction():
            ledger.database.turn("other")
            ledger.watched.mark("a.mp4", "etag")  # a change that has no object
        assert list(ledger.audit.all()) == []
        key, _ = ledger.keys.create("a")
    assert [each.object_id for each in ledger.audit.all()] == [key.key_id]


def _at_once(work: Callable[[], object]) -> None:
    """Run `work` in several threads, which begin together."""
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        work()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_change_of_a_user_at_the_same_time_is_recorded_once(ledger: Ledger) -> None:
    def make_act(action: AuditAction) -> Act:
        return Act(action, Actor("source", "oidc", "oidc", peer="192.0.2.1"))

    def sign_in(role: Role) -> User:
        return ledger.users.sign_in("u", source="oidc", name="U", role=role, by_groups=True, make_act=make_act)

    def set_role(role: Role) -> None:
        with acting(make_act("user.update")):
            ledger.users.set_role(user.user_id, role)

    def refuse() -> None:
        with acting(make_act("session.end")):
            ledger.users.refuse("u", source="oidc", make_act=make_act)

    _at_once(partial(sign_in, "viewer"))
    user = sign_in("viewer")
    _at_once(partial(sign_in, "editor"))
    _at_once(partial(set_role, "operator"))
    ledger.user_sessions.begin(user.user_id)
    _at_once(refuse)
    found = [(each.action, each.object_id) for each in ledger.audit.all()]
    actions = ("user.create", "user.update", "user.update", "session.end", "user.update")
    assert found == [(action, user.user_id) for action in actions]


def test_failed_sign_in_leaves_neither_user_nor_row(ledger: Ledger) -> None:
    def make_act(action: AuditAction) -> Act:
        return Act(action, ACTOR)

    def fail(role: Role) -> None:
        with ledger.transaction():
            ledger.users.sign_in("u", source="proxy", name="U", role=role, by_groups=True, make_act=make_act)
            raise QueueFull("full")

    with pytest.raises(QueueFull):
        fail("viewer")
    assert list(ledger.audit.all()) == []
    ledger.users.sign_in("u", source="proxy", name="U", role="viewer", make_act=make_act)
    with pytest.raises(QueueFull):
        fail("operator")
    assert [each.action for each in ledger.audit.all()] == ["user.create"]
    assert ledger.users.list(limit=9).data[0].role == "viewer"


def test_changed_missing_and_inserted_rows_are_found(ledger: Ledger) -> None:
    _add(ledger, 10)
    assert (head := _seal(ledger)) is not None
    assert (head.number, _faults(ledger)) == (3, [])
    rows = sorted(ledger.audit.all(), key=lambda each: (each.batch or 0, each.audit_id))
    _run(ledger, "UPDATE audit SET actor_id = 'key_2' WHERE audit_id = ?", rows[1].audit_id)
    _run(ledger, "DELETE FROM audit WHERE audit_id = ?", rows[5].audit_id)
    _run(ledger, "UPDATE audit SET batch = 1, audit_id = 'aud_x' WHERE audit_id = ?", rows[9].audit_id)
    _run(
        ledger,
        "INSERT INTO audit (audit_id, at, action, outcome, count, actor_kind, batch)"
        " VALUES ('aud_y', 1, 'clip.delete', 'done', 1, 'key', 99)",
    )
    assert _faults(ledger) == [
        ("inserted", "aud_y"),
        ("changed", rows[1].audit_id),
        ("inserted", "aud_x"),
        ("missing", rows[5].audit_id),
        ("missing", rows[9].audit_id),
    ]


def test_rows_of_numbers_that_are_no_batch_are_found(ledger: Ledger, ledger_kind: str) -> None:
    _add(ledger, 6)
    _seal(ledger)
    numbers = (0, -7) if ledger_kind == "postgres" else (0, -7, 1.5, "x")
    for place, number in enumerate(numbers):
        _run(
            ledger,
            "INSERT INTO audit (audit_id, at, action, outcome, count, actor_kind, batch)"
            " VALUES (?, 1, 'clip.delete', 'done', 1, 'key', ?)",
            f"aud_{place}",
            number,
        )
    assert sorted(_faults(ledger)) == [("inserted", f"aud_{place}") for place in range(len(numbers))]


def test_changed_records_of_the_chain_are_found(ledger: Ledger) -> None:
    _add(ledger, 9)
    head = _seal(ledger)
    assert head is not None
    _run(ledger, "UPDATE audit_batches SET entries = '[]' WHERE number = 2")
    assert ("batch", "2") in _faults(ledger)
    _run(ledger, "DELETE FROM audit_batches WHERE number = 2")
    assert _faults(ledger) == [("batch", "2")]
    _run(ledger, "UPDATE meta SET value = ? WHERE name = 'audit_head'", '{"number": 1, "head": "", "seal": ""}')
    assert _faults(ledger) == [("head", "audit_head"), ("batch", "2")]


WIPE = ("DELETE FROM audit_batches", "DELETE FROM meta WHERE name IN ('audit_head', 'audit_anchor')")


@pytest.mark.parametrize("rows", ["DELETE FROM audit", "UPDATE audit SET batch = NULL, actor_id = 'x'"])
def test_log_that_was_wiped_or_rewritten_is_found_by_the_head_of_the_host(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: str
) -> None:
    chain = _chain(ledger, tmp_path)
    _add(ledger, 9)
    head = _seal(ledger)
    chain.remember()
    assert HeadFile(tmp_path).read() == head
    assert HeadFile(tmp_path).path.stat().st_mode & 0o777 == 0o600
    assert _found(chain) == []
    for statement in (*WIPE, rows):
        _run(ledger, statement)
    assert _found(chain) == [("head", "3")]
    for _ in range(2):  # the engine continues, beyond the number of the lost head
        _add(ledger, 16)
        assert _seal(ledger) is not None
        chain.remember()
        assert HeadFile(tmp_path).read() == head
        assert _found(chain) == [("head", "3")]
    errors = [each for each in caplog.records if each.levelname == "ERROR"]
    assert [f"does not contain head {head} of {tmp_path}" in each.message for each in errors] == [True]
    HeadFile(tmp_path).path.unlink()  # as the message of `verify` says, after a restore
    assert _found(chain) == []
    chain.remember()
    assert _found(chain) == []


def test_records_that_are_put_back_do_not_deceive_the_engine(ledger: Ledger, tmp_path: Path) -> None:
    """Each head of the replaced log is one that an engine has sealed, but none follows the lost one."""
    chain = _chain(ledger, tmp_path)
    _add(ledger, 4)
    _seal(ledger)
    meta = ledger.database.run("SELECT name, value FROM meta WHERE name = 'audit_head'")
    _add(ledger, 4)
    head = _seal(ledger)
    chain.remember()
    ((number, lost),) = ledger.database.run("SELECT number, entries FROM audit_batches WHERE number = 2")
    _run(ledger, "DELETE FROM audit WHERE batch = 2")
    _run(ledger, "DELETE FROM audit_batches WHERE number = 2")
    _run(ledger, "UPDATE meta SET value = ? WHERE name = 'audit_head'", meta[0][1])
    _add(ledger, 8)
    _seal(ledger)
    assert head is not None
    _run(ledger, "UPDATE audit_batches SET entries = ?, head = ? WHERE number = ?", lost, head.head, number)
    chain.remember()
    assert HeadFile(tmp_path).read() == head
    assert ("batch", "3") in _found(chain)


def test_missing_head_of_a_log_with_batches_or_sealed_rows_is_found(ledger: Ledger, tmp_path: Path) -> None:
    _add(ledger, 9)
    _seal(ledger)
    _run(ledger, "DELETE FROM meta WHERE name = 'audit_head'")
    assert _faults(ledger) == [("head", "audit_head")]
    _add(ledger, 1)
    assert _seal(ledger) is not None
    assert _faults(ledger) == [("batch", "4")]  # a gap, which stays
    for statement in WIPE:
        _run(ledger, statement)
    assert ("head", "audit_head") in _faults(ledger)


def test_inserted_batch_is_found_and_sealing_continues(ledger: Ledger) -> None:
    _add(ledger, 1)
    _seal(ledger)
    insert = "INSERT INTO audit_batches (number, entries, newest_at, sealed_at, head) VALUES (2, '[]', 1, 1, 'x')"
    _run(ledger, insert)
    assert _faults(ledger) == [("head", "audit_head"), ("batch", "2")]
    _add(ledger, 1)
    assert _seal(ledger) is not None
    assert ("batch", "2") in _faults(ledger)


@pytest.mark.parametrize("numbers", [(-5, 0), (6, 7), (10**15 - 1, 10**15 + 1, 10**15 + 2), (10**15, 2**63 - 1)])
def test_inserted_batches_of_any_number_end_neither_sealing_nor_retention(
    ledger: Ledger, tmp_path: Path, numbers: tuple[int, ...]
) -> None:
    _expect_that_sealing_continues(ledger, tmp_path, numbers)


@pytest.mark.parametrize("number", [6.5, 0.5, -1.5, 9e999, "x", b"x", "\ud800"])
def test_inserted_batches_of_another_type_end_neither_sealing_nor_retention(
    ledger: Ledger, path: Path, number: object
) -> None:
    stored = b"\xff" if number == "\ud800" else number
    _expect_that_sealing_continues(ledger, path.parent, [stored], as_text=number == "\ud800")


def _expect_that_sealing_continues(
    ledger: Ledger, folder: Path, numbers: Sequence[object], *, as_text: bool = False
) -> None:
    chain = _chain(ledger, folder)
    _add(ledger, 6)
    _seal(ledger)
    chain.remember()
    value = "CAST(? AS TEXT)" if as_text else "?"
    for number in numbers:
        _run(ledger, f"INSERT INTO audit_batches VALUES ({value}, '[]', 0, 0, 'x')", number)
    assert {kind for kind, _ in _found(chain)} & {"batch", "head"}
    for _ in range(2):
        _add(ledger, 5)
        head = _seal(ledger)
        assert head is not None
        assert Link.parse(str(head)) == head
        assert {kind for kind, _ in _found(chain, [head])} == {"batch"}
    _run(ledger, "UPDATE audit SET count = 2 WHERE batch = 1")
    assert ("changed", next(iter(ledger.audit.all())).audit_id) in _found(chain)
    while ledger.audit_chain.remove(keep_ms=-60_000):
        chain.remember()
    list(chain.verify())
    assert {each.batch for each in ledger.audit.all()} <= {-1, 1, head.number}


def test_hosts_remember_different_heads_and_retention_may_delete_them(ledger: Ledger, tmp_path: Path) -> None:
    """An engine that died after sealing, or was stopped for long, catches up."""
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    one, two, three = (_chain(ledger, folder) for folder in folders)
    for chain in (one, two, three):
        _add(ledger, 5)
        _seal(ledger)
        chain.remember()
    seen = [HeadFile(folder).read() for folder in folders]
    assert [each and each.number for each in seen] == [2, 4, 6]
    for _ in range(4):
        assert ledger.audit_chain.remove(keep_ms=-60_000)
    assert [_found(chain) for chain in (one, two, three)] == [[], [], []]
    for chain, folder in zip((one, two, three), folders, strict=True):
        chain.remember()
        assert HeadFile(folder).read() == seen[2]
    while ledger.audit_chain.remove(keep_ms=-60_000):
        pass
    one.remember()
    assert [_found(chain) for chain in (one, two, three)] == [[], [], []]


def test_folder_without_space_or_rights_costs_one_warning(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = _chain(ledger, tmp_path / "none")
    for _ in range(2):
        _add(ledger, 1)
        assert chain.seal() is not None
        chain.remember()
    assert [each.levelname for each in caplog.records if each.levelno > 20] == ["WARNING"]
    assert _found(chain) == []


def test_damaged_file_of_the_head_is_a_fault(ledger: Ledger, tmp_path: Path) -> None:
    HeadFile(tmp_path).path.write_bytes(b"\xff")
    chain = _chain(ledger, tmp_path)
    _add(ledger, 1)
    assert chain.seal() is not None
    chain.remember()
    assert HeadFile(tmp_path).path.read_bytes() == b"\xff"
    assert _found(chain) == [("head", "audit-head")]


@pytest.mark.parametrize("entries", ["null", "{", '[["a"]]', '[["a", 1]]', "[[[], 1]]", "[" * 100_000, '"é"'])
def test_batch_with_other_entries_does_not_end_the_verification(ledger: Ledger, entries: str) -> None:
    _add(ledger, 12)
    _seal(ledger)
    _run(ledger, "UPDATE audit_batches SET entries = ? WHERE number = 1", entries)
    (row, *_) = ledger.audit.list(AuditFilter(limit=1)).data
    _run(ledger, "UPDATE audit SET count = 2 WHERE audit_id = ?", row.audit_id)
    assert _faults(ledger) == [("batch", "1"), ("changed", row.audit_id)]


def test_fault_of_an_id_that_no_terminal_shows_is_escaped(ledger: Ledger) -> None:
    _add(ledger, 1)
    _seal(ledger)
    _run(ledger, "UPDATE audit_batches SET entries = ?", '[["\\ud800\\u001b", "x"]]')
    assert ("missing", ascii("\ud800\x1b")) in _faults(ledger)


@pytest.mark.parametrize("value", ["CAST(outcome AS BLOB)", "CAST(X'FF' AS TEXT)", "X'FF'", "9e999", "'é'"])
@pytest.mark.parametrize("column", ["outcome", "at", "count", "peer", "audit_id"])
def test_cell_of_another_type_does_not_end_the_verification(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch, column: str, value: str
) -> None:
    """SQLite stores any type in any column, and text that is not UTF-8."""
    _add(ledger, 9)
    _seal(ledger)
    rows = sorted(ledger.audit.all(), key=lambda each: (each.batch or 0, each.audit_id))
    _run(ledger, "UPDATE audit SET count = 2 WHERE audit_id = ?", rows[-1].audit_id)
    _run(ledger, f"UPDATE audit SET {column} = {value} WHERE audit_id = ?", rows[0].audit_id)
    monkeypatch.setattr(audit, "_READ_AT_ONCE", 1)
    listed = ledger.audit.list(AuditFilter(limit=20)).data
    exported = list(ledger.audit.all())
    for found in (listed, exported):
        shown = {each.audit_id: compact_json(AuditEntryObject.of(each).to_object()).encode() for each in found}
        assert {row.audit_id for row in rows[1:]} <= set(shown)
    assert len(exported) == len(rows)
    assert len(listed) == len(rows) - (column in ("at", "audit_id"))  # no cursor can name such a row
    faults = _faults(ledger)
    kind = "missing" if column == "audit_id" else "changed"
    assert faults[0] == (kind, rows[0].audit_id)
    assert faults[-1] == ("changed", rows[-1].audit_id)


def test_copy_of_a_sealed_row_is_found_without_the_primary_key(ledger: Ledger, path: Path) -> None:
    _add(ledger, 3)
    _seal(ledger)
    copied = next(iter(ledger.audit.all())).audit_id
    _run(ledger, "CREATE TABLE rebuilt AS SELECT * FROM audit")
    _run(ledger, "INSERT INTO rebuilt SELECT * FROM audit")
    _run(ledger, "DELETE FROM rebuilt WHERE rowid > 3 AND audit_id <> ?", copied)
    _run(ledger, "UPDATE rebuilt SET actor_id = 'forged' WHERE audit_id = ? AND rowid <= 3", copied)
    _run(ledger, "DROP TABLE audit")
    _run(ledger, "ALTER TABLE rebuilt RENAME TO audit")
    assert ("inserted", copied) in _faults(ledger)


_HIDDEN_IN_SQLITE = {
    "another index": (
        "DROP INDEX audit_sealed",
        "CREATE INDEX audit_sealed ON audit (batch, audit_id) WHERE batch IS NOT NULL AND actor_id = 'x'",
    ),
    "rebuilt index": (
        "DROP INDEX audit_at",
        "CREATE INDEX audit_at ON audit (at, audit_id) WHERE actor_id = 'x'",
        "PRAGMA writable_schema = 1",
        "UPDATE sqlite_master SET sql = 'CREATE INDEX audit_at ON audit (at, audit_id)' WHERE name = 'audit_at'",
    ),
    "one more index": ("CREATE INDEX audit_2 ON audit (batch, audit_id) WHERE batch > 1",),
    "trigger": ("CREATE TRIGGER t AFTER INSERT ON api_keys BEGIN DELETE FROM Audit WHERE batch IS NULL; END",),
    "hidden trigger": (
        "CREATE TRIGGER h BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END",
        "PRAGMA writable_schema = 1",
        "UPDATE sqlite_master SET type = 'TRIGGER' WHERE name = 'h'",
    ),
    "trigger as bytes": (
        "CREATE TRIGGER h BEFORE INSERT ON audit BEGIN SELECT RAISE(IGNORE); END",
        "PRAGMA writable_schema = 1",
        "UPDATE sqlite_master SET sql = CAST(sql AS BLOB) WHERE name = 'h'",
    ),
    "trigger of heads": ("CREATE TRIGGER t BEFORE UPDATE ON Meta BEGIN SELECT RAISE(ABORT, 'no'); END",),
    "view": ("ALTER TABLE audit_batches RENAME TO other", "CREATE VIEW audit_batches AS SELECT * FROM other"),
    "heads without a key": (
        "CREATE TABLE other AS SELECT * FROM meta",
        "DROP TABLE meta",
        "ALTER TABLE other RENAME TO meta",
    ),
}


@pytest.mark.parametrize("how", _HIDDEN_IN_SQLITE)
def test_definitions_that_may_hide_rows_are_found(ledger: Ledger, path: Path, how: str) -> None:
    _add(ledger, 3)
    _seal(ledger)
    assert _faults(ledger) == []
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        for statement in _HIDDEN_IN_SQLITE[how]:
            writer.execute(statement)
    assert "table" in {kind for kind, _ in _faults(ledger)}


_HIDDEN_IN_POSTGRES = {
    "child": "CREATE TABLE child () INHERITS (audit)",
    "policy": "ALTER TABLE audit ENABLE ROW LEVEL SECURITY",
    "rule": "CREATE RULE r AS ON DELETE TO audit DO INSTEAD NOTHING",
    "trigger": "CREATE TRIGGER t BEFORE UPDATE ON audit"
    " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "trigger of another table": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN DELETE FROM Audit WHERE batch IS NULL; RETURN NULL; END $$;"
    " CREATE TRIGGER audit AFTER UPDATE ON api_keys FOR EACH STATEMENT EXECUTE FUNCTION f()",
    "view": "ALTER TABLE audit RENAME TO other; CREATE VIEW audit AS SELECT * FROM other",
    "no key": "ALTER TABLE audit DROP CONSTRAINT audit_pkey",
}


@pytest.mark.parametrize("how", _HIDDEN_IN_POSTGRES)
def test_definitions_of_postgres_that_may_hide_rows_are_found(ledger: Ledger, ledger_kind: str, how: str) -> None:
    if ledger_kind != "postgres":
        pytest.skip("the statements are those of PostgreSQL")
    _add(ledger, 3)
    _seal(ledger)
    assert _faults(ledger) == []
    _run(ledger, _HIDDEN_IN_POSTGRES[how])
    assert ("table", "audit") in _faults(ledger)


@pytest.mark.parametrize("id", ["'aud_x'", "X'ff'"])
def test_rows_that_something_keeps_from_being_sealed_end_the_sealing(
    ledger: Ledger, ledger_kind: str, caplog: pytest.LogCaptureFixture, id: str
) -> None:
    """Otherwise each attempt would add a batch, for ever."""
    if ledger_kind == "postgres" and id == "X'ff'":
        pytest.skip("PostgreSQL stores no such id")
    if ledger_kind == "postgres":
        _run(ledger, "CREATE RULE r AS ON UPDATE TO audit DO INSTEAD NOTHING")
    else:
        _run(ledger, "CREATE TRIGGER t BEFORE UPDATE ON audit BEGIN SELECT RAISE(IGNORE); END")
    insert = "INSERT INTO audit (audit_id, at, action, outcome, count, actor_kind)"
    _run(ledger, f"{insert} VALUES ({id}, 1, 'clip.create', 'done', 1, 'key')")
    for _ in range(2):
        assert ledger.audit_chain.seal() is None
    assert ledger.database.run("SELECT count(*) FROM audit_batches") == [(0,)]
    assert [each.levelname for each in caplog.records if each.levelno > 20] == ["ERROR"]
    assert "table" in {kind for kind, _ in _faults(ledger)}


def test_pages_lead_past_rows_that_no_cursor_names(ledger: Ledger, path: Path) -> None:
    """The export has these rows as well."""
    _add(ledger, 6)
    _seal(ledger)
    ids = [each.audit_id for each in ledger.audit.all()]
    for id, change in zip(
        ids[1:], ("at = X'FF'", "at = 'x'", "at = -1", "at = 300000000000000", "audit_id = 'a.' || X'FF'"), strict=True
    ):
        _run(ledger, f"UPDATE audit SET {change} WHERE audit_id = ?", id)
    _add(ledger, 1)
    _run(ledger, "UPDATE audit SET object_id = 'key_1'")
    found: list[str] = []
    cursor = None
    while not found or cursor is not None:
        page = ledger.audit.list(AuditFilter(limit=1, cursor=cursor, object="key_1"))
        found += [each.audit_id for each in page.data]
        cursor = page.next_cursor
    assert found[-1] == ids[0]
    assert len(found) == 2
    assert len(list(ledger.audit.all())) == 7


def test_rows_with_cells_of_another_type_do_not_end_the_sealing(ledger: Ledger, path: Path) -> None:
    """Nor do rows that no batch can name, although they are the oldest ones."""
    _add(ledger, 7)
    first, second, third, *others = ledger.audit.all()
    for number, each in enumerate(others):
        odd = f"CAST(X'F{number}' AS TEXT)"
        _run(ledger, f"UPDATE audit SET at = -1, audit_id = {odd} WHERE audit_id = ?", each.audit_id)
    _run(ledger, "UPDATE audit SET outcome = X'FF', at = X'FF' WHERE audit_id = ?", first.audit_id)
    _run(ledger, "UPDATE audit SET audit_id = X'FF' WHERE audit_id = ?", second.audit_id)
    assert ledger.audit_chain.seal() is not None
    assert ledger.audit_chain.seal() is None
    aside = [("inserted", ascii(chr(0xDCF0 + number))) for number in range(4)]  # of five: a list of faults is limited
    assert _faults(ledger) == aside
    _run(ledger, "UPDATE audit SET outcome = X'FE' WHERE audit_id IN (?, ?)", first.audit_id, third.audit_id)
    assert sorted(_faults(ledger)) == sorted([*aside, ("changed", first.audit_id), ("changed", third.audit_id)])


def test_end_that_was_cut_off_is_found_by_a_head_of_the_log_lines(ledger: Ledger) -> None:
    _add(ledger, 4)
    first = _seal(ledger)
    ((before,),) = ledger.database.run("SELECT value FROM meta WHERE name = 'audit_head'")
    _add(ledger, 4)
    second = _seal(ledger)
    assert first is not None
    assert second is not None
    assert _faults(ledger, [first, second]) == []
    assert _faults(ledger, [Link(1, "f" * 64)]) == [("head", "1")]
    _run(ledger, "DELETE FROM audit WHERE batch = 2")
    _run(ledger, "DELETE FROM audit_batches WHERE number = 2")
    assert _faults(ledger) == [("batch", "2")]
    _run(ledger, "UPDATE meta SET value = ? WHERE name = 'audit_head'", before)
    assert _faults(ledger) == []
    assert _faults(ledger, [second]) == [("head", "2")]


def test_row_of_a_late_commit_is_sealed_in_a_later_batch(ledger: Ledger) -> None:
    """As PostgreSQL commits it: its id and its time are older than the head."""
    _add(ledger, 1)
    late = ledger.audit.list(AuditFilter(limit=1)).data[0]
    _run(ledger, "DELETE FROM audit WHERE audit_id = ?", late.audit_id)
    _add(ledger, 5)
    _seal(ledger)
    ledger.audit.record(Act("key.create", ACTOR, path=["key_late"]))
    _run(ledger, "UPDATE audit SET audit_id = ?, at = ? WHERE batch IS NULL", late.audit_id, late.at)
    assert _faults(ledger) == []
    _seal(ledger)
    assert _faults(ledger) == []
    assert next(each.batch for each in ledger.audit.all()) == 3


def test_retention_deletes_whole_batches_and_moves_the_anchor(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(ledger, 8)
    first = _seal(ledger)
    times = count(now_ms() + 10 * DAY)
    monkeypatch.setattr("clipengine.ledger.audit.audit.now_ms", lambda: next(times))
    monkeypatch.setattr(audit_chain, "now_ms", lambda: now_ms() + 10 * DAY)
    _add(ledger, 3)
    _seal(ledger)
    _add(ledger, 1)
    assert ledger.audit_chain.remove(keep_ms=None) == 0
    removed = [ledger.audit_chain.remove(keep_ms=5 * DAY) for _ in range(3)]
    assert removed == [4, 4, 0]
    rows = list(ledger.audit.all())
    assert [each.batch for each in rows] == [3, 3, 3, None]
    assert first is not None
    assert _faults(ledger, [first]) == []
    _run(ledger, "UPDATE audit SET batch = 2 WHERE audit_id = ?", rows[0].audit_id)
    assert sorted(_faults(ledger)) == [("inserted", rows[0].audit_id), ("missing", rows[0].audit_id)]


def test_retention_believes_only_times_that_are_sealed(
    ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = _chain(ledger, tmp_path)
    _add(ledger, 8)
    _seal(ledger)
    chain.remember()
    _run(ledger, "UPDATE audit_batches SET newest_at = 0")
    assert [chain.remove(keep_ms=DAY) for _ in range(2)] == [0, 0]
    assert [each.levelname for each in caplog.records if each.levelno > 20] == ["ERROR"]
    assert _found(chain) == [("batch", "1"), ("batch", "2")]
    # A record with the head that the host remembers, in place of the log.
    _run(ledger, "DELETE FROM audit")
    _run(ledger, "DELETE FROM audit_batches WHERE number = 1")
    _run(ledger, "UPDATE audit_batches SET entries = '[]'")
    _run(ledger, "DELETE FROM meta WHERE name = 'audit_head'")
    assert chain.remove(keep_ms=DAY) == 0
    assert ("head", "audit_head") in _found(chain)


@pytest.mark.parametrize("changed", ["newest_at = 0", "sealed_at = 0", "newest_at = 0, sealed_at = 0, entries = '[]'"])
def test_inserted_old_rows_make_no_batch_old(ledger: Ledger, tmp_path: Path, changed: str) -> None:
    """Although such rows are sealed as they are."""
    chain = _chain(ledger, tmp_path)
    _add(ledger, 4)
    head = _seal(ledger)
    chain.remember()
    for number in range(4):
        insert = "INSERT INTO audit (audit_id, at, action, outcome, count, actor_kind)"
        _run(ledger, f"{insert} VALUES ('aud_{number}', {number}, 'clip.create', 'done', 1, 'key')")
    _seal(ledger)
    _run(ledger, "DELETE FROM audit WHERE batch = 1")
    _run(ledger, f"UPDATE audit_batches SET {changed} WHERE number = 1")
    assert chain.remove(keep_ms=DAY) == 0
    chain.remember()
    assert head is not None
    assert _found(chain, [head])


def test_rows_of_the_far_future_keep_no_batch(ledger: Ledger) -> None:
    _add(ledger, 4)
    _run(ledger, "UPDATE audit SET at = 9000000000000000000")
    _seal(ledger)
    assert _faults(ledger) == []
    assert ledger.audit_chain.remove(keep_ms=-60_000) == 4


def test_retention_keeps_rows_that_differ_from_their_seals(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(ledger, 8)
    _seal(ledger)
    monkeypatch.setattr(audit_chain, "now_ms", lambda: now_ms() + 10 * DAY)
    _add(ledger, 4)
    _seal(ledger)
    moved = [each.audit_id for each in ledger.audit.all() if each.batch == 3]
    [changed, *_] = [each.audit_id for each in ledger.audit.all() if each.batch == 1]
    _run(ledger, "UPDATE audit SET batch = 2 WHERE batch = 3")
    _run(
        ledger,
        "UPDATE audit_batches SET entries = (SELECT entries FROM audit_batches WHERE number = 3) WHERE number = 1",
    )
    _run(ledger, "UPDATE audit SET count = 2 WHERE audit_id = ?", changed)
    _run(ledger, "UPDATE audit SET batch = 1 WHERE audit_id = ?", moved[0])
    while ledger.audit_chain.remove(keep_ms=5 * DAY):
        pass
    assert set(moved) < {each.audit_id for each in ledger.audit.all()}
    assert {changed, *moved} <= {id for _, id in _faults(ledger)}


def test_retention_deletes_a_batch_with_faults_with_the_next_one(ledger: Ledger) -> None:
    _add(ledger, 8)
    _seal(ledger)
    _run(ledger, "UPDATE audit SET count = 2 WHERE batch = 1 AND audit_id = (SELECT min(audit_id) FROM audit)")
    assert len(_faults(ledger)) == 1
    assert [ledger.audit_chain.remove(keep_ms=-60_000) for _ in range(3)] == [3, 4, 0]
    assert [kind for kind, _ in _faults(ledger)] == ["inserted"]


def test_head_that_is_lost_after_retention_is_found(ledger: Ledger) -> None:
    _add(ledger, 8)
    _seal(ledger)
    while ledger.audit_chain.remove(keep_ms=-60_000):
        pass
    _run(ledger, "DELETE FROM meta WHERE name = 'audit_head'")
    assert _faults(ledger) == [("head", "audit_head")]
    _add(ledger, 1)
    assert _seal(ledger) is not None
    assert _faults(ledger) == [("batch", "3")]


def test_log_is_continued_with_a_new_key_and_another_key_cannot_forge_it(ledger: Ledger) -> None:
    _add(ledger, 6)
    _seal(ledger)
    forger = AuditChain(ledger.database, lambda purpose: b"other")
    assert _found(forger)[0] == ("head", "audit_head")
    with ledger.transaction():
        forger.begin_again()
    assert _faults(ledger)[0] == ("head", "audit_anchor")
    _add(ledger, 3)
    assert forger.seal() is not None
    assert [each for each in forger.verify() if isinstance(each, Fault)] == []
    (row, *_) = ledger.audit.list(AuditFilter(limit=1)).data
    _run(ledger, "UPDATE audit SET count = 2 WHERE audit_id = ?", row.audit_id)
    assert [each.id for each in forger.verify() if isinstance(each, Fault)] == [row.audit_id]


def test_list_filters_and_pages(ledger: Ledger) -> None:
    keys = _add(ledger, 3)
    _add(ledger, 2, Actor("user", "user_1", "session", "ses_1"))
    with ledger.transaction():
        ledger.audit.record(Act("share.create", ACTOR, path=[keys[0], "shr_1"]))

    def pages(**filters: object) -> list[str | None]:
        found, cursor = [], None
        while True:
            page = ledger.audit.list(AuditFilter(limit=2, cursor=cursor, **filters))  # type: ignore[arg-type]
            found += [each.object_id for each in page.data]
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert len(pages()) == 6
    assert pages(actor="key_1") == ["shr_1", *reversed(keys)]
    assert pages(object=keys[0]) == ["shr_1", keys[0]]
    assert pages(action="share.create") == ["shr_1"]
    assert len(pages(actor="user_1", after=0, before=now_ms() + DAY)) == 2
    assert pages(before=1) == []


_SEALER = """
import sys
from pathlib import Path
from clipengine.ledger.audit import chain as audit_chain
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.database.act import Act, Actor
audit_chain.ROWS_OF_A_BATCH = 3
path = Path(sys.argv[1])
ledger = Ledger.open(path, key_prefix="k", organisation_id="o", max_queued=10, folder=path.parent)
print("begun", flush=True)
while True:
    with ledger.transaction():
        for _ in range(3):
            ledger.audit.record(Act("clip.delete", Actor("key", "key_1"), path=["clip_1"]))
    ledger.audit_chain.seal()
    ledger.audit_chain.remember()
    ledger.audit_chain.remove(keep_ms=0)
    print("sealed", flush=True)
"""


def test_chain_is_whole_after_kill_9_while_it_is_sealed(ledger: Ledger, path: Path) -> None:
    for rounds in (2, 5):
        child = subprocess.Popen([sys.executable, "-c", _SEALER, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with child:
            for _ in range(rounds):
                assert child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
        chain = _chain(ledger, path.parent)
        assert _found(chain) == []
        _add(ledger, 1)
        head = _seal(ledger)
        chain.remember()
        assert HeadFile(path.parent).read() == head
        assert _found(chain) == []
