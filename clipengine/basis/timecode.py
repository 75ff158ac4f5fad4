"""Conversion of media times, and the wall clock.

Media times are `Fraction`s of seconds inside the engine, so that frame rates such as 29.97 and millisecond time bases
compare exactly. A float is converted by its shortest decimal form: `10.01` becomes 1001/100, not its binary value.
"""

from __future__ import annotations

import re
import time
from fractions import Fraction
from typing import Any

MAX_DIGITS = 40  # of an untrusted number, and of each part of a ratio
_MAX_SECONDS = 10**12  # 30,000 years
# Without an exponent: `1e999999999` would take all memory.
_RATIO = re.compile(rf"-?\d{{1,{MAX_DIGITS}}}(\.\d{{1,{MAX_DIGITS}}}|/\d{{1,{MAX_DIGITS}}})?", re.ASCII)
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+|(?=\.))(\.\d+)?\Z", re.ASCII)


def exact(seconds: float | int | str | Fraction) -> Fraction:
    """Return seconds as an exact fraction. A float is converted by its shortest decimal form."""
    return seconds if isinstance(seconds, Fraction) else Fraction(str(seconds))


def bounded(value: Any) -> Fraction:
    """Return an untrusted number of seconds as a fraction. Raises ValueError if it is beyond the limits."""
    if isinstance(value, str) and not _RATIO.fullmatch(value):
        raise ValueError("is not an exact number of seconds, such as 1001/30000")
    try:
        seconds = Fraction(value)
    except (OverflowError, TypeError, ZeroDivisionError) as error:
        raise ValueError("is not a number of seconds") from error
    if abs(seconds) > _MAX_SECONDS or seconds.denominator >= 10**MAX_DIGITS:
        raise ValueError("is too large or too precise for a time")
    return seconds


def frame_rate(value: Fraction) -> Fraction:
    """Return the exact rate that a rounded one means: 29.97 is 30000/1001. Raises ValueError if it is not positive."""
    if value <= 0:
        raise ValueError("a rate must be positive")
    nominal = round(value)
    film = Fraction(nominal * 1000, 1001)
    return film if value != nominal and abs(value - film) < Fraction(1, 100) else value


def parse_time(text: str) -> Fraction:
    """Parse `90`, `90.25`, `.8`, `1:02.5` or `1:02:03.5` into seconds. Raises ValueError."""
    match = _CLOCK.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time; use seconds (90.5) or a clock time (1:02:03.5)")
    hours, minutes, seconds, fraction = match.groups()
    seconds = seconds or "0"
    if minutes is not None and int(seconds) >= 60:
        raise ValueError(f"{text!r} is not a time; seconds after minutes must be between 0 and 59")
    if hours is not None and int(minutes) >= 60:
        raise ValueError(f"{text!r} is not a time; minutes after hours must be between 0 and 59")
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds)
    return whole + Fraction(f"0{fraction or '.0'}")


def format_time(seconds: float | Fraction) -> str:
    """Format seconds: `3723.5` as `1:02:03.500`, `62.5` as `1:02.500`."""
    millis = round(exact(seconds) * 1000)
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 1000:02d}.{rest % 1000:03d}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def now_ms() -> int:
    """Return the wall clock in milliseconds since 1970, UTC. Use `time.monotonic` for deadlines."""
    return time.time_ns() // 1_000_000


def age_seconds(since: int | None) -> float:
    """Return the seconds since a time in milliseconds since 1970, or 0 for None or the future."""
    return 0.0 if since is None else max(0.0, (now_ms() - since) / 1000)
