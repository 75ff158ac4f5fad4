"""Property tests of settings: any file or variable gives settings, or one error with message and hint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from clipengine.clips.options.profiles import Profile
from clipengine.errors import SettingsError
from clipengine.settings.settings import Settings, Webhooks
from clipengine.settings.sources import load
from clipengine.webhooks.configured_endpoints import configured_endpoints

TABLES: dict[str, type[BaseModel]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
} | {"profiles.default": Profile, "profiles.own": Profile}
NAMES = [
    *TABLES,
    *(f"{table}.{key}" for table, model in TABLES.items() for key in model.model_fields),
    *("profiles", "webhooks.endpoints.url", "profiles.NOT GOOD", "nothing", "server.nothing", "", "server.", "."),
]
QUICK = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.one_of(
    st.sampled_from(["", "text", "true", "1e999", "nan", "-1", "[", "]", "{", "{}", "[[]]", '["a"', "[1, {a = 2}]"]),
    st.sampled_from(
        ["[" * 5000, "{a=" * 5000, "1" * 5000, "0x", "2025-04-05", "a\nb", "\x00", "\udcff", "[2025-04-05]"]
    ),
    st.text(max_size=20),
)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, float("inf"), float("nan"), -0.0]))
values = st.recursive(
    st.one_of(st.booleans(), numbers, texts, st.dates(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@pytest.fixture(autouse=True)
def _no_file_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings_or_one_line(**sources: Any) -> Settings | None:
    try:
        return load(**sources)
    except SettingsError as error:
        told = error
    assert told.message
    assert told.hint
    assert len(told.message) < 20_000
    return None


@QUICK
@given(name=st.sampled_from(NAMES), text=texts)
@pytest.mark.exhaustive
def test_any_text_in_a_variable_gives_settings_or_one_error(name: str, text: str) -> None:
    settings_or_one_line(environ={"CLIPENGINE_" + name.replace(".", "__").upper(): text})


@QUICK
@given(first=st.sampled_from(NAMES), second=st.sampled_from(NAMES), text=texts, other=texts)
@pytest.mark.exhaustive
def test_any_two_variables_give_settings_or_one_error(first: str, second: str, text: str, other: str) -> None:
    environ = {"CLIPENGINE_" + name.replace(".", "__").upper(): each for name, each in ((first, text), (second, other))}
    settings_or_one_line(environ=environ)


@QUICK
@given(name=st.sampled_from(NAMES), value=values)
@pytest.mark.exhaustive
def test_any_value_in_the_file_gives_settings_or_one_error(name: str, value: Any) -> None:
    """Every kind of TOML value is tried for every setting and every table."""
    nested: Any = value
    for part in reversed(name.split(".")):
        nested = {part: nested}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "own.toml"
        try:
            config.write_text(_toml(nested), "utf-8")
        except UnicodeEncodeError:
            return
        settings_or_one_line(config=config, environ={})


def _toml(table: dict[str, Any]) -> str:
    """Write the table with inline values. Values that TOML cannot express give invalid TOML."""
    return "".join(f"{json.dumps(key)} = {_inline(value)}\n" for key, value in table.items())


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value)
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


@QUICK
@given(
    content=st.one_of(st.binary(max_size=200), st.sampled_from([b"\xff", b"a = " + b"[" * 5000, b"\x00", b"a.b = 1"]))
)
@pytest.mark.exhaustive
def test_any_bytes_in_the_file_or_a_secret_give_settings_or_one_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        file.write_bytes(content)
        settings_or_one_line(config=file, environ={})
        settings_or_one_line(environ={"CLIPENGINE_STORAGE__SECRET_KEY_FILE": str(file)})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"PROFILES": "text"}, "profiles is a table, not a string: set a key in it, such as `profiles.default.crf`"),
        ({"PROFILES": "[]"}, "profiles is a table, not a list"),
        ({"PROFILES__SMALL": "text"}, "profiles.small is a table, not a string"),
        ({"SERVER": "5"}, "server is a table, not a string: set a key in it, such as `server.host`"),
        ({"WEBHOOKS__ENDPOINTS": '["http://a"]'}, "webhooks.endpoints.0 is a table, not a string"),
        ({"WEBHOOKS__ENDPOINTS": "http://a"}, 'webhooks.endpoints is a list, not a string: write it as ["one", "two"]'),
        ({"WEBHOOKS__ENDPOINTS": '[{url = "http://a", secret = "0123456789abcdef", events = ["x"]}]'}, "'clip.ready'"),
        ({"WATCH__PREFIXES": '["a\\u0000b"]'}, "is not a valid prefix of a key"),
        ({"SERVER__PORT": ""}, "server.port: must be a whole number"),
        ({"SERVER__PUBLIC_URL": "clips.example.org"}, "'clips.example.org' is not an address such as"),
        ({"DATA__FOLDER": ""}, "data.folder: must not be empty"),
        ({"STORAGE__CA_FILE": ""}, "storage.ca_file: must not be empty"),
        ({"WATCH__PREFIXES": "recordings/"}, "watch.prefixes is a list, not a string"),
        ({"WATCH__SECONDS": "inf"}, "watch.seconds: must be a finite number"),
        ({"WATCH__SECONDS": "1e300"}, "watch.seconds: must be less than or equal to 31536000"),
        ({"SERVER__PORT": "[true]"}, "server.port: must be a whole number"),
        ({"SERVER": "x", "SERVER__PORT": "1"}, "server is set twice, as a table and as a string"),
        ({"LIMITS__MAX_QUEUED_CLIPS": '{"a": 1}'}, "CLIPENGINE_LIMITS__MAX_QUEUED_CLIPS is not a TOML value"),
    ],
)
def test_setting_of_the_wrong_type_is_reported(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={f"CLIPENGINE_{name}": text for name, text in environ.items()})
    assert said in caught.value.message


def test_empty_variable_is_an_empty_string() -> None:
    """Compose files pass unset variables as empty ones."""
    assert load(environ={"CLIPENGINE_STORAGE__SESSION_TOKEN": "", "CLIPENGINE_STORAGE__PREFIX": ""}) == Settings()


def test_invalid_webhook_endpoint_is_rejected_on_start() -> None:
    endpoint = {"url": "nonsense", "secret": "whsec_!!!!!!!!!!!!!!!!"}
    own = Webhooks.model_validate({"endpoints": [endpoint, {"url": "http://a.example/", "secret": "x" * 16}]})
    with pytest.raises(SettingsError) as caught:
        configured_endpoints(own)
    first, second = caught.value.message.split("; ")
    assert first.startswith("webhooks.endpoints.0.url: ")
    assert second.startswith("webhooks.endpoints.0.secret: ")


def test_boolean_is_not_accepted_as_a_number(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[server]\nport = true\n\n[profiles.a]\ncrf = false\n")
    with pytest.raises(SettingsError) as caught:
        load(config, environ={})
    assert caught.value.message == "server.port: true is not possible here; profiles.a.crf: false is not possible here"


@pytest.mark.parametrize("command", ["config", "serve", "doctor", "keys list"])
@pytest.mark.typical(1)
def test_every_command_reports_invalid_settings_and_exits_with_1(command: str, tmp_path: Path) -> None:
    environ = os.environ | {"CLIPENGINE_PROFILES": "text", "CLIPENGINE_SERVER__PORT": "a\nb"}
    arguments = [sys.executable, "-m", "clipengine.cli.main", *command.split()]
    done = subprocess.run(
        arguments, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: ")
    assert error.endswith("(invalid_settings)")
    assert "profiles is a table" in error
    assert "server.port: must be a whole number" in error
    assert "clipengine.toml" in hint
    assert list(tmp_path.iterdir()) == []
