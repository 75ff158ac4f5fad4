"""Options of the commands that create clips, for their picture and their audio."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from clipengine.clips.options.output import Output
from clipengine.errors import InvalidRequest

F = TypeVar("F", bound=Callable[..., Any])


class _Numbers(click.ParamType[dict[str, float]]):
    """Numbers separated by commas, as an object with these keys. The `optional` ones may be omitted at the end."""

    name = "numbers"

    def __init__(self, *keys: str, optional: tuple[str, ...] = ()) -> None:
        self._keys = keys + optional
        self._counts = range(len(keys), len(self._keys) + 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        parts = str(value).split(",")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if len(numbers) not in self._counts:
            self.fail(f"{value!r} must be {self._counts[0]} numbers: {','.join(self._keys)}", param, ctx)
        return dict(zip(self._keys, numbers, strict=False))


class _Size(click.ParamType[dict[str, int]]):
    """A size such as 1080x1920."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", str(value))
        if match is None:
            self.fail(f"{value!r} must be WIDTHxHEIGHT, such as 1080x1920", param, ctx)
        return {"width": int(match[1]), "height": int(match[2])}


_OPTIONS = (
    click.option("--max-height", type=int, metavar="PIXELS", help="Scale larger pictures down."),
    click.option(
        "--size", type=_Size(), metavar="WIDTHxHEIGHT", help="Size of the clip, such as 1080x1920; see --fit."
    ),
    click.option("--enlarge", is_flag=True, help="Enlarge a picture that is smaller than --size."),
    click.option("--fps", type=float, metavar="NUMBER", help="Frames per second."),
    click.option(
        "--crop",
        type=_Numbers("x", "y", "width", "height"),
        metavar="X,Y,WIDTH,HEIGHT",
        help="Part of the picture to keep, as fractions of it, such as 0.25,0,0.5,1.",
    ),
    click.option("--aspect", metavar="W:H", help="Aspect ratio of the clip, such as 9:16."),
    click.option(
        "--fit",
        type=click.Choice(["crop", "pad", "blur"]),
        help="How the picture gets this shape: cut off, with black bars or with blurred ones. [default: crop]",
    ),
    click.option(
        "--focus", type=_Numbers("x", "y"), metavar="X,Y", help="The point that --fit crop keeps in the middle."
    ),
    click.option("--fade", "fade_seconds", type=float, metavar="SECONDS", help="Fade picture and audio in and out."),
    click.option(
        "--mute",
        type=_Numbers("from", "to"),
        multiple=True,
        metavar="FROM,TO",
        help="No sound in this range of the clip, in seconds; may be repeated.",
    ),
    click.option(
        "--loudness", "loudness_lufs", type=float, metavar="LUFS", help="Loudness of each track, such as -16."
    ),
    click.option(
        "--blur",
        type=_Numbers("x", "y", "width", "height", optional=("from_seconds", "to_seconds")),
        multiple=True,
        metavar="X,Y,WIDTH,HEIGHT[,FROM[,TO]]",
        help="Blur this box, as fractions of the picture, in a range of the clip; may be repeated.",
    ),
    click.option("--watermark", metavar="NAME", help="Draw this watermark of the settings over the picture."),
    click.option("--max-bytes", type=int, metavar="N", help="Largest size of the file in bytes."),
    click.option(
        "--speed", type=float, metavar="FACTOR", help="Playback speed, 0.25 to 10000; above 16 without audio."
    ),
    click.option("--to-seconds", type=float, metavar="SECONDS", help="Length of the clip, instead of --speed."),
)


def output_options(function: F) -> F:
    """Add the options to a command, which receives them as `options`, an Output or None."""

    @functools.wraps(function)
    def command(*args: Any, enlarge: bool, **values: Any) -> Any:
        given = {name: values.pop(name) for name in _NAMES}
        if enlarge:
            given["size"] = _enlarged(given["size"])
        given["mute"] = [[span["from"], span["to"]] for span in given["mute"]]
        given = {name: value for name, value in given.items() if value not in (None, [], ())}
        return function(*args, options=_parsed(given) if given else None, **values)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def _enlarged(size: dict[str, Any] | None) -> dict[str, Any]:
    if size is None:
        raise click.UsageError("--enlarge needs --size")
    return size | {"enlarge": True}


_NAMES = tuple(Output.model_fields)
_FLAGS = {"fade_seconds": "fade", "loudness_lufs": "loudness"}


def _parsed(given: dict[str, Any]) -> Output:
    try:
        return Output.model_validate(given)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        name, *inside = map(str, fault["loc"])
        message = fault["msg"].replace("Input should", "must")
        raise click.BadParameter(" ".join([*inside, message]), param_hint=_flag(name)) from None


def _flag(name: str) -> str:
    return f"'--{_FLAGS.get(name, name).replace('_', '-')}'"


@contextmanager
def named_options() -> Iterator[None]:
    """Raise BadParameter with the name of the option in place of an InvalidRequest about an output option."""
    try:
        yield
    except InvalidRequest as error:
        fault = error.errors[0] if error.errors else {}
        _, parent, name, *_ = [*fault.get("pointer", "").split("/"), "", "", ""]
        if parent != "output":
            raise
        raise click.BadParameter(fault["detail"], param_hint=_flag(name)) from None
