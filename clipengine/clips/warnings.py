"""Warnings of a clip: parts of the recording that it lacks, or contains in another form.

A warning is a string, `code: text`. The codes are stable; the text is for people and may change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from clipengine.clips.facts import AudioFacts, SourceFacts, StreamFacts
from clipengine.clips.plan import kept_tracks
from clipengine.clips.profiles import Profile

WarningCode = Literal[
    "stream_dropped",
    "subtitles_dropped",
    "chapters_dropped",
    "alpha_dropped",
    "alpha_flattened",
    "audio_downmixed",
    "audio_gap_filled",
    "audio_track_missing",
    "encoded_instead",
    "end_clamped",
    "errors_concealed",
    "glyphs_missing",
    "hdr_kept",
    "loudness_missed",
    "nominal_rate",
    "not_snapped",
    "output_ignored",
    "packets_damaged",
    "picture_missing",
    "recording_cut_off",
    "tags_dropped",
    "timestamps_joined",
    "video_gap",
]
WARNING_CODES: tuple[str, ...] = get_args(WarningCode)
# Warnings of missing frames.
GAP_CODES = frozenset({"video_gap", "packets_damaged", "errors_concealed", "picture_missing"})

_SHOWN_SYMBOLS = 20
_KINDS = {"picture": "attached picture", "attachment": "attachment"}
_REASONS = {
    "video": "a clip has one video stream, the first",
    "audio": "it cannot be decoded",
    "picture": "a clip has no cover",
}


def warning(code: WarningCode, text: str) -> str:
    return f"{code}: {text}"


def code_of(text: str) -> str:
    """Return the code of a warning, or an empty string if it has none."""
    code, _, _ = text.partition(":")
    return code if code in WARNING_CODES else ""


def of_part(number: int, warnings: Iterable[str]) -> list[str]:
    """Return the warnings with the number of the part, counted from 1 in their text."""
    return [f"{code}: part {number + 1}:{text}" for code, _, text in (each.partition(":") for each in warnings)]


def encoded_instead(reason: str) -> str:
    """Return the warning that smart render was asked for and nothing can be copied."""
    return warning("encoded_instead", f"nothing was copied, all of the clip was encoded: {reason}")


def subtitles_dropped(language: str, reason: str) -> str:
    """Return the warning that the clip has no text track in this language."""
    return warning("subtitles_dropped", f"the transcript in {language} has no track in the clip: {reason}")


def glyphs_missing(symbols: str) -> str:
    """Return the warning that no font has these symbols, so that the captions lack them."""
    shown = symbols if len(symbols) <= _SHOWN_SYMBOLS else f"{symbols[:_SHOWN_SYMBOLS]} …"
    return warning("glyphs_missing", f"no font has these symbols of the subtitles, which were left out: {shown}")


def subtitles_cut(language: str, count: int) -> str:
    """Return the warning that so many cues have no room in the picture into which they are drawn."""
    return warning("subtitles_dropped", f"{count} cues in {language} were not drawn as a whole: they have no room")


def subtitles_not_drawn(language: str) -> str:
    return warning("subtitles_dropped", f"the transcript in {language} was not drawn: the clip has no video")


def loss_warnings(facts: SourceFacts, profile: Profile) -> list[str]:
    """Return a warning for each stream that a clip of this profile cannot contain, and for the recording's chapters.

    Also warns of output options that have no effect. Streams that the profile excludes do not count as lost.
    """
    found = [_dropped(stream) for stream in facts.other_streams]
    if profile.audio_tracks == "all" and profile.audio != "none":
        kept = {track.index for track in kept_tracks(profile, facts.audio)}
        lost = (track for track in facts.audio if track.index not in kept)
        found += [_dropped(track, f"{profile.container} holds one track") for track in lost]
    more = facts.other_streams_count - len(facts.other_streams)
    if more > 0:
        found.append(warning("stream_dropped", f"{more} more streams are not carried over"))
    kinds = (("video", facts.video, profile.output.video_options), ("audio", facts.audio, profile.output.audio_options))
    for kind, present, options in kinds:
        if not present and options:
            text = f"the recording has no {kind}: {', '.join(options)} of the output had no effect"
            found.append(warning("output_ignored", text))
    if profile.is_animation and facts.tags:
        found.append(warning("tags_dropped", f"{profile.container} holds no tags: {', '.join(facts.tags)}"))
    unlisted = facts.chapters - len(facts.chapter_list)
    if profile.is_animation and facts.chapters:
        found.append(warning("chapters_dropped", f"{profile.container} holds no chapters"))
    elif unlisted > 0:
        found.append(
            warning("chapters_dropped", f"{unlisted} of the recording's {facts.chapters} chapters are not carried over")
        )
    return found


def _dropped(stream: StreamFacts | AudioFacts, reason: str | None = None) -> str:
    details = ", ".join(each for each in (stream.codec, stream.language) if each)
    kind: str = stream.kind if isinstance(stream, StreamFacts) else "audio"
    reason = reason or _REASONS.get(kind)
    text = f"{_KINDS.get(kind, f'{kind} stream')} {stream.index} ({details}) is not carried over"
    return warning("stream_dropped", f"{text}: {reason}" if reason else text)
