"""Shared options, value types and access to the server."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

import click
from pydantic import ValidationError

from clipengine.basis.moments import OutsideBounds, check_moment, parse_day, parse_moment, rfc3339
from clipengine.basis.timecode import parse_time
from clipengine.cli import output
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.snap import MAX_WITHIN_SECONDS, Snap, SnapTarget
from clipengine.clips.options.without import MAX_REMOVED, KeptRange, Removable, Without
from clipengine.clips.request import GapMode
from clipengine.errors import by_code
from clipengine.settings.settings import Settings, port_number
from clipengine.settings.sources import load

if TYPE_CHECKING:
    from clipengine.client import ApiError, Client

# Hints for users of the command line, which replace the default hints of the API.
_HINTS = {
    "unauthorized": "Set CLIPENGINE_API_KEY to a key; `clipengine keys create NAME` creates one.",
    "recording_not_found": "`clipengine recordings list` shows the recordings.",
    "clip_not_found": "`clipengine clips list` shows the clips.",
    "share_not_found": "`clipengine clips shares CLIP_ID` shows the shares.",
    "transcript_not_found": "`clipengine transcripts list RECORDING_ID` shows the transcripts.",
    "batch_not_found": "Batches are deleted some days after they have ended.",
    "rule_not_found": "`clipengine rules list` shows the rules.",
    "webhook_not_found": "`clipengine webhooks list` shows the endpoints.",
}
_WRONG_KEY = (
    "The server does not know the key in CLIPENGINE_API_KEY, or it was revoked: `clipengine keys list` beside the "
    "server shows its keys, and `clipengine keys create NAME` creates one."
)

F = TypeVar("F", bound=Callable[..., Any])


def time_value(text: str) -> Fraction:
    """Parse a time option: seconds or a clock time, `90.5` or `1:02:03.5`."""
    try:
        return parse_time(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


class Moment(NamedTuple):
    """A time of day, in ms since 1970."""

    time: int


def past_value(text: str) -> str:
    """Parse a time of the past into RFC 3339: such a time, a day (its midnight on this machine), or `7 days ago`."""
    try:
        if ago := re.fullmatch(r"(\d{1,6})\s*(minute|hour|day|week)s?\s+ago", text.strip()):
            since = datetime.now(UTC) - timedelta(**{f"{ago[2]}s": int(ago[1])})
            return rfc3339(check_moment(int(since.timestamp() * 1000)))
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            midnight = datetime.combine(parse_day(text), time())
            return rfc3339(check_moment(int(midnight.timestamp() * 1000)))
        return rfc3339(parse_moment(text))
    except OutsideBounds as error:
        raise click.BadParameter(f"{text!r} {error}") from None
    except (ValueError, OverflowError):
        forms = "a time such as 2026-11-28T12:00:00Z, a day such as 2026-11-28, or such as '7 days ago'"
        raise click.BadParameter(f"{text!r} is not {forms}") from None


def place_value(text: str) -> Fraction | Moment:
    """Parse a time option, or a time of day with its UTC offset: `2025-04-05T11:00:00+02:00`."""
    if not re.match(r"\d{4}-", text):
        return time_value(text)
    try:
        return Moment(parse_moment(text))
    except OutsideBounds as error:
        raise click.BadParameter(f"{text!r} {error}") from None
    except ValueError:
        message = f"{text!r} is not a time of day with its UTC offset, such as 2025-04-05T11:00:00+02:00"
        raise click.BadParameter(message) from None


class PartValue(NamedTuple):
    """A value of `--part`. Without a recording it is of the clip's."""

    start: Fraction
    end: Fraction
    recording_id: str | None


def part_value(text: str) -> PartValue:
    """Parse a part, `12-20.5` or `1:02-1:10@rec_01j9x2…`."""
    times, _, recording_id = text.partition("@")
    start, separator, end = times.partition("-")
    if not separator:
        raise click.BadParameter(f"{text!r} is not START-END, such as 12-20.5")
    part = PartValue(time_value(start), time_value(end), recording_id or None)
    if part.end <= part.start:
        raise click.BadParameter(f"the end of {text!r} is not after its start")
    return part


def check_ranges(
    start: Fraction | Moment | None,
    end: Fraction | Moment | None,
    parts: Sequence[PartValue],
    last: Fraction | None = None,
) -> None:
    """Raise UsageError unless one of --start and --end, parts or --last is given. Ranges of --from are not checked."""
    given = [*(["--part"] if parts else []), *([] if last is None else ["--last"])]
    if len(given) > 1 or (given and not (start is None and end is None)):
        raise click.UsageError(f"give either --start and --end, or {' or '.join(given)}")
    if not given and (start is None or end is None):
        missing = "--start" if start is None else "--end"
        others = "'--part' for a clip of several ranges, '--from' for a list of ranges"
        raise click.UsageError(f"Missing option '{missing}' (or {others}).")
    if not parts and isinstance(start, Moment) != isinstance(end, Moment):
        raise click.UsageError("give both --start and --end in seconds, or both as times of day")


def subtitles_value(ctx: click.Context, parameter: click.Parameter, text: str | None) -> dict[str, str] | None:
    """Parse an option for the subtitles of a clip: `none`, `keep`, `keep:en`, `burn` or `burn:en`."""
    if text is None:
        return None
    mode, _, language = text.partition(":")
    if mode not in ("keep", "burn", "none") or (mode == "none" and language):
        raise click.BadParameter(f"{text!r} is not none, keep, keep:LANGUAGE or burn:LANGUAGE")
    return {"mode": mode, "language": language} if language else {"mode": mode}


def _caption_style_value(ctx: click.Context, parameter: click.Parameter, text: str | None) -> CaptionStyle | None:
    """Parse the style of captions: `word`, or `box,size=0.06,colour=#ffc53d,height=0.2,speaker`."""
    if text is None:
        return None
    name, *given = text.split(",")
    values: dict[str, Any] = {"name": name}
    for each in given:
        key, separator, value = each.partition("=")
        values[key] = value if separator else True
    for key in ("size", "height"):
        with suppress(ValueError):
            values |= {key: float(values[key])} if key in values else {}
    try:
        return CaptionStyle.model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise click.BadParameter(f"{place} {fault['msg'].replace('Input should', 'must')}") from None


def port_value(text: str) -> int:
    """Parse a port option with the rules of the setting."""
    try:
        return port_number(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


start_option = click.option(
    "-s",
    "--start",
    type=place_value,
    metavar="TIME",
    help="Start of the clip: seconds, 1:02:03.5, or the time of day by the recording's clock, 2025-04-05T11:00:00Z.",
)
end_option = click.option("-e", "--end", type=place_value, metavar="TIME", help="End of the clip, exclusive.")
started_option = click.option(
    "--started-at",
    metavar="TIME",
    help="When the recording began, if its file does not state it: 2025-04-05T11:00:00Z.",
)
series_option = click.option("--series", help="The camera or programme, which its other recordings have as well.")
part_option = click.option(
    "--part",
    "parts",
    type=part_value,
    multiple=True,
    metavar="START-END[@RECORDING_ID]",
    help="A range to play after the parts before it, instead of --start and --end; may be repeated.",
)
config_option = click.option(
    "--config", type=click.Path(path_type=Path), help="The settings file. [default: ./clipengine.toml if it exists]"
)
host_option = click.option("--host", help="The address to listen on.")
port_option = click.option(
    "--port", type=port_value, metavar="PORT", help="The port to listen on; 0 selects a free one."
)
drain_option = click.option(
    "--drain-seconds",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="After a signal, take no new jobs and finish the current ones for at most this time, then stop.",
)
render_option = click.option(
    "--render",
    type=click.Choice(["encode", "smart", "auto"]),
    help="smart copies whole GOPs and encodes only the frames at the cuts; auto does so where it is possible, and does "
    "not warn where it is not. [default: the profile's]",
)


def _variant_value(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, int | str] | None:
    if value is None:
        return None
    return {"max_height": int(value)} if re.fullmatch(r"[0-9]{1,5}", value) else {"name": value}


variant_option = click.option(
    "--variant",
    metavar="HEIGHT|NAME",
    callback=_variant_value,
    help="The variant of a master playlist: the best one up to this height, or the one with this name. "
    "[default: the largest]",
)
gaps_option = click.option(
    "--gaps",
    type=click.Choice(get_args(GapMode)),
    help="Hold the last frame over gaps of a recording of many files, leave them out, or refuse them. [default: hold]",
)
_SNAP_OPTIONS = (
    click.option(
        "--snap",
        "snap_to",
        type=click.Choice(get_args(SnapTarget)),
        help="Move each cut to the nearest such moment; one without it nearby stays, with a warning.",
    ),
    click.option(
        "--snap-within",
        type=click.FloatRange(min=0, min_open=True, max=MAX_WITHIN_SECONDS),
        metavar="SECONDS",
        help="The largest distance for --snap. [default: 2]",
    ),
)


def _without_value(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[Removable, ...]:
    """Parse `silence`, `fillers` or both, with a comma."""
    names = tuple(dict.fromkeys(text.split(","))) if text is not None else ()
    if unknown := [name for name in names if name not in get_args(Removable)]:
        raise click.BadParameter(f"{unknown[0]!r} is not {' or '.join(get_args(Removable))}")
    return names  # type: ignore[return-value]


_WITHOUT_OPTIONS = (
    click.option(
        "--without",
        "kinds",
        metavar="silence,fillers",
        callback=_without_value,
        help="Shorten pauses over 0.6 s to 0.2 s, and remove words such as um, or one of both.",
    ),
    click.option(
        "--keep",
        "kept",
        type=part_value,
        multiple=True,
        metavar="START-END",
        help="A range of the recording from which --without removes nothing; may be repeated.",
    ),
)
caption_style_option = click.option(
    "--caption-style",
    metavar="STYLE",
    callback=_caption_style_value,
    help="How --subtitles burn draws the text: outline, box, or word, which marks the spoken one; each may be followed "
    "by ,size=0.06 ,height=0.2 (of the picture) ,colour=#ffc53d and ,speaker.",
)


def check_caption_style(style: CaptionStyle | None, *, burns: bool) -> None:
    """Raise UsageError if a style is given for subtitles that are not burnt in."""
    if style is not None and not burns:
        raise click.UsageError("--caption-style needs --subtitles burn")


data_option = click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data folder.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
limit_option = click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number of results."
)
metadata_option = click.option("--meta", multiple=True, metavar="KEY=VALUE", help="Metadata to store; may be repeated.")
tag_option = click.option("--tag", "tags", multiple=True, metavar="TAG", help="A tag; may be repeated.")
replace_tags_option = click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help='The new tags; may be repeated. "" removes all tags.'
)


def new_tags(tags: tuple[str, ...]) -> list[str] | None:
    """Return the tags that replace the current ones, or None to keep those."""
    return [tag for tag in tags if tag] if tags else None


def filter_options(*sorts: str) -> Callable[[F], F]:
    """Add the options by which a list of clips or recordings is filtered and sorted."""
    choices = [f"{sign}{name}" for name in sorts for sign in ("", "-")]

    def add(function: F) -> F:
        for option in (
            click.option("--sort", type=click.Choice(choices), help="Order, descending with -. [default: -created_at]"),
            click.option(
                "--meta", multiple=True, metavar="KEY=VALUE", help="Only with this metadata; may be repeated."
            ),
            click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only with this tag; may be repeated."),
            click.option("--search", metavar="WORDS", help="Only with these words; bud* is a beginning."),
        ):
            function = option(function)
        return function

    return add


def snap_options(function: F) -> F:
    """Add the options that move the cuts of a clip to a command, which receives them as `snap`, a Snap or None."""

    @functools.wraps(function)
    def command(*args: Any, snap_to: SnapTarget | None, snap_within: float | None, **values: Any) -> Any:
        if snap_to is None and snap_within is not None:
            raise click.UsageError("--snap-within needs --snap")
        within = {} if snap_within is None else {"within_seconds": snap_within}
        return function(*args, snap=None if snap_to is None else Snap(to=snap_to, **within), **values)

    for option in reversed(_SNAP_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def without_options(function: F) -> F:
    """Add the options that leave pauses and fillers out to a command, which receives them as `without`, a Without."""

    @functools.wraps(function)
    def command(*args: Any, kinds: tuple[Removable, ...], kept: tuple[PartValue, ...], **values: Any) -> Any:
        if kept and not kinds:
            raise click.UsageError("--keep needs --without")
        if any(part.recording_id for part in kept):
            raise click.BadParameter("a range to keep is of each part: give START-END", param_hint="'--keep'")
        if len(kept) > MAX_REMOVED:
            raise click.BadParameter(f"at most {MAX_REMOVED} ranges can be kept", param_hint="'--keep'")
        keep = tuple(KeptRange(start_seconds=float(part.start), end_seconds=float(part.end)) for part in kept)
        return function(*args, without=Without(kinds, keep), **values)

    for option in reversed(_WITHOUT_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def settings_of(config: Path | None, data: Path | None = None) -> Settings:
    return load(config, overrides={"data": {"folder": data}}, warn=output.warn)


def metadata_of(pairs: tuple[str, ...]) -> dict[str, str]:
    invalid = [pair for pair in pairs if "=" not in pair]
    if invalid:
        raise click.BadParameter(f"{invalid[0]!r} is not KEY=VALUE", param_hint="'--meta'")
    return dict(pair.split("=", 1) for pair in pairs)


def _check_url(ctx: click.Context, parameter: click.Parameter, url: str) -> str:
    if not url.lower().startswith(("http://", "https://")):
        raise click.BadParameter(
            f"{url!r} does not begin with http:// or https://", param_hint="'--url' (or CLIPENGINE_URL)"
        )
    return url


def server_options(function: F) -> F:
    """Pass `server`, its URL, and `api_key`, which comes from the environment, because all users can see arguments."""
    from clipengine.client.client import DEFAULT_URL

    url = click.option(
        "--url",
        "server",
        envvar="CLIPENGINE_URL",
        default=DEFAULT_URL,
        show_default=True,
        callback=_check_url,
        help="URL of the server.",
    )
    key = click.option("--api-key", "api_key", envvar="CLIPENGINE_API_KEY", default="", hidden=True)
    return url(key(function))


def needs_server(function: F) -> F:
    """Pass a `client` to the command."""

    @server_options
    @functools.wraps(function)
    def command(*args: Any, server: str, api_key: str, **options: Any) -> Any:
        with connection(server, api_key) as client:
            return function(*args, client=client, **options)

    return command  # type: ignore[return-value]


@contextmanager
def connection(server: str, api_key: str, *, retries: int = 2) -> Iterator[Client]:
    """Yield a client of the server. The hints of its errors name commands."""
    # Imported here, because not all commands need the HTTP client.
    from clipengine.client import ApiError, Client

    with Client(server, api_key, retries=retries) as client:
        try:
            yield client
        except ApiError as error:
            error.detail = error.detail.removesuffix(error.hint).strip()  # the hint is printed on a separate line
            error.hint = _hint(error, api_key)
            raise


def _hint(error: ApiError, api_key: str) -> str:
    if error.code == "unauthorized" and api_key:
        return _WRONG_KEY
    # Any other hint is about this request, such as a clip's id that was given as one of a recording.
    is_default = error.hint in ("", by_code(error.code).default_hint)
    return _HINTS.get(error.code, error.hint) if is_default else error.hint
