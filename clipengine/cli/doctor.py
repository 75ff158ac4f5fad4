"""`clipengine doctor`: whether everything that clips need is there, and what to do where it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from clipengine.cli import doctor_machine, doctor_reach, output
from clipengine.cli.findings import Check, Finding, examine, good
from clipengine.cli.options import config_option, data_option, json_option, settings_of
from clipengine.settings import Settings, sources

_CHECKS: dict[str, Check] = {
    "versions": doctor_machine.versions,
    "data folder": doctor_machine.data_folder,
    "ledger": doctor_machine.ledger,
    "store": doctor_reach.store,
    "sandbox": doctor_machine.sandbox,
    "port": doctor_machine.port,
    "open files": doctor_machine.open_files,
    "webhooks": doctor_reach.webhooks,
}
_MARKS = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}


@click.command()
@config_option
@data_option
@json_option
def doctor(config: Path | None, data: Path | None, as_json: bool) -> int:
    """Check this machine, the data folder, the store and the webhooks; say what to do about each finding.

    A server may be running. Exit code 1 where something keeps clips from being made.
    """
    settings = settings_of(config, data)
    os.umask(0o077)
    found: list[Finding] = []
    for finding in chain([_sources(config)], findings(settings)):
        found.append(finding)
        if not as_json:
            show(finding)
    if as_json:
        output.show_json([asdict(finding) for finding in found])
    return 1 if any(finding.status == "problem" for finding in found) else 0


def _sources(config: Path | None) -> Finding:
    """Where the settings come from, so that nobody looks at another engine's."""
    file, variables = sources(config)
    read = f"read from {file.resolve()}" if file else f"no file: there is no clipengine.toml in {Path.cwd()}"
    return good("settings", f"{read}; from the environment: {', '.join(variables) or 'nothing'}")


def findings(settings: Settings) -> Iterator[Finding]:
    """What every check finds, as it is found."""
    for name, check in _CHECKS.items():
        yield from examine(name, check, settings)


def show(finding: Finding, *, err: bool = False) -> None:
    """A finding for people, on standard error with `err`."""
    click.echo(f"{_MARKS[finding.status]}{output.one_line(f'{finding.name}: {finding.detail}')}", err=err)
    if finding.remedy:
        click.echo(f"        → {output.one_line(finding.remedy)}", err=err)
