"""`clipengine reset-secrets`: the way back where the key of the webhook secrets is lost for good."""

from __future__ import annotations

from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data import exclusive
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.ledger import place


@click.command()
@config_option
@data_option
def reset_secrets(config: Path | None, data: Path | None) -> None:
    """Make a new secrets.key where the old one is lost; webhooks of the API need new secrets then."""
    settings = settings_of(config, data)
    with exclusive(settings):
        disabled = place.reset_secrets(place.place_of(settings))
    output.say("There is a new secrets.key. Clips' own addresses are signed with a new secret from now on.")
    for webhook_id in disabled:
        output.say(f"{webhook_id} is disabled: give it a new secret, then enable it.")
