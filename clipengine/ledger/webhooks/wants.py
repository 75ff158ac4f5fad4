"""Policy: which events of clips and recordings an endpoint wants, by tags, rules and series."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Wants = Mapping[str, Sequence[str]]


@dataclass
class Subject:
    """The clip or the recording that an event concerns.

    `created_by` is None for a recording, which no rule makes. `read_recording` returns the row of the recording, or
    None if it is deleted; it is called only if an endpoint asks for its tags or its series.
    """

    read_recording: Callable[[], Mapping[str, Any] | None]
    own_tags: Collection[str] | None = None
    created_by: str | None = None

    @cached_property
    def _recording(self) -> Mapping[str, Any]:
        return self.read_recording() or {}

    def values(self, name: str) -> Collection[str]:
        """Return the values with which an endpoint's list `name` is compared."""
        if name == "tags":
            return self._recording.get("tags") or () if self.own_tags is None else self.own_tags
        if name == "rules":
            return [] if self.created_by is None else [self.created_by]
        series = self._recording.get("series")
        return [] if series is None else [series]


def wants_event(wants: Wants | None, subject: Subject | None) -> bool:
    """Return True if each list of `wants` has a value of the subject. Events without a subject are always wanted."""
    if not wants or subject is None:
        return True
    return all(not set(values).isdisjoint(subject.values(name)) for name, values in wants.items())
