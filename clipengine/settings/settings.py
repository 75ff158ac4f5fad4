"""All settings with their defaults and limits. `settings.sources` reads them.

`clipengine.toml` at the root of the project contains all defaults; a test compares it with this module.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from clipengine.basis.events import DEFAULT_EVENTS, EventType, MessageFormat
from clipengine.basis.settings_table import SettingsTable
from clipengine.clips.clip_key import CLIP_KEY, check_clip_key
from clipengine.clips.metadata import MAX_TAGS
from clipengine.clips.options.output import WATERMARK_NAME, OutputLimits
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import Watermark, check_watermark
from clipengine.clips.resolve import ClipRules
from clipengine.clips.suggested import MAX_KEYWORDS, Source, check_keyword
from clipengine.clips.texts.language_tags import parse_language
from clipengine.clips.transcription import Transcriber
from clipengine.errors import InvalidTranscript, UnknownWatermark
from clipengine.recordings.discovery import check_name_rule
from clipengine.recordings.file_name_pattern import InvalidPattern
from clipengine.recordings.folder_rules import MAX_RULES, FolderRule, FolderRules, overlap
from clipengine.rules.rule import MAX_RULES as MAX_CONFIGURED_RULES
from clipengine.rules.rule import ConfiguredRule
from clipengine.settings.auth import Auth
from clipengine.settings.ingest import Ingest

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?")
_YEAR_SECONDS = 31_536_000  # below the longest timeout of the system calls
_SHOWN_CHARACTERS = 200
RULE_FAILURES = 10
Sandbox = Literal["auto", "required", "off"]


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
    credentials: Literal["keys", "chain"] = "keys"
    path_style: bool = True
    tls_verify: bool = True
    ca_file: NonEmptyPath | None = None
    public_endpoint: str = ""
    # Not `{1,1000}` in the pattern: it would take a hundredth of a second to compile, at each start of a process.
    playlist_base_url: Annotated[str, Field(max_length=1009, pattern=r"^(https://[^\s?#]+/)?$")] = ""
    clip_key: Annotated[str, AfterValidator(check_clip_key)] = CLIP_KEY
    manifests: bool = True
    link_seconds: Annotated[int, Field(ge=1, le=604_800)] = 3600
    direct_uploads: bool = False
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    read_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60

    @model_validator(mode="after")
    def _complete(self) -> Storage:
        if self.kind == "s3":
            missing = [name for name in ("endpoint", "bucket") if not getattr(self, name)]
            keys = [name for name in ("access_key", "secret_key") if getattr(self, name).get_secret_value()]
            if self.credentials == "chain" and keys:
                raise ValueError(f'storage.credentials is "chain", so remove storage.{keys[0]}, or set it to "keys"')
            if self.credentials == "keys":
                missing += [name for name in ("access_key", "secret_key") if name not in keys]
            if missing:
                chain = ', or storage.credentials = "chain"' if "secret_key" in missing else ""
                names = ", ".join(f"storage.{each}" for each in missing)
                raise ValueError(f"storage.kind is s3, so set {names}{chain}")
        return self


class Limits(SettingsTable):
    min_clip_seconds: Annotated[float, Field(ge=0)] = 0
    max_clip_seconds: Annotated[float, Field(gt=0)] = 14_400
    max_range_seconds: Annotated[float, Field(gt=0)] = 604_800  # of recordings, in a clip that is played faster
    max_queued_clips: Annotated[int, Field(ge=1)] = 10_000
    max_upload_bytes: Annotated[int, Field(ge=1)] = 1_099_511_627_776
    open_uploads: Annotated[int, Field(ge=1, le=100_000)] = 100  # for each key, of those that resume
    upload_idle_seconds: Annotated[float, Field(ge=1, le=_YEAR_SECONDS)] = 86_400  # without bytes
    min_free_bytes: Annotated[int, Field(ge=0)] = 536_870_912
    requests_per_minute: Annotated[int, Field(ge=0)] = 0  # for each key; 0: no limit
    rule_failures: Annotated[int, Field(ge=1, le=1000)] = RULE_FAILURES  # in a row, which stop a rule
    output: OutputLimits = OutputLimits()


class Mcp(SettingsTable):
    enabled: bool = False


class Fetching(SettingsTable):
    max_bytes: Annotated[int, Field(ge=1)] = 107_374_182_400
    seconds: Annotated[float, Field(ge=1, le=_YEAR_SECONDS)] = 21_600  # for all attempts together
    parallel: Annotated[int, Field(ge=1, le=16)] = 2


class Previews(SettingsTable):
    max_bytes: Annotated[int, Field(ge=0)] = 1_073_741_824
    ahead: bool = True
    proxy_lines: Annotated[int, Field(ge=90, le=1080)] = 540


def _milliseconds(days: float) -> int | None:
    return round(days * 24 * 3600 * 1000) if days else None


class Retention(SettingsTable):
    clips_days: Annotated[float, Field(ge=0, le=36_500)] = 0  # 0: keep clips forever
    recordings_days: Annotated[float, Field(ge=0, le=36_500)] = 0  # 0: keep recordings forever
    events_days: Annotated[float, Field(ge=0, le=36_500)] = 30  # 0: keep events and deliveries forever
    max_clips_bytes: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0  # 0: no limit
    audit_days: Annotated[float, Field(ge=0, le=36_500)] = 365  # 0: keep the audit log forever

    @property
    def keep_clips_ms(self) -> int | None:
        """How long clips are kept after their end; None for ever."""
        return _milliseconds(self.clips_days)

    @property
    def keep_recordings_ms(self) -> int | None:
        return _milliseconds(self.recordings_days)

    @property
    def keep_events_ms(self) -> int | None:
        return _milliseconds(self.events_days)

    @property
    def keep_audit_ms(self) -> int | None:
        return _milliseconds(self.audit_days)


class Shares(SettingsTable):
    enabled: bool = True
    expires_days: Annotated[float, Field(ge=0, le=36_500)] = 0  # 0: never, unless a share says when
    frame_ancestors: tuple[str, ...] = ("*",)
    requests_per_minute: Annotated[int, Field(ge=0)] = 1200  # for each link; 0: no limit

    @property
    def keep_ms(self) -> int | None:
        return _milliseconds(self.expires_days)

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
    threads_per_clip: Annotated[int, Field(ge=0, le=64)] = 0  # 0: the available cores, at most 15
    nice: Annotated[int, Field(ge=0, le=19)] = 10
    stall_seconds: Annotated[float, Field(gt=0, le=_YEAR_SECONDS)] = 60
    deadline_factor: Annotated[float, Field(gt=0, le=1_000_000)] = 60
    probe_seconds: Annotated[float, Field(gt=0, le=_YEAR_SECONDS)] = 1800
    memory_mb: Annotated[int, Field(ge=0)] = 0  # 0: computed from the threads
    verify: Literal["seams", "full"] = "seams"
    sandbox: Sandbox = "auto"
    font_folders: tuple[Path, ...] = ()


class ModelServer(SettingsTable):
    """A server with an API of OpenAI."""

    example: ClassVar[str]
    url: str = ""
    model: str = ""
    api_key: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and not _ADDRESS.fullmatch(url):
            raise ValueError(f'{url!r} is not an address such as "{cls.example}"')
        return url

    @property
    def key_header(self) -> dict[str, str]:
        """The header of requests that has the key, if there is one."""
        key = self.api_key.get_secret_value()
        return {"Authorization": f"Bearer {key}"} if key else {}


class Transcription(ModelServer):
    example = "http://127.0.0.1:8000/v1/audio/transcriptions"
    model_folder: NonEmptyPath | None = None
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    memory_mb: Annotated[int, Field(ge=0)] = 0  # 0: computed from the size of the model
    timeout_seconds: Annotated[float, Field(ge=1, le=86_400)] = 1800
    ahead: bool = False
    language: str = ""  # of recordings that are transcribed ahead; empty: detected

    @field_validator("language")
    @classmethod
    def _is_language(cls, tag: str) -> str:
        try:
            return parse_language(tag) if tag else ""
        except InvalidTranscript as error:
            raise ValueError(error.message) from None

    @property
    def sources(self) -> tuple[Transcriber, ...]:
        """The transcribers that this engine can use, the default one first."""
        local: tuple[Transcriber, ...] = () if self.model_folder is None else ("local",)
        return (*local, "url") if self.url else local


class Suggestions(ModelServer):
    example = "http://127.0.0.1:8080/v1/chat/completions"
    keywords: Annotated[tuple[Annotated[str, AfterValidator(check_keyword)], ...], Field(max_length=MAX_KEYWORDS)] = ()
    timeout_seconds: Annotated[float, Field(ge=1, le=600)] = 120

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("local", "url") if self.url else ("local",)


class Watch(SettingsTable):
    prefixes: tuple[str, ...] = ()
    name: str = "$stem"
    live: bool = False
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
            _check_prefix(prefix)
        return prefixes


def _check_prefix(prefix: str) -> None:
    if prefix.startswith("/") or not prefix.isprintable() or not {".", ".."}.isdisjoint(prefix.split("/")):
        raise ValueError(f"{prefix[:_SHOWN_CHARACTERS]!r} is not a valid prefix of a key")


class Folder(SettingsTable):
    """A rule for the files of cameras: each camera and each day is a recording."""

    folder: Annotated[str, Field(max_length=1000)]
    pattern: Annotated[str, Field(min_length=1)]
    timezone: Annotated[str, Field(max_length=60)] = "UTC"
    series: Annotated[str, Field(max_length=200)] = ""

    @field_validator("folder")
    @classmethod
    def _ends_with_slash(cls, folder: str) -> str:
        _check_prefix(folder)
        if "//" in folder:
            raise ValueError(f"{folder[:_SHOWN_CHARACTERS]!r} has an empty part")
        return f"{folder.rstrip('/')}/" if folder else ""

    @model_validator(mode="after")
    def _can_be_used(self) -> Folder:
        try:
            self.rule.names  # noqa: B018
        except InvalidPattern as error:
            raise ValueError(f"pattern {self.pattern[:_SHOWN_CHARACTERS]!r} {error}") from None
        if "{camera}" in self.series and "{camera}" not in self.pattern:
            raise ValueError("series has {camera}, and pattern has none")
        return self

    @property
    def rule(self) -> FolderRule:
        return FolderRule(self.folder, self.pattern, self.timezone, self.series)


class EndpointWants(SettingsTable):
    tags: Annotated[tuple[str, ...], Field(max_length=MAX_TAGS)] = ()
    rules: Annotated[tuple[str, ...], Field(max_length=MAX_CONFIGURED_RULES)] = ()  # names of [[rules]]
    series: Annotated[tuple[str, ...], Field(max_length=MAX_TAGS)] = ()


class Webhooks(SettingsTable):
    class Endpoint(SettingsTable):
        url: str
        secret: SecretStr
        events: tuple[EventType, ...] = DEFAULT_EVENTS
        format: MessageFormat = "json"
        wants: EndpointWants = EndpointWants()

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
    link_days: Annotated[float, Field(ge=0, le=36_500)] = 30  # of shares that are made for an event; 0: never
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
    """All settings. Frozen; created by `settings.sources.load`."""

    server: Server = Server()
    data: Data = Data()
    database: Database = Database()
    storage: Storage = Storage()
    auth: Auth = Auth()
    limits: Limits = Limits()
    retention: Retention = Retention()
    shares: Shares = Shares()
    mcp: Mcp = Mcp()
    encoding: Encoding = Encoding()
    previews: Previews = Previews()
    transcription: Transcription = Transcription()
    suggestions: Suggestions = Suggestions()
    watch: Watch = Watch()
    folders: Annotated[tuple[Folder, ...], Field(max_length=MAX_RULES)] = ()
    rules: Annotated[tuple[ConfiguredRule, ...], Field(max_length=MAX_CONFIGURED_RULES)] = ()
    fetch: Fetching = Fetching()
    ingest: Ingest = Ingest()
    webhooks: Webhooks = Webhooks()
    watermarks: dict[Annotated[str, Field(pattern=WATERMARK_NAME)], Watermark] = Field(default_factory=dict)
    profiles: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")], Profile] = Field(default_factory=dict)

    @property
    def link_keep_ms(self) -> int | None:
        """Return for how long a share works that is made for a webhook, or None for ever.

        Without `webhooks.link_days`, a shorter `shares.expires_days` limits these shares too, as in 0.2.0.
        """
        days, others = self.webhooks.link_days, self.shares.expires_days
        is_default = "link_days" not in self.webhooks.model_fields_set
        return _milliseconds(min(days, others) if is_default and others else days)

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

    @model_validator(mode="after")
    def _wanted_rules_exist(self) -> Settings:
        names = {rule.name for rule in self.rules}
        for number, endpoint in enumerate(self.webhooks.endpoints):
            for name in endpoint.wants.rules:
                if name not in names:
                    where, shown = f"webhooks.endpoints.{number}.wants.rules", repr(name)[:_SHOWN_CHARACTERS]
                    raise ValueError(f"{where}: no [[rules]] table has the name {shown}")
        return self

    @model_validator(mode="after")
    def _sign_in_has_an_address(self) -> Settings:
        if self.auth.oidc.enabled and not self.server.public_url:
            raise ValueError("auth.oidc needs server.public_url, to which the provider returns")
        return self

    @model_validator(mode="after")
    def _has_a_transcriber(self) -> Settings:
        if self.transcription.ahead and not self.transcription.sources:
            raise ValueError("transcription.ahead needs transcription.model_folder or transcription.url")
        return self

    @model_validator(mode="after")
    def _folders_are_apart(self) -> Settings:
        found = overlap([each.rule for each in self.folders])
        if found is not None:
            first, second, key = found
            raise ValueError(f"folders.{second}: it owns the same files as folders.{first}, such as {key!r}")
        return self

    @field_validator("rules")
    @classmethod
    def _rules_have_names(cls, rules: tuple[ConfiguredRule, ...]) -> tuple[ConfiguredRule, ...]:
        names = [rule.name for rule in rules]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise ValueError(f"there are two rules with the name {name!r}")
        return rules

    @model_validator(mode="after")
    def _profiles_name_watermarks(self) -> Settings:
        for name, profile in self.profiles.items():
            try:
                check_watermark(profile.output, self.watermarks)
            except UnknownWatermark as error:
                raise ValueError(f"profiles.{name}.output.watermark: {error.message}") from None
        return self

    @property
    def clip_rules(self) -> ClipRules:
        limits = self.limits
        return ClipRules(
            self.profiles,
            self.watermarks,
            limits.output,
            limits.min_clip_seconds,
            limits.max_clip_seconds,
            limits.max_range_seconds,
        )

    @property
    def folder_rules(self) -> FolderRules:
        return FolderRules([each.rule for each in self.folders])

    @property
    def store_folder(self) -> Path:
        """Root of the folder store."""
        return self.storage.folder or self.data.folder / "store"

    @property
    def own_port(self) -> int | None:
        """Port of this server, to which nothing is sent; None if the system chooses it."""
        return self.server.port or None

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
