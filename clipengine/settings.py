"""Settings from `clipengine.toml` and `CLIPENGINE_*` variables. No other module reads the environment.

Later sources win: the defaults below, the file, the environment (`CLIPENGINE_SERVER__PORT=9000`), the command line.
A secret can also come from a file: `CLIPENGINE_STORAGE__SECRET_KEY_FILE=/run/secrets/s3`.
`clipengine.toml` at the root of the project contains all defaults; a test compares it with this module.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from clipengine.clips.clip import EventType, MessageFormat
from clipengine.clips.discovery import check_name_rule
from clipengine.clips.profiles import Profile
from clipengine.clips.settings_table import SettingsTable
from clipengine.errors import SettingsError

_PREFIX = "CLIPENGINE_"
_USUAL_FILE = Path("clipengine.toml")
_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_YEAR_SECONDS = 31_536_000  # below the longest timeout of the system calls
_SHOWN_CHARACTERS = 200
Sandbox = Literal["auto", "required", "off"]
# Variables that are not settings of the server.
_CLIENT_VARIABLES = {"CLIPENGINE_URL", "CLIPENGINE_API_KEY", "CLIPENGINE_CONFIG", "CLIPENGINE_FAULT"}


def port_number(value: object) -> int:
    """Validate a port, given as a number or in digits. Raises ValueError."""
    digits = str(value) if type(value) in (int, str) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= 65535):
        shown = repr(value) if isinstance(value, str) else str(value)
        raise ValueError(f"must be a whole number from 0 to 65535, not {shown[:_SHOWN_CHARACTERS]}")
    return int(digits)


class Server(SettingsTable):
    host: str = "127.0.0.1"
    port: Annotated[int, BeforeValidator(port_number)] = 8377
    public_url: str = ""
    max_body_bytes: Annotated[int, Field(ge=1024)] = 1_048_576
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tracing: bool = False
    organisation_id: str = "org_local"
    cors_origins: tuple[str, ...] = ()
    metrics: Literal["key", "open", "off"] = "key"

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and not _ADDRESS.fullmatch(url):
            raise ValueError(f'{url!r} is not an address such as "https://clips.example.org"')
        return url

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[a-z0-9.:\[\]-]+", origin):
                raise ValueError(
                    f'{origin!r} is not an origin such as "https://app.example.org", without a path or a trailing slash'
                )
        return origins


def _not_empty(path: object) -> object:
    """Reject an empty path, which would mean the working directory."""
    if path == "":
        raise ValueError("must not be empty: omit it, or set a path")
    return path


NonEmptyPath = Annotated[Path, BeforeValidator(_not_empty)]


class Data(SettingsTable):
    folder: NonEmptyPath = Path("clipengine-data")


class Database(SettingsTable):
    url: SecretStr = SecretStr("")  # empty: SQLite in the data folder
    secrets_key: Path | None = None  # None: `secrets.key` in the data folder

    @field_validator("url")
    @classmethod
    def _is_postgres(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError('must begin with "postgresql://", or be empty for SQLite in the data folder')
        return url


class Storage(SettingsTable):
    kind: Literal["folder", "s3"] = "folder"
    folder: NonEmptyPath | None = None  # None: `store` inside the data folder
    endpoint: str = ""
    bucket: str = ""
    region: str = "us-east-1"
    prefix: str = ""
    access_key: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    session_token: SecretStr = SecretStr("")
    path_style: bool = True
    tls_verify: bool = True
    ca_file: NonEmptyPath | None = None
    public_endpoint: str = ""
    link_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    read_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60

    @model_validator(mode="after")
    def _complete(self) -> Storage:
        if self.kind == "s3":
            missing = [name for name in ("endpoint", "bucket") if not getattr(self, name)]
            missing += [n for n in ("access_key", "secret_key") if not getattr(self, n).get_secret_value()]
            if missing:
                raise ValueError(f"storage.kind is s3, so set {', '.join('storage.' + name for name in missing)}")
        return self


class Auth(SettingsTable):
    key_prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")] = "relay_live"


class Limits(SettingsTable):
    min_clip_seconds: Annotated[float, Field(ge=0)] = 0
    max_clip_seconds: Annotated[float, Field(gt=0)] = 14_400
    max_queued_clips: Annotated[int, Field(ge=1)] = 10_000
    max_upload_bytes: Annotated[int, Field(ge=1)] = 1_099_511_627_776
    min_free_bytes: Annotated[int, Field(ge=0)] = 536_870_912
    requests_per_minute: Annotated[int, Field(ge=0)] = 0  # for each key; 0: no limit


class Previews(SettingsTable):
    max_bytes: Annotated[int, Field(ge=0)] = 1_073_741_824


class Retention(SettingsTable):
    clips_days: Annotated[float, Field(ge=0, le=36_500)] = 0  # 0: keep clips forever
    events_days: Annotated[float, Field(ge=0, le=36_500)] = 30  # 0: keep events and deliveries forever


class Shares(SettingsTable):
    enabled: bool = True
    expires_days: Annotated[float, Field(ge=0, le=36_500)] = 0  # 0: never, unless a share says when
    frame_ancestors: tuple[str, ...] = ("*",)
    requests_per_minute: Annotated[int, Field(ge=0)] = 1200  # for each link; 0: no limit

    @property
    def keep_ms(self) -> int | None:
        return round(self.expires_days * 24 * 3600 * 1000) if self.expires_days else None

    @field_validator("frame_ancestors")
    @classmethod
    def _are_sources(cls, sources: tuple[str, ...]) -> tuple[str, ...]:
        for source in sources:
            if not re.fullmatch(r"\*|https?://(\*\.)?[a-z0-9.:\[\]-]+", source):
                shown = repr(source)[:_SHOWN_CHARACTERS]
                raise ValueError(f'{shown} is not "*" or an origin such as "https://app.example.org"')
        return sources


class Encoding(SettingsTable):
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    threads_per_clip: Annotated[int, Field(ge=0, le=64)] = 0  # 0: the available cores
    nice: Annotated[int, Field(ge=0, le=19)] = 10
    stall_seconds: Annotated[float, Field(gt=0, le=_YEAR_SECONDS)] = 60
    deadline_factor: Annotated[float, Field(gt=0, le=1_000_000)] = 60
    probe_seconds: Annotated[float, Field(gt=0, le=_YEAR_SECONDS)] = 1800
    memory_mb: Annotated[int, Field(ge=0)] = 0  # 0: computed from the threads
    verify: Literal["decode", "compare"] = "decode"
    sandbox: Sandbox = "auto"


class Watch(SettingsTable):
    prefixes: tuple[str, ...] = ()
    name: str = "$stem"
    seconds: Annotated[float, Field(ge=1, le=_YEAR_SECONDS)] = 60
    settle_seconds: Annotated[float, Field(ge=0, le=_YEAR_SECONDS)] = 30

    @field_validator("name")
    @classmethod
    def _rule(cls, name: str) -> str:
        return check_name_rule(name)

    @field_validator("prefixes")
    @classmethod
    def _keys(cls, prefixes: tuple[str, ...]) -> tuple[str, ...]:
        for prefix in prefixes:
            if prefix.startswith("/") or not prefix.isprintable() or not {".", ".."}.isdisjoint(prefix.split("/")):
                raise ValueError(f"{prefix!r} is not a valid prefix of a key")
        return prefixes


class Webhooks(SettingsTable):
    class Endpoint(SettingsTable):
        url: str
        secret: SecretStr
        events: tuple[EventType, ...] = ("clip.ready", "clip.failed")
        format: MessageFormat = "json"

        @field_validator("secret")
        @classmethod
        def _long_enough(cls, secret: SecretStr) -> SecretStr:
            if len(secret.get_secret_value()) < 16:
                raise ValueError("must have at least 16 characters; create one with `openssl rand -base64 32`")
            return secret

    endpoints: tuple[Endpoint, ...] = ()
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10
    parallel_deliveries: Annotated[int, Field(ge=1, le=16)] = 4  # to one endpoint
    links: bool = False
    allow_cidrs: tuple[str, ...] = ()

    @field_validator("allow_cidrs")
    @classmethod
    def _are_networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                ip_network(text, strict=False)
            except ValueError:
                shown = repr(text)[:_SHOWN_CHARACTERS]
                raise ValueError(f"{shown} is not a network such as 10.20.0.0/16") from None
        return texts


class Settings(SettingsTable):
    """All settings. Frozen; created by `load`."""

    server: Server = Server()
    data: Data = Data()
    database: Database = Database()
    storage: Storage = Storage()
    auth: Auth = Auth()
    limits: Limits = Limits()
    retention: Retention = Retention()
    shares: Shares = Shares()
    encoding: Encoding = Encoding()
    previews: Previews = Previews()
    watch: Watch = Watch()
    webhooks: Webhooks = Webhooks()
    profiles: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")], Profile] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _default_profile(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(named := values.get("profiles", {}), dict):
            values = {**values, "profiles": {"default": {}, **named}}
        return values

    @model_validator(mode="after")
    def _links_have_an_address(self) -> Settings:
        if self.webhooks.links and not (self.server.public_url and self.shares.enabled):
            raise ValueError("webhooks.links needs server.public_url, and shares.enabled = true")
        return self

    @property
    def store_folder(self) -> Path:
        """Root of the folder store."""
        return self.storage.folder or self.data.folder / "store"

    @property
    def ledger_file(self) -> Path:
        """SQLite file of the ledger, unless it is in PostgreSQL."""
        return self.data.folder / "ledger.db"

    @property
    def secrets_key(self) -> Path:
        """File with the key that encrypts secrets in PostgreSQL. All engines of a ledger need the same key."""
        return self.database.secrets_key or self.data.folder / "secrets.key"

    def masked(self) -> dict[str, Any]:
        """Return the settings as JSON, with secrets replaced by asterisks."""
        return self.model_dump(mode="json")


def load(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read the settings. If `config` is None, `./clipengine.toml` is read if it exists.

    `overrides` is `{section: {key: value}}` from the command line. Raises a SettingsError that lists every invalid
    setting with the reason.
    """
    environ = os.environ if environ is None else environ
    named = _named_file(config, environ)
    values = _read_file(named or _USUAL_FILE, required=named is not None)
    _merge(values, _read_environ(environ))
    for section, keys in (overrides or {}).items():
        _merge(values, {section: {key: value for key, value in keys.items() if value is not None}})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(detail) for detail in error.errors())) from None


def sources(config: Path | None = None) -> tuple[Path | None, list[str]]:
    """Return the file that `load` reads, or None, and the names of the variables that are set."""
    named = _named_file(config, os.environ)
    file = named or (_USUAL_FILE if _USUAL_FILE.exists() else None)
    return file, sorted(name for name in os.environ if _is_setting(name))


def _named_file(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    return config or (Path(environ["CLIPENGINE_CONFIG"]) if environ.get("CLIPENGINE_CONFIG") else None)


def _is_setting(variable: str) -> bool:
    return variable.startswith(_PREFIX) and variable not in _CLIENT_VARIABLES


def _describe(detail: ErrorDetails) -> str:
    """Describe an error in terms of the settings file."""
    # Pydantic appends `[key]` to the location of an invalid key.
    *path, last = [str(part) for part in detail["loc"] if part != "[key]"] or ["settings"]
    name = ".".join([*path, last])[:_SHOWN_CHARACTERS]
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{name} is a table, not {_kind(detail['input'])}: set a key in it, such as {_example([*path, last])}"
    if detail["type"] == "tuple_type":
        return f'{name} is a list, not {_kind(detail["input"])}: write it as ["one", "two"]'
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(last, _known(path), n=1)
        return f"{name} is not a known setting" + (f" (did you mean {'.'.join([*path, near[0]])}?)" if near else "")
    if detail["type"] == "missing":
        return f"{name} is required"
    if detail["type"] == "value_error":
        return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
    return f"{name}: {re.sub(r'^[A-Z][a-z]+ should', 'must', detail['msg'])}"


def _kind(value: Any) -> str:
    """Name the type of a value in TOML's terms."""
    kinds: dict[type, str] = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")


def _example(path: list[str]) -> str:
    """Return the name of a setting in the table at `path`."""
    inside = {("profiles",): "default.crf", ("webhooks", "endpoints"): "url"}
    key = inside.get(tuple(path)) or next(iter(_known([each for each in path if not each.isdigit()])), "")
    return f"`{'.'.join([*path, key])}`"[:_SHOWN_CHARACTERS]


def _known(path: list[str]) -> Iterable[str]:
    """Return the names of the settings in the table at `path`."""
    if path[:1] == ["profiles"]:
        return Profile.model_fields
    if path[:2] == ["webhooks", "endpoints"]:
        return Webhooks.Endpoint.model_fields
    return type(getattr(Settings(), path[0]) if path else Settings()).model_fields


def injected_faults(environ: Mapping[str, str] | None = None) -> str:
    """Return the value of CLIPENGINE_FAULT (see `work.fault_injection`)."""
    return (os.environ if environ is None else environ).get("CLIPENGINE_FAULT", "")


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if required:
            raise SettingsError(f"{path} does not exist", hint="Name an existing file with --config.") from None
        return {}
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, not TOML, not a path
        raise SettingsError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path} cannot be read: the nesting is too deep") from None


def _read_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environ.items():
        if not _is_setting(name):
            continue
        path = name.removeprefix(_PREFIX).lower().split("__")
        if path[-1].endswith("_file") and path[-1] != "ca_file":
            path[-1] = path[-1].removesuffix("_file")
            try:
                text = Path(text).read_text("utf-8").strip()
            except (OSError, ValueError) as error:
                cause = error.strerror if isinstance(error, OSError) else error
                raise SettingsError(f"{name} names the file {text}, which cannot be read: {cause}") from None
        value: Any = text
        if text.startswith(("[", "{")):  # lists and tables are TOML
            try:
                value = tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError as error:
                hint = f'Write it as in the file, with strings in quotes: {name}=\'["one", "two"]\'.'
                raise SettingsError(f"{name} is not a TOML value: {error}", hint=hint) from None
            except RecursionError:
                raise SettingsError(f"{name} is nested too deeply") from None
        for part in reversed(path[1:]):
            value = {part: value}
        _merge(values, {path[0]: value})
    return values


def _merge(into: dict[str, Any], values: Mapping[str, Any], path: str = "") -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, f"{path}{key}.")
        elif key in into and isinstance(value, dict) != isinstance(into[key], dict):
            other = next(each for each in (into[key], value) if not isinstance(each, dict))
            raise SettingsError(f"{path}{key} is set twice, as a table and as {_kind(other)}: remove one of them")
        else:
            into[key] = value
