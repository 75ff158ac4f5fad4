"""`clipengine init` and shell completion."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from clipengine.settings.sources import load
from tests.support.receiver import Answer, Receiver
from tests.support.server import COMMAND, clean_environ, run_command, running_server

ANY_PORT = {"CLIPENGINE_SERVER__PORT": "0"}  # the default port may be in use
DENIED = b"<Error><Code>InvalidAccessKeyId</Code><Message>no such key</Message></Error>"


def test_init_with_defaults_writes_a_working_configuration(tmp_path: Path) -> None:
    done = run_command("init", "--yes", env=ANY_PORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("relay_live_")
    config = tmp_path / "clipengine.toml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    settings = load(config, environ={})
    assert (settings.storage.kind, settings.data.folder) == ("folder", tmp_path / "clipengine-data")
    assert settings.store_folder == tmp_path / "clipengine-data" / "store"
    lines = [line for line in config.read_text().splitlines() if " = " in line]
    assert len({line.index("  # ") for line in lines}) == 1
    assert "clipengine backup" in config.read_text()
    with running_server(tmp_path / "clipengine-data", config=config) as server:
        listed = run_command(
            "clips", "list", env={"CLIPENGINE_URL": server.url, "CLIPENGINE_API_KEY": done.stdout.strip()}
        )
    assert listed.returncode == 0, listed.stderr


def test_paths_in_the_file_are_absolute(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    given = ["--data", "my data", "--folder", "../films", "--config", "own file.toml"]
    done = run_command("init", "--yes", *given, env=ANY_PORT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    config = tmp_path / "own file.toml"
    assert f"Next: clipengine serve --config '{config}'" in done.stderr
    shown = run_command("config", "--config", str(config), "--json", cwd=tmp_path / "elsewhere")
    found = json.loads(shown.stdout)
    assert found["data"]["folder"] == str(tmp_path / "my data")
    assert found["storage"]["folder"] == str(tmp_path.parent / "films")


@pytest.mark.exhaustive
def test_end_of_input_is_an_error_that_suggests_yes(tmp_path: Path) -> None:
    command = [COMMAND, "init"]
    done = subprocess.run(command, env=clean_environ(), cwd=tmp_path, input="folder\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert "the input ended before 'Data folder, " in done.stderr
    assert "use --yes" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    (tmp_path / "clipengine.toml").write_text("# mine\n")
    done = run_command("init", "--yes", cwd=tmp_path)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (tmp_path / "clipengine.toml").read_text() == "# mine\n"
    assert run_command("init", "--yes", "--force", env=ANY_PORT, cwd=tmp_path).returncode == 0


def test_missing_store_keys_are_an_error(tmp_path: Path) -> None:
    done = run_command("init", "--kind", "s3", "--yes", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "storage.access_key" in done.stderr
    assert "clipengine.toml was not written" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exhaustive
def test_answers_are_written_and_the_store_is_checked(tmp_path: Path) -> None:
    with Receiver() as store:
        store.answer = lambda request: Answer(403, {"Content-Type": "application/xml"}, DENIED)
        address = f"http://127.0.0.1:{store.port}"
        answers = "\n".join(["s3", "own-data", address, "films", "eu-1", "AKIA1", "s3cr3t-s3cr3t"]) + "\n"
        done = subprocess.run(
            [COMMAND, "init"],
            input=answers,
            cwd=tmp_path,
            env=clean_environ(),
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "PROBLEM store: " in done.stderr
    assert "Check the access key" in done.stderr
    assert "s3cr3t" not in done.stderr
    storage = load(tmp_path / "clipengine.toml", environ={}).storage
    assert (storage.endpoint, storage.bucket, storage.region) == (address, "films", "eu-1")
    assert storage.secret_key.get_secret_value() == "s3cr3t-s3cr3t"


def test_keys_of_the_environment_are_not_written(tmp_path: Path) -> None:
    keys = {"CLIPENGINE_STORAGE__ACCESS_KEY": "AKIA1", "CLIPENGINE_STORAGE__SECRET_KEY": "s3cr3t-s3cr3t"}
    given = ["--kind", "s3", "--endpoint", "http://127.0.0.1:9", "--bucket", "films"]
    done = run_command("init", "--yes", *given, env=keys, cwd=tmp_path)
    assert done.returncode == 1
    assert "PROBLEM store: " in done.stderr
    assert "secret" not in (tmp_path / "clipengine.toml").read_text()


@pytest.mark.exhaustive
def test_serve_logs_that_the_store_denies_access(tmp_path: Path) -> None:
    with Receiver() as store:
        store.answer = lambda request: Answer(403, {"Content-Type": "application/xml"}, DENIED)
        env = {
            "CLIPENGINE_STORAGE__KIND": "s3",
            "CLIPENGINE_STORAGE__ENDPOINT": f"http://127.0.0.1:{store.port}",
            "CLIPENGINE_STORAGE__BUCKET": "films",
            "CLIPENGINE_STORAGE__ACCESS_KEY": "AKIA1",
            "CLIPENGINE_STORAGE__SECRET_KEY": "s3cr3t-s3cr3t",
        }
        with running_server(tmp_path / "data", env=env) as server:
            store.wait_for(1)
        log = server.log.read_text()
    assert "ERROR   clipengine.cli.operator.serve: health check store failed: " in log
    assert "Check the access key" in log
    assert "s3cr3t" not in log


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_printed_for_every_shell(shell: str) -> None:
    done = run_command("completion", shell)
    assert done.returncode == 0, done.stderr
    assert f"_CLIPENGINE_COMPLETE={shell}_complete" in done.stdout


def test_command_names_are_completed() -> None:
    env = {"_CLIPENGINE_COMPLETE": "bash_complete", "COMP_WORDS": "clipengine clips cr", "COMP_CWORD": "2"}
    assert run_command(env=env).stdout == "plain,create\n"
