"""`clipengine rules`: manage the rules that make clips by themselves."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, TextIO

import click

from clipengine.cli import output
from clipengine.cli.groups import Commands
from clipengine.cli.options import json_option, limit_option, needs_server, past_value
from clipengine.client import Client
from clipengine.errors import MalformedRequest

_COLUMNS: dict[str, output.Column] = {
    "rule": "rule_id",
    "name": "name",
    "enabled": "enabled",
    "ranges": lambda row: row["ranges"].get("kind", ""),
    "made": "made",
    "skipped": "skipped",
    "failed": "failed",
    "stopped": "stopped_reason",
}
_BATCHES: dict[str, output.Column] = {
    "created": "created_at",
    "recording": "recording_id",
    "state": "state",
    "reason": "reason",
    "made": "made",
    "skipped": "skipped",
    "failed": "failed",
}
_TRIED: dict[str, output.Column] = {
    "start": output.seconds("start_seconds"),
    "end": output.seconds("end_seconds"),
    "label": "label",
    "error": "error",
}


@click.group(cls=Commands, no_args_is_help=False)
def rules() -> None:
    """Add, try and list rules, which make clips of recordings by themselves."""


@rules.command()
@click.argument("file", type=click.File("r"))
@json_option
@needs_server
def add(client: Client, file: TextIO, as_json: bool) -> None:
    """Add the rule in FILE, a JSON object as of POST /v1/rules; - is standard input."""
    output.show_object(client.rules.add(_read(file)).raw, as_json=as_json)


@rules.command("list")
@json_option
@needs_server
def list_(client: Client, as_json: bool) -> None:
    """List the rules, including those of the settings."""
    output.show_list([rule.raw for rule in client.rules.each()], _COLUMNS, as_json=as_json)


@rules.command()
@click.argument("rule_id")
@json_option
@needs_server
def show(client: Client, rule_id: str, as_json: bool) -> None:
    """Show a rule."""
    output.show_object(client.rules.get(rule_id).raw, as_json=as_json)


@rules.command("try")
@click.argument("rule_id")
@click.argument("recording_id")
@json_option
@needs_server
def try_(client: Client, rule_id: str, recording_id: str, as_json: bool) -> None:
    """Show what a rule would make of a recording, without making it."""
    tried = client.rules.try_out(rule_id, recording_id)
    if as_json:
        output.show_object(tried.raw, as_json=True)
        return
    if not tried.matches:
        output.say("The recording does not meet the conditions of the rule.")
    rows = [{**each["body"], "error": (each["error"] or {}).get("code")} for each in tried.data]
    output.show_list(rows, _TRIED, as_json=False)
    for each in tried.skipped:
        output.say(f"skipped ({each['code']}): {each['message']}")
    if tried.left_out:
        output.say(f"{tried.left_out} more ranges are left out: max_clips")


@rules.command()
@click.argument("rule_id")
@json_option
@needs_server
def enable(client: Client, rule_id: str, as_json: bool) -> None:
    """Enable a rule. It acts on what happens from then on."""
    output.show_object(client.rules.update(rule_id, enabled=True).raw, as_json=as_json)


@rules.command()
@click.argument("rule_id")
@json_option
@needs_server
def disable(client: Client, rule_id: str, as_json: bool) -> None:
    """Disable a rule."""
    output.show_object(client.rules.update(rule_id, enabled=False).raw, as_json=as_json)


@rules.command()
@click.argument("rule_id")
@click.option(
    "--after", type=past_value, metavar="TIME", help="Only recordings registered after this time, day or `7 days ago`."
)
@click.option("--cancel", is_flag=True, help="Cancel the backfill.")
@json_option
@needs_server
def backfill(client: Client, rule_id: str, after: str | None, cancel: bool, as_json: bool) -> None:
    """Let a rule act on recordings that were complete before it was made."""
    rules = client.rules
    rule = rules.cancel_backfill(rule_id) if cancel else rules.backfill(rule_id, created_after=after)
    output.show_object(rule.raw, as_json=as_json)


@rules.command()
@click.argument("rule_id")
@limit_option
@json_option
@needs_server
def log(client: Client, rule_id: str, limit: int, as_json: bool) -> None:
    """List what a rule has made, newest first, one row for each recording."""
    found = islice(client.rules.each_batch(rule_id), limit)
    output.show_list([batch.raw for batch in found], _BATCHES, as_json=as_json)


@rules.command()
@click.argument("rule_id")
@needs_server
def rm(client: Client, rule_id: str) -> None:
    """Delete a rule. Its clips stay."""
    client.rules.delete(rule_id)


def _read(file: TextIO) -> dict[str, Any]:
    try:
        rule = json.load(file)
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"{file.name} is not JSON: {error}") from None
    if not isinstance(rule, dict):
        raise MalformedRequest(f"{file.name} must be a JSON object")
    return rule
