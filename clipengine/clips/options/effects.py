"""Effects that depend on the times of a clip: fades, muted ranges, blurred boxes and speed. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from clipengine.clips.options.output import BlurBox, Output

_Span = tuple[Fraction, Fraction]
# Seconds for which a faded picture is shown at most, apart from the part that is left of a frame.
FADE_STEP = Fraction(1, 25)
# Frames that are shown for longer than the usual step, or than this, are held.
_LONGEST_STEP = Fraction(101, 1000)
_SHORTEST_BLUR = Fraction(1, 50)  # between two frames with the same picture; animations cannot show less
_TIE = Fraction(1, 2000)  # seconds; times of frames are rounded


@dataclass(frozen=True)
class Effects:
    """Effects on one part of a clip. Times are seconds from the start of the part, at the speed of the clip."""

    length: Fraction = Fraction(0)
    fade_in: Fraction = Fraction(0)
    fade_out: Fraction = Fraction(0)
    muted: tuple[_Span, ...] = ()  # in order
    blurred: tuple[BlurBox, ...] = ()
    tempo: Fraction = Fraction(1)

    def boxes(self, time: Fraction, duration: Fraction) -> tuple[BlurBox, ...]:
        """Return the boxes to blur in a frame that is shown at `time`: all that hide something before its end."""
        end = time + max(duration - _TIE, _TIE)
        return tuple(
            box
            for box in self.blurred
            if box.from_seconds < end and (box.to_seconds is None or box.to_seconds > time + _TIE)
        )

    @cached_property
    def blur_changes(self) -> list[Fraction]:
        """Times at which a box begins or ends, in order."""
        ends = (box.to_seconds for box in self.blurred if box.to_seconds is not None)
        return sorted({Fraction(each) for each in (*(box.from_seconds for box in self.blurred), *ends)})

    @property
    def changes_audio(self) -> bool:
        return bool(self.fade_in or self.fade_out or self.muted) or self.tempo != 1


def effects_of(
    output: Output, length: Fraction, *, start: Fraction = Fraction(0), first: bool = True, last: bool = True
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
        blurred=tuple(_moved(box, start) for box in output.blur or () if _is_shown(box, start, length)),
        tempo=output.tempo,
    )


def faded_steps(
    time: Fraction, duration: Fraction, effects: Effects, *, step: Fraction
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield time and duration of each frame to write for one that is shown at `time`.

    A frame that is held during a fade is repeated, so that it fades too: every `step` seconds, the usual distance of
    frames, or more often if they are farther apart than FADE_STEP.
    """
    if not (effects.fade_in or effects.fade_out):
        yield time, duration
        return
    step, end = min(step or FADE_STEP, FADE_STEP), time + duration
    for low, high in ((Fraction(0), effects.fade_in), (effects.length - effects.fade_out, effects.length)):
        if low < high and end - time > step * 3 / 2:
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

    A frame that is held is repeated where a box begins or ends, and with `fades` while it fades.
    """
    faded = faded_steps(time, duration, effects, step=step) if fades else ((time, duration),)
    for start, shown in faded:
        changes = effects.blur_changes
        changes = changes[bisect_left(changes, start) : bisect_left(changes, start + shown)]
        yield from repeated_steps(changes, start, shown, step=step, shortest=_SHORTEST_BLUR)


def _within(low: Fraction, high: Fraction, start: Fraction, length: Fraction) -> _Span | None:
    low, high = max(low - start, Fraction(0)), min(high - start, length)
    return (low, high) if low < high else None


def _is_shown(box: BlurBox, start: Fraction, length: Fraction) -> bool:
    return box.from_seconds < start + length and (box.to_seconds is None or box.to_seconds > start)


def _moved(box: BlurBox, start: Fraction) -> BlurBox:
    end = None if box.to_seconds is None else box.to_seconds - float(start)
    return box.model_copy(update={"from_seconds": box.from_seconds - float(start), "to_seconds": end})
