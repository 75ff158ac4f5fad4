"""Sources of the settings: `clipengine.toml` and `CLIPENGINE_*` variables. No other module reads the environment.

Later sources win: the defaults, the file, the environment (`CLIPENGINE_SERVER__PORT=9000`), the command line.
A secret can also come from a file: `CLIPENGINE_STORAGE__SECRET_KEY_FILE=/run/secrets/s3`.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from clipengine.basis.settings_table import Options, SettingsTable
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import Watermark
from clipengine.errors import SettingsError
from clipengine.rules.rule import ConfiguredRule, RuleConditions, RuleRanges
from clipengine.settings.settings import Folder, Settings, Webhooks

log = logging.getLogger(__name__)

_PREFIX = "CLIPENGINE_"
_USUAL_FILE = Path("clipengine.toml")
_SHOWN_CHARACTERS = 200
# Values that earlier releases accepted, with their replacements, by section and key.
_FORMER = {("encoding", "verify"): {"decode": "full", "compare": "seams"}}
# Variables that are not settings of the server.
_CLIENT_VARIABLES = {"CLIPENGINE_URL", "CLIPENGINE_API_KEY", "CLIPENGINE_CONFIG", "CLIPENGINE_FAULT"}


def load(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    warn: Callable[[str], None] = log.warning,
) -> Settings:
    """Read the settings. If `config` is None, `./clipengine.toml` is read if it exists.

    `overrides` is `{section: {key: value}}` from the command line. `warn` is called for each outdated value. Raises a
    SettingsError that lists every invalid setting with the reason.
    """
    environ = os.environ if environ is None else environ
    named = _named_file(config, environ)
    values = _read_file(named or _USUAL_FILE, required=named is not None)
    _merge(values, _read_environ(environ))
    for section, keys in (overrides or {}).items():
        _merge(values, {section: {key: value for key, value in keys.items() if value is not None}})
    _replace_former(values, warn)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(detail) for detail in error.errors())) from None


def _replace_former(values: dict[str, Any], warn: Callable[[str], None]) -> None:
    """Replace values of earlier releases, each with a warning."""
    for (section, key), replaced in _FORMER.items():
        table = values.get(section)
        if isinstance(table, dict) and (former := table.get(key)) in (*replaced,):
            warn(f'{section}.{key} = "{former}" is outdated: write "{replaced[former]}"')
            table[key] = replaced[former]


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
    inside = {("profiles",): "default.crf", ("watermarks",): "logo.path", ("webhooks", "endpoints"): "url"}
    key = inside.get(tuple(path)) or next(iter(_known([each for each in path if not each.isdigit()])), "")
    return f"`{'.'.join([*path, key])}`"[:_SHOWN_CHARACTERS]


def _known(path: list[str]) -> Iterable[str]:
    """Return the names of the settings in the table at `path`."""
    if path[:1] == ["profiles"]:
        return Profile.model_fields
    if path[:1] == ["watermarks"]:
        return Watermark.model_fields
    if path[:2] == ["webhooks", "endpoints"]:
        return Webhooks.Endpoint.model_fields
    if path[:1] == ["folders"]:
        return Folder.model_fields
    if path[:1] == ["rules"]:
        tables: dict[str, type[Options]] = {"when": RuleConditions, "ranges": RuleRanges}
        return tables.get(path[-1], ConfiguredRule).model_fields
    table: SettingsTable = Settings()
    for part in path:
        table = getattr(table, part)
    return type(table).model_fields


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
            text = _read_secret(name, text)
        value = _parse_variable(name, text)
        for part in reversed(path[1:]):
            value = {part: value}
        _merge(values, {path[0]: value})
    return values


def _read_secret(name: str, file: str) -> str:
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{name} names the file {file}, which cannot be read: {cause}") from None


def _parse_variable(name: str, text: str) -> Any:
    """Return the value of a variable: lists and tables are TOML, everything else is text."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        hint = f'Write it as in the file, with strings in quotes: {name}=\'["one", "two"]\'.'
        raise SettingsError(f"{name} is not a TOML value: {error}", hint=hint) from None
    except RecursionError:
        raise SettingsError(f"{name} is nested too deeply") from None


def _merge(into: dict[str, Any], values: Mapping[str, Any], path: str = "") -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value, f"{path}{key}.")
        elif key in into and isinstance(value, dict) != isinstance(into[key], dict):
            other = next(each for each in (into[key], value) if not isinstance(each, dict))
            raise SettingsError(f"{path}{key} is set twice, as a table and as {_kind(other)}: remove one of them")
        else:
            into[key] = value
