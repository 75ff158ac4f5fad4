"""`serve` and `worker` start before their database, as after the restart of a machine: they wait for it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from clipengine.ledger.database.backend import BUSY_SECONDS
from clipengine.ledger.database.postgres import _WRITE_LOCK
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer, running_postgres, skip_without_postgres
from tests.support.server import COMMAND, clean_environ, run_command
from tests.support.waiting import until

skip_without_postgres()


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@contextmanager
def engine(command: str, folder: Path, url: str) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """Yield the process, the URL at which it listens, and its log."""
    port = free_port()
    log = folder / "log"
    arguments = [COMMAND, command, "--port", str(port), "--data", str(folder / "data")]
    env = {"CLIPENGINE_DATABASE__URL": url, "CLIPENGINE_STORAGE__FOLDER": str(folder / "store")}
    with log.open("w") as errors:
        process = subprocess.Popen(
            arguments, stdout=subprocess.DEVNULL, stderr=errors, env=clean_environ(env), text=True
        )
    try:
        yield process, f"http://127.0.0.1:{port}", log
    finally:
        process.kill()
        process.wait()


def _get(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, trust_env=False, timeout=300)
    except httpx.TransportError:
        return None


def _status(url: str) -> int | None:
    return found.status_code if (found := _get(url)) else None


@pytest.mark.parametrize("command", ["serve", pytest.param("worker", marks=pytest.mark.exhaustive)])
@pytest.mark.exhaustive
def test_engine_waits_for_its_database(database: PostgresServer, command: str, tmp_path: Path) -> None:
    with database.database() as url:
        database.stop()
        try:
            with engine(command, tmp_path, url) as (process, address, log):
                until(lambda: _get(f"{address}/livez"))
                assert "waiting for the database: " in log.read_text()
                ready, clips = _get(f"{address}/readyz"), _get(f"{address}/v1/clips")
                assert ready is not None
                assert clips is not None
                assert (ready.status_code, ready.json()["checks"]) == (503, [{"name": "database", "ok": False}])
                assert (clips.status_code, clips.json()["code"]) == (503, "storage_unavailable")
                assert clips.headers["Retry-After"]
                database.start()
                until(lambda: (found := _get(f"{address}/readyz")) and found.status_code == 200)
                process.terminate()
                assert process.wait(300) == 0
                assert re.search("(?s)waiting.*can be reached.*stopped", log.read_text())
        finally:
            database.end()
            database.start()


@pytest.mark.parametrize(
    "seconds", [0.0, pytest.param(BUSY_SECONDS + 2.0, marks=pytest.mark.exhaustive)], ids=["briefly", "for long"]
)
@pytest.mark.exhaustive
def test_engine_answers_while_the_ledger_is_migrated(database: PostgresServer, seconds: float, tmp_path: Path) -> None:
    """Another engine migrates it, also for longer than an engine waits for a lock."""
    with (
        database.database() as url,
        psycopg.connect(url) as migrating,
    ):
        migrating.execute(_WRITE_LOCK)
        with engine("serve", tmp_path, url) as (process, address, log):
            until(lambda: _get(f"{address}/livez"))
            assert "migrating the ledger" in log.read_text()
            end = time.monotonic() + seconds
            until(lambda: _status(f"{address}/livez") != 200 or time.monotonic() > end)
            assert (_status(f"{address}/livez"), _status(f"{address}/readyz")) == (200, 503)
            migrating.rollback()
            until(lambda: _status(f"{address}/readyz") == 200)
            process.terminate()
            assert process.wait(300) == 0


@pytest.mark.exhaustive
def test_engine_that_waits_for_its_database_can_be_stopped(tmp_path: Path) -> None:
    with engine("serve", tmp_path, "postgresql://u@127.0.0.1:1/clips") as (process, address, _):
        until(lambda: _get(f"{address}/livez"))
        process.terminate()
        assert process.wait(300) == 0


@pytest.mark.exhaustive
def test_database_that_does_not_exist_ends_the_start(database: PostgresServer, tmp_path: Path) -> None:
    env = {"CLIPENGINE_DATABASE__URL": database.url("missing")}
    ended = run_command("serve", "--port", "0", "--data", str(tmp_path / "data"), env=env)
    assert ended.returncode == 1
    assert 'database "missing" does not exist' in ended.stderr
