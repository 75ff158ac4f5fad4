"""Options and files of commands that take lists of ranges."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import click

from clipengine.basis.timecode import frame_rate
from clipengine.cli import output
from clipengine.cli.options import PartValue
from clipengine.clips.options.profiles import Container

F = TypeVar("F", bound=Callable[..., Any])


class NamedRange(NamedTuple):
    """A range of a file, with its line and a label that is not empty."""

    line: int
    start: Fraction
    end: Fraction
    label: str


class FromFile(NamedTuple):
    """The value of `--from` with the options that belong to it."""

    path: Path
    as_parts: bool
    rate: Fraction | None

    def read(
        self, *, duration: Fraction, rate: Fraction | None, first_frame: Fraction, label: str | None
    ) -> list[NamedRange]:
        """Return the ranges of a recording with this duration, frame rate and first frame. Raises InvalidRequest.

        A range without a label gets `label`, or the name of the file, with its number.
        """
        # Imported here, because most clips do not come from a file.
        from clipengine.clips.ranges.formats import parse_ranges
        from clipengine.clips.ranges.range_file import MAX_FILE_BYTES
        from clipengine.errors import InvalidRequest

        with self.path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        try:
            found = parse_ranges(data, duration=duration, rate=self.rate or rate, first_frame=first_frame)
        except InvalidRequest as error:
            raise InvalidRequest(f"{self.path}: {error.message}", hint=error.hint) from None
        for note in found.notes:
            output.say(f"warning: {self.path}: {note}")
        base = label or self.path.stem
        return [
            NamedRange(each.line, each.start, each.end, each.label or f"{base[:180]} {number}")
            for number, each in enumerate(found.ranges, 1)
        ]


def rate_value(text: str) -> Fraction:
    """Parse a frame rate: `25`, `29.97` (30000/1001) or `30000/1001`."""
    try:
        rate = Fraction(text) if len(text) <= 20 else Fraction(0)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 240:
        raise click.BadParameter(f"{text[:20]!r} is not a frame rate, such as 25 or 30000/1001")
    return frame_rate(rate)


rate_option = click.option(
    "--edl-rate",
    type=rate_value,
    metavar="RATE",
    help="Frame rate of the timecodes of an EDL, such as 25 or 29.97. [default: the recording's]",
)
_OPTIONS = (
    click.option(
        "--from",
        "from_path",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE",
        help="Take the ranges from a list, each as a clip: CSV, the CSV of LosslessCut, or an EDL.",
    ),
    click.option("--as-parts", is_flag=True, help="Make one clip of all ranges of --from."),
    rate_option,
)


def from_options(function: F) -> F:
    """Add the options for a list of ranges to a command, which receives them as `listed`, a FromFile or None."""

    @functools.wraps(function)
    def command(*args: Any, from_path: Path | None, as_parts: bool, edl_rate: Fraction | None, **values: Any) -> Any:
        if from_path is None and (as_parts or edl_rate is not None):
            raise click.UsageError(f"{'--as-parts' if as_parts else '--edl-rate'} needs --from")
        given = values["parts"] or values["start"] is not None or values["end"] is not None
        if from_path is not None and given:
            raise click.UsageError("give either --from, or --start and --end, or --part")
        listed = None if from_path is None else FromFile(from_path, as_parts, edl_rate)
        return function(*args, listed=listed, **values)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def can_be_folder(path: Path) -> bool:
    """Return True for a folder, and for a path without the extension of a clip that does not exist yet."""
    return path.is_dir() or not (path.suffix[1:].lower() in get_args(Container) or path.exists())


def parts_of(ranges: Sequence[NamedRange]) -> tuple[PartValue, ...]:
    """Return the ranges as parts of one clip. Raises InvalidRequest if there are too many."""
    from clipengine.clips.edit import MAX_PARTS
    from clipengine.errors import InvalidRequest

    if len(ranges) > MAX_PARTS:
        hint = "Split the file, or leave out --as-parts."
        raise InvalidRequest(f"a clip has at most {MAX_PARTS} parts, the file has {len(ranges)} ranges", hint=hint)
    return tuple(PartValue(each.start, each.end, None) for each in ranges)
