"""Checks of this machine: versions, data folder, ledger, disk, sandbox, port, limits, watermarks and fonts."""

from __future__ import annotations

import os
import platform
import re
import resource
import shlex
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path

from PIL import features

from clipengine import __version__
from clipengine.basis.disk_space import DiskSpace
from clipengine.cli.data_folder import in_postgres
from clipengine.cli.operator.doctor_finding import Finding, ok
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import DataFolderInUse, FontsMissing, SettingsError, StartupError
from clipengine.ledger.database.backend import Location
from clipengine.ledger.database.sqlite import RESTORE_HINT
from clipengine.ledger.opening.backup import last_backup
from clipengine.ledger.opening.commit_watermark import SUFFIX as WATERMARK_SUFFIX
from clipengine.ledger.opening.disk import check_local, file_system
from clipengine.ledger.opening.location import inspect, location_of, moments_outside
from clipengine.media.versions import ffmpeg_version
from clipengine.server.http_server import REACHABLE_HOST, listen
from clipengine.server.process import OPEN_FILES
from clipengine.settings.settings import Settings
from clipengine.work.children.fonts import choose_fonts
from clipengine.work.children.process import sandbox_layers
from clipengine.work.children.watermarks import read_watermarks
from clipengine.work.upkeep.lock import FolderLock

# The oldest suitable version of each package, and the defect of older ones.
_MIN_VERSIONS = {
    "av": ("18.1", "its FFmpeg has memory corruption that a recording can trigger"),
    "huey": ("3.5", "it shuts down differently"),
    "minio": ("7.2.20", "it reports some failed uploads as successful"),
    "peewee": ("4.0.8", "its transactions behave differently"),
    "starlette": ("1.3.1", "it has known vulnerabilities (Host header, form and Range limits)"),
    "uvicorn": ("0.40", "it does not stop while streams are open"),
}
_MIN_SQLITE = (3, 51, 3)
_MIN_OPEN_FILES = 4096
_TIMEOUT_SECONDS = 2
# A letter of each script, for which a font is looked up.
_SCRIPTS = {
    "Latin": "A",
    "Cyrillic": "Я",
    "Greek": "Ω",
    "Arabic": "ع",
    "Hebrew": "ש",
    "Devanagari": "न",
    "Chinese": "今",
    "Japanese": "あ",
    "Korean": "안",
}


def versions(settings: Settings) -> Iterator[Finding]:
    yield ok("clipengine", f"{__version__} on Python {platform.python_version()}")
    for name, (minimum, reason) in _MIN_VERSIONS.items():
        found = version(name)
        if _numbers(found) < _numbers(minimum):
            yield Finding(name, "problem", f"{found}: {reason}", f"Install {name} {minimum} or newer.")
        else:
            yield ok(name, found)
    yield ok("FFmpeg", f"{ffmpeg_version()} (inside av)")
    if in_postgres(settings):
        return
    if sqlite3.sqlite_version_info < _MIN_SQLITE:
        detail = (
            f"{sqlite3.sqlite_version}: versions before 3.51.3 have a fault that can, very rarely, damage the "
            "ledger (the list of recordings, clips and keys); recordings and clips in the store are not affected"
        )
        remedy = (
            "Run `clipengine backup` every night, from which `clipengine restore` brings the ledger back. To remove "
            "the fault, load SQLite 3.51.3 or newer with LD_LIBRARY_PATH, as docs/troubleshooting describes, or use "
            "PostgreSQL."
        )
        yield Finding("SQLite", "warning", detail, remedy)
    else:
        yield ok("SQLite", sqlite3.sqlite_version)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])[:3])


def data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data.folder.resolve()
    if not folder.exists():
        yield ok("data folder", f"{folder} will be created at the first start")
        folder = next(parent for parent in folder.parents if parent.exists())
    elif stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Finding("data folder", "warning", f"other users have access to {folder}", f"chmod 700 {folder}")
    else:
        yield ok("data folder", str(folder))
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("data folder", "problem", f"this user cannot write to {folder}", f"chown {os.getuid()} {folder}")
    if not in_postgres(settings):
        yield from _on_local_disk(folder)
    disk = DiskSpace(folder, settings.limits.min_free_bytes)
    free = f"{disk.free() / 1_000_000:.0f} MB free"
    if disk.is_low():
        shortage = f"less than limits.min_free_bytes ({settings.limits.min_free_bytes / 1_000_000:.0f} MB)"
        yield Finding("disk", "problem", f"{free}, {shortage}", "Free space on the disk of the data folder.")
    else:
        yield ok("disk", free)


def _on_local_disk(folder: Path) -> Iterator[Finding]:
    try:
        check_local(folder)
    except StartupError as error:
        yield Finding("data folder", "problem", error.message, error.hint)
    if file_system(folder) == "9p":  # some sandboxes provide the local disk as 9p
        detail = f"{folder} is on 9p: if that is a disk of another machine, SQLite's locks do not work"
        yield Finding("data folder", "warning", detail, "Move data.folder to a disk of this machine.")


def ledger(settings: Settings) -> Iterator[Finding]:
    if in_postgres(settings):
        yield ok("ledger", inspect(location_of(settings)))
        yield from _times(location_of(settings))
        return
    path = settings.ledger_file
    if not path.exists() and not path.with_name(path.name + WATERMARK_SUFFIX).exists():
        yield ok("ledger", "none yet")
        return
    try:
        if not path.exists():
            raise StartupError(f"{path} is missing", hint=RESTORE_HINT)
        yield ok("ledger", inspect(path))
        yield from _times(path)
    except StartupError as error:
        yield Finding("ledger", "problem", error.message, f"{error.hint}{_backup_hint(path)}")


def _times(location: Location) -> Iterator[Finding]:
    """Count rows with times that earlier versions accepted: they are shown as the nearest time within the bounds."""
    counts = moments_outside(location)
    if not counts:
        yield ok("times in the ledger", "all are between 1970 and 2199")
        return
    shown = ", ".join(f"{name} in {count}" for name, count in counts.items())
    detail = f"before 1970 or after 2199, and shown as the nearest time between: {shown} rows"
    yield Finding("times in the ledger", "warning", detail, "Set such an expires_at, wait_until or started_at again.")


def _backup_hint(path: Path) -> str:
    last = last_backup(path)
    if last is None:
        return ""
    file, time = last
    how = f"`clipengine restore {shlex.quote(str(file))} --replace`" if file.exists() else f"{file}, which is missing"
    return f" The last backup is of {time}: {how}."


def port(settings: Settings) -> Iterator[Finding]:
    """Check that `serve` can listen or already does."""
    server = settings.server
    address = f"{server.host} port {server.port}"
    running = _running_server(settings)
    responds = server.port > 0 and _is_clipengine(server.host, server.port)
    if running:
        port = "in use by that server" if responds else "not checked: that server may use another port"
        yield ok("port", f"{running}; {address} is {port}")
    elif responds:
        detail = f"{address} is in use by a clipengine with another data folder"
        remedy = "If doctor should check that server, use its --config or --data. Otherwise set another server.port."
        yield Finding("port", "problem", detail, remedy)
    else:
        listen(server.host, server.port).close()
        yield ok("port", f"{address} is free" if server.port else f"{server.host}, any free port")


def _running_server(settings: Settings) -> str:
    """Return the lock's message about the process that uses the data folder, or an empty string."""
    if not settings.data.folder.exists():
        return ""
    lock = FolderLock(settings.data.folder)
    try:
        lock.acquire()
    except DataFolderInUse as error:
        return error.message
    finally:
        lock.release()
    return ""


def _is_clipengine(host: str, port: int) -> bool:
    """Return True if a clipengine listens on the port."""
    connection = HTTPConnection(REACHABLE_HOST.get(host, host), port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/livez")
        response = connection.getresponse()
        return response.getheader("X-Request-Id") is not None and response.read(100) == b'{"status":"ok"}'
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def open_files(settings: Settings) -> Iterator[Finding]:
    """Check the hard limit; `serve` raises the soft limit itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _MIN_OPEN_FILES:
        detail = f"only {hard} open files are allowed; each stream, upload and waiting client needs one"
        yield Finding("open files", "warning", detail, "ulimit -Hn 65536, or LimitNOFILE=65536 in the systemd unit.")
    else:
        limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        yield ok("open files", f"up to {limit}")


def sandbox(settings: Settings) -> Iterator[Finding]:
    mode = settings.encoding.sandbox
    if mode == "off":
        remedy = 'Set encoding.sandbox = "auto".'
        yield Finding("sandbox", "warning", "switched off: a hostile recording has this user's permissions", remedy)
        return
    for layer in sandbox_layers():
        if layer.holds:
            yield ok(f"sandbox: {layer.name}", layer.detail)
        else:
            remedy = "Use a kernel and a container profile that support it. The other layers remain active."
            status = "problem" if mode == "required" else "warning"
            yield Finding(f"sandbox: {layer.name}", status, layer.detail, remedy)  # type: ignore[arg-type]


def drawing(settings: Settings) -> Iterator[Finding]:
    """Check the watermarks, and report for which scripts subtitles can be drawn into the picture."""
    try:
        files = read_watermarks(settings.watermarks)
    except SettingsError as error:
        yield Finding("watermarks", "problem", error.message, error.hint)
    else:
        if files:
            yield ok("watermarks", ", ".join(sorted(files)))
    missing = [script for script, letter in _SCRIPTS.items() if not _has_font(letter, settings.encoding.font_folders)]
    detail = f"none for {', '.join(missing)}" if missing else f"for {', '.join(_SCRIPTS)}"
    if not features.check("fribidi"):
        detail += "; FriBidi is missing, which Arabic, Hebrew and Indic scripts need"
    yield ok("fonts", f"{detail} (only subtitles that are drawn into the picture need them)")


def _has_font(letter: str, folders: Sequence[Path]) -> bool:
    try:
        choose_fonts([TextTrack("und", "und", (Cue(0, 1, letter),))], folders)
    except FontsMissing:
        return False
    return True
