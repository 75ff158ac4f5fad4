"""Output of the command line: tables and objects as text or JSON, progress and errors."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from clipengine.basis.terminal import one_line
from clipengine.basis.timecode import format_time

Row = Mapping[str, Any]
Column = str | Callable[[Row], Any]


_COLOURS = {
    "complete": "green",
    "delivered": "green",
    "failed": "red",
    "recording": "cyan",
    "processing": "yellow",
    "pending": "yellow",
}


def _use_colour() -> bool | None:
    """Return False if NO_COLOR is set (https://no-color.org), or None to let click decide by terminal."""
    return False if os.environ.get("NO_COLOR") else None


def say(text: str) -> None:
    """Print a message on standard error."""
    click.echo(text, err=True, color=_use_colour())


def warn(message: str) -> None:
    """Print a warning on standard error."""
    say(f"{click.style('warning:', fg='yellow', bold=True)} {one_line(message)}")


def fail(message: str, code: str, hint: str) -> None:
    """Print an error and its hint on standard error, one line each."""
    say(f"{click.style('error:', fg='red', bold=True)} {one_line(message)} ({code})")
    if hint:
        say(one_line(hint))


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_list(rows: Sequence[Row], columns: Mapping[str, Column], *, as_json: bool) -> None:
    """Print the rows as a table or as a JSON array."""
    if as_json:
        return show_json(rows)
    cells = [[_cell(row, column) for column in columns.values()] for row in rows]
    table = [[title.upper() for title in columns], *cells]
    widths = [max(_width(line[index]) for line in table) for index in range(len(columns))]
    for line in table:
        padded = [_paint(text) + " " * (width - _width(text)) for text, width in zip(line, widths, strict=True)]
        click.echo("  ".join(padded).rstrip(), color=_use_colour())
    return None


def show_object(obj: Row, *, as_json: bool) -> None:
    """Print an object as JSON, or with one line for each key, nested keys dotted."""
    if as_json:
        return show_json(obj)
    flat = list(_flat(obj, ""))
    width = max((len(name) for name, _ in flat), default=0)
    for name, value in flat:
        click.echo(f"{name:<{width}}  {_paint(_text(value))}", color=_use_colour())
    return None


@contextmanager
def progress(label: str) -> Iterator[Callable[[float], None]]:
    """Show a progress bar, updated with 0.0 to 1.0, if standard error is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():  # it is None if the descriptor is closed
        yield lambda fraction: None
        return
    with click.progressbar(length=1000, label=label, file=sys.stderr) as bar:
        yield lambda fraction: bar.update(max(0, round(fraction * 1000) - bar.pos))


@contextmanager
def transfer(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar that is updated with the bytes transferred and their total."""
    with progress(label) as move:
        yield lambda done, total: move(done / total) if total else None


def _paint(text: str) -> str:
    colour = _COLOURS.get(text)
    return click.style(text, fg=colour) if colour else text


def seconds(key: str) -> Column:
    """Return a column that shows a time on the recording's timeline."""
    return lambda row: None if row.get(key) is None else format_time(row[key])


def amount(count: int, noun: str) -> str:
    """Return a number with its noun: `1 clip`, `2 clips`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def size(count: int) -> str:
    """Format a number of bytes: `734003200` as `700.0 MiB`."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _flat(obj: Row, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in obj.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _cell(row: Row, column: Column) -> str:
    return _text(column(row) if callable(column) else row.get(column))


def _text(value: Any) -> str:
    if value is None or value in ({}, []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return one_line(str(value))


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(unicodedata.combining(each) > 0 for each in text)
