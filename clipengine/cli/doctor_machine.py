"""What `doctor` looks at on this machine: versions, the data folder and its ledger, the sandbox, the port, limits."""

from __future__ import annotations

import os
import platform
import re
import resource
import shlex
import sqlite3
import stat
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path

from clipengine import __version__
from clipengine.cli.data import in_postgres
from clipengine.cli.findings import Finding, good
from clipengine.cli.listening import REACHED, listen
from clipengine.cli.process import OPEN_FILES
from clipengine.errors import DataFolderInUse, StartupError
from clipengine.ledger.backup import last_backup
from clipengine.ledger.disk import check_local, file_system
from clipengine.ledger.mark import TAIL as MARK_TAIL
from clipengine.ledger.place import inspect, place_of
from clipengine.ledger.sqlite import RESTORE_HINT
from clipengine.media.versions import ffmpeg_version
from clipengine.settings import Settings
from clipengine.work.encoder import sandbox_layers
from clipengine.work.lock import FolderLock
from clipengine.work.room import Room

# From which version on it is safe, and what is wrong before.
_SAFE = {
    "av": ("18.1", "FFmpeg in it has memory corruption that a recording can reach"),
    "huey": ("3.5", "it handles stops differently"),
    "minio": ("7.2.20", "it reports some failed uploads as done"),
    "peewee": ("4.0.8", "its transactions are not the ones that the ledger is written for"),
    "starlette": ("1.3.1", "it has known holes (Host header, form and Range limits)"),
    "uvicorn": ("0.40", "it does not stop while streams are open"),
}
_SAFE_SQLITE = (3, 51, 3)
_FEW_FILES = 4096
_ANSWER_SECONDS = 2


def versions(settings: Settings) -> Iterator[Finding]:
    yield good("clipengine", f"{__version__} on Python {platform.python_version()}")
    for name, (safe, reason) in _SAFE.items():
        found = version(name)
        if _numbers(found) < _numbers(safe):
            yield Finding(name, "problem", f"{found}: {reason}", f"Install {name} {safe} or newer.")
        else:
            yield good(name, found)
    yield good("FFmpeg", f"{ffmpeg_version()} (inside av)")
    if in_postgres(settings):
        return
    if sqlite3.sqlite_version_info < _SAFE_SQLITE:
        detail = f"{sqlite3.sqlite_version}: in rare moments two connections can damage a WAL database"
        remedy = "Use a Python with SQLite 3.51.3 or newer when there is one for this system, and back up nightly."
        yield Finding("SQLite", "warning", detail, remedy)
    else:
        yield good("SQLite", sqlite3.sqlite_version)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])[:3])


def data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data.folder.resolve()
    if not folder.exists():
        yield good("data folder", f"{folder} will be made at the first start")
        folder = next(parent for parent in folder.parents if parent.exists())
    elif stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Finding("data folder", "warning", f"others may look into {folder}", f"chmod 700 {folder}")
    else:
        yield good("data folder", str(folder))
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("data folder", "problem", f"this user may not write to {folder}", f"chown it to {os.getuid()}.")
    if not in_postgres(settings):
        yield from _on_local_disk(folder)
    room = Room(folder, settings.limits.min_free_bytes)
    free = f"{room.free() // 1_000_000} MB free"
    if room.low():
        wanted = f"{settings.limits.min_free_bytes // 1_000_000} MB are to stay free (limits.min_free_bytes)"
        yield Finding("disk", "problem", f"{free}, {wanted}", "Free space on the disk of the data folder.")
    else:
        yield good("disk", free)


def _on_local_disk(folder: Path) -> Iterator[Finding]:
    try:
        check_local(folder)
    except StartupError as error:
        yield Finding("data folder", "problem", error.message, error.hint)
    if file_system(folder) == "9p":  # of some sandboxes it is the machine's own disk
        detail = f"{folder} lies on 9p: where that is another machine's disk, SQLite's locks do not hold"
        yield Finding("data folder", "warning", detail, "Put data.folder on a disk of this machine.")


def ledger(settings: Settings) -> Iterator[Finding]:
    if in_postgres(settings):
        yield good("ledger", inspect(place_of(settings)))
        return
    path = settings.ledger_file
    if not path.exists() and not path.with_name(path.name + MARK_TAIL).exists():
        yield good("ledger", "there is none yet")
        return
    try:
        if not path.exists():
            raise StartupError(f"{path} is missing, and there was one", hint=RESTORE_HINT)
        yield good("ledger", inspect(path))
    except StartupError as error:
        yield Finding("ledger", "problem", error.message, f"{error.hint}{_which_backup(path)}")


def _which_backup(path: Path) -> str:
    last = last_backup(path)
    if last is None:
        return ""
    file, at = last
    where = f"`clipengine restore {shlex.quote(str(file))} --replace`" if file.exists() else f"{file}, now elsewhere"
    return f" The last backup is of {at}: {where}."


def port(settings: Settings) -> Iterator[Finding]:
    """Whether `serve` could listen, or does so already."""
    server = settings.server
    where = f"{server.host} port {server.port}"
    runs = _who_runs(settings)
    answers = server.port > 0 and _is_clipengine(server.host, server.port)
    if runs:
        port = "in use by it, as it should be" if answers else "not tried: it may have been given another one"
        yield good("port", f"{runs}; {where} is {port}")
    elif answers:
        detail = f"{where} is in use by a clipengine that runs on another data folder"
        remedy = "If that is the one you mean, give doctor its --config or --data. Else set another server.port here."
        yield Finding("port", "problem", detail, remedy)
    else:
        listen(server.host, server.port).close()
        yield good("port", f"{where} is free" if server.port else f"{server.host}, any port that is free")


def _who_runs(settings: Settings) -> str:
    """Which clipengine runs on the data folder; empty where none does."""
    if not settings.data.folder.exists():
        return ""
    lock = FolderLock(settings.data.folder)
    try:
        lock.acquire()
    except DataFolderInUse as held:
        return held.message
    finally:
        lock.release()
    return ""


def _is_clipengine(host: str, port: int) -> bool:
    """Whether what listens there answers as a clipengine does."""
    connection = HTTPConnection(REACHED.get(host, host), port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        return answer.getheader("X-Request-Id") is not None and answer.read(100) == b'{"status":"ok"}'
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def open_files(settings: Settings) -> Iterator[Finding]:
    """The hard limit counts: `serve` takes what it may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEW_FILES:
        detail = f"{hard} open files are allowed; each stream, upload and wait of a client needs one"
        yield Finding("open files", "warning", detail, "ulimit -Hn 65536, or LimitNOFILE=65536 in the systemd unit.")
    else:
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        yield good("open files", f"the server may have {most}")


def sandbox(settings: Settings) -> Iterator[Finding]:
    chosen = settings.encoding.sandbox
    if chosen == "off":
        remedy = 'Set encoding.sandbox = "auto".'
        yield Finding("sandbox", "warning", "it is switched off: a hostile recording meets this user's rights", remedy)
        return
    for layer in sandbox_layers():
        if layer.holds:
            yield good(f"sandbox: {layer.name}", layer.detail)
        else:
            remedy = "Use a kernel, and a container runtime's profile, that has it; the other layers hold meanwhile."
            status = "problem" if chosen == "required" else "warning"
            yield Finding(f"sandbox: {layer.name}", status, layer.detail, remedy)  # type: ignore[arg-type]
