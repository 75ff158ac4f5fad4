"""Patterns of the names of a camera's files: `%Y-%m-%d/%H/{camera}/%M.%S.mp4`. Pure.

A pattern becomes a regular expression that never backtracks over a path part: digits have fixed lengths or are taken
possessively, and a path part has at most one text of any length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Self
from zoneinfo import ZoneInfo, available_timezones

from clipengine.basis.moments import FIRST_DAY, LAST_DAY, is_day, is_moment, nearest

MAX_PATTERN_CHARACTERS = 300
MAX_CAMERA_CHARACTERS = 100
UNREAD = "folder"  # the ETag of a folder that is not probed yet
_DIGITS = {"Y": 4, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2}
_VARIABLE = {"f": r"\d{1,6}+", "s": r"\d{9,10}+", "n": r"\d{1,12}+"}
_TOKEN = re.compile(r"%(?P<directive>.)|\{(?P<field>[^{}/]*)\}|(?P<star>\*)", re.DOTALL)
_LAST = {"H": "23", "M": "59", "S": "59"}
_EXAMPLES = {"{camera}": "camera", "{n}": "1", "*": "x", "%%": "%", "%s": "1790000000", "%f": "250000"}
_EXAMPLES |= {"%Y": "2026", "%m": "11", "%d": "28", "%H": "12", "%M": "30", "%S": "59"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class InvalidPattern(ValueError):
    """The pattern cannot be used. The message says why."""


class Named(NamedTuple):
    """Fields of a file name: its time in microseconds since 1970, its number in order, and its camera.

    `day` is the day in the time zone of the names. `other` is the later time of a local time that occurs twice.
    """

    time: int | None
    number: int | None
    camera: str | None
    day: date | None
    other: int | None = None


@dataclass(frozen=True)
class FolderSource:
    """Files of a folder that form one recording, limited to a camera and a day if they are given.

    `folder` is empty or ends with a slash.
    """

    folder: str
    pattern: str
    timezone: str = "UTC"
    camera: str | None = None
    day: str | None = None

    @classmethod
    def from_object(cls, stored: dict[str, Any]) -> Self:
        return cls(**stored)

    def to_object(self) -> dict[str, Any]:
        return asdict(self)

    def name_pattern(self) -> NamePattern:
        """Return the pattern of the names. Raises InvalidPattern."""
        day = None if self.day is None else date.fromisoformat(self.day)
        return NamePattern(self.pattern, timezone=self.timezone, camera=self.camera, day=day)

    @property
    def title(self) -> str | None:
        """The camera and the day, or None."""
        return " ".join(each for each in (self.camera, self.day) if each is not None) or None

    @property
    def shown(self) -> str:
        """The pattern of the keys, with the camera and the day in it."""
        known = {"{camera}": self.camera or "{camera}"}
        if self.day is not None:
            known |= dict(zip(("%Y", "%m", "%d"), self.day.split("-"), strict=True))
        shown = _TOKEN.sub(lambda token: known.get(token[0], token[0]), self.pattern)
        return f"{self.folder}{shown}" + (f" {self.day}" if self.day is not None and "%Y" not in self.pattern else "")

    @property
    def day_ends(self) -> int | None:
        """The end of the day, in ms since 1970, or None without a day."""
        if self.day is None:
            return None
        following = datetime.combine(_day_after(date.fromisoformat(self.day)), time(), ZoneInfo(self.timezone))
        return nearest((following - _EPOCH) // timedelta(milliseconds=1))


def is_time_zone(name: str) -> bool:
    return name in available_timezones()


@lru_cache(maxsize=10_000)
def _date_of(year: str, month: str, day: str) -> date | None:
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return found if is_day(found) else None


def _day_after(day: date) -> date:
    """Return the next day, or the last one of the calendar."""
    return min(day, date.max - timedelta(days=1)) + timedelta(days=1)


class NamePattern:
    """A pattern that is compiled. With `camera` and `day`, it matches only their files. Raises InvalidPattern."""

    def __init__(
        self, pattern: str, *, timezone: str = "UTC", camera: str | None = None, day: date | None = None
    ) -> None:
        if not is_time_zone(timezone):
            raise InvalidPattern(f"{timezone[:60]!r} is not a time zone, such as Europe/Berlin")
        self._zone = ZoneInfo(timezone)
        self._pattern = pattern
        self._day = day
        self._fields: dict[str, int] = {}  # in the order of their places
        self._has_text = False  # a text that may be any
        self.prefix = ""  # what all names begin with
        self._expression = re.compile("".join(self._parts(pattern, camera)), re.ASCII)
        self._check(pattern, camera)

    def _parts(self, pattern: str, camera: str | None) -> Iterator[str]:
        if not 0 < len(pattern) <= MAX_PATTERN_CHARACTERS or pattern.startswith("/") or "\\" in pattern:
            raise InvalidPattern(f"must be a relative path of 1 to {MAX_PATTERN_CHARACTERS} characters")
        if any(part in ("", ".", "..") for part in pattern.split("/")) or not pattern.isprintable():
            raise InvalidPattern("must have no empty, '.' or '..' part, and no control characters")
        literal, at = True, 0
        for token in _TOKEN.finditer(pattern):
            text = pattern[at : token.start()]
            at = token.end()
            part, known = self._token(token, camera)
            if literal:
                self.prefix += text + (known or "")
            literal = literal and known is not None
            yield re.escape(text) + part
        if literal:
            self.prefix += pattern[at:]
        yield re.escape(pattern[at:])

    def _token(self, token: re.Match[str], camera: str | None) -> tuple[str, str | None]:
        """Return the expression of a token, and its text if that is known."""
        if token["star"]:
            self._has_text = True
            return "[^/]*", None
        if token["field"] is not None:
            if token["field"] == "camera":
                if camera is None:
                    self._has_text = True
                    return self._group("camera", "[^/]+")
                self._fields["camera"] = 1
                return re.escape(camera), camera
            if token["field"] == "n":
                return self._group("n", _VARIABLE["n"])
            raise InvalidPattern(f"{token[0]!r} is neither {{camera}} nor {{n}}")
        name = token["directive"]
        if name == "%":
            return "%", "%"
        if name in _VARIABLE and name != "n":
            return self._group(name, _VARIABLE[name])
        if name not in _DIGITS:
            raise InvalidPattern(f"{token[0]!r} is none of %Y %m %d %H %M %S %f %s %%")
        if self._day is not None and name in "Ymd":
            self._fields[name] = 1
            known = self._day.strftime(f"%{name}").zfill(_DIGITS[name])
            return known, known
        return self._group(name, rf"\d{{{_DIGITS[name]}}}")

    def _group(self, name: str, expression: str) -> tuple[str, None]:
        """Return a group, or a reference to it if the pattern has it already."""
        seen = name in self._fields
        self._fields[name] = 1
        return (f"(?P={name})" if seen else f"(?P<{name}>{expression})"), None

    def _check(self, pattern: str, camera: str | None) -> None:
        for part in pattern.split("/"):
            if part.count("*") + part.count("{camera}") * (camera is None) > 1:
                raise InvalidPattern("must have at most one * or {camera} in a part of the path")
        if re.search(r"(\*|\{camera\})(%[a-zA-Z]|\{n\})|(%[fs]|\{n\})(%[a-zA-Z]|\{n\}|\*|\{camera\})", pattern):
            raise InvalidPattern("must have a separator between a text or a number of any length and what follows")
        if camera is not None and ("camera" not in self._fields or "/" in camera or camera in (".", "..")):
            raise InvalidPattern("has no {camera}, or the camera is no part of a path")
        has_time = "s" in self._fields or "H" in self._fields
        if not has_time and "n" not in self._fields:
            raise InvalidPattern("must have a time (%H or %s) or a number ({n})")
        days = [name for name in "Ymd" if name in self._fields]
        if days and len(days) < 3:
            raise InvalidPattern("must have all or none of %Y, %m and %d")
        if ("S" in self._fields and "M" not in self._fields) or ("f" in self._fields and "S" not in self._fields):
            raise InvalidPattern("must have %M with %S, and %S with %f")
        if self._day is not None and not days and not self.has_time:
            raise InvalidPattern("has no time for the day")

    @property
    def has_time(self) -> bool:
        return "H" in self._fields or "s" in self._fields

    @property
    def has_date(self) -> bool:
        """True if the clock is known: from the names, or from the day that is given."""
        return "s" in self._fields or (self.has_time and ("Y" in self._fields or self._day is not None))

    @property
    def is_ordered(self) -> bool:
        """True if the names of one camera are in the order of their times.

        They are not in order on a day on which daylight saving may repeat an hour.
        """
        fields = "".join(each for each in self._fields if each != "camera")
        is_date = "YmdHMSf".startswith(fields) or "HMSf".startswith(fields)
        return not self._has_text and (fields == "s" or (is_date and self._has_one_offset))

    @property
    def _has_one_offset(self) -> bool:
        """True if the time zone has the same offset at both ends of the day, or is UTC without a day."""
        if self._day is None:
            return self._zone.key == "UTC"
        ends = (datetime.combine(day, time(), self._zone) for day in (self._day, _day_after(self._day)))
        return len({each.utcoffset() for each in ends}) == 1

    @property
    def resolution(self) -> int:
        """The most by which the time of a name may be rounded down, in microseconds."""
        for name, length in (("f", 1), ("s", 1_000_000), ("S", 1_000_000), ("M", 60_000_000)):
            if name in self._fields:
                return length
        return 3_600_000_000

    @property
    def example(self) -> str:
        """A name that matches."""
        return _TOKEN.sub(lambda token: _EXAMPLES[token[0]], self._pattern)

    def group_of(self, name: str) -> tuple[str | None, date | None] | None:
        """Return the camera and the day of a name, or None if it does not match or has no valid time."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        values = found.groupdict()
        if values.get("s"):
            named = self.match(name)
            return None if named is None else (named.camera, named.day)
        if any((values.get(name) or "") > last for name, last in _LAST.items()):
            return None
        if not values.get("Y"):
            return values.get("camera"), None
        day = _date_of(values["Y"], values["m"], values["d"])
        return None if day is None else (values.get("camera"), day)

    def misfit(self, name: str) -> str | None:
        """Return why a name of the right form belongs to no recording, or None if it has another form or does."""
        if self._expression.fullmatch(name) is None or self.group_of(name) is not None:
            return None
        if self._day is not None and "s" in self._fields:  # it may be of another day
            return None
        return f"its name has no time of a day of {FIRST_DAY.year} to {LAST_DAY.year}"

    def match(self, name: str) -> Named | None:
        """Return the fields of a name, or None if it does not match or has no valid time."""
        found = self._expression.fullmatch(name)
        if found is None:
            return None
        values = found.groupdict()
        number = int(values["n"]) if values.get("n") else None
        camera = values.get("camera")
        if not self.has_time:
            return Named(None, number, camera, None)
        try:
            return self._timed(values, number, camera)
        except (ValueError, OverflowError):
            return None

    def _timed(self, values: dict[str, str | None], number: int | None, camera: str | None) -> Named | None:
        if values.get("s"):
            seconds = int(values["s"] or 0)
            if not is_moment(seconds * 1000):
                return None
            utc = _EPOCH + timedelta(seconds=seconds)
            local = utc.astimezone(self._zone)
            if self._day is not None and local.date() != self._day:
                return None
            return Named((utc - _EPOCH) // _MICROSECOND, number, camera, local.date())
        year, month, number_of_day = (values.get(each) for each in "Ymd")
        day = self._day or (_date_of(year, month or "", number_of_day or "") if year else _EPOCH.date())
        if day is None:
            return None
        clock = (int(values.get("H") or 0), int(values.get("M") or 0), int(values.get("S") or 0))
        local = datetime.combine(day, time(*clock, int((values.get("f") or "0").ljust(6, "0"))))
        first, second = (self._microseconds(local.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
        if self.has_date and not is_moment(first // 1000):
            return None
        return Named(first, number, camera, day, second if second > first else None)

    @staticmethod
    def _microseconds(local: datetime) -> int:
        return (local - _EPOCH) // _MICROSECOND
