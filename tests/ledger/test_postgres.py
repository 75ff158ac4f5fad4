"""PostgreSQL only: concurrent first starts, missing keys, the write lock, and outages of the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from clipengine.basis.timecode import now_ms
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.errors import InvalidRequest, SecretsKeyLost, StartupError, StorageUnavailable
from clipengine.ledger.clips.clips import ClipFilter
from clipengine.ledger.database import postgres as postgres_module
from clipengine.ledger.database.backend import PostgresLocation
from clipengine.ledger.database.schema import TABLES
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import inspect, is_current
from clipengine.ledger.recordings.recordings import RecordingFilter
from clipengine.ledger.rows.idempotency import Answer
from tests.support.postgres import PostgresServer, running_postgres, skip_without_postgres
from tests.support.waiting import until

skip_without_postgres()
Open = Callable[..., Ledger]
KINDS = ("postgres",)


def test_models_match_the_migrated_tables(ledger: Ledger) -> None:
    columns: dict[str, dict[str, tuple[str, bool]]] = {}
    about = "SELECT table_name, column_name, data_type, is_nullable, is_generated FROM information_schema.columns"
    for table, name, data_type, nullable, generated in ledger.database.run(
        f"{about} WHERE table_schema = current_schema()"
    ):
        columns.setdefault(table, {})[name] = (data_type, nullable == "NO" or generated == "ALWAYS")
    assert set(columns) == {model._meta.table_name for model in TABLES}
    for model in TABLES:
        made = columns[model._meta.table_name]
        assert set(made) == set(model._meta.fields)
        for name, field in model._meta.fields.items():
            assert made[name][1] == (not field.null), f"{model._meta.table_name}.{name}"


def test_concurrent_first_hosts_create_one_ledger(open_ledger: Open) -> None:
    opened: list[Ledger] = []
    threads = [threading.Thread(target=lambda: opened.append(open_ledger())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ledger.default_secret() for ledger in opened}) == 1
    assert len(opened) == 4


def test_older_row_that_another_engine_indexes_meanwhile_is_left(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip]
) -> None:
    clip, other = queue(), open_ledger()
    ledger.database.run("DELETE FROM clip_documents")
    # Its lock on the clip would hide the race, which is between the snapshot of the query and the lock.
    ledger.database.run("ALTER TABLE clip_documents DROP CONSTRAINT clip_documents_clip_id_fkey")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as thread:
        with other.transaction():
            other.database.run("INSERT INTO clip_documents (clip_id, words) VALUES (?, 'x')", (clip.clip_id,))
            indexing = thread.submit(lambda: sum(ledger.index_missing()))
            until(lambda: ledger.database.run(waiting))
        indexing.result()
    assert ledger.database.run("SELECT words FROM clip_documents") == [("x",)]


def test_error_of_a_host_without_the_key_says_to_copy_it(
    ledger: Ledger, place: PostgresLocation, tmp_path: Path
) -> None:
    elsewhere = PostgresLocation(place.url, tmp_path / "other" / "secrets.key")
    for attempt in (lambda: _open(elsewhere), lambda: inspect(elsewhere)):
        with pytest.raises(SecretsKeyLost, match=r"other/secrets\.key is missing") as refused:
            attempt()
        assert "copy it from the host" in refused.value.hint
    assert not elsewhere.secrets_key.exists()  # no new key is created, which would not match
    elsewhere.secrets_key.parent.mkdir()
    elsewhere.secrets_key.write_bytes(place.secrets_key.read_bytes())
    other = _open(elsewhere)
    assert other.default_secret() == ledger.default_secret()
    other.close()
    assert is_current(elsewhere)
    assert "schema version" in inspect(elsewhere)


def test_database_of_another_program_is_rejected(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE meta (name TEXT, value TEXT)")
    with pytest.raises(StartupError, match="not a ledger"):
        _open(PostgresLocation(database_url, tmp_path / "secrets.key"))


def test_error_for_an_unreachable_server_names_it_without_the_password(tmp_path: Path) -> None:
    place = PostgresLocation("postgresql://u:hidden@127.0.0.1:1/clips", tmp_path / "secrets.key")
    with pytest.raises(StartupError, match=r"the database clips at 127\.0\.0\.1 cannot be opened") as refused:
        _open(place)
    assert "hidden" not in str(refused.value)
    assert "hidden" not in repr(place)


def test_text_with_nul_is_an_invalid_request(ledger: Ledger) -> None:
    with pytest.raises(InvalidRequest):
        ledger.clips.list(ClipFilter(limit=5, label="a\0b"))
    assert ledger.clips.list(ClipFilter(limit=5, label="ab")).data == []


def test_events_become_visible_in_the_order_of_their_numbers(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip]
) -> None:
    """A reader that has seen event 7 never finds a new event 6 later, even from another engine."""
    ledgers = [ledger, open_ledger(), open_ledger()]
    clips = [queue() for _ in range(60)]
    seen: list[int] = []
    done = threading.Event()

    def follow() -> None:
        while not done.is_set():
            seen.extend(event.seq for event in ledgers[2].events.after(seen[-1] if seen else 0))

    def cancel(mine: list[Clip], of: Ledger) -> None:
        for clip in mine:
            of.clips.cancel(clip.clip_id)

    reader = threading.Thread(target=follow)
    reader.start()
    writers = [threading.Thread(target=cancel, args=(clips[n::4], ledgers[n % 2])) for n in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    until(lambda: seen[-1:] == [ledger.events.last_seq()])
    done.set()
    reader.join()
    assert seen == [event.seq for event in ledger.events.after(0, limit=1000)]


def test_write_lock_of_a_vanished_host_is_released(
    ledger: Ledger, place: PostgresLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "_SESSION", "SET idle_in_transaction_session_timeout = 500")
    vanished = postgres_module.connect(place.url)
    vanished.execute(f"BEGIN; {postgres_module._WRITE_LOCK}", prepare=False)
    began = time.monotonic()
    ledger.check_writable()
    assert time.monotonic() - began < 60
    vanished.close()


def test_paused_transaction_loses_the_write_lock(ledger: Ledger, open_ledger: Open) -> None:
    other = open_ledger()

    def stand_still() -> None:
        with ledger.transaction():
            ledger.recordings.register("a.mp4", etag="e", size=1)
            (pid,) = ledger.database.run("SELECT pg_backend_pid()")[0]
            ledger.database.run("SET LOCAL idle_in_transaction_session_timeout = 200")
            until(lambda: not other.database.run("SELECT 1 FROM pg_stat_activity WHERE pid = ?", (pid,)))
            ledger.recordings.register("b.mp4", etag="e", size=1)

    with pytest.raises(StorageUnavailable):
        stand_still()
    assert ledger.recordings.list(RecordingFilter(limit=9)).data == []
    ledger.check_writable()


def test_listeners_are_notified_of_changes_by_other_engines(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip]
) -> None:
    heard: list[tuple[str, str]] = []
    ready, told = threading.Event(), threading.Event()

    def listen(kind: str, ident: str) -> None:
        heard.append((kind, ident))
        (told if kind else ready).set()

    other = open_ledger()
    other.on_change(listen)
    other.database.follow({})
    assert ready.wait(300)
    clip = queue()
    assert told.wait(300)
    until(lambda: ("clip", clip.clip_id) in heard)
    heard.clear()
    other.clips.cancel(clip.clip_id)
    time.sleep(0.3)
    assert heard.count(("clip", clip.clip_id)) == 1  # an engine is notified once of its own changes


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.mark.exhaustive
def test_connections_are_replaced_after_a_restart_of_the_server(own_server: PostgresServer, tmp_path: Path) -> None:
    with own_server.database() as url:
        ledger = _open(PostgresLocation(url, tmp_path / "secrets.key"))
        ledger.recordings.register("a.mp4", etag="e", size=1)
        entered = threading.Event()
        lost: list[BaseException] = []

        def write_across() -> None:
            try:
                with ledger.transaction():
                    ledger.recordings.register("lost.mp4", etag="e", size=1)
                    entered.wait(300)
                    ledger.recordings.register("lost too.mp4", etag="e", size=1)
            except StorageUnavailable as error:
                lost.append(error)

        writer = threading.Thread(target=write_across)
        writer.start()
        own_server.stop()
        entered.set()
        writer.join()
        assert len(lost) == 1
        with pytest.raises(StorageUnavailable, match="the database cannot be used") as away:
            ledger.check_writable()
        assert "PostgreSQL" in away.value.hint
        own_server.start()
        time.sleep(postgres_module._FAIL_FAST_SECONDS)
        ledger.check_writable()
        assert [each.bucket_path for each in ledger.recordings.list(RecordingFilter(limit=9)).data] == ["a.mp4"]
        own_server.stop("immediate")  # as after a crash; idle connections are not reused
        own_server.start()
        time.sleep(postgres_module._FAIL_FAST_SECONDS)
        ledger.check_writable()
        ledger.close()


def test_more_callers_than_connections_are_all_served(ledger: Ledger, queue: Callable[..., Clip]) -> None:
    recording = ledger.recordings.get(queue().recording_id)
    made: list[Clip] = []

    def create() -> None:
        made.append(ledger.clips.create(recording, ClipRequest("x", 0, 1), extension="mp4"))

    threads = [threading.Thread(target=create) for _ in range(3 * postgres_module._MAX_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(threads)
    clients = "WHERE datname = current_database() AND backend_type = 'client backend'"
    (open_now,) = ledger.database.run(f"SELECT count(*) FROM pg_stat_activity {clients}")[0]
    assert open_now <= postgres_module._MAX_CONNECTIONS


def _open(place: PostgresLocation) -> Ledger:
    return Ledger.open(place, key_prefix="relay_live", organisation_id="org_local", max_queued=10_000)


def test_clip_that_is_retried_at_the_same_moment_does_not_expire(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip]
) -> None:
    clip, other = queue(expires_at=1), queue(expires_at=1)
    for each in (clip, other):
        ledger.clips.cancel(each.clip_id)
    second = open_ledger()
    with ledger.transaction():
        ledger.clips.retry(clip.clip_id)
        assert second.expiry.run(keep_ms=None) == 1  # does not wait for the row
    assert second.expiry.run(keep_ms=None) == 0
    assert [each.clip_id for each in ledger.clips.list(ClipFilter(limit=9)).data] == [clip.clip_id]


def test_event_that_is_redelivered_at_the_same_moment_is_kept(
    ledger: Ledger, open_ledger: Open, queue: Callable[..., Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.endpoints.create("https://a.test", ["clip.failed"], "s" * 16)
    ledger.clips.cancel(queue().clip_id)
    [sent] = ledger.deliveries.claim_due()
    ledger.deliveries.record(sent, outcome="delivered", status_code=200, error=None, duration_ms=1)
    monkeypatch.setattr("clipengine.ledger.retention.retention.now_ms", lambda: now_ms() + 86_400_000)
    second = open_ledger()

    def redeliver() -> Answer:
        again = ledger.deliveries.redeliver(sent.delivery_id)
        while second.retention.run(keep_ms=1):  # by another engine, before the commit
            pass
        return Answer(202, {"id": again.delivery_id})

    answer, _ = ledger.idempotency.once(None, scope="s", fingerprint="f", work=redeliver)
    while second.retention.run(keep_ms=1):
        pass
    [waiting] = ledger.deliveries.claim_due()
    assert (waiting.delivery_id, waiting.body) == (answer.body["id"], sent.body)
