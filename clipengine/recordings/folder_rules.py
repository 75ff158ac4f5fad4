"""Rules of the settings that assign files of cameras in the store to recordings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache

from clipengine.recordings.discovery import clean_name, is_of_clip
from clipengine.recordings.file_name_pattern import MAX_CAMERA_CHARACTERS, FolderSource, NamePattern

MAX_RULES = 100


@dataclass(frozen=True)
class FolderRule:
    """Files below `folder` whose names match the pattern: each camera and each day is a recording.

    `folder` is empty or ends with a slash. `series` may have `{camera}` in it; if it is empty, it is the camera.
    """

    folder: str
    pattern: str
    timezone: str = "UTC"
    series: str = ""

    @cached_property
    def names(self) -> NamePattern:
        """The compiled pattern. Raises InvalidPattern."""
        return NamePattern(self.pattern, timezone=self.timezone)

    @property
    def example(self) -> str:
        """A key that matches."""
        return self.folder + self.names.example

    def owns(self, key: str) -> bool:
        return key.startswith(self.folder) and self.names.group_of(key[len(self.folder) :]) is not None


@dataclass(frozen=True)
class RuledFolder:
    """The files of a camera, of a day if their names have one, that are a recording by a rule of the settings."""

    source: FolderSource
    series: str | None

    @cached_property
    def key(self) -> str:
        """The key of the folder among watched objects: its pattern with the camera and the day in it."""
        return self.source.shown


class FolderRules:
    """The rules in order. The first one that matches owns a file."""

    def __init__(self, rules: Sequence[FolderRule] = ()) -> None:
        self._rules = rules

    @property
    def folders(self) -> list[str]:
        return [rule.folder for rule in self._rules]

    def owner(self, key: str) -> RuledFolder | None:
        """Return the folder to which a file belongs, or None. Clips of ours belong to none."""
        for rule in self._rules:
            if not key.startswith(rule.folder):
                continue
            group = rule.names.group_of(key[len(rule.folder) :])
            if group is None or not _is_camera(group[0]) or is_of_clip(key):
                continue
            return _ruled(rule, *group)
        return None

    def misfit(self, key: str) -> str | None:
        """Return why a file belongs to no folder although its name has the form of a rule, or None."""
        for rule in self._rules:
            if not key.startswith(rule.folder) or is_of_clip(key):
                continue
            name = key[len(rule.folder) :]
            if (reason := rule.names.misfit(name)) is not None:
                return reason
            group = rule.names.group_of(name)
            if group is not None and not _is_camera(group[0]):
                return f"the name of its camera is '.' or '..', or has more than {MAX_CAMERA_CHARACTERS} characters"
        return None


def _is_camera(name: str | None) -> bool:
    return len(name or "") <= MAX_CAMERA_CHARACTERS and name not in (".", "..")


@lru_cache(maxsize=10_000)
def _ruled(rule: FolderRule, camera: str | None, day: date | None) -> RuledFolder:
    source = FolderSource(rule.folder, rule.pattern, rule.timezone, camera, None if day is None else day.isoformat())
    series = rule.series.replace("{camera}", camera or "") or camera or ""
    return RuledFolder(source, clean_name(series))


def overlap(rules: Sequence[FolderRule]) -> tuple[int, int, str] | None:
    """Return the numbers of two rules that own the same file, and its key, or None.

    Only an example of each rule is tried: where others match both, the first rule owns them.
    """
    for number, rule in enumerate(rules):
        for other, each in enumerate(rules):
            if other != number and each.owns(rule.example):
                return min(number, other), max(number, other), rule.example
    return None
