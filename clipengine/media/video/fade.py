"""Fades of the picture from and to black."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from clipengine.clips.effects import Effects

_USUAL_STEP = Fraction(1, 25)  # seconds


def fade_filters(effects: Effects) -> tuple[str, ...]:
    """Return the filters that fade the picture in and out."""
    filters = []
    if effects.fade_in:
        filters.append(f"fade=t=in:st=0:d={float(effects.fade_in):.6f}")
    if effects.fade_out:
        start = effects.length - effects.fade_out
        filters.append(f"fade=t=out:st={float(start):.6f}:d={float(effects.fade_out):.6f}")
    return tuple(filters)


def faded_steps(
    time: Fraction, duration: Fraction, effects: Effects, *, step: Fraction
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield time and duration of each frame to write for one that is shown at `time`.

    A frame that is held during a fade is repeated every `step` seconds of it, so that it fades too.
    """
    step, end = step or _USUAL_STEP, time + duration
    length = effects.length
    for low, high in ((Fraction(0), effects.fade_in), (length - effects.fade_out, length)):
        if low < high:
            if time < low < end - step / 2:
                yield time, low - time
                time = low
            while time >= low and time < high and end - time > step * 3 / 2:
                yield time, step
                time += step
    yield time, end - time
