"""Fades of the picture from and to black."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

_USUAL_STEP = Fraction(1, 25)  # seconds


def fade_filters(seconds: Fraction, length: Fraction) -> tuple[str, ...]:
    """Return the filters that fade a clip of this length at both ends."""
    if not seconds:
        return ()
    duration = f"{float(seconds):.6f}"
    return (f"fade=t=in:st=0:d={duration}", f"fade=t=out:st={float(length - seconds):.6f}:d={duration}")


def faded_steps(
    time: Fraction, duration: Fraction, *, fade: Fraction, length: Fraction, step: Fraction
) -> Iterator[tuple[Fraction, Fraction]]:
    """Yield time and duration of each frame to write for one that is shown at `time`.

    A frame that is held during a fade is repeated every `step` seconds of it, so that it fades too.
    """
    step, end = step or _USUAL_STEP, time + duration
    if fade:
        for low, high in ((Fraction(0), fade), (length - fade, length)):
            if time < low < end - step / 2:
                yield time, low - time
                time = low
            while time >= low and time < high and end - time > step * 3 / 2:
                yield time, step
                time += step
    yield time, end - time
