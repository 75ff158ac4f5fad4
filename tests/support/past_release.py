"""The site of a past release that `scripts/releases/build.py` recorded: unpacked, moved to today, and replayed."""

from __future__ import annotations

import fcntl
import json
import lzma
import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.releases.build import install

_COMMITS = {  # a checkout may lack the tags
    "0.1.0": "78056807aaa6205650105f8c2426adaa4d8f6d45",
    "0.2.0": "9c175a6a555076ddd911fb969dbab0282f571ddd",
}
ARCHIVES = Path(__file__).resolve().parents[1] / "releases"
_NO_TIMES = {"file_size_bytes", "outage_ms"}
_WITH_URLS = [("endpoints", "url"), ("deliveries", "url"), ("deliveries", "target"), ("clips", "webhook_url")]
_AGE_MS = 600_000  # longer than the longest pause before a delivery is sent again
# Of a delivery that has ended in the meantime, and of another key in the list.
_MAY_BECOME_NULL = (".next_at", ".last_used_at")


@dataclass
class PastSite:
    """The folder of a user of a past release, as it was left when the server was killed."""

    folder: Path
    facts: dict[str, Any]

    @property
    def data(self) -> Path:
        return self.folder / "clipengine-data"

    @property
    def config(self) -> Path:
        return self.folder / "clipengine.toml"

    def recorded(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((self.folder / name).read_text("utf-8"))
        return found

    def film(self) -> bytes:
        return next(self.data.rglob("lecture.mp4")).read_bytes()


def shared_releases(factory: pytest.TempPathFactory) -> Path:
    """Return the folder into which the workers of pytest-xdist install releases, each once."""
    folder = factory.getbasetemp()
    folder = (folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder) / "releases"
    folder.mkdir(exist_ok=True)
    return folder


def installed(release: str, folder: Path) -> Path:
    """Install a release into `folder`, and return the path of its command. Skip the test if that is impossible here.

    PAST_RELEASES names a folder that keeps them: `PAST_RELEASES/0.1.0/venv/bin/clipengine`.
    """
    kept = os.environ.get("PAST_RELEASES")
    folder = Path(kept) if kept else folder
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _installed(release, folder / release)


def _installed(release: str, folder: Path) -> Path:
    command = folder / "venv" / "bin" / "clipengine"
    if command.exists():
        return command
    folder.mkdir()
    try:
        return install(_COMMITS[release], folder)
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(folder)
        pytest.skip(f"release {release} cannot be installed here: {error}")


def unpack(release: str, folder: Path, *, port: int) -> PastSite:
    """Unpack a site that ended ten minutes ago and whose webhook receiver listens on `port`."""
    stream = lzma.decompress((ARCHIVES / f"{release}.tar.xz").read_bytes())
    folder.mkdir(parents=True)
    # GNU tar: Python's tarfile rounds the modification times that the ETags of the store contain.
    subprocess.run(["tar", "-xf", "-", "-C", str(folder)], input=stream, check=True)
    site = PastSite(folder, json.loads((folder / "facts.json").read_text("utf-8")))
    old, new = f"127.0.0.1:{site.facts['port']}/", f"127.0.0.1:{port}/"
    for name in ("clipengine.toml", "session.json"):
        (folder / name).write_text((folder / name).read_text("utf-8").replace(old, new), "utf-8")
    _to_today(site.data / "ledger.db", round(time.time() * 1000) - _AGE_MS - site.facts["made_at"], old, new)
    return site


def _to_today(ledger: Path, milliseconds: int, old: str, new: str) -> None:
    """Shift all times of a ledger, so that nothing in it is expired, and replace the address of the receiver."""
    connection = sqlite3.connect(ledger)
    with connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if kind == "BIGINT" and column not in _NO_TIMES:
                    connection.execute(f"UPDATE {table} SET {column} = {column} + ?", (milliseconds,))
        for table, column in _WITH_URLS:
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (old, new))
    connection.close()


class Replay:
    """Sends recorded requests again. Ids that the server returns replace the recorded ones in later requests."""

    def __init__(self, url: str, key: str, film: bytes) -> None:
        self._url, self._key, self._film = url, key, film
        self._ids: dict[str, str] = {}

    def send(self, recorded: dict[str, Any], *, wait_seconds: float = 120) -> httpx.Response:
        """Return the response, of a request with `?wait=` once the clip or recording has ended."""
        deadline = time.monotonic() + wait_seconds
        while True:
            response = self._send(recorded)
            body = response.json() if "json" in response.headers.get("content-type", "") else None
            if "?wait=" not in recorded["path"] or body["status"] != "processing" or time.monotonic() > deadline:
                if body is not None and recorded["status"] == response.status_code:
                    self._ids |= dict(_pairs_of_ids(recorded["response"], body))
                    if recorded["path"] == "/v1/clips/batch":
                        for old, new in zip(recorded["response"]["data"], body["data"], strict=True):
                            self._ids |= dict(_pairs_of_ids(old, new))
                return response

    def _send(self, recorded: dict[str, Any]) -> httpx.Response:
        headers = dict(recorded["headers"])
        headers["Authorization"] = f"Bearer {self._key if recorded['authorized'] else 'wrong'}"
        if "idempotency-key" in headers:  # the recorded keys are still valid
            headers["idempotency-key"] += "-again"
        return httpx.request(
            recorded["method"],
            self._url + self._renamed(recorded["path"]),
            headers=headers,
            content=self._content(recorded),
            timeout=300,
            trust_env=False,
        )

    def _content(self, recorded: dict[str, Any]) -> bytes | None:
        if recorded["path"].startswith("/v1/recordings/upload"):
            return self._film
        return None if recorded["body"] is None else self._renamed(json.dumps(recorded["body"])).encode()

    def _renamed(self, text: str) -> str:
        return re.sub(r"(rec|clip|whk|dlv|shr)_[0-9a-z]{26}", lambda found: self._ids.get(found[0], found[0]), text)


def _pairs_of_ids(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """Yield the recorded and the new ids and keys of an object. Lists are left out: they begin with other objects."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in ("recording_id", "clip_id", "webhook_id", "delivery_id", "share_id", "bucket_path"):
            if isinstance(old.get(name), str) and isinstance(new.get(name), str):
                yield old[name], new[name]


def missing_from(old: Any, new: Any, path: str = "$") -> list[str]:
    """Return what a client that knows the old response would miss in the new one: keys, and values of the same type.

    A null may become a value, because its type was not known. New keys are no loss. Each item of a list must have what
    the items of the old list had in common.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        lost = [f"{path}.{name} is missing" for name in old if name not in new]
        return lost + [
            each for name in old.keys() & new.keys() for each in missing_from(old[name], new[name], f"{path}.{name}")
        ]
    if isinstance(old, list) and isinstance(new, list):
        return [] if not old else [each for item in new for each in missing_from(_common(old), item, f"{path}[]")]
    if old is None or type(old) is type(new) or (new is None and path.endswith(_MAY_BECOME_NULL)):
        return []
    return [f"{path} was {old!r} and is {new!r}"]


def _common(items: list[Any]) -> Any:
    """Return one item with the keys that all items have, and null where their types differ."""
    first = items[0]
    if all(isinstance(item, dict) for item in items):
        names = [name for name in first if all(name in item for item in items)]
        return {name: _common([item[name] for item in items]) for name in names}
    return first if len({type(item) for item in items}) == 1 else None
