"""`clipengine audit`, and the rows of commands that change the ledger themselves."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Settings
from tests.support.server import run_command, running_server
from tests.support.waiting import until


def test_commands_are_recorded_exported_and_verified(tmp_path: Path) -> None:
    data = tmp_path / "data"
    at = ("--data", str(data))
    run_command("keys", "create", "laptop", *at)
    run_command("keys", "revoke", "laptop", *at)
    with closing(Ledger.of_settings(Settings.model_validate({"data": {"folder": data}}))) as ledger:
        (key,) = ledger.keys.list()
        first = ledger.audit_chain.seal()
        lines = [json.loads(line) for line in run_command("audit", "export", *at).stdout.splitlines()]
        found = [(each["action"], each["object_id"], each["batch"]) for each in lines]
        assert found == [("key.create", key.key_id, 1), ("key.revoke", key.key_id, 1)]
        assert {(each["actor_kind"], each["actor_id"]) for each in lines} == {("machine", str(os.getuid()))}
        assert lines[0]["at"].endswith("Z")

        good = run_command("audit", "verify", "--head", str(first), *at)
        assert (good.returncode, good.stdout) == (0, f"head {first}\n")
        with ledger.transaction():
            ledger.database.run("UPDATE audit SET actor_id = 'x' WHERE action = 'key.revoke'")
        bad = run_command("audit", "verify", *at)
        assert (bad.returncode, bad.stdout.splitlines()[0].split()[:2]) == (1, ["changed", f"{lines[1]['audit_id']}:"])
    (data / "secrets.key").unlink()
    assert run_command("reset-secrets", *at).returncode == 0
    again = run_command("audit", "verify", *at)
    assert (again.returncode, "Batches up to 1 were sealed with a key that was lost" in again.stderr) == (0, True)
    assert run_command("audit", "verify", "--head", "x", *at).returncode == 2
    assert '"action":"secrets.reset"' in run_command("audit", "export", *at).stdout


def test_server_keeps_the_head_and_restore_moves_it_aside(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "backup"
    at = ("--data", str(data))
    run_command("keys", "create", "laptop", *at)
    with running_server(data):
        until((data / "audit-head").exists)
    assert run_command("audit", "verify", *at).returncode == 0
    run_command("backup", str(file), *at)
    with closing(sqlite3.connect(data / "ledger.db")) as database:
        database.executescript(
            "DELETE FROM audit_batches; DELETE FROM audit; DELETE FROM meta WHERE name LIKE 'audit%'"
        )
    wiped = run_command("audit", "verify", *at)
    assert (wiped.returncode, str(data / "audit-head") in wiped.stdout) == (1, True)
    with running_server(data) as server:
        until(lambda: "the audit log does not contain head" in server.log.read_text())
    assert run_command("audit", "verify", *at).returncode == 1
    assert run_command("restore", str(file), "--replace", *at).returncode == 0
    assert run_command("audit", "verify", *at).returncode == 0
    (aside,) = data.glob("replaced-*/audit-head")
    assert not (data / "audit-head").exists()
    assert run_command("audit", "verify", "--data", str(aside.parent)).returncode == 1
