"""`clipengine webhooks`: who is told when a clip has ended."""

from __future__ import annotations

import time
from typing import TextIO

import click

from clipengine.cli import output
from clipengine.cli.options import json_option, needs_server
from clipengine.client import Client, Delivery, Webhook
from clipengine.clips.clip import DISABLED_BY_REQUEST

_ATTEMPT_SECONDS = 70  # longer than the longest webhooks.timeout_seconds
_COLUMNS: dict[str, output.Column] = {
    "webhook": "webhook_id",
    "enabled": "enabled",
    "url": "url",
    "events": lambda row: ", ".join(row.get("events") or []),
    "created": "created_at",
}


@click.group(no_args_is_help=False)
def webhooks() -> None:
    """Add, list, test and remove webhook endpoints."""


@webhooks.command()
@click.argument("url")
@click.option("--event", "events", multiple=True, help="Tell of this event; may be repeated. [default: those of clips]")
@click.option("--secret-file", type=click.File("r"), help="Sign with the secret in this file; - is standard input.")
@json_option
@needs_server
def add(client: Client, url: str, events: tuple[str, ...], secret_file: TextIO | None, as_json: bool) -> None:
    """Tell URL of events. The secret that signs them is shown now and never again."""
    secret = secret_file.read().strip() if secret_file else None
    webhook = client.webhooks.create(url, events=events or None, secret=secret)
    output.show_object(webhook.raw, as_json=as_json)


@webhooks.command("list")
@json_option
@needs_server
def list_(client: Client, as_json: bool) -> None:
    """List the endpoints, those of the settings included."""
    output.show_list([webhook.raw for webhook in client.webhooks.each()], _COLUMNS, as_json=as_json)


@webhooks.command()
@click.argument("webhook_id")
@needs_server
def rm(client: Client, webhook_id: str) -> None:
    """Remove an endpoint; what is still on its way to it is dropped."""
    client.webhooks.delete(webhook_id)


@webhooks.command()
@click.argument("webhook_id")
@json_option
@needs_server
def test(client: Client, webhook_id: str, as_json: bool) -> int:
    """Send a sample event to an endpoint, and say what came of the first attempt."""
    delivery = client.webhooks.test(webhook_id)
    if client.webhooks.get(webhook_id).disabled_reason != DISABLED_BY_REQUEST:
        delivery = _after_attempt(client, webhook_id, delivery)
    output.show_object(delivery.raw, as_json=as_json)
    if delivery.status == "delivered":
        return 0
    reason = delivery.last_error or "no answer yet"
    output.fail(f"{delivery.url}: {reason}", "not_delivered", _what_now(client.webhooks.get(webhook_id), delivery))
    return 1


def _what_now(webhook: Webhook, delivery: Delivery) -> str:
    """What becomes of a delivery that was not taken at once."""
    on = f'PATCH /v1/webhooks/{webhook.webhook_id} {{"enabled": true}}'
    if delivery.status != "failed":
        if webhook.disabled_reason == DISABLED_BY_REQUEST:
            return f"The webhook is switched off: it is sent when that is switched on again, with {on}."
        return "It is tried again by itself; see its deliveries later."
    if webhook.enabled:
        return "It is not tried again."
    return (
        f"It is not tried again, and nothing more is sent: the webhook is disabled ({webhook.disabled_reason}). "
        f"Put the receiver right, then switch the webhook on again with {on}."
    )


def _after_attempt(client: Client, webhook_id: str, delivery: Delivery) -> Delivery:
    deadline = time.monotonic() + _ATTEMPT_SECONDS
    while not delivery.attempts and time.monotonic() < deadline:
        time.sleep(0.1)
        found = client.webhooks.deliveries(webhook_id, limit=20).data
        delivery = next((each for each in found if each.delivery_id == delivery.delivery_id), delivery)
    return delivery
