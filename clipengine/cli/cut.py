"""`clipengine cut`: cut a clip from a file or object without a server or database."""

from __future__ import annotations

import shlex
from fractions import Fraction
from pathlib import Path

import click

from clipengine.cli import output
from clipengine.cli.local_cut import cut_once
from clipengine.cli.local_subtitles import LocalSubtitles, local_subtitles
from clipengine.cli.options import (
    PartValue,
    check_ranges,
    config_option,
    end_option,
    json_option,
    part_option,
    render_option,
    settings_of,
    snap_options,
    start_option,
)
from clipengine.cli.output_options import output_options
from clipengine.clips.clip import ClipResult
from clipengine.clips.output import Output
from clipengine.clips.profiles import ANIMATION_TICKS, Profile, Render
from clipengine.clips.snap import Snap
from clipengine.errors import ObjectMissing, RecordingMissing, UnknownProfile
from clipengine.settings import Settings
from clipengine.stores.keys import URL_SCHEME
from clipengine.timecode import format_time


@click.command()
@click.argument("source")
@click.argument("target", metavar="OUTPUT", type=click.Path(path_type=Path, dir_okay=False))
@start_option
@end_option
@part_option
@click.option(
    "--profile",
    help="A profile of the settings; `default` if it is not given, or for .gif and .webp one that makes such files.",
)
@render_option
@snap_options
@output_options
@click.option(
    "--subtitles",
    multiple=True,
    metavar="FILE|none|keep[:LANGUAGE]|burn[:LANGUAGE|:FILE]",
    callback=local_subtitles,
    help="A .vtt or .srt file of SOURCE whose cues become a text track; may be repeated. talk.en.vtt is in English. "
    "burn:en or burn:FILE draws them into the picture. [default: keep]",
)
@config_option
@json_option
def cut(
    source: str,
    target: Path,
    start: Fraction | None,
    end: Fraction | None,
    parts: tuple[PartValue, ...],
    profile: str | None,
    render: Render | None,
    snap: Snap | None,
    options: Output | None,
    subtitles: LocalSubtitles,
    config: Path | None,
    as_json: bool,
) -> None:
    """Cut the range --start to --end of SOURCE, or several parts of it, and write it to the file OUTPUT.

    SOURCE is a file, or s3://bucket/key in the store of the settings. OUTPUT is created or replaced only when the clip
    is complete and verified.
    """
    check_ranges(start, end, parts)
    if start is not None and end is not None and end <= start:
        raise click.BadParameter(f"{format_time(end)} is not after --start {format_time(start)}", param_hint="'--end'")
    if any(part.recording_id for part in parts):
        raise click.BadParameter("a part of `cut` is of SOURCE: give START-END", param_hint="'--part'")
    ranges = [(part.start, part.end) for part in parts] or [(start or Fraction(0), end or Fraction(0))]
    _check_source(source)
    if not target.parent.is_dir():
        raise click.BadParameter(f"the folder {target.parent} does not exist", param_hint="'OUTPUT'")
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise click.BadParameter("OUTPUT is the same file as SOURCE", param_hint="'OUTPUT'")
    settings = settings_of(config)
    profile, settings = _chosen(target, profile, settings)
    _check_profile(profile, settings, options, burns=subtitles.burns)
    _check_extension(target, profile, settings)
    try:
        with output.progress("cutting") as on_progress:
            result = cut_once(
                settings,
                source,
                target,
                ranges,
                profile=profile,
                render=render,
                options=options,
                subtitles=subtitles,
                snap=snap,
                on_progress=on_progress,
            )
    except ObjectMissing:
        raise RecordingMissing(f"{source} does not exist", hint="Check its name, or the bucket and the key.") from None
    if as_json:
        output.show_json({"output": str(target), **result.to_object()})
    else:
        click.echo(f"{target}: {_summary(result)}")
        for warning in result.warnings:
            output.say(f"warning: {warning}")


def _check_source(source: str) -> None:
    """Raise BadParameter for a folder, a pipe, and a URL other than s3://."""
    path = Path(source)
    if path.is_dir():
        raise click.BadParameter(f"{source} is a folder: give a file in it", param_hint="'SOURCE'")
    if source == "-" or (path.exists() and not path.is_file()):
        name = "standard input" if source == "-" else source
        raise click.BadParameter(
            f"{name} is not a regular file; cut needs random access: write it to a file first (cat > recording.mp4)",
            param_hint="'SOURCE'",
        )
    scheme = URL_SCHEME.match(source)
    if scheme is None or scheme[1] == "s3":
        return
    advice = (
        f"download it first (curl -fLO {shlex.quote(source)}), or upload it to the store and register it "
        "(clipengine recordings add)"
        if scheme[1].lower() in ("http", "https")
        else "give a file by its path"
    )
    raise click.BadParameter(
        f"{source} is a URL, but SOURCE must be a file or s3://bucket/key: {advice}", param_hint="'SOURCE'"
    )


def _chosen(target: Path, profile: str | None, settings: Settings) -> tuple[str, Settings]:
    """Return the name of the profile, and the settings with it: an animation needs none in the settings."""
    extension = target.suffix[1:].lower()
    if profile is not None or extension not in ANIMATION_TICKS:
        return profile or "default", settings
    for name, each in settings.profiles.items():
        if each.container == extension:
            return name, settings
    animation = Profile.model_validate({"container": extension})
    return extension, settings.model_copy(update={"profiles": {**settings.profiles, extension: animation}})


def _check_profile(profile: str, settings: Settings, options: Output | None, *, burns: bool) -> None:
    """Raise UnknownProfile, or BadParameter for options that would have no effect with the profile."""
    if profile not in settings.profiles:
        known = ", ".join(sorted(settings.profiles))
        raise UnknownProfile(f"profile {profile!r} does not exist; the settings have {known}")
    for fault in settings.profiles[profile].output_faults(options) if options else ():
        raise click.BadParameter(fault, param_hint="'--profile'")
    if burns and settings.profiles[profile].video == "none":
        fault = "burn would have no effect, as the profile makes clips without video"
        raise click.BadParameter(fault, param_hint="'--subtitles'")


def _check_extension(target: Path, profile: str, settings: Settings) -> None:
    """Raise BadParameter if the extension contradicts the container. A name without an extension is accepted."""
    expected, given = settings.profiles[profile].container, target.suffix[1:].lower()
    if given in ("", expected):
        return
    matching = [name for name, each in settings.profiles.items() if each.container == given]
    other = f", or use --profile {matching[0]}, which creates .{given} files" if matching else ""
    raise click.BadParameter(
        f"profile {profile} creates .{expected} files, not .{given}: use {target.with_suffix('.' + expected)}{other}",
        param_hint="'OUTPUT'",
    )


def _summary(result: ClipResult) -> str:
    start, end = format_time(result.actual_start_seconds), format_time(result.actual_end_seconds)
    ranges = f"{len(result.parts)} parts" if result.parts else f"{start} to {end}"
    parts = [ranges, f"{result.duration_seconds:.3f} s"]
    if result.video_codec:
        parts += [f"{result.frames} frames", f"{result.width}x{result.height} {result.video_codec}"]
    if result.audio_codec:
        parts.append(result.audio_codec)
    if result.render == "smart":
        parts.append(f"{result.copied_seconds:.3f} s copied")
    return ", ".join([*parts, output.size(result.size_bytes)])
