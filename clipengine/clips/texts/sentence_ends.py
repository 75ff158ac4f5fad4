"""Ends of sentences in cues. Pure."""

from __future__ import annotations

from clipengine.clips.texts.cues import Cue

_PAUSE_MS = 1000  # between two cues, after which a sentence begins
# The full stops of scripts, and the quotation marks and brackets that may follow them.
_STOPS = tuple(".!?…‼⁇⁈⁉。．！？｡؟۔।॥។៕၊။։")
_CLOSING = "\"'”’»›“‘«‹)]}）］｝」』】〉》"


def separates(before: Cue | None, after: Cue | None) -> bool:
    """Return True if a sentence ends with one cue and another one starts with the next."""
    if before is None or after is None or before.speaker != after.speaker:
        return True
    return after.start_ms - before.end_ms >= _PAUSE_MS or before.text.rstrip().rstrip(_CLOSING).endswith(_STOPS)
