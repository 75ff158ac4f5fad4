"""`clipengine keys` and `clipengine reset-secrets`."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from tests.support.server import run_command


def test_create_prints_only_the_key_to_standard_output(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = run_command("keys", "create", "laptop", "--data", str(data))
    assert done.returncode == 0
    assert re.fullmatch(r"relay_live_[0-9a-z]{26}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\n", done.stdout)
    assert "shown only once" in done.stderr
    assert f"created a new data folder: {data.resolve()}" in done.stderr
    again = run_command("keys", "create", "another", "--data", str(data))
    assert (again.returncode, "new data folder" in again.stderr) == (0, False)
    assert done.stdout.strip().encode() not in b"".join(path.read_bytes() for path in data.iterdir())


def test_data_folder_is_private(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    assert run_command("keys", "create", "laptop", "--data", str(data)).returncode == 0
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()} == {0o600}


def test_keys_are_listed_and_revoked(tmp_path: Path) -> None:
    at = ("--data", str(tmp_path / "data"))
    run_command("keys", "create", "one", *at)
    run_command("keys", "create", "two", "--scope", "read", "--scope", "write", *at)
    keys = {key["name"]: key for key in json.loads(run_command("keys", "list", "--json", *at).stdout)}
    assert keys["one"]["scopes"] == ["read", "write", "admin"]
    assert keys["two"]["scopes"] == ["read", "write"]
    assert keys["two"]["revoked_at"] is None

    assert run_command("keys", "revoke", "one", *at).returncode == 0
    assert run_command("keys", "revoke", keys["two"]["key_id"], *at).returncode == 0
    assert all(key["revoked_at"] for key in json.loads(run_command("keys", "list", "--json", *at).stdout))
    table = run_command("keys", "list", *at).stdout.splitlines()
    assert table[0].split() == ["KEY", "NAME", "SCOPES", "CREATED", "LAST", "USED", "REVOKED"]
    assert len(table) == 3


def test_revoking_an_unknown_key_is_an_error(tmp_path: Path) -> None:
    at = ("--data", str(tmp_path / "data"))
    run_command("keys", "create", "one", *at)
    done = run_command("keys", "revoke", "two", *at)
    assert done.returncode == 2
    assert "(key_not_found)" in done.stderr
    assert "`clipengine keys list`" in done.stderr


def test_list_creates_no_data_folder(tmp_path: Path) -> None:
    done = run_command("keys", "list", "--data", str(tmp_path / "typo"))
    assert done.returncode == 1
    assert "typo has no ledger (startup_failed)" in done.stderr
    assert not (tmp_path / "typo").exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\x1b[2Jb"])
def test_unprintable_and_empty_names_are_rejected(tmp_path: Path, name: str) -> None:
    done = run_command("keys", "create", name, "--data", str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / "data").exists()


def test_data_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_command("keys", "create", "one", "--data", str(tmp_path / "file" / "data"))
    assert done.returncode == 1
    assert "file/data: Not a directory (startup_failed)" in done.stderr


def test_settings_select_the_data_folder_and_the_prefix(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(f'[data]\nfolder = "{tmp_path / "there"}"\n\n[auth]\nkey_prefix = "acme"\n')
    done = run_command("keys", "create", "one", "--config", str(config))
    assert done.stdout.startswith("acme_")
    assert (tmp_path / "there" / "ledger.db").exists()


@pytest.mark.exhaustive
def test_reset_secrets_recovers_from_a_lost_secrets_key(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    assert run_command("keys", "create", "laptop", "--data", data).returncode == 0
    (tmp_path / "data" / "secrets.key").unlink()
    refused = run_command("keys", "list", "--data", data)
    assert (refused.returncode, "(secrets_key_lost)" in refused.stderr) == (1, True)
    assert "clipengine reset-secrets" in refused.stderr
    back = run_command("reset-secrets", "--data", data)
    assert (back.returncode, "new secrets.key" in back.stderr) == (0, True)
    assert "laptop" in run_command("keys", "list", "--data", data).stdout
    assert run_command("reset-secrets", "--data", str(tmp_path / "none")).returncode == 1
