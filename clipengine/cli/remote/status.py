"""`clipengine status`: the state of a running installation."""

from __future__ import annotations

import click

from clipengine.cli import output
from clipengine.cli.options import json_option, needs_server
from clipengine.client import Client

_ENGINES: dict[str, output.Column] = {
    "engine": "engine_id",
    "host": "host",
    "version": "version",
    "encoders": lambda row: f"{row['encoders_busy']} of {row['encoders'] or '?'} busy",
    "stopping": "stopping",
}
_FAILURES: dict[str, output.Column] = {"failure": "code", "clips": "clips", "last clip": "last_clip_id"}


@click.command()
@json_option
@needs_server
def status(client: Client, as_json: bool) -> int:
    """Show the queues, the engines, the checks of /readyz, and the clips of the last 24 hours.

    The exit code is 1 if a check fails.
    """
    found = client.installation.status()
    if as_json:
        output.show_json(found)
    else:
        checks = {
            each["name"]: each["detail"] if each["ok"] else f"FAILS: {each['detail']}" for each in found["checks"]
        }
        day = {name: found["last_day"][name] for name in ("clips_ready", "clips_failed")}
        parts = {name: found[name] for name in ("status", "version", "queue", "webhooks", "watch")}
        output.show_object({**parts, "checks": checks, "last_day": day}, as_json=False)
        click.echo()
        output.show_list(found["engines"], _ENGINES, as_json=False)
        if found["last_day"]["failures"]:
            click.echo()
            output.show_list(found["last_day"]["failures"], _FAILURES, as_json=False)
    return 0 if found["status"] == "ok" else 1
