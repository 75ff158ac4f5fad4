"""Sample formats and channel layouts that the audio encoders take."""

from __future__ import annotations

from clipengine.clips.plan import MAX_CHANNELS

_SAMPLE_FORMATS = {"aac": "fltp", "opus": "flt", "mp3": "fltp"}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}


def encoder_format(codec: str, channels: int) -> tuple[str, str]:
    """Return the sample format and the layout of a track with so many channels; more than possible become stereo."""
    return _SAMPLE_FORMATS[codec], _LAYOUTS[channels] if channels <= MAX_CHANNELS[codec] else "stereo"
