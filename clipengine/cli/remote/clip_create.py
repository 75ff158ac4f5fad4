"""`clipengine clips create` and `clips export`: clips from ranges, and ranges of clips."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import click

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import exact
from clipengine.cli import output
from clipengine.cli.options import (
    Moment,
    PartValue,
    caption_style_option,
    check_caption_style,
    check_ranges,
    end_option,
    gaps_option,
    json_option,
    metadata_of,
    metadata_option,
    needs_server,
    part_option,
    render_option,
    snap_options,
    start_option,
    subtitles_value,
    tag_option,
    time_value,
    without_options,
)
from clipengine.cli.output_options import output_options
from clipengine.cli.range_files import FromFile, NamedRange, can_be_folder, from_options, parts_of, rate_option
from clipengine.cli.remote import clip_output
from clipengine.client import ApiError, Client, ClientError, Clip, Recording
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import Without
from clipengine.clips.ranges.formats import FORMATS, format_ranges
from clipengine.clips.ranges.range_file import ListedRange, RangeFormat, RangeSource
from clipengine.clips.request import GapMode
from clipengine.clips.spec import OnTimeout
from clipengine.errors import RecordingNotComplete
from clipengine.objects.clip import PartObject

_GROUP = 100  # clips of one request


def _part(part: PartValue) -> dict[str, str | float]:
    times: dict[str, str | float] = {"start_seconds": float(part.start), "end_seconds": float(part.end)}
    return times if part.recording_id is None else {"recording_id": part.recording_id, **times}


_wait_until = click.option(
    "--wait-until", metavar="TIME", help="Fail if the range is not recorded by then. [default: end + 5 min]"
)
_on_timeout = click.option(
    "--on-timeout", type=click.Choice(["fail", "clamp"]), help="clamp: then cut what is recorded."
)


@click.command()
@click.argument("recording_id")
@click.argument("label", required=False)
@start_option
@end_option
@part_option
@click.option("--last", type=time_value, metavar="TIME", help="The last seconds of the recording, or up to now.")
@from_options
@_wait_until
@_on_timeout
@click.option("--profile", help="A profile of the settings.")
@render_option
@snap_options
@without_options
@gaps_option
@output_options
@click.option(
    "--subtitles",
    metavar="none|keep[:LANGUAGE]|burn[:LANGUAGE]",
    callback=subtitles_value,
    help="keep:en keeps only the transcript in that language, burn:en draws it into the picture. [default: keep]",
)
@caption_style_option
@click.option("--priority", type=click.IntRange(-10, 10), help="Higher values run first. [default: 0]")
@metadata_option
@tag_option
@click.option("--webhook-url", help="Send the events of this clip to this URL as well.")
@click.option("--no-poster", is_flag=True, help="Do not store a poster image.")
@click.option("--expires-at", metavar="TIME", help="Delete the clip at this time, such as 2030-01-31T12:00:00Z.")
@click.option("--wait", is_flag=True, help="Wait until the clip has ended.")
@click.option(
    "--download",
    "target",
    metavar="[PATH]",
    type=click.Path(),
    is_flag=False,
    flag_value=".",
    help="Wait, then download the clip to this file or folder (a new one ends with /). [default: .]",
)
@json_option
@needs_server
def create(
    client: Client,
    recording_id: str,
    label: str | None,
    start: Fraction | Moment | None,
    end: Fraction | Moment | None,
    parts: tuple[PartValue, ...],
    last: Fraction | None,
    listed: FromFile | None,
    wait_until: str | None,
    on_timeout: OnTimeout | None,
    profile: str | None,
    render: Render | None,
    snap: Snap | None,
    without: Without,
    gaps: GapMode | None,
    options: Output | None,
    subtitles: dict[str, Any] | None,
    caption_style: CaptionStyle | None,
    priority: int | None,
    meta: tuple[str, ...],
    tags: tuple[str, ...],
    webhook_url: str | None,
    no_poster: bool,
    expires_at: str | None,
    wait: bool,
    target: str | None,
    as_json: bool,
) -> int:
    """Create the clip LABEL from the range --start to --end of a recording, from --last, or from several parts.

    With --from, each range of a file becomes a clip; LABEL is that of ranges without one.
    """
    check_caption_style(caption_style, burns=subtitles is not None and subtitles["mode"] == "burn")
    if subtitles is not None and caption_style is not None:
        subtitles = {**subtitles, "style": caption_style.to_object()}
    fields: dict[str, Any] = {
        "profile": profile,
        "render": render,
        "output": options.to_object() if options else None,
        "subtitles": subtitles,
        "snap": snap.model_dump() if snap else None,
        "without": without.kinds,
        "keep_ranges": [each.model_dump(exclude_none=True) for each in without.keep],
        "gaps": gaps,
        "wait_until": wait_until,
        "on_timeout": on_timeout,
        "priority": priority,
        "metadata": metadata_of(meta),
        "tags": tags,
        "webhook_url": webhook_url,
        "poster": False if no_poster else None,
        "expires_at": expires_at,
    }
    if target is not None:
        clip_output.check_folder(target, "'--download'")
    waits = wait or target is not None
    if listed is not None:
        ranges = _read(client, recording_id, listed, label)
        if not listed.as_parts:
            if target is not None and not (clip_output.names_folder(target) or can_be_folder(Path(target))):
                raise click.BadParameter("it must be a folder for several clips", param_hint="'--download'")
            made = _create_each(client, recording_id, listed, ranges, fields, as_json=as_json)
            return _finish_each(client, made, target, waits=waits, as_json=as_json)
        parts, label = parts_of(ranges), label or listed.path.stem
    check_ranges(start, end, parts, last)
    if label is None:
        raise click.UsageError("Missing argument 'LABEL'.")
    clip = client.clips.create(
        recording_id,
        label,
        **_range_fields(start, end),
        parts=[_part(part) for part in parts] or None,
        last_seconds=None if last is None else float(last),
        **fields,
    )
    if clip.waits_for:
        output.warn(
            f"the clip waits: a check of the server fails ({', '.join(clip.waits_for)}); see `clipengine status`"
        )
    if waits:
        clip = clip_output.wait(client, clip.clip_id, None)
    code = clip_output.show(clip, as_json=as_json)
    if target is not None and code == 0:
        output.say(clip_output.download(client, clip, target))
    return code


def _range_fields(start: Fraction | Moment | None, end: Fraction | Moment | None) -> dict[str, Any]:
    """Return the range as the client takes it, in seconds or as times of day."""
    fields: dict[str, Any] = {}
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, Moment):
            fields[f"{name}_time"] = rfc3339(value.time)
        elif value is not None:
            fields[f"{name}_seconds"] = float(value)
    return fields


def _read(client: Client, recording_id: str, listed: FromFile, label: str | None) -> list[NamedRange]:
    """Return the ranges of the file. Raises RecordingNotComplete or InvalidRequest."""
    recording = client.recordings.get(recording_id)
    if recording.duration_seconds is None:
        raise RecordingNotComplete.of(recording_id, recording.status, recording.raw.get("error"))
    rate, first = _rate_of(recording), _first_frame_of(recording)
    return listed.read(duration=exact(recording.duration_seconds), rate=rate, first_frame=first, label=label)


def _rate_of(recording: Recording) -> Fraction | None:
    rate = _video_of(recording).get("frame_rate")
    return None if rate is None else Fraction(rate)


def _first_frame_of(recording: Recording) -> Fraction:
    return exact(_video_of(recording).get("first_frame_seconds") or 0)


def _video_of(recording: Recording) -> dict[str, Any]:
    return (recording.raw.get("media") or {}).get("video") or {}


def _create_each(
    client: Client,
    recording_id: str,
    listed: FromFile,
    ranges: Sequence[NamedRange],
    fields: Mapping[str, Any],
    *,
    as_json: bool,
) -> list[Clip]:
    """Create a clip for each range, in groups of which each is created as a whole or not at all."""
    given = {name: value for name, value in fields.items() if value not in (None, {}, ())}
    made: list[Clip] = []
    for first in range(0, len(ranges), _GROUP):
        group = ranges[first : first + _GROUP]
        requests = [
            {
                "recording_id": recording_id,
                "label": each.label,
                "start_seconds": float(each.start),
                "end_seconds": float(each.end),
                **given,
            }
            for each in group
        ]
        try:
            made += client.clips.create_many(requests)
        except ClientError as error:
            if isinstance(error, ApiError):
                error.detail = f"{listed.path}: {_line_of(error, group)}{error.detail}"
            if made:
                output.show_list([clip.raw for clip in made], clip_output.COLUMNS, as_json=as_json)
            last = ranges[first - 1].line if made else None
            rest = "none were created" if last is None else f"the {len(made)} above, up to line {last}, were created"
            output.say(f"of {len(ranges)} clips {rest}")
            raise
    return made


def _line_of(error: ApiError, group: Sequence[NamedRange]) -> str:
    """Return the line of the file that the first fault of a response is about, if it names one."""
    for each in error.errors:
        found = re.match(r"/clips/(\d{1,4})(/|\Z)", str(each.get("pointer", "")))
        if found and int(found[1]) < len(group):
            return f"line {group[int(found[1])].line}: "
    return ""


def _finish_each(client: Client, made: Sequence[Clip], target: str | None, *, waits: bool, as_json: bool) -> int:
    """Wait for the clips if requested, download them to the folder `target`, and show them. Return the exit code."""
    ended = [clip_output.wait(client, clip.clip_id, None) for clip in made] if waits else made
    if target is not None:
        Path(target).mkdir(exist_ok=True)
        for clip in ended:
            if clip.status == "complete":
                output.say(clip_output.download(client, clip, target))
    output.show_list([clip.raw for clip in ended], clip_output.COLUMNS, as_json=as_json)
    failed = [clip for clip in ended if clip.error is not None]
    for clip in failed:
        assert clip.error is not None
        output.fail(f"{clip.label}: {clip.error.message}", clip.error.code, clip.error.hint)
    return 1 if failed else 0


@click.command("by-time")
@click.argument("label")
@click.option("--series", required=True, multiple=True, help="Make a clip of the recordings of it; may be repeated.")
@click.option("-s", "--start", metavar="TIME", required=True, help="A time of day, such as 2025-04-05T11:00:00+02:00.")
@click.option("-e", "--end", metavar="TIME", required=True, help="The same, exclusive.")
@_wait_until
@_on_timeout
@click.option("--profile", help="A profile of the settings.")
@render_option
@gaps_option
@metadata_option
@tag_option
@click.option("--wait", is_flag=True, help="Wait until the clips have ended.")
@json_option
@needs_server
def by_time(
    client: Client,
    label: str,
    series: tuple[str, ...],
    start: str,
    end: str,
    wait_until: str | None,
    on_timeout: OnTimeout | None,
    profile: str | None,
    render: Render | None,
    gaps: GapMode | None,
    meta: tuple[str, ...],
    tags: tuple[str, ...],
    wait: bool,
    as_json: bool,
) -> int:
    """Create the clip LABEL of each series, such as several cameras, in one range by the time of day."""
    fields = {
        "wait_until": wait_until,
        "on_timeout": on_timeout,
        "profile": profile,
        "render": render,
        "gaps": gaps,
        "metadata": metadata_of(meta),
        "tags": [*tags],
    }
    given = {name: value for name, value in fields.items() if value}
    made = client.clips.by_time(series, label, start, end, options=given)
    return _finish_each(client, made, None, waits=wait, as_json=as_json)


@click.command()
@click.argument("recording_id")
@click.option(
    "--format",
    "kind",
    type=click.Choice(get_args(RangeFormat)),
    help="losslesscut is the CSV of that program, edl is CMX 3600, otio OpenTimelineIO, fcpxml for Final Cut Pro and "
    "DaVinci Resolve, xmeml for Premiere Pro. [default: the suffix of --output, or csv]",
)
@click.option(
    "--output", "target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file."
)
@click.option(
    "--status",
    type=click.Choice(["processing", "complete", "failed"]),
    help="Only clips with this status. [default: all but failed]",
)
@rate_option
@needs_server
def export(
    client: Client,
    recording_id: str,
    kind: RangeFormat | None,
    target: Path | None,
    status: str | None,
    edl_rate: Fraction | None,
) -> None:
    """Print the ranges of a recording's clips as a list that `clips create --from` and editing programs read."""
    kind = kind or _format_of(target)
    if target is not None:
        clip_output.check_folder(target, "'--output'")
    recording = client.recordings.get(recording_id)
    source = _range_source(recording, edl_rate or _rate_of(recording))
    if FORMATS[kind].counts_frames and source.rate is None:
        raise click.UsageError("the recording has no frame rate: give --edl-rate, such as 25")
    ranges = sorted(_ranges(client, recording_id, status), key=lambda each: (each.start, each.end))
    text = format_ranges(kind, ranges, source)
    if target is None:
        click.echo(text, nl=False)
    else:
        try:
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise click.FileError(str(target), error.strerror) from None


def _format_of(target: Path | None) -> RangeFormat:
    """Return the format by the suffix of a file. Raises UsageError if it has none of the formats."""
    suffix = "csv" if target is None else target.suffix[1:].lower()
    for kind, each in FORMATS.items():
        if each.suffix == suffix:
            return kind
    known = ", ".join(f".{each.suffix}" for each in FORMATS.values())
    raise click.UsageError(f"{target} does not end with one of {known}: give --format")


def _range_source(recording: Recording, rate: Fraction | None) -> RangeSource:
    media = recording.raw.get("media") or {}
    video, audio = media.get("video") or {}, (media.get("audio") or [{}])[0]
    picture = {name: video.get(name) or 0 for name in ("width", "height", "rotation")}
    sound = {name: audio.get(name) or 0 for name in ("channels", "sample_rate")}
    duration, file = exact(recording.duration_seconds or 0), PurePosixPath(recording.bucket_path or "").name
    title, first = recording.name or recording.recording_id, _first_frame_of(recording)
    return RangeSource(title, file, duration, rate, **picture, **sound, first_frame=first)


def _ranges(client: Client, recording_id: str, status: str | None) -> Iterator[ListedRange]:
    """Yield the ranges of the clips of a recording, without parts from other recordings.

    Without a status, clips that have failed or were cancelled are left out.
    """
    others = failed = 0
    for clip in client.clips.each(recording_id=recording_id, status=status, limit=100):
        if status is None and clip.status == "failed":
            failed += 1
            continue
        whole = PartObject(
            recording_id=clip.recording_id, start_seconds=clip.start_seconds, end_seconds=clip.end_seconds
        )
        for part in clip.parts or [whole]:
            if part["recording_id"] != recording_id:
                others += 1
                continue
            yield ListedRange(0, exact(part["start_seconds"]), exact(part["end_seconds"]), clip.label)
    if failed:
        output.say(f"warning: clips that have failed or were cancelled are left out: {failed} (see --status)")
    if others:
        output.say(f"warning: parts of clips that are of other recordings are left out: {others}")
