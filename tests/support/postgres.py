"""A real PostgreSQL for tests, from the installed binaries, started for the run in a temporary folder.

Every test has its own database. Without PostgreSQL, tests are skipped with one message.
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

from clipengine.ledger.database.backend import PostgresLocation
from tests.support.ledgers import open_ledger
from tests.support.temporary import temporary_root

_START_SECONDS = 300
# Durability across a crash of the machine is not needed; consistency after a crash of a client is.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200", "listen_addresses": "''"}


def _binaries() -> Path | None:
    """Return the folder of the newest installed PostgreSQL."""
    found = [each for each in Path("/usr/lib/postgresql").glob("*/bin") if (each / "initdb").exists()]
    found += [Path(each).parent for each in [shutil.which("initdb")] if each]
    return max(found, key=lambda each: [int(number) for number in re.findall(r"\d+", str(each))], default=None)


def skip_without_postgres() -> None:
    """Skip a module whose tests all need PostgreSQL."""
    if _binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)", allow_module_level=True)


def kinds_of_ledger() -> tuple[str, ...]:
    """Return the kinds of database that are available for ledger tests."""
    return ("sqlite", "postgres") if _binaries() else ("sqlite",)


class PostgresServer:
    """One server in `folder`, which can be stopped and restarted. Its only superuser is `test`."""

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
        """Stop all its processes, in whatever state they are."""
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
        """Run one statement as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def ledger_template(self) -> tuple[str, Path]:
        """Return a database with a migrated ledger, made once, and the file with the key of its secrets."""
        key = self.folder / "template.key"
        if not key.exists():
            self.run("CREATE DATABASE ledger_template")
            location = PostgresLocation(self.url("ledger_template"), key)
            open_ledger(location).close()
        return "ledger_template", key

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """Yield the URL of a new database, empty or a copy of the template, and drop it afterwards."""
        name = f"test_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name}" + ("" if template is None else f" TEMPLATE {template}"))
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
        """Return another user to run PostgreSQL, which rejects root, or None if the current one will do."""
        if os.getuid() != 0:
            return None
        try:
            return pwd.getpwnam("postgres").pw_name
        except KeyError:
            return "nobody"


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Yield a separate server."""
    binaries = _binaries()
    assert binaries is not None
    # Not below pytest's folders, which other users cannot enter, and short: socket paths have at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="clipengine-pg-", dir=temporary_root()))
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
    """Yield one server for all tests of this worker."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def migrated_location(postgres: PostgresServer, tmp_path: Path) -> Iterator[PostgresLocation]:
    """Yield the location of a new, migrated ledger: a copy of the template."""
    template, key = postgres.ledger_template()
    copied = tmp_path / "data" / "secrets.key"
    copied.parent.mkdir(mode=0o700, exist_ok=True)
    shutil.copy2(key, copied)
    with postgres.database(template) as url:
        yield PostgresLocation(url, copied)


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """Yield the URL of a new, empty database."""
    with postgres.database() as url:
        yield url
