"""`clipengine clips variants`, `clips rm` and `clips batch`: many clips, given by their ids or by filters."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from clipengine.cli import output, questions
from clipengine.cli.options import json_option, metadata_of, needs_server, past_value
from clipengine.client import Batch, Client, Selection

F = TypeVar("F", bound=Callable[..., Any])

_DELETED_AT_ONCE = 100
_COLUMNS: dict[str, output.Column] = {
    "clip": "clip_id",
    "label": "label",
    "size": lambda row: output.size(row["size_bytes"]),
    "error": lambda row: (row["error"] or {}).get("code"),
}
_FILTERS = (
    click.option("--all", "everything", is_flag=True, help="All clips, instead of filters."),
    click.option("--recording", metavar="ID", help="Clips of this recording."),
    click.option("--status", type=click.Choice(["processing", "complete", "failed"]), help="Clips with this status."),
    click.option("--label", help="Clips with this label."),
    click.option("--variant-of", metavar="ID", help="Variants of this clip."),
    click.option(
        "--created-after", type=past_value, metavar="TIME", help="Clips created after this time, day or `7 days ago`."
    ),
    click.option(
        "--created-before", type=past_value, metavar="TIME", help="Clips created before it; a day is its midnight here."
    ),
    click.option("--search", metavar="WORDS", help="Clips with these words; bud* is a beginning."),
    click.option("--tag", "tags", multiple=True, metavar="TAG", help="Clips with this tag; may be repeated."),
    click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Clips with this metadata; may be repeated."),
)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


def _selected_by(function: F) -> F:
    """Add ids and filters to a command, which receives them as `clip_ids` and `chosen`, a filter or None."""

    @functools.wraps(function)
    def command(*args: Any, clip_ids: tuple[str, ...], everything: bool, **values: Any) -> Any:
        names = {"recording": "recording_id", "search": "q", "tags": "tag", "meta": "metadata"}
        names |= {name: name for name in ("status", "label", "variant_of", "created_after", "created_before")}
        given = {name: values.pop(option) for option, name in names.items()}
        given["metadata"] = metadata_of(given["metadata"])
        chosen = {name: [*each] if name == "tag" else each for name, each in given.items() if each}
        if sum(map(bool, (clip_ids, chosen, everything))) != 1:
            raise click.UsageError("give either ids of clips, or filters such as --tag, or --all")
        return function(*args, clip_ids=clip_ids, chosen=None if clip_ids else chosen, **values)

    for option in reversed(_FILTERS):
        command = option(command)
    argument = click.argument("clip_ids", metavar="[CLIP_ID...]", nargs=-1)
    return argument(command)  # type: ignore[return-value]


def _json_object(ctx: click.Context, parameter: click.Parameter, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise click.BadParameter("is not a JSON object")
    return value


@click.command()
@_selected_by
@click.option(
    "--changes",
    metavar="JSON",
    required=True,
    callback=_json_object,
    help="""Changed options, such as '{"output": {"aspect": "9:16"}}'; null stands for the default.""",
)
@_dry_run_option
@json_option
@needs_server
def variants(
    client: Client,
    clip_ids: tuple[str, ...],
    chosen: dict[str, Any] | None,
    changes: dict[str, Any],
    dry_run: bool,
    as_json: bool,
) -> int:
    """Make a variant of each of many clips, with the same ranges and other options."""
    which: dict[str, Any] = {"clip_ids": clip_ids or None, "filter": chosen}
    if dry_run:
        return _show(client.clips.try_variants(changes, **which), "variant", as_json=as_json)
    return _follow(client, client.clips.variants(changes, **which), as_json=as_json)


@click.command()
@_selected_by
@click.option("--include-processing", is_flag=True, help="With filters: also clips that are processing.")
@_dry_run_option
@click.option("--yes", is_flag=True, help="With filters: do not ask.")
@json_option
@needs_server
def rm(
    client: Client,
    clip_ids: tuple[str, ...],
    chosen: dict[str, Any] | None,
    include_processing: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Delete clips and their objects, given by ids or by filters.

    Running clips that are given by ids are cancelled first. Exit code 1 if a clip does not exist.
    """
    if chosen is None:
        if dry_run or include_processing:
            raise click.UsageError("--dry-run and --include-processing need filters")
        return _delete_ids(client, clip_ids)
    tried = client.clips.try_delete_matching(chosen, include_processing=include_processing)
    if dry_run:
        return _show(tried, "clip", as_json=as_json)
    if not yes:
        questions.confirm(
            f"Delete {output.amount(tried.count, 'clip')} ({output.size(tried.bytes)})?", otherwise="use --yes"
        )
    batch = client.clips.delete_matching(chosen, tried.selection, include_processing=include_processing)
    return _follow(client, batch, as_json=as_json)


def _delete_ids(client: Client, clip_ids: tuple[str, ...]) -> int:
    if len(clip_ids) == 1:
        client.clips.delete(clip_ids[0])
        return 0
    deleted: set[str] = set()
    for first in range(0, len(clip_ids), _DELETED_AT_ONCE):
        deleted.update(client.clips.delete_many(clip_ids[first : first + _DELETED_AT_ONCE]))
    missing = sorted(set(clip_ids) - deleted)
    for clip_id in missing:
        output.fail(f"No clip has the id {clip_id}", "clip_not_found", "The other clips were deleted.")
    return 1 if missing else 0


@click.command()
@click.argument("batch_id")
@click.option("--cancel", is_flag=True, help="Cancel what the batch has not done yet.")
@json_option
@needs_server
def batch(client: Client, batch_id: str, cancel: bool, as_json: bool) -> int:
    """Show the progress of a batch of variants or deletions, and wait until it has ended."""
    found = client.batches.cancel(batch_id) if cancel else client.batches.get(batch_id)
    return _follow(client, found, as_json=as_json)


def _show(tried: Selection, what: str, *, as_json: bool) -> int:
    """Show what would be done. Return 1 if clips were selected and each is refused."""
    exit_code = 1 if tried.refused and not tried.count else 0
    if as_json:
        output.show_object(tried.raw, as_json=True)
        return exit_code
    output.show_list(tried.raw["data"], _COLUMNS, as_json=False)
    shown = "; the first 100 clips are shown" if tried.count + tried.skipped + tried.refused > 100 else ""
    output.say(
        f"{output.amount(tried.count, what)} ({output.size(tried.bytes)}), {tried.skipped} skipped, "
        f"{tried.refused} refused{shown}"
    )
    return exit_code


def _follow(client: Client, made: Batch, *, as_json: bool) -> int:
    """Wait for the batch and show it. Return 1 if a clip was refused."""
    skipped = f", {made.skipped} skipped" if made.skipped else ""
    output.say(f"batch {made.batch_id}: {output.amount(made.total, 'clip')}{skipped}")
    with output.progress("working") as move:
        ended = made
        if not made.ended:
            ended = client.batches.wait(
                made.batch_id,
                on_progress=lambda each: move((each.made + each.skipped + each.failed) / max(1, each.total)),
            )
    output.show_object(ended.raw, as_json=as_json)
    return 1 if ended.failed else 0
