"""API keys: format, storage, verification and revocation."""

from __future__ import annotations

import re
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from clipengine.errors import Conflict, NotFound
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.people import keys as keys_module
from clipengine.ledger.people.keys import Keys

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_key_with_any_prefix_is_parsed_from_the_right(ledger: Ledger) -> None:
    key, text = ledger.keys.create("laptop")
    match = re.fullmatch(r"relay_live_([0-9a-z]{26})_([0-9A-Za-z]{43})_([0-9A-Za-z]{6})", text)
    assert match
    assert key.key_id == f"key_{match[1]}"
    number = 0
    for character in match[3]:
        number = number * 62 + _BASE62.index(character)
    assert number == zlib.crc32(text.rpartition("_")[0].encode())


def test_valid_key_is_verified_with_its_scopes(ledger: Ledger) -> None:
    made, text = ledger.keys.create("laptop", scopes=("read",))
    found = ledger.keys.verify(text)
    assert found is not None
    assert (found.key_id, found.name, found.scopes) == (made.key_id, "laptop", ("read",))
    everything, _ = ledger.keys.create("all")
    assert everything.scopes == ("read", "write", "admin")


def test_only_the_hash_of_a_key_is_stored(ledger: Ledger, path: Path) -> None:
    _, text = ledger.keys.create("laptop")
    secret = text.split("_")[-2]
    ledger.close()
    assert secret.encode() not in path.read_bytes()
    assert text not in repr(ledger.keys)


def test_malformed_or_unknown_key_is_rejected(ledger: Ledger) -> None:
    _, text = ledger.keys.create("laptop")
    other = Keys(ledger.database, "relay_live")
    forged_start = text.rpartition("_")[0][:-1] + ("A" if text.rpartition("_")[0][-1] != "A" else "B")
    forged = f"{forged_start}_{keys_module._checksum(forged_start)}"  # the right id and checksum, another secret
    unknown_start = f"relay_live_{'0' * 26}_{'x' * 43}"
    unknown = f"{unknown_start}_{keys_module._checksum(unknown_start)}"
    for wrong in ("", "_", "___", text[:-1], text + "x", text.upper(), f" {text}", forged, unknown, "é" * 9, "\ud800"):
        assert other.verify(wrong) is None, wrong
    assert other.verify(text) is not None


def test_revoked_key_is_rejected_at_once(ledger: Ledger) -> None:
    key, text = ledger.keys.create("laptop")
    revoked = ledger.keys.revoke(key.key_id)
    assert revoked.revoked_at is not None
    assert ledger.keys.verify(text) is None
    assert ledger.keys.revoke(key.key_id) == revoked


def test_key_is_revoked_by_name_if_only_one_active_key_has_it(ledger: Ledger) -> None:
    first, _ = ledger.keys.create("laptop")
    second, _ = ledger.keys.create("laptop")
    with pytest.raises(Conflict, match=first.key_id):
        ledger.keys.revoke_named("laptop")
    ledger.keys.revoke(first.key_id)
    assert ledger.keys.revoke_named("laptop").key_id == second.key_id
    with pytest.raises(NotFound):
        ledger.keys.revoke_named("desktop")
    assert [key.revoked_at is None for key in ledger.keys.list()] == [False, False]


def test_last_use_is_recorded_once_a_minute(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = ledger.keys.create("laptop")
    clock = ledger.keys.list()[0].created_at
    monkeypatch.setattr(keys_module, "now_ms", lambda: clock)

    def last_use() -> int | None:
        assert ledger.keys.verify(text)
        return ledger.keys.list()[0].last_used_at

    first = clock
    assert last_use() == first
    clock += 59_999
    assert last_use() == first
    clock += 1
    assert last_use() == clock
    clock -= 3_600_000  # the clock was set back
    assert last_use() == clock


def test_key_is_verified_while_the_ledger_is_not_writable(
    ledger: Ledger, open_ledger: Callable[..., Ledger], caplog: pytest.LogCaptureFixture, path: Path
) -> None:
    _, text = ledger.keys.create("laptop")
    ledger.database._busy_seconds = 0.1
    with ledger.session():
        ledger.database.run("PRAGMA busy_timeout = 100")
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        assert ledger.keys.verify(text)
        assert ledger.keys.verify(text)
        writer.close()
    assert caplog.text.count("was not recorded") == 1
    assert text not in caplog.text
