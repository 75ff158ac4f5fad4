"""`clipengine audit`: verify and export the audit log, directly in the ledger, with or without a running server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.data_folder import has_ledger, no_ledger, open_ledger
from clipengine.cli.groups import Commands
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.ledger.audit.head import Link
from clipengine.ledger.audit.records import Fault
from clipengine.ledger.database.database import compact_json
from clipengine.ledger.ledger import Ledger
from clipengine.objects.audit import AuditEntryObject


@click.group(cls=Commands, no_args_is_help=False)
def audit() -> None:
    """Verify and export the audit log."""


@audit.command()
@click.option("--head", "heads", multiple=True, metavar="HEAD", help="A head from the log lines. May be repeated.")
@config_option
@data_option
def verify(heads: tuple[str, ...], config: Path | None, data: Path | None) -> None:
    """Check that no sealed row of the audit log was changed, removed or inserted.

    Prints each fault with the id of its row, and at last the head of the log. The exit code is 1 if there are faults.
    """
    known = [_link(each) for each in heads]
    faults = 0
    with _ledger(config, data) as ledger:
        for found in ledger.audit_chain.verify(known):
            if isinstance(found, Fault):
                faults += 1
                click.echo(f"{found.kind} {found.id}: {found.message}")
            else:
                if found.unverifiable:
                    output.say(f"Batches up to {found.unverifiable} were sealed with a key that was lost.")
                click.echo(f"head {found}")
    if faults:
        raise click.exceptions.Exit(1)


@audit.command()
@config_option
@data_option
def export(config: Path | None, data: Path | None) -> None:
    """Write the audit log to standard output, one JSON object on each line, oldest first."""
    with _ledger(config, data) as ledger:
        for entry in ledger.audit.all():
            click.echo(compact_json(AuditEntryObject.of(entry).to_object()))


def _link(text: str) -> Link:
    try:
        return Link.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="'--head'") from None


@contextmanager
def _ledger(config: Path | None, data: Path | None) -> Iterator[Ledger]:
    settings = settings_of(config, data)
    if not has_ledger(settings):
        raise no_ledger(settings)
    with closing(open_ledger(settings)) as ledger:
        yield ledger
