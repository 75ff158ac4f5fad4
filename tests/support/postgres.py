"""A real PostgreSQL for tests, started for the run and gone after it: what is installed, in a folder of its own.

Every test gets a database of its own. Where PostgreSQL is not installed, one line says so.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

_START_SECONDS = 60
# What a crash of the machine would lose does not matter here, what a crash of a client leaves does.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "listen_addresses": "''"}


def _binaries() -> Path | None:
    """The folder of the newest PostgreSQL that is installed."""
    found = [each for each in Path("/usr/lib/postgresql").glob("*/bin") if (each / "initdb").exists()]
    found += [Path(each).parent for each in [shutil.which("initdb")] if each]
    return max(found, key=lambda each: [int(number) for number in re.findall(r"\d+", str(each))], default=None)


def skip_without_postgres() -> None:
    """Call it in a module whose tests all need it."""
    if _binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)", allow_module_level=True)


def kinds_of_ledger() -> tuple[str, ...]:
    """The kinds of database that a ledger can be tried on here."""
    return ("sqlite", "postgres") if _binaries() else ("sqlite",)


class PostgresServer:
    """One server in `folder`; `stop` and `start` make it go away and come back. It has one superuser, `test`."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self.folder = folder
        self._data = folder / "data"
        self._log = folder / "log"
        self._user = self._no_root()

    def init(self) -> None:
        if self._user:
            shutil.chown(self.folder, self._user)
        self._run("initdb", "-D", str(self._data), "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self) -> None:
        settings = " ".join(f"-c {name}={value}" for name, value in _OPTIONS.items())
        options = f"-k {self.folder} {settings}"
        self._run("pg_ctl", "start", "-D", str(self._data), "-l", str(self._log), "-w", "-o", options)

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "-D", str(self._data), "-w", "-m", mode)

    def end(self) -> None:
        """Whatever became of it: no process of it is left."""
        try:
            number = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        except (FileNotFoundError, IndexError):
            return
        os.kill(number, signal.SIGQUIT)
        deadline = time.monotonic() + _START_SECONDS
        while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def url(self, database: str) -> str:
        return f"postgresql://test@/{database}?host={self.folder}"

    def run(self, sql: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """One statement, as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a new, empty database, dropped afterwards."""
        name = f"test_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, command: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", self._user, "--"] if self._user else []
        done = subprocess.run(
            [*as_user, str(self._binaries / command), *arguments],
            cwd=self.folder,
            timeout=_START_SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    @staticmethod
    def _no_root() -> str | None:
        """PostgreSQL refuses to run as root: another user for it, None where this one will do."""
        if os.getuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            return "nobody"


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server of one's own."""
    binaries = _binaries()
    assert binaries is not None
    # Not below pytest's folders, which nobody else may enter, and short: a socket's path has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="clipengine-pg-", dir="/tmp"))
    server = PostgresServer(binaries, folder)
    try:
        server.init()
        server.start()
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this worker."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a new, empty database."""
    with postgres.database() as url:
        yield url
