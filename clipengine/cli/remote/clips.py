"""`clipengine clips`: create, list, wait for and download clips."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.groups import Commands
from clipengine.cli.options import (
    filter_options,
    json_option,
    limit_option,
    metadata_of,
    metadata_option,
    needs_server,
    new_tags,
    replace_tags_option,
)
from clipengine.cli.remote import clip_output
from clipengine.cli.remote.clip_create import by_time, create, export
from clipengine.cli.remote.clip_selections import batch, rm, variants
from clipengine.client import Client

_SHARE_COLUMNS: dict[str, output.Column] = {
    "share": "share_id",
    "views": "views",
    "last viewed": "last_viewed_at",
    "expires": "expires_at",
    "created": "created_at",
}
_ALL_SHARES_COLUMNS: dict[str, output.Column] = {"clip": "clip_id", "label": "label", **_SHARE_COLUMNS}


@click.group(cls=Commands, no_args_is_help=False)
def clips() -> None:
    """Create, list, wait for and download clips."""


@clips.command("list")
@click.option("--recording", help="Only clips of this recording.")
@click.option("--status", type=click.Choice(["processing", "complete", "failed"]), help="Only clips with this status.")
@click.option("--label", help="Only clips with this label.")
@click.option("--variant-of", metavar="ID", help="Only variants of this clip.")
@filter_options("created_at", "label", "duration", "size")
@limit_option
@json_option
@needs_server
def list_(
    client: Client,
    recording: str | None,
    status: str | None,
    label: str | None,
    variant_of: str | None,
    search: str | None,
    tags: tuple[str, ...],
    meta: tuple[str, ...],
    sort: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List clips, newest first unless --sort is given."""
    found = client.clips.each(
        recording_id=recording,
        status=status,
        label=label,
        variant_of=variant_of,
        q=search,
        tags=tags,
        metadata=metadata_of(meta),
        sort=sort,
        limit=min(100, limit),
    )
    output.show_list([clip.raw for clip in islice(found, limit)], clip_output.COLUMNS, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@json_option
@needs_server
def show(client: Client, clip_id: str, as_json: bool) -> None:
    """Show one clip."""
    output.show_object(client.clips.get(clip_id).raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@click.option("--timeout", type=click.FloatRange(min=0), help="Stop waiting after this many seconds.")
@json_option
@needs_server
def wait(client: Client, clip_id: str, timeout: float | None, as_json: bool) -> int:
    """Wait until a clip has ended. Exit code 1 if it failed."""
    return clip_output.show(clip_output.wait(client, clip_id, timeout), as_json=as_json)


@clips.command()
@click.argument("clip_id")
@json_option
@needs_server
def cancel(client: Client, clip_id: str, as_json: bool) -> None:
    """Cancel a clip that is queued or running."""
    output.show_object(client.clips.cancel(clip_id).raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@json_option
@needs_server
def retry(client: Client, clip_id: str, as_json: bool) -> None:
    """Queue a failed clip again."""
    output.show_object(client.clips.retry(clip_id).raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@click.option("--label", help="The new label. The name of the object stays.")
@metadata_option
@replace_tags_option
@click.option("--expires-at", metavar="TIME", help="Delete the clip at this time, such as 2030-01-31T12:00:00Z.")
@json_option
@needs_server
def update(
    client: Client,
    clip_id: str,
    label: str | None,
    meta: tuple[str, ...],
    tags: tuple[str, ...],
    expires_at: str | None,
    as_json: bool,
) -> None:
    """Change the label, the metadata, the tags or the expiry of a clip."""
    if label is None and not meta and not tags and expires_at is None:
        raise click.UsageError("nothing to change: give --label, --meta, --tag or --expires-at")
    changed = client.clips.update(
        clip_id, label=label, metadata=metadata_of(meta), tags=new_tags(tags), expires_at=expires_at
    )
    output.show_object(changed.raw, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@click.argument("target", metavar="[OUTPUT]", default=".", type=click.Path())
@needs_server
def download(client: Client, clip_id: str, target: str) -> None:
    """Download a complete clip to the file or folder OUTPUT, by default the current folder."""
    clip_output.check_folder(target, "'OUTPUT'")
    click.echo(clip_output.download(client, client.clips.get(clip_id), target))


@clips.command()
@click.argument("clip_ids", metavar="CLIP_ID...", nargs=-1, required=True)
@click.option(
    "--output",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("clips.zip"),
    show_default=True,
    help="The archive.",
)
@needs_server
def archive(client: Client, clip_ids: tuple[str, ...], target: Path) -> None:
    """Download up to 100 complete clips as a ZIP archive."""
    clip_output.check_folder(target, "'--output'")
    with output.transfer("downloading") as moved:
        size = client.clips.archive(list(dict.fromkeys(clip_ids)), target, on_progress=moved)
    click.echo(f"{target}: {output.size(size)}")


@clips.command()
@click.argument("clip_id")
@click.option("--expires-at", metavar="TIME", help="The link works until this time, such as 2030-01-31T12:00:00Z.")
@click.option("--no-download", is_flag=True, help="Do not offer the file for download.")
@click.option("--no-embed", is_flag=True, help="Do not let other sites embed the player.")
@json_option
@needs_server
def share(
    client: Client, clip_id: str, expires_at: str | None, no_download: bool, no_embed: bool, as_json: bool
) -> None:
    """Create a link that opens a clip without a key, and print it."""
    made = client.clips.share(
        clip_id,
        expires_at=expires_at,
        download=False if no_download else None,
        embed=False if no_embed else None,
    )
    if as_json:
        output.show_object(made.raw, as_json=True)
    else:
        click.echo(made.url)
        if made.note:
            output.warn(made.note)


@clips.command()
@click.argument("clip_id", required=False)
@click.option("--without-end", is_flag=True, help="Only shares that never expire. Not with CLIP_ID.")
@limit_option
@json_option
@needs_server
def shares(client: Client, clip_id: str | None, without_end: bool, limit: int, as_json: bool) -> None:
    """List the shares of a clip, or of all clips, newest first."""
    if clip_id is not None:
        if without_end:
            raise click.UsageError("--without-end lists the shares of all clips: leave out CLIP_ID.")
        page = client.clips.shares(clip_id, limit=min(100, limit))
        output.show_list([each.raw for each in page.data], _SHARE_COLUMNS, as_json=as_json)
        return
    found = islice(client.clips.each_share(expires="never" if without_end else None), limit)
    output.show_list([each.raw for each in found], _ALL_SHARES_COLUMNS, as_json=as_json)


@clips.command()
@click.argument("clip_id")
@click.argument("share_id")
@needs_server
def unshare(client: Client, clip_id: str, share_id: str) -> None:
    """Revoke a share. Its link no longer works."""
    client.clips.unshare(clip_id, share_id)


for _command in (create, by_time, export, variants, rm, batch):
    clips.add_command(_command)
