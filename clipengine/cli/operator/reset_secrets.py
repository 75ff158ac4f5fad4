"""`clipengine reset-secrets`: recovery after the loss of the key that encrypts webhook secrets."""

from __future__ import annotations

from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data_folder import command, exclusive
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.ledger.opening.location import location_of
from clipengine.ledger.opening.location import reset_secrets as reset


@click.command()
@config_option
@data_option
def reset_secrets(config: Path | None, data: Path | None) -> None:
    """Create a new secrets.key if it is lost. Webhooks created with the API then need new secrets."""
    settings = settings_of(config, data)
    with exclusive(settings), command("secrets.reset"):
        disabled = reset(location_of(settings))
    output.say("Created a new secrets.key. Webhook URLs of single clips are signed with a new secret from now on.")
    for webhook_id in disabled:
        output.say(f"{webhook_id} is disabled: set a new secret, then enable it.")
