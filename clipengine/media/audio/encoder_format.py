"""Sample formats, channel layouts and sample rates that the audio encoders take."""

from __future__ import annotations

from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frames import MAX_CHANNELS

_SAMPLE_FORMATS = {"aac": "fltp", "opus": "flt", "mp3": "fltp"}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1"}
_RATES = {
    "aac": (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350),
    "opus": (48000,),
    "mp3": (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000),
}
# Perceptual noise substitution would replace the recording's noise with generated noise.
AAC_OPTIONS = {"aac_pns": "0"}
# Opus and MP3 hold sound above full scale; FFmpeg's AAC encoder lowers each window that has it, as clip avoidance.
_LIMITED = ("aac",)


def encoder_format(codec: str, channels: int) -> tuple[str, str]:
    """Return the sample format and the layout of a track with so many channels; more than possible become stereo."""
    return _SAMPLE_FORMATS[codec], _LAYOUTS[channels] if channels <= MAX_CHANNELS[codec] else "stereo"


def encoder_rate(codec: str, rate: int) -> int:
    """Return the sample rate of a track that has `rate` samples per second in the recording."""
    rates = _RATES[codec]
    return rate if rate in rates else min((each for each in rates if each >= rate), default=max(rates))


def is_limited(profile: Profile) -> bool:
    """Return True if sound above full scale is limited before it is encoded.

    A clip with a loudness needs no limit: its gain keeps the peaks below full scale.
    """
    return profile.audio in _LIMITED and profile.output.loudness_lufs is None
