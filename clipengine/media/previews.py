"""What an encoder child makes for the eye: one frame, a filmstrip or a waveform, from its job to its bytes."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from clipengine.clips.facts import SourceFacts
from clipengine.clips.landmarks import Landmarks
from clipengine.media.frames import filmstrip, frame_at
from clipengine.media.peaks import peaks
from clipengine.media.source import ByteSource

KINDS = ("frame", "filmstrip", "waveform")


def make_preview(job: dict[str, Any], source: ByteSource) -> bytes:
    """A JPEG, or the JSON of the API's answer. Raises RecordingError and its kinds."""
    facts = SourceFacts.model_validate(job["facts"])
    if job["job"] == "frame":
        landmarks = None if job["landmarks"] is None else Landmarks.model_validate(job["landmarks"])
        return frame_at(
            source, facts, at=Fraction(job["at"]), width=job["width"], threads=job["threads"], landmarks=landmarks
        )
    start, end = Fraction(job["start"]), Fraction(job["end"])
    if job["job"] == "filmstrip":
        return filmstrip(
            source, facts, start=start, end=end, count=job["count"], width=job["width"], threads=job["threads"]
        )
    found = peaks(source, facts, start=start, end=end, points=job["points"])
    body = {"start_seconds": float(start), "end_seconds": float(end), "points": len(found), "peaks": found}
    return json.dumps(body, separators=(",", ":")).encode()
