"""Effects that depend on the times of a clip: fades, muted ranges, blurred boxes, movements and speed. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from clipengine.clips.options.output import (
    AnyBox,
    BlurBox,
    BoxAt,
    Focus,
    FocusAt,
    MovingBox,
    Output,
    Path,
    RecordingTime,
    Region,
)

_At = TypeVar("_At", BoxAt, FocusAt)
_Span = tuple[Fraction, Fraction]
# Seconds for which a faded picture is shown at most, apart from the part that is left of a frame.
FADE_STEP = Fraction(1, 25)
# Frames that are shown for longer than the usual step, or than this, are held.
_LONGEST_STEP = Fraction(101, 1000)
_SHORTEST_BLUR = Fraction(1, 50)  # between two frames with the same picture; animations cannot show less
_TIE = Fraction(1, 2000)  # seconds; times of frames are rounded
_ROUNDED_SECONDS = 0.001  # by which the file may show a picture earlier or later


class PartClock(NamedTuple):
    """The clock of a part: `place` returns a time of its recording as seconds from the start of the part.

    `jumps` are the starts and the ends of its removed ranges.
    """

    place: Callable[[Fraction], Fraction]
    jumps: Sequence[Fraction] = ()


_RECORDING = PartClock(lambda time: time)


@dataclass(frozen=True)
class Effects:
    """Effects on one part of a clip. Times are seconds from the start of the part, at the speed of the clip."""

    length: Fraction = Fraction(0)
    fade_in: Fraction = Fraction(0)
    fade_out: Fraction = Fraction(0)
    muted: tuple[_Span, ...] = ()  # in order
    blurred: tuple[AnyBox, ...] = ()
    focus: tuple[FocusAt, ...] = ()  # if it moves
    tempo: Fraction = Fraction(1)

    def boxes(self, time: Fraction, duration: Fraction) -> tuple[Region, ...]:
        """Return the parts to blur in a frame that is shown at `time`: all that a box hides before the frame's end."""
        if not self.blurred:
            return ()
        end = time + max(duration - _TIE, _TIE)
        return tuple(
            box if isinstance(box, BlurBox) else _swept(box, float(time), float(time + duration))
            for box in self.blurred
            if box.from_seconds < end and (box.to_seconds is None or box.to_seconds > time + _TIE)
        )

    def focus_at(self, time: Fraction) -> Focus:
        """Return the focus, which moves, at a time."""
        return focus_at(self.focus, float(time))

    @cached_property
    def changing(self) -> list[_Span]:
        """Spans in which the picture changes all the time, in order: fades and movements."""
        paths: list[Path] = [self.focus, *(box.box for box in self.blurred if isinstance(box, MovingBox))]
        spans = [(Fraction(0), self.fade_in), (self.length - self.fade_out, self.length)]
        spans += [span for path in paths for span in _movements(path)]
        return _merged(span for span in spans if span[0] < span[1])

    @cached_property
    def blur_changes(self) -> list[Fraction]:
        """Times at which a box begins or ends, in order."""
        ends = (box.to_seconds for box in self.blurred if box.to_seconds is not None)
        return sorted({Fraction(each) for each in (*(box.from_seconds for box in self.blurred), *ends)})

    @property
    def changes_audio(self) -> bool:
        return bool(self.fade_in or self.fade_out or self.muted) or self.tempo != 1


def effects_of(
    output: Output,
    length: Fraction,
    *,
    start: Fraction = Fraction(0),
    first: bool = True,
    last: bool = True,
    clock: PartClock = _RECORDING,
) -> Effects:
    """Return the effects on the part of this `length` that begins at `start` of the clip.

    Only the `first` part fades in and only the `last` one fades out, each for at most its length.
    """
    fade = min(Fraction(str(output.fade_seconds or 0)), length / 2 if first and last else length)
    spans = (_within(Fraction(low), Fraction(high), start, length) for low, high in output.muted)
    return Effects(
        length=length,
        fade_in=fade if first else Fraction(0),
        fade_out=fade if last else Fraction(0),
        muted=tuple(span for span in spans if span is not None),
        blurred=tuple(
            _moved(box, start, output.tempo, clock) for box in output.blur or () if _is_shown(box, start, length)
        ),
        focus=_path_of(FocusAt, output.focus_path, start, output.tempo, clock) if output.focus_path else (),
        tempo=output.tempo,
    )


def changing_steps(
    time: Fraction, duration: Fraction, effects: Effects, *, step: Fraction
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield time and duration of each frame to write for one that is shown at `time`.

    A frame that is held during a fade or a movement is repeated, so that it changes too: every `step` seconds, the
    usual distance of frames, or more often if they are farther apart than FADE_STEP.
    """
    step, end = min(step or FADE_STEP, FADE_STEP), time + duration
    changing = effects.changing if duration > step * 3 / 2 else ()
    for low, high in changing:
        if end - time > step * 3 / 2:
            if time < low < end - step / 2:
                yield time, low - time
                time = low
            while low <= time < high and end - time > step * 3 / 2:
                yield time, step
                time += step
    yield time, end - time


def repeated_steps(
    changes: Iterable[Fraction], time: Fraction, duration: Fraction, *, step: Fraction, shortest: Fraction
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield time and duration of each frame to write for one that is shown at `time`.

    A frame that is held for longer than the usual `step` is repeated at each of the changes, which are in order. A
    change is moved if a picture would be shown for less than `shortest`.
    """
    end = time + duration
    if duration > min((step or FADE_STEP) * 3 / 2, _LONGEST_STEP):
        for change in changes:
            moved = min(max(change, time + shortest), end - shortest)
            if change > time + _TIE and moved >= time + shortest:
                yield time, moved - time
                time = moved
    yield time, end - time


def effect_steps(
    time: Fraction, duration: Fraction, effects: Effects, *, step: Fraction, fades: bool = True
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield time and duration of each frame to write for one that is shown at `time`.

    A frame that is held is repeated where a box begins or ends, and with `fades` while it fades or something moves.
    """
    if not effects.changing and not effects.blur_changes:
        yield time, duration
        return
    changing = changing_steps(time, duration, effects, step=step) if fades else ((time, duration),)
    for start, shown in changing:
        changes = effects.blur_changes
        changes = changes[bisect_left(changes, start) : bisect_left(changes, start + shown)]
        yield from repeated_steps(changes, start, shown, step=step, shortest=_SHORTEST_BLUR)


def _within(low: Fraction, high: Fraction, start: Fraction, length: Fraction) -> _Span | None:
    low, high = max(low - start, Fraction(0)), min(high - start, length)
    return (low, high) if low < high else None


def _is_shown(box: AnyBox, start: Fraction, length: Fraction) -> bool:
    return box.from_seconds < start + length and (box.to_seconds is None or box.to_seconds > start)


def _moved(box: AnyBox, start: Fraction, tempo: Fraction, clock: PartClock) -> AnyBox:
    """Return the box on the clock of a part that begins at `start`."""
    end = None if box.to_seconds is None else box.to_seconds - float(start)
    moved: dict[str, Any] = {"from_seconds": box.from_seconds - float(start), "to_seconds": end}
    if isinstance(box, MovingBox):
        moved["box"] = _path_of(BoxAt, box.box, start, tempo, clock)
    return box.model_copy(update=moved)


def _path_of(kind: type[_At], path: Path, start: Fraction, tempo: Fraction, clock: PartClock) -> tuple[_At, ...]:
    """Return a path on the clock of a part that begins at `start` of the clip.

    A path on the clock of the recording jumps at each range that is removed.
    """
    if isinstance(path[0], RecordingTime):
        times = sorted({*(Fraction(each.time) for each in path), *clock.jumps})
        places = [(float(clock.place(time) / tempo), _at(path, float(time))) for time in times]
    else:
        places = [(each.time - float(start), _place(each)) for each in path]
    return tuple(kind.model_construct(at_seconds=at, **place) for at, place in places)


def focus_at(path: Path, time: float) -> Focus:
    """Return the focus at a time of its path."""
    return Focus(**_at(path, time))


def _at(path: Path, time: float) -> dict[str, Any]:
    """Return where something is at a time of its path."""
    number = bisect_right(path, time, key=lambda each: each.time)
    before, after = path[max(0, number - 1)], path[min(number, len(path) - 1)]
    length = after.time - before.time
    part = (time - before.time) / length if length > 0 else 0.0
    later = _place(after)
    return {name: value * (1 - part) + later[name] * part for name, value in _place(before).items()}


def _place(point: Region | Focus) -> dict[str, Any]:
    """Return the position of a point of a path, and its size if it is a box."""
    size = {"width": point.width, "height": point.height} if isinstance(point, Region) else {}
    return {"x": point.x, "y": point.y, **size}


def _swept(box: MovingBox, start: float, end: float) -> Region:
    """Return the smallest region with all of a box between two times: a frame that is shown meanwhile hides it."""
    low = max(start - _ROUNDED_SECONDS, box.from_seconds)
    high = min(end + _ROUNDED_SECONDS, math.inf if box.to_seconds is None else box.to_seconds)
    between = (_place(each) for each in box.box if low < each.time < high)
    places = [_at(box.box, low), *between, _at(box.box, max(low, high))]
    x, y = (min(place[side] for place in places) for side in ("x", "y"))
    right = min(1.0, max(place["x"] + place["width"] for place in places))
    bottom = min(1.0, max(place["y"] + place["height"] for place in places))
    return Region(x=x, y=y, width=right - x, height=bottom - y)


def _movements(path: Path) -> Iterator[_Span]:
    """Yield the spans between points of a path that differ."""
    for each, later in pairwise(path):
        if _place(each) != _place(later):
            yield Fraction(each.time), Fraction(later.time)


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], high)
        else:
            merged.append((low, high))
    return merged
