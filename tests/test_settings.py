"""Settings: the shipped file has the defaults of the code, and each source of settings works and reports errors."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic import BaseModel, ValidationError

from clipengine.access.roles import role_of
from clipengine.cli.options import port_value
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import Watermark
from clipengine.errors import SettingsError
from clipengine.rules.rule import ConfiguredRule
from clipengine.settings.auth import GroupRoles, OidcSignIn, ProxySignIn
from clipengine.settings.settings import Folder, Settings, Transcription, Webhooks
from clipengine.settings.sources import load

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "clipengine.toml"
S3_SECRETS = {"CLIPENGINE_STORAGE__ACCESS_KEY": "access", "CLIPENGINE_STORAGE__SECRET_KEY": "secret"}


def field_names() -> list[tuple[str, str]]:
    """Return the (table, key) of every setting, as written in the file."""
    names = [(".".join(tables), key) for *tables, key in table_keys(Settings)]
    names += [("profiles.default", key) for key in Profile.model_fields]
    names += [("watermarks.logo", key) for key in Watermark.model_fields]
    names += [("folders", key) for key in Folder.model_fields]
    names += [(".".join(["rules", *tables]), key) for *tables, key in table_keys(ConfiguredRule)]
    return names + [("webhooks.endpoints", key) for key in Webhooks.Endpoint.model_fields]


def table_keys(table: type[BaseModel]) -> Iterator[list[str]]:
    """Yield the path of every key in a table and in the tables inside it, but not in lists and maps of tables."""
    for name, field in table.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ([name, *path] for path in table_keys(kind))
        elif table is not Settings:
            yield [name]


def shipped_keys() -> set[tuple[str, str]]:
    """Return the (table, key) of every line of the file, including those that are commented out."""
    keys, table = set(), ""
    for line in SHIPPED.read_text("utf-8").splitlines():
        if match := re.match(r"(?:# )?\[+([a-z0-9.]+)\]+$", line):
            table = match[1]
        elif match := re.match(r"(?:# )?([a-z_0-9]+) = \S", line):
            keys.add((table, match[1]))
    return keys


def test_shipped_file_has_the_defaults() -> None:
    assert load(SHIPPED, environ={}) == Settings()


def test_shipped_file_contains_every_default_that_toml_can_express() -> None:
    written = tomllib.loads(SHIPPED.read_text("utf-8"))
    defaults = Settings().model_dump(mode="json", exclude_none=True)
    del defaults["webhooks"]["endpoints"]  # a list of tables: its keys are in the file, commented out
    del defaults["folders"], defaults["rules"]  # other ones
    assert written == defaults


def test_shipped_file_names_exactly_the_settings() -> None:
    assert shipped_keys() == set(field_names())


def test_every_setting_of_the_shipped_file_has_a_comment() -> None:
    bare = [
        line
        for line in SHIPPED.read_text("utf-8").splitlines()
        if re.match(r"(?:# )?[a-z_0-9]+ = ", line) and not re.search(r"\S +# \S", line[2:])
    ]
    assert bare == ['# url = "https://example.org/hooks"', '# events = ["clip.ready", "clip.failed"]']


@pytest.mark.parametrize("example", sorted((ROOT / "config").glob("*.toml")), ids=lambda path: path.name)
def test_every_example_loads(example: Path) -> None:
    assert load(example, environ=S3_SECRETS) != Settings()


def test_defaults_apply_without_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ={}) == Settings()


def test_file_in_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clipengine.toml").write_text("[server]\nport = 9000\n")
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).server.port == 9000


def test_command_line_overrides_environment_overrides_file(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[server]\nhost = "10.0.0.1"\nport = 1\n\n[limits]\nmax_clip_seconds = 7\n')
    environ = {"CLIPENGINE_SERVER__PORT": "2", "CLIPENGINE_SERVER__HOST": "10.0.0.2"}
    settings = load(config, environ=environ, overrides={"server": {"port": 3, "host": None}})
    assert (settings.server.port, settings.server.host, settings.limits.max_clip_seconds) == (3, "10.0.0.2", 7)


def test_environment_can_name_the_file(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("[encoding]\nworkers = 5\n")
    assert load(environ={"CLIPENGINE_CONFIG": str(config)}).encoding.workers == 5


def test_lists_and_tables_in_the_environment_are_toml() -> None:
    endpoint = '[{url = "http://127.0.0.1:1/hook", secret = "0123456789abcdef"}]'
    environ = {
        "CLIPENGINE_WEBHOOKS__ALLOW_CIDRS": '["127.0.0.0/8"]',
        "CLIPENGINE_WEBHOOKS__ENDPOINTS": endpoint,
        "CLIPENGINE_PROFILES__SMALL__MAX_HEIGHT": "360",
    }
    settings = load(environ=environ)
    assert settings.webhooks.allow_cidrs == ("127.0.0.0/8",)
    assert settings.webhooks.endpoints[0].events == ("clip.ready", "clip.failed")
    assert settings.profiles["small"].max_height == 360
    assert settings.profiles["default"] == Profile()


def test_secret_is_read_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    settings = load(environ={"CLIPENGINE_STORAGE__SECRET_KEY_FILE": str(secret)})
    assert settings.storage.secret_key.get_secret_value() == "from a file"


def test_ca_file_is_not_read_as_a_secret_file(tmp_path: Path) -> None:
    assert load(environ={"CLIPENGINE_STORAGE__CA_FILE": "/etc/own.pem"}).storage.ca_file == Path("/etc/own.pem")


@pytest.mark.parametrize(("former", "now"), [("decode", "full"), ("compare", "seams")])
def test_value_of_an_earlier_release_is_replaced_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, former: str, now: str
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'[encoding]\nverify = "{former}"\n')
    assert load(file, environ={}).encoding.verify == now
    assert f'encoding.verify = "{former}" is outdated: write "{now}"' in caplog.text
    assert load(environ={"CLIPENGINE_ENCODING__VERIFY": former}).encoding.verify == now


def test_base_url_of_playlists_has_a_slash_at_its_end_and_a_limit() -> None:
    longest = f"https://{'a' * 1000}/"
    for url in ("", "https://cdn.example.org/films/", longest):
        assert load(environ={"CLIPENGINE_STORAGE__PLAYLIST_BASE_URL": url}).storage.playlist_base_url == url
    for url in ("https://cdn.example.org", "https:///", "http://a.example.org/", "https://a/?b/", f"{longest[:-1]}a/"):
        with pytest.raises(SettingsError, match=r"storage\.playlist_base_url"):
            load(environ={"CLIPENGINE_STORAGE__PLAYLIST_BASE_URL": url})


def test_client_variables_are_not_settings() -> None:
    environ = {"CLIPENGINE_URL": "http://elsewhere", "CLIPENGINE_API_KEY": "relay_live_x", "HOME": "/root"}
    assert load(environ=environ) == Settings()


_OIDC = {"ENABLED": "true", "ISSUER": "https://auth.example.org", "CLIENT_ID": "clips"}


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"CLIPENGINE_SERVER__PORT": "many"}, "server.port"),
        ({"CLIPENGINE_SERVER__PORT": "65536"}, "server.port: must be a whole number from 0 to 65535, not '65536'"),
        ({"CLIPENGINE_SERVER__PROT": "1"}, "server.prot is not a known setting (did you mean server.port?)"),
        ({"CLIPENGINE_SERVR__PORT": "1"}, "servr is not a known setting (did you mean server?)"),
        ({"CLIPENGINE_PROFILES__A__MAXHEIGHT": "1"}, "did you mean profiles.a.max_height?"),
        ({"CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{ulr = "http://a", secret = "0123456789abcdef"}]'}, "endpoints.0.url?"),
        ({"CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{url = "http://a"}]'}, "webhooks.endpoints.0.secret is required"),
        ({"CLIPENGINE_ENCODING__WORKERS": "0"}, "encoding.workers: must be greater than or equal to 1"),
        ({"CLIPENGINE_TYPO": "1"}, "typo is not a known setting"),
        ({"CLIPENGINE_STORAGE__KIND": "ftp"}, "storage.kind"),
        ({"CLIPENGINE_STORAGE__KIND": "s3"}, "storage.endpoint, storage.bucket, storage.access_key"),
        ({"CLIPENGINE_AUTH__KEY_PREFIX": "Not Good"}, "auth.key_prefix"),
        ({"CLIPENGINE_AUTH__OIDC__ENABLED": "true"}, "set auth.oidc.issuer, auth.oidc.client_id"),
        ({"CLIPENGINE_AUTH__OIDC__ISSUER": "http://auth.example.org"}, "is not an issuer such as https://"),
        ({"CLIPENGINE_AUTH__OIDC__ISSUER": "https://auth.example.org?a=b"}, "is not an issuer such as https://"),
        ({"CLIPENGINE_AUTH__OIDC__SCOPES": '["profile"]'}, 'auth.oidc.scopes must have "openid"'),
        (
            {f"CLIPENGINE_AUTH__OIDC__{name}": value for name, value in _OIDC.items()},
            "auth.oidc needs server.public_url",
        ),
        ({"CLIPENGINE_WEBHOOKS__ALLOW_CIDRS": "[10.0.0.0/8]"}, "CLIPENGINE_WEBHOOKS__ALLOW_CIDRS"),
        ({"CLIPENGINE_WEBHOOKS__ALLOW_CIDRS": '["10.0.0/8"]'}, "webhooks.allow_cidrs: '10.0.0/8' is not a network"),
        ({"CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{url = "http://a", secret = "short"}]'}, "webhooks.endpoints.0.secret"),
        (
            {"CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{url = "a", secret = "ssssssssssssssss", wants = {rules = ["a"]}}]'},
            "webhooks.endpoints.0.wants.rules: no [[rules]] table has the name 'a'",
        ),
        ({"CLIPENGINE_STORAGE__SECRET_KEY_FILE": "/nowhere/secret"}, "CLIPENGINE_STORAGE__SECRET_KEY_FILE"),
        ({"CLIPENGINE_PROFILES__WEB__CONTAINER": "webm"}, 'profiles.web: container "webm" cannot hold'),
        ({"CLIPENGINE_CONFIG": "/nowhere/clipengine.toml"}, "/nowhere/clipengine.toml"),
    ],
)
def test_invalid_setting_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ)
    assert named in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("environ", "days"),
    [
        ({}, 30),
        ({"SHARES__EXPIRES_DAYS": "7"}, 7),
        ({"SHARES__EXPIRES_DAYS": "90"}, 30),
        ({"SHARES__EXPIRES_DAYS": "7", "WEBHOOKS__LINK_DAYS": "14"}, 14),
        ({"SHARES__EXPIRES_DAYS": "7", "WEBHOOKS__LINK_DAYS": "0"}, None),
    ],
)
def test_links_of_webhooks_end(tmp_path: Path, environ: dict[str, str], days: int | None) -> None:
    config = tmp_path / "clipengine.toml"
    config.touch()
    settings = load(config, environ={f"CLIPENGINE_{name}": value for name, value in environ.items()})
    assert settings.link_keep_ms == (None if days is None else days * 24 * 3600 * 1000)


def as_toml(tables: list[dict[str, str]]) -> str:
    return "[" + ", ".join("{" + ", ".join(f'{key} = "{each[key]}"' for key in each) + "}" for each in tables) + "]"


HOUR = {"folder": "a/", "pattern": "%H.mp4"}


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([{**HOUR, "zone": "UTC"}], "folders.0.zone is not a known setting"),
        ([{**HOUR, "pattern": "*.mp4"}], "folders.0: pattern '*.mp4' must have a time"),
        ([{**HOUR, "pattern": "%H" * 200}], "of 1 to 300 characters"),
        ([{**HOUR, "folder": "../a"}], "folders.0.folder: '../a' is not a valid prefix"),
        ([{**HOUR, "folder": "a//b"}], "folders.0.folder: 'a//b' has an empty part"),
        ([{**HOUR, "folder": "a" * 1001}], "folders.0.folder: must have at most 1000 characters"),
        ([{**HOUR, "timezone": "Mars"}], "'Mars' is not a time zone"),
        ([{**HOUR, "series": "{camera}"}], "folders.0: series has {camera}, and pattern has none"),
        (
            [HOUR, {**HOUR, "folder": "", "pattern": "{camera}/%H.mp4"}],
            "folders.1: it owns the same files as folders.0",
        ),
        ([{**HOUR, "folder": str(number)} for number in range(101)], "folders: "),
    ],
)
def test_invalid_rule_for_folders_is_named(rules: list[dict[str, str]], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={"CLIPENGINE_FOLDERS": as_toml(rules)})
    assert named in caught.value.message


def test_rule_for_folders_names_cameras_and_their_series(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[folders]]\nfolder = "cams"\npattern = "{camera}/%Y-%m-%d/%H.ts"\nseries = "house-{camera}"\n')
    rules = load(file, environ={}).folder_rules
    found = rules.owner("cams/front/2026-11-28/12.ts")
    assert found is not None
    assert (found.series, found.key) == ("house-front", "cams/front/2026-11-28/%H.ts")
    assert rules.owner("cams/front/2026-02-30/12.ts") is None
    assert rules.owner("cameras/front/2026-11-28/12.ts") is None


def test_all_invalid_settings_are_reported_together() -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={"CLIPENGINE_SERVER__PORT": "-1", "CLIPENGINE_ENCODING__WORKERS": "0"})
    assert "server.port" in caught.value.message
    assert "encoding.workers" in caught.value.message


def test_invalid_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[server\nport = 1\n")
    with pytest.raises(SettingsError, match=r"bad\.toml cannot be read: .*line 1"):
        load(config, environ={})


def test_secrets_are_masked() -> None:
    environ = S3_SECRETS | {
        "CLIPENGINE_STORAGE__SECRET_KEY": "very secret",
        "CLIPENGINE_WEBHOOKS__ENDPOINTS": '[{url = "http://a", secret = "0123456789abcdef"}]',
    }
    masked = load(environ=environ).masked()
    assert masked["storage"]["secret_key"] == "**********"
    assert masked["storage"]["session_token"] == ""
    assert "very secret" not in str(masked)
    assert "0123456789abcdef" not in str(masked)


@pytest.mark.parametrize("written", ["8377", '"8377"'])
def test_port_may_be_a_number_or_digits(written: str, tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(f"[server]\nport = {written}\n")
    assert load(config, environ={}).server.port == 8377
    assert load(config, environ={"CLIPENGINE_SERVER__PORT": "80"}).server.port == 80


@pytest.mark.parametrize("digits", ["", "many", "65536", "000000099999", "-1", "8377.0", "٣", "1" * 5000])
def test_invalid_port_gives_the_same_error_from_every_source(digits: str, tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text(f'[server]\nport = "{digits}"\n')
    told = []
    for sources in ({"config": config, "environ": {}}, {"environ": {"CLIPENGINE_SERVER__PORT": digits}}):
        with pytest.raises(SettingsError, match=r"server\.port: must be a whole number from 0 to") as caught:
            load(**sources)
        told.append(caught.value.message)
    with pytest.raises(click.BadParameter) as refused:
        port_value(digits)
    assert {message.removeprefix("server.port: ") for message in told} == {refused.value.message}
    # An overridden value causes no error.
    assert load(config, environ={}, overrides={"server": {"port": 0}}).server.port == 0
    assert load(config, environ={"CLIPENGINE_SERVER__PORT": "80"}).server.port == 80


def test_transcription_names_its_transcribers_in_order() -> None:
    assert Transcription().sources == ()
    assert Transcription(url="http://127.0.0.1:8000/v1/audio/transcriptions").sources == ("url",)
    both = Transcription(url="http://127.0.0.1:8000/v1/audio/transcriptions", model_folder=Path("/models"))
    assert both.sources == ("local", "url")
    assert Transcription(language="EN-us").language == "en-US"
    for wrong in ({"url": "127.0.0.1:8000"}, {"language": "no language"}, {"threads": 0}):
        with pytest.raises(ValidationError):
            Transcription.model_validate(wrong)
    with pytest.raises(ValidationError, match="needs"):
        Settings(transcription=Transcription(ahead=True))


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        ((), "editor"),
        (("people",), "editor"),
        (("guests",), "viewer"),
        (("guests", "people"), "viewer"),
        (("guests", "cutters"), "editor"),
        (("guests", "cutters", "admins"), "operator"),
        (("Guests",), "editor"),
    ],
)
@pytest.mark.parametrize("settings", [ProxySignIn, OidcSignIn])
def test_groups_give_their_highest_role_and_only_other_users_the_default(
    settings: type[GroupRoles], groups: tuple[str, ...], role: str
) -> None:
    lists: dict[str, Any] = {"operators": ["admins"], "editors": ["cutters"], "viewers": ["guests"]}
    assert role_of(groups, settings(**lists, default_role="editor")) == role
