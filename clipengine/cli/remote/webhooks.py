"""`clipengine webhooks`: manage webhook endpoints."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TextIO

import click

from clipengine.cli import output
from clipengine.cli.data_folder import has_ledger, no_ledger, open_ledger
from clipengine.cli.groups import Commands
from clipengine.cli.options import config_option, data_option, json_option, needs_server, settings_of
from clipengine.client import Client, Delivery, Webhook
from clipengine.objects.webhook import DISABLED_BY_REQUEST

_ATTEMPT_SECONDS = 70  # longer than the longest webhooks.timeout_seconds
_COLUMNS: dict[str, output.Column] = {
    "webhook": "webhook_id",
    "enabled": "enabled",
    "url": "url",
    "events": lambda row: ", ".join(row.get("events") or []),
    "wants": lambda row: "; ".join(f"{name} {', '.join(each)}" for name, each in (row.get("wants") or {}).items()),
    "created": "created_at",
}


@click.group(cls=Commands, no_args_is_help=False)
def webhooks() -> None:
    """Add, list, test and delete webhook endpoints."""


@webhooks.command()
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, help="Event to send; may be repeated. [default: clip.ready and clip.failed]"
)
@click.option("--secret-file", type=click.File("r"), help="File with the signing secret; - is standard input.")
@click.option("--format", type=click.Choice(["json", "slack", "discord"]), help="Of the requests. [default: json]")
@click.option("--tag", "tags", multiple=True, help="Only events of clips or recordings with this tag; may be repeated.")
@click.option("--rule", "rules", multiple=True, metavar="ID", help="Only events of clips of this rule; repeatable.")
@click.option("--series", multiple=True, help="Only events of recordings of this series; may be repeated.")
@json_option
@needs_server
def add(
    client: Client,
    url: str,
    events: tuple[str, ...],
    secret_file: TextIO | None,
    format: str | None,
    tags: tuple[str, ...],
    rules: tuple[str, ...],
    series: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add the endpoint URL. The secret that signs its events is shown only once."""
    secret = secret_file.read().strip() if secret_file else None
    wants = {name: values for name, values in (("tags", tags), ("rules", rules), ("series", series)) if values}
    webhook = client.webhooks.create(url, events=events or None, secret=secret, format=format, wants=wants or None)
    output.show_object(webhook.raw, as_json=as_json)


@webhooks.command("list")
@json_option
@needs_server
def list_(client: Client, as_json: bool) -> None:
    """List the endpoints, including those of the settings."""
    output.show_list([webhook.raw for webhook in client.webhooks.each()], _COLUMNS, as_json=as_json)


@webhooks.command("clip-secret")
@config_option
@data_option
def clip_secret(config: Path | None, data: Path | None) -> None:
    """Print the secret that signs deliveries to a clip's own webhook_url, read from the ledger."""
    settings = settings_of(config, data)
    if not has_ledger(settings):
        raise no_ledger(settings)
    with closing(open_ledger(settings)) as ledger:
        click.echo(ledger.default_secret())


@webhooks.command()
@click.argument("webhook_id")
@needs_server
def rm(client: Client, webhook_id: str) -> None:
    """Delete an endpoint and its pending deliveries."""
    client.webhooks.delete(webhook_id)


@webhooks.command()
@click.argument("webhook_id")
@json_option
@needs_server
def test(client: Client, webhook_id: str, as_json: bool) -> int:
    """Send a test event to an endpoint and show the result of the first attempt."""
    delivery = client.webhooks.test(webhook_id)
    if client.webhooks.get(webhook_id).disabled_reason != DISABLED_BY_REQUEST:
        delivery = _wait_for_attempt(client, webhook_id, delivery)
    output.show_object(delivery.raw, as_json=as_json)
    if delivery.status == "delivered":
        return 0
    reason = delivery.last_error or "no response yet"
    output.fail(f"{delivery.url}: {reason}", "not_delivered", _delivery_hint(client.webhooks.get(webhook_id), delivery))
    return 1


def _delivery_hint(webhook: Webhook, delivery: Delivery) -> str:
    enable = f'PATCH /v1/webhooks/{webhook.webhook_id} {{"enabled": true}}'
    if delivery.status != "failed":
        if webhook.disabled_reason == DISABLED_BY_REQUEST:
            return f"The webhook is disabled; the event is sent when it is enabled with {enable}."
        return "It is retried automatically; check its deliveries later."
    if webhook.enabled:
        return "It is not retried."
    return (
        f"It is not retried, and no more events are sent: the webhook is disabled ({webhook.disabled_reason}). "
        f"Correct the receiver, then enable the webhook with {enable}."
    )


def _wait_for_attempt(client: Client, webhook_id: str, delivery: Delivery) -> Delivery:
    deadline = time.monotonic() + _ATTEMPT_SECONDS
    while not delivery.attempts and time.monotonic() < deadline:
        time.sleep(0.1)
        found = client.webhooks.deliveries(webhook_id, limit=20).data
        delivery = next((each for each in found if each.delivery_id == delivery.delivery_id), delivery)
    return delivery
