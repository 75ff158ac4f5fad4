"""Request of a read job, and the JSON of its answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from clipengine.media.input.containers.cached_reader import ByteSource
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.piece_seek_index import stored_seek_index
from clipengine.recordings.seek_index import SeekIndex


@dataclass(frozen=True)
class ReadRequest:
    """Arguments of a read job: the recording, and the `values` of the job's kind."""

    source: ByteSource
    facts: SourceFacts
    seek_index: SeekIndex | None
    threads: int
    values: Mapping[str, Any]
    descriptors: Sequence[int] = ()  # of the files that the job needs besides the recording

    @classmethod
    def of_message(cls, job: Mapping[str, Any], source: ByteSource, descriptors: Sequence[int] = ()) -> ReadRequest:
        facts = SourceFacts.model_validate(job["facts"])
        seek_index = None if job["seek_index"] is None else stored_seek_index(job["seek_index"])
        return cls(source, facts, seek_index, job["threads"], job, descriptors)

    def seconds(self, name: str) -> Fraction:
        """Return a value that is a time or a length in seconds."""
        return Fraction(self.values[name])

    @property
    def range(self) -> tuple[Fraction, Fraction]:
        """The part of the recording, in seconds."""
        return self.seconds("start"), self.seconds("end")

    def json_of_range(self, **values: Any) -> bytes:
        """Return an answer that has the range and these values."""
        start, end = self.range
        return as_json({"start_seconds": float(start), "end_seconds": float(end), **values})


def as_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
