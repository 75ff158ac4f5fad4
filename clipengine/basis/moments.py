"""Moments: times of the calendar that come from outside or are stored, in ms since 1970, UTC.

All lie between 1970 and 2199, so that each exists in every time zone and in every format. Text from outside passes
`parse_moment` or one of its forms, which refuse others; stored values pass `rfc3339` or `utc`, which never raise.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NoReturn

log = logging.getLogger(__name__)

END = 7_258_118_400_000  # the first ms of 2200
# Days that are within the bounds in every time zone.
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2199, 12, 30)
_MAX_CHARACTERS = 64
_MAX_NOTED = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class OutsideBounds(ValueError):
    """The time is before 1970 or after 2199."""


def parse_moment(text: str) -> int:
    """Parse an RFC 3339 time. Raises ValueError, also if it has no UTC offset or is outside of the bounds."""
    return check_moment(round(_since_1970(_aware(text)) / 1000))


def parse_microseconds(text: str, *, is_utc: bool = False) -> int:
    """Parse a time as `parse_moment`, into microseconds. With `is_utc`, a time without an offset is in UTC."""
    return microseconds_of(_aware(text, is_utc=is_utc))


def parse_utc(text: str) -> datetime:
    """Parse a time as `parse_moment`, to the microsecond, and return it in UTC."""
    return utc_of(_aware(text))


def parse_http_date(text: str) -> int:
    """Parse a date of a header (RFC 9110). Raises ValueError."""
    try:
        found = parsedate_to_datetime(text[:_MAX_CHARACTERS])
    except (ValueError, TypeError, OverflowError):
        _refuse(text)
    return check_moment(_since_1970(found if found.tzinfo else found.replace(tzinfo=UTC)) // 1000)


def parse_day(text: str) -> date:
    """Parse a day, `2025-04-05`. Raises ValueError if it is not within the bounds in every time zone."""
    found = date.fromisoformat(text)
    if not is_day(found):
        raise OutsideBounds(f"must be between {FIRST_DAY} and {LAST_DAY}")
    return found


def is_moment(millis: int) -> bool:
    """Return True if milliseconds since 1970 are within the bounds."""
    return 0 <= millis < END


def is_day(day: date) -> bool:
    """Return True if the day is within the bounds in every time zone."""
    return FIRST_DAY <= day <= LAST_DAY


def utc_of(moment: datetime) -> datetime:
    """Return an aware datetime in UTC. Raises ValueError if it is outside of the bounds."""
    return _EPOCH + microseconds_of(moment) * _MICROSECOND


def microseconds_of(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970. Raises ValueError if it is outside of the bounds."""
    found = _since_1970(moment)
    check_moment(found // 1000)
    return found


def rfc3339(millis: int) -> str:
    """Format milliseconds since 1970 as RFC 3339 in UTC with three decimals and `Z`, the nearest moment if needed."""
    millis = millis if 0 <= millis < END else nearest(millis)
    stamp = datetime.fromtimestamp(millis // 1000, UTC).isoformat()[:19]
    return f"{stamp}.{millis % 1000:03d}Z"


def utc(millis: int) -> datetime:
    """Return milliseconds since 1970 as a datetime in UTC, the nearest moment if they are outside of the bounds."""
    return datetime.fromtimestamp(nearest(millis) / 1000, UTC)


def nearest(millis: int) -> int:
    """Return the moment that is nearest to a time."""
    return min(max(millis, 0), END - 1)


class Notices:
    """Lines in the log, one for each subject, of at most `_MAX_NOTED` subjects of a process."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._noted: set[object] = set()

    def note(self, subject: object, message: str, *values: object) -> None:
        """Log a warning about a subject, unless there was one."""
        if subject in self._noted or len(self._noted) > _MAX_NOTED:
            return
        self._noted.add(subject)
        if len(self._noted) > _MAX_NOTED:
            log.warning("%s: further ones are not logged", self._kind)
        else:
            log.warning(message, *values)


_left_out = Notices("times that are left out")


def note_left_out(source: str, what: str, reason: object) -> None:
    """Log that a time that a file, a service or a store states is left out. Repeated ones are logged once."""
    _left_out.note((source, what), "%s: %s is left out: %s", source[:200], what, reason)


def _since_1970(moment: datetime) -> int:
    """Return microseconds since 1970. Unlike a conversion to UTC, a difference cannot leave the calendar."""
    return (moment - _EPOCH) // _MICROSECOND


def check_moment(millis: int) -> int:
    """Return milliseconds since 1970. Raises ValueError if they are outside of the bounds."""
    if not is_moment(millis):
        raise OutsideBounds("must be between 1970 and 2199, in UTC")
    return millis


def _aware(text: str, *, is_utc: bool = False) -> datetime:
    text = text.strip() if is_utc else text
    if len(text) > _MAX_CHARACTERS or not text.isascii() or not text.isprintable():
        _refuse(text)
    try:
        found = datetime.fromisoformat(text.replace("z", "Z"))
    except ValueError:
        _refuse(text)
    if found.tzinfo is not None:
        return found
    if is_utc:
        return found.replace(tzinfo=UTC)
    raise ValueError(f"{text!r} has no time zone; use UTC, such as 2025-04-05T11:00:00.000Z")


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:_MAX_CHARACTERS]!r} is not a time such as 2025-04-05T11:00:00.000Z")
