"""The audit log: rows belong to the transaction of their change, and the chain finds what was changed afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from clipengine.errors import QueueFull
from clipengine.ledger import audit_chain
from clipengine.ledger.audit import AuditFilter
from clipengine.ledger.audit_chain import AuditChain, Fault, Link
from clipengine.ledger.database.act import Act, Actor, acting
from clipengine.ledger.idempotency import Answer
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.users import User
from clipengine.objects.audit import AuditAction
from clipengine.objects.user import Role
from clipengine.timecode import now_ms

ACTOR = Actor("key", "key_1", "key", "key_1", "192.0.2.1")
DAY = 24 * 3600 * 1000


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four rows, each of which has another time, as its order is that of the times."""
    monkeypatch.setattr(audit_chain, "ROWS_OF_A_BATCH", 4)
    times = count(now_ms())
    monkeypatch.setattr("clipengine.ledger.audit.now_ms", lambda: next(times))


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


def _faults(ledger: Ledger, known: Sequence[Link] = ()) -> list[tuple[str, str]]:
    found = list(ledger.audit_chain.verify(known))
    return [(each.kind, each.id) for each in found if isinstance(each, Fault)]


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

    def end_sessions() -> None:
        with acting(make_act("session.end")):
            ledger.users.end_sessions("u", source="oidc")

    _at_once(partial(sign_in, "viewer"))
    user = sign_in("viewer")
    _at_once(partial(sign_in, "editor"))
    _at_once(partial(set_role, "operator"))
    ledger.user_sessions.begin(user.user_id)
    _at_once(end_sessions)
    found = [(each.action, each.object_id) for each in ledger.audit.all()]
    assert found == [(action, user.user_id) for action in ("user.create", "user.update", "user.update", "session.end")]


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
    assert _faults(ledger) == [("head", "audit_head")]


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
    monkeypatch.setattr("clipengine.ledger.audit.now_ms", lambda: next(times))
    _add(ledger, 3)
    _seal(ledger)
    _add(ledger, 1)
    monkeypatch.setattr(audit_chain, "now_ms", lambda: now_ms() + 10 * DAY)
    assert ledger.audit_chain.remove(keep_ms=None) == 0
    removed = [ledger.audit_chain.remove(keep_ms=5 * DAY) for _ in range(3)]
    assert removed == [4, 4, 0]
    rows = list(ledger.audit.all())
    assert [each.batch for each in rows] == [3, 3, 3, None]
    assert first is not None
    assert _faults(ledger, [first]) == []
    _run(ledger, "UPDATE audit SET batch = 2 WHERE audit_id = ?", rows[0].audit_id)
    assert sorted(_faults(ledger)) == [("inserted", rows[0].audit_id), ("missing", rows[0].audit_id)]


def test_log_is_continued_with_a_new_key_and_another_key_cannot_forge_it(ledger: Ledger) -> None:
    _add(ledger, 6)
    _seal(ledger)
    forger = AuditChain(ledger.database, lambda purpose: b"other")
    assert [each.id for each in forger.verify() if isinstance(each, Fault)] == ["audit_head"]
    with ledger.transaction():
        forger.begin_again()
    assert _faults(ledger) == [("head", "audit_anchor")]
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
from clipengine.ledger import audit_chain
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.database.act import Act, Actor
audit_chain.ROWS_OF_A_BATCH = 3
ledger = Ledger.open(Path(sys.argv[1]), key_prefix="k", organisation_id="o", max_queued=10)
print("begun", flush=True)
while True:
    with ledger.transaction():
        for _ in range(3):
            ledger.audit.record(Act("clip.delete", Actor("key", "key_1")))
    ledger.audit_chain.seal()
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
        assert _faults(ledger) == []
        _add(ledger, 1)
        assert _seal(ledger) is not None
        assert _faults(ledger) == []
