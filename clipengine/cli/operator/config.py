"""`clipengine config`: the effective settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from clipengine.cli import output
from clipengine.cli.options import config_option, data_option, json_option, settings_of


@click.command()
@config_option
@data_option
@json_option
def config(config: Path | None, data: Path | None, as_json: bool) -> None:
    """Print the effective settings: defaults, file, environment. Secrets are masked."""
    masked = settings_of(config, data).masked()
    if as_json:
        return output.show_json(masked)
    for line in _toml(masked, ""):
        click.echo(line)
    return None


def _toml(table: dict[str, Any], prefix: str) -> Iterator[str]:
    """Yield lines of TOML with dotted keys, which are easy to search."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _toml(value, f"{prefix}{key}.")
        elif value is None:
            yield f"# {prefix}{key} is not set"
        else:
            yield f"{prefix}{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_value(each)}' for key, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)
