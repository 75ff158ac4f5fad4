"""`clipengine verify`: check a clip against its manifest."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import click

from clipengine.basis.terminal import one_line
from clipengine.cli.data_folder import has_ledger, open_ledger
from clipengine.cli.options import config_option, data_option, settings_of
from clipengine.clips.manifest import MAX_MANIFEST_BYTES, check_file, check_manifest, public_key
from clipengine.errors import StartupError

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("clip", type=_FILE, required=False)
@click.argument("manifest", type=_FILE, required=False)
@click.option("--key", metavar="HEX", help="The public key. [default: that of the data folder]")
@click.option("--public-key", "show_key", is_flag=True, help="Print the public key of this installation instead.")
@config_option
@data_option
def verify(
    clip: Path | None,
    manifest: Path | None,
    key: str | None,
    show_key: bool,
    config: Path | None,
    data: Path | None,
) -> None:
    """Check that CLIP is the file that MANIFEST describes, and that this installation signed it.

    Both files are downloaded from the store. Exit code 1 if one of them was changed.
    """
    if show_key:
        return click.echo(_own_key(config, data))
    if clip is None or manifest is None:
        raise click.UsageError("give CLIP and MANIFEST, or --public-key")
    with manifest.open("rb") as file:
        text = file.read(MAX_MANIFEST_BYTES + 1)
    content = check_manifest(text, trusted=key or _own_key(config, data))
    with clip.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    check_file(content, sha256=sha256, size=clip.stat().st_size)
    click.echo(f"{clip}: {one_line(str(content['clip']['clip_id']))}, unchanged, made {content.get('made_at')}")
    return None


def _own_key(config: Path | None, data: Path | None) -> str:
    settings = settings_of(config, data)
    if not has_ledger(settings):
        raise StartupError(
            f"{settings.data.folder} has no ledger, whose key signs the manifests",
            hint="Give the data folder with --data, or the public key with --key.",
        )
    with closing(open_ledger(settings)) as ledger:
        return public_key(ledger.manifest_key)
