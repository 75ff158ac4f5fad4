"""`clipengine config`."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from clipengine.settings.settings import Settings
from clipengine.settings.sources import load
from tests.support.server import run_command

ENV = {
    "CLIPENGINE_STORAGE__SECRET_KEY": "hunter2hunter2",
    "CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{url = "http://a.example/", secret = "0123456789abcdef"}]',
}


def test_output_is_a_valid_settings_file(tmp_path: Path) -> None:
    done = run_command("config", cwd=tmp_path)
    assert done.returncode == 0
    printed = tmp_path / "printed.toml"
    printed.write_text(done.stdout)
    assert load(printed, environ={}) == Settings()


def test_file_environment_and_options_are_combined(tmp_path: Path) -> None:
    (tmp_path / "clipengine.toml").write_text("[encoding]\nworkers = 7\n")
    done = run_command("config", "--data", "/elsewhere", env={"CLIPENGINE_SERVER__PORT": "9000"}, cwd=tmp_path)
    values = tomllib.loads(done.stdout)
    assert values["encoding"]["workers"] == 7
    assert values["server"]["port"] == 9000
    assert values["data"]["folder"] == "/elsewhere"


def test_secrets_are_masked_in_toml_and_json(tmp_path: Path) -> None:
    for arguments in (["config"], ["config", "--json"]):
        done = run_command(*arguments, env=ENV, cwd=tmp_path)
        assert done.returncode == 0
        assert "hunter2" not in done.stdout
        assert "0123456789abcdef" not in done.stdout
        assert "**********" in done.stdout


def test_json_output_has_all_settings(tmp_path: Path) -> None:
    values = json.loads(run_command("config", "--json", env=ENV, cwd=tmp_path).stdout)
    assert values["server"]["host"] == "127.0.0.1"
    assert values["webhooks"]["endpoints"][0]["url"] == "http://a.example/"
