"""Secrets at rest: encryption, rejection of missing and wrong keys, and reset of a lost key."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from clipengine.basis.events import ConfiguredEndpoint
from clipengine.errors import Internal, SecretsKeyLost, StartupError
from clipengine.ledger.database.migrations import MIGRATIONS, create_meta, migrate
from clipengine.ledger.database.vault import KEY_FILE, Vault
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening import location as place
from clipengine.ledger.opening.file import file_database
from clipengine.ledger.rows.idempotency import Answer

Open = Callable[..., Ledger]
FIRST, SECOND, SHOWN = "first-secret-of-an-endpoint", "second-secret-of-an-endpoint", "secret-in-an-answer"


def written(path: Path) -> bytes:
    """Return all bytes of the ledger on the disk."""
    return b"".join(each.read_bytes() for each in path.parent.iterdir() if each.name.startswith(path.name))


def test_sealed_text_opens_for_its_owner_only(tmp_path: Path) -> None:
    vault = Vault.make(tmp_path / KEY_FILE)
    sealed = vault.seal("söcret", "whk_a")
    assert "söcret" not in sealed
    assert vault.seal("söcret", "whk_a") != sealed
    assert Vault.make(tmp_path / KEY_FILE).open(sealed, "whk_a") == "söcret"
    for wrong, owner in (
        (sealed, "whk_b"),
        (sealed[:-4] + "AAA=", "whk_a"),
        ("söcret", "whk_a"),
        ("sealed1:", "whk_a"),
    ):
        with pytest.raises(Internal) as caught:
            vault.open(wrong, owner)
        assert "söcret" not in caught.value.message


def test_file_contains_no_plain_secret(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    made = ledger.endpoints.create("https://a.test", ["clip.ready"], FIRST)
    ledger.endpoints.update(made.webhook_id, secret=SECOND)
    answer = Answer(201, {"secret": SHOWN}, private=True)
    again = [ledger.idempotency.once("k", scope="s", fingerprint="f", work=lambda: answer) for _ in range(2)]
    assert again == [(answer, False), (answer, True)]
    default = ledger.default_secret()
    ledger.close()
    for secret in (FIRST, SECOND, SHOWN, default, default.removeprefix("whsec_")):
        assert secret.encode() not in written(path)
    reopened = open_ledger()
    found = reopened.endpoints.get(made.webhook_id)
    assert (found.secret, found.previous_secret, reopened.default_secret()) == (SECOND, FIRST, default)
    assert stat.S_IMODE(path.with_name(KEY_FILE).stat().st_mode) == 0o600


def test_migration_encrypts_and_overwrites_plain_secrets(open_ledger: Open, path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    database = file_database(path)
    create_meta(database)
    migrate(database, MIGRATIONS[:1])
    default = str(database.run("SELECT value FROM meta WHERE name = 'default_secret'")[0][0])
    for number in range(50):
        row = (f"whk_{number}", f"{FIRST}{number}", SECOND, 1)
        database.run(
            "INSERT INTO endpoints VALUES (?, 'https://a.test', '[]', ?, ?, NULL, ?, 'api', 1, NULL, NULL)", row
        )
    answer = ("key_1 POST /v1/webhooks", "k", "f", 201, json.dumps({"secret": SHOWN}), "{}", 1)
    database.run("INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)", answer)
    database.close()
    ledger = open_ledger()
    assert ledger.endpoints.get("whk_7").secret == f"{FIRST}7"
    assert ledger.endpoints.get("whk_7").previous_secret == SECOND
    assert ledger.default_secret() == default
    ledger.close()
    for secret in (FIRST, SECOND, SHOWN, default):
        assert secret.encode() not in written(path)


def test_ledger_without_its_key_is_rejected_and_unchanged(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    ledger.close()
    key, before = path.with_name(KEY_FILE), path.read_bytes()
    kept = key.read_bytes()
    for content in (None, b"", b"no key", b"A" * 43 + b"="):
        key.unlink(missing_ok=True)
        if content is not None:
            key.write_bytes(content)
        with pytest.raises(SecretsKeyLost) as caught:
            open_ledger()
        assert str(key) in caught.value.message
        assert "reset-secrets" in caught.value.hint
        assert path.read_bytes() == before
    key.write_bytes(kept)
    open_ledger()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_mounted_key_is_used_although_its_mode_cannot_be_changed(
    open_ledger: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError("mounted by root")

    open_ledger().close()
    path.with_name(KEY_FILE).chmod(0o440)
    monkeypatch.setattr(Path, "chmod", refuse)
    assert open_ledger().default_secret()


def test_key_of_another_ledger_is_rejected(open_ledger: Open, path: Path, tmp_path: Path) -> None:
    open_ledger().close()
    open_ledger(at=tmp_path / "other" / "ledger.db").close()
    path.with_name(KEY_FILE).write_bytes((tmp_path / "other" / KEY_FILE).read_bytes())
    with pytest.raises(SecretsKeyLost, match="is not the key"):
        open_ledger()


def test_unreadable_key_is_a_startup_error(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    ledger.close()
    path.with_name(KEY_FILE).unlink()
    path.with_name(KEY_FILE).mkdir()
    with pytest.raises(StartupError, match="cannot be read"):
        open_ledger()


def test_key_that_cannot_be_created_is_a_startup_error(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("not a folder")
    with pytest.raises(StartupError, match=r"cannot be created at .*secrets\.key: ") as refused:
        Vault.make(folder / "secrets.key")
    assert "copy another host's key" in refused.value.hint


def test_reset_secrets_replaces_a_lost_key(ledger: Ledger, open_ledger: Open, path: Path) -> None:
    own = ledger.endpoints.create("https://a.test", ["clip.ready"], FIRST)
    ledger.endpoints.sync_settings([ConfiguredEndpoint("https://b.test", SECOND, ["clip.ready"])])
    default = ledger.default_secret()
    ledger.close()
    path.with_name(KEY_FILE).unlink()
    assert place.reset_secrets(path) == [own.webhook_id]
    again = open_ledger()
    lost = again.endpoints.get(own.webhook_id)
    assert (lost.enabled, lost.secret == FIRST) == (False, False)
    assert "lost" in (lost.disabled_reason or "")
    assert again.default_secret() not in ("", default)
    (kept,) = again.endpoints.sync_settings([ConfiguredEndpoint("https://b.test", SECOND, ["clip.ready"])])
    assert (kept.enabled, kept.secret) == (True, SECOND)
