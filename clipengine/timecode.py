"""Time: seconds as people write them, exact fractions inside, UTC milliseconds at the border.

Media time is a `Fraction` of seconds everywhere inside the engine, so that `29.97` fps and millisecond containers
compare exactly. A float enters through its shortest decimal form: `10.01` means 1001/100, not the binary neighbour.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from fractions import Fraction

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+)(\.\d+)?\Z", re.ASCII)


def exact(seconds: float | int | str | Fraction) -> Fraction:
    """Seconds as an exact fraction. A float is taken by its shortest decimal form."""
    return seconds if isinstance(seconds, Fraction) else Fraction(str(seconds))


def parse_time(text: str) -> Fraction:
    """`90`, `90.25`, `1:02.5` or `1:02:03.5` as seconds. Raises ValueError with what is expected."""
    match = _CLOCK.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time; write seconds (90.5) or a clock (1:02:03.5)")
    hours, minutes, seconds, fraction = match.groups()
    if minutes is not None and int(seconds) >= 60:
        raise ValueError(f"{text!r} is not a time; seconds after a minute run from 0 to 59")
    if hours is not None and int(minutes) >= 60:
        raise ValueError(f"{text!r} is not a time; minutes after an hour run from 0 to 59")
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds)
    return whole + Fraction(f"0{fraction or '.0'}")


def format_time(seconds: float | Fraction) -> str:
    """`3723.5` as `1:02:03.500`, `62.5` as `1:02.500`."""
    millis = round(exact(seconds) * 1000)
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 1000:02d}.{rest % 1000:03d}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def now_ms() -> int:
    """The wall clock in milliseconds since 1970, UTC. For stamps only; deadlines use `time.monotonic`."""
    return time.time_ns() // 1_000_000


def rfc3339(millis: int) -> str:
    """Milliseconds since 1970 as RFC 3339 UTC with exactly three decimals and `Z`."""
    stamp = datetime.fromtimestamp(millis // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{millis % 1000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """An RFC 3339 date-time as milliseconds since 1970. Raises ValueError where it is none or has no offset."""
    moment = datetime.fromisoformat(text.replace("z", "Z"))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it in UTC, as 2025-04-05T11:00:00.000Z")
    return round(moment.timestamp() * 1000)
