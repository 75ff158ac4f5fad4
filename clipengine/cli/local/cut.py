"""`clipengine cut`: cut a clip from a file or object without a server or database."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from clipengine.basis.moments import rfc3339
from clipengine.basis.timecode import format_time
from clipengine.cli import output
from clipengine.cli.local.children import LocalChildren
from clipengine.cli.local.making import LocalClip, cut_once, read_facts
from clipengine.cli.local.subtitles import LocalSubtitles, local_subtitles, local_transcript
from clipengine.cli.local.termination import end_by_exception
from clipengine.cli.options import (
    Moment,
    PartValue,
    caption_style_option,
    check_caption_style,
    check_ranges,
    config_option,
    end_option,
    gaps_option,
    json_option,
    part_option,
    render_option,
    settings_of,
    snap_options,
    start_option,
    variant_option,
    without_options,
)
from clipengine.cli.output_options import named_options, output_options
from clipengine.cli.range_files import FromFile, can_be_folder, from_options, parts_of
from clipengine.clips.clip import ClipResult
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import ANIMATION_TICKS, Profile, Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import Without
from clipengine.clips.request import GapMode, TimeRange
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.errors import DiskFull, ObjectMissing, RecordingError, RecordingMissing, UnknownProfile
from clipengine.recordings.names import slug
from clipengine.recordings.playlist import VariantChoice
from clipengine.settings.settings import Settings
from clipengine.stores.keys import URL_SCHEME

_FILE_HINTS = {
    "recording_unreadable": "Check that it is a complete video or audio file: play it.",
    "recording_truncated": "The file is incomplete or its index is damaged: copy it again.",
    "recording_changed": "The file was changed while it was read: run the command again.",
    "recording_encrypted": "Decrypt the file first.",
    "recording_not_ready": "Run the command again when it has ended, or append #EXT-X-ENDLIST if its producer is gone.",
    "piece_missing": "Put the file back, or run the command again: what is missing is then a gap.",
}
_Ranges = Sequence[tuple[Fraction, Fraction]]


@click.command()
@click.argument("source")
@click.argument("target", metavar="OUTPUT", type=click.Path(path_type=Path))
@start_option
@end_option
@part_option
@from_options
@click.option(
    "--profile",
    help="A profile of the settings; `default` if it is not given, or for .gif and .webp one that makes such files.",
)
@render_option
@snap_options
@without_options
@gaps_option
@variant_option
@output_options
@click.option(
    "--subtitles",
    multiple=True,
    metavar="FILE|none|keep[:LANGUAGE]|burn[:LANGUAGE|:FILE]",
    callback=local_subtitles,
    help="A .vtt, .srt or .json file of SOURCE whose cues become a text track; may be repeated. talk.en.vtt is in "
    "English. burn:en or burn:FILE draws them into the picture. [default: keep]",
)
@click.option(
    "--transcript",
    metavar="[LANGUAGE:]FILE",
    callback=local_transcript,
    help="What is said in SOURCE, for --without and --snap sentence: a .json, .vtt or .srt file. Fillers need the "
    "times of words, as `transcribe` writes them to .json. talk.en.json is in English.",
)
@caption_style_option
@click.option(
    "--force", is_flag=True, help="Replace OUTPUT if it exists. From the next release on, cut refuses to without it."
)
@config_option
@json_option
def cut(
    source: str,
    target: Path,
    start: Fraction | Moment | None,
    end: Fraction | Moment | None,
    parts: tuple[PartValue, ...],
    listed: FromFile | None,
    profile: str | None,
    render: Render | None,
    snap: Snap | None,
    without: Without,
    gaps: GapMode | None,
    variant: dict[str, Any] | None,
    options: Output | None,
    subtitles: LocalSubtitles,
    caption_style: CaptionStyle | None,
    transcript: TextTrack | None,
    force: bool,
    config: Path | None,
    as_json: bool,
) -> None:
    """Cut the range --start to --end of SOURCE, or several parts of it, and write it to the file OUTPUT.

    SOURCE is a file, s3://bucket/key in the store of the settings, or the pattern of a camera's files in either. OUTPUT
    is created or replaced only when the clip is complete and verified; if it is a symbolic link, the file that it names
    is. With --from, OUTPUT is a folder that gets a file for each range of a list.
    """
    if listed is None:
        check_ranges(start, end, parts)
    if any(part.recording_id for part in parts):
        raise click.BadParameter("a part of `cut` is of SOURCE: give START-END", param_hint="'--part'")
    check_caption_style(caption_style, burns=subtitles.burns)
    subtitles = replace(subtitles, style=caption_style)
    ranges, times = _ranges(start, end, parts)
    _check_source(source)
    several = listed is not None and not listed.as_parts
    with _writing(target.parent):
        _check_target(source, target, several=several)
    # Before the settings are read, so that no child has a secret in its memory.
    children = LocalChildren(fork=listed is None and not subtitles.burns)
    click.get_current_context().call_on_close(children.close)
    end_by_exception()
    settings = settings_of(config)
    profile, settings = _chosen(target, profile, settings)
    _check_profile(profile, settings, options, burns=subtitles.burns)
    if not several:
        _check_extension(target, profile, settings)
    chosen = VariantChoice(**variant or {})
    jobs = [(target, ranges)] if listed is None else _listed(settings, source, chosen, target, listed, profile)
    if several:
        with _writing(target.parent):
            target.mkdir(exist_ok=True)
    if not force:
        _warn_of_replaced(path for path, _ in jobs)
    make = partial(cut_once, settings, source, start_child=children.start)
    made = []
    for path, wanted in jobs:
        clip = LocalClip(
            wanted, profile, render, options, subtitles, transcript, snap, without, gaps or "hold", chosen, times
        )
        made.append((path, _cut(make, source, path, clip)))
        if not as_json:
            _show(*made[-1])
    if as_json:
        objects = [{"output": str(path), **result.to_object()} for path, result in made]
        output.show_json(objects if several else objects[0])


def _ranges(
    start: Fraction | Moment | None, end: Fraction | Moment | None, parts: Sequence[PartValue]
) -> tuple[_Ranges, TimeRange | None]:
    """Return the ranges, or a placeholder and the range by the time of day. Raises BadParameter."""
    if isinstance(start, Moment) and isinstance(end, Moment):
        if end <= start:
            _refuse_end(rfc3339(start.time), rfc3339(end.time))
        return [(Fraction(0), Fraction(0))], (start.time, end.time)
    if isinstance(start, Fraction) and isinstance(end, Fraction):
        if end <= start:
            _refuse_end(format_time(start), format_time(end))
        return [(start, end)], None
    return [(part.start, part.end) for part in parts] or [(Fraction(0), Fraction(0))], None


def _refuse_end(start: str, end: str) -> NoReturn:
    raise click.BadParameter(f"{end} is not after --start {start}", param_hint="'--end'")


def _cut(make: Callable[..., ClipResult], source: str, target: Path, clip: LocalClip) -> ClipResult:
    folder = target.resolve().parent
    try:
        with output.progress("cutting") as on_progress, named_options(), _writing(folder), _reading(source):
            return make(target, clip, on_progress=on_progress)
    except DiskFull:
        hint = "Free space there, or give an OUTPUT on another disk."
        raise DiskFull(f"no space is left in the folder {folder}", hint=hint) from None


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Translate a missing object, and the hints that name the store if SOURCE is a file."""
    try:
        yield
    except ObjectMissing:
        raise _missing(source) from None
    except RecordingError as error:
        if not URL_SCHEME.match(source) and error.hint == error.default_hint:
            error.hint = _FILE_HINTS.get(error.code, error.hint)
        raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Raise BadParameter for an OSError of a file in the folder."""
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(error.filename).parent != folder:
            raise
        fault = f"cannot write to the folder {folder}: {error.strerror}"
        raise click.BadParameter(fault, param_hint="'OUTPUT'") from None


def _show(target: Path, result: ClipResult) -> None:
    click.echo(f"{target}: {_summary(result)}")
    for warning in result.warnings:
        output.say(f"warning: {warning}")


def _listed(
    settings: Settings, source: str, variant: VariantChoice, target: Path, listed: FromFile, profile: str
) -> list[tuple[Path, _Ranges]]:
    """Return the file and the ranges of each clip of a list."""
    with _reading(source):
        facts = read_facts(settings, source, variant)
    video = facts.video
    rate, first = (video.rate, video.first_frame) if video else (None, None)
    found = listed.read(duration=facts.duration, rate=rate, first_frame=first or Fraction(0), label=None)
    if listed.as_parts:
        return [(target, [(part.start, part.end) for part in parts_of(found)])]
    extension, digits = settings.profiles[profile].container, max(2, len(str(len(found))))
    return [
        (target / f"{number:0{digits}d}-{slug(each.label)}.{extension}", [(each.start, each.end)])
        for number, each in enumerate(found, 1)
    ]


def _missing(source: str) -> RecordingMissing:
    hint = "Check the bucket and the key." if URL_SCHEME.match(source) else "Check its name and its folder."
    return RecordingMissing(f"{source} does not exist", hint=hint)


def _check_target(source: str, target: Path, *, several: bool) -> None:
    """Raise BadParameter unless the target is a folder for several clips, or otherwise a file that can be written."""
    fault = None
    if target.name == "-":
        fault = "the clip cannot be written to standard output: give the name of a file"
    elif several and not can_be_folder(target):
        fault = f"{target} is not a folder, which --from needs for its clips (or give --as-parts)"
    elif not several and target.is_dir():
        fault = f"{target} is a folder: give the name of a file"
    elif not several and target.exists() and not target.is_file():
        fault = f"{target} is not a regular file: give the name of one"
    elif not target.parent.is_dir():
        fault = f"the folder {target.parent} does not exist"
    elif not several and target.exists() and Path(source).exists() and target.samefile(source):
        fault = "OUTPUT is the same file as SOURCE"
    if fault is not None:
        raise click.BadParameter(fault, param_hint="'OUTPUT'")


def _warn_of_replaced(paths: Iterable[Path]) -> None:
    """Print a warning that names the existing files, which the next release replaces only with --force."""
    existing = [path for path in paths if path.exists()]
    if existing:
        others = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
        verb = "exist" if others else "exists"
        output.warn(f"{existing[0]}{others} {verb} and will be replaced; the next release asks for --force")


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
    if options is not None:
        with named_options():
            settings.profiles[profile].check_output(options)
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
