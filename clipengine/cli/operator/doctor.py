"""`clipengine doctor`: checks of everything that clips need, with a remedy for each problem."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from clipengine.basis.terminal import one_line
from clipengine.cli import output
from clipengine.cli.operator import doctor_direct, doctor_machine, doctor_remote, doctor_speech
from clipengine.cli.operator.doctor_finding import Check, Finding, ok, run_check
from clipengine.cli.options import config_option, data_option, json_option, settings_of
from clipengine.settings.settings import Settings
from clipengine.settings.sources import sources

_CHECKS: dict[str, Check] = {
    "versions": doctor_machine.versions,
    "data folder": doctor_machine.data_folder,
    "ledger": doctor_machine.ledger,
    "store": doctor_remote.store,
    "direct uploads": doctor_direct.direct_uploads,
    "folders": doctor_remote.folders,
    "sandbox": doctor_machine.sandbox,
    "drawing": doctor_machine.drawing,
    "transcription": doctor_speech.transcription,
    "port": doctor_machine.port,
    "open files": doctor_machine.open_files,
    "webhooks": doctor_remote.webhooks,
    "sign-in": doctor_remote.sign_in,
}
_LABELS = {"ok": "ok      ", "warning": "warning ", "problem": "PROBLEM "}


@click.command()
@config_option
@data_option
@json_option
def doctor(config: Path | None, data: Path | None, as_json: bool) -> int:
    """Check this machine, the data folder, the store and the webhooks, and suggest a remedy for each problem.

    A server may be running. Exit code 1 if a problem prevents clips from being cut.
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
    file, variables = sources(config)
    read = f"read from {file.resolve()}" if file else f"no file: there is no clipengine.toml in {Path.cwd()}"
    return ok("settings", f"{read}; from the environment: {', '.join(variables) or 'nothing'}")


def findings(settings: Settings) -> Iterator[Finding]:
    """Run all checks and yield their findings."""
    for name, check in _CHECKS.items():
        yield from run_check(name, check, settings)


def show(finding: Finding, *, err: bool = False) -> None:
    """Print a finding, with `err` on standard error."""
    click.echo(f"{_LABELS[finding.status]}{one_line(f'{finding.name}: {finding.detail}')}", err=err)
    if finding.remedy:
        click.echo(f"        → {one_line(finding.remedy)}", err=err)
