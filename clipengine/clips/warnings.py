"""Warnings of a clip: parts of the recording that it lacks, or contains in another form.

A warning is a string, `code: text`. The codes are stable; the text is for people and may change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Literal, get_args

from clipengine.basis.moments import rfc3339
from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.framing import clip_size
from clipengine.clips.options.output import MEDIA
from clipengine.clips.options.picture_size import PictureSize
from clipengine.clips.options.profiles import Profile
from clipengine.clips.plan.frames import MAX_CHANNELS, kept_tracks
from clipengine.clips.plan.segments import RefusedStretch
from clipengine.clips.texts.subtitles import TEXT_CODECS
from clipengine.recordings.facts import PIECES, AudioFacts, SourceFacts, StreamFacts, VideoFacts

WarningCode = Literal[
    "stream_dropped",
    "subtitles_dropped",
    "chapters_dropped",
    "alpha_dropped",
    "alpha_flattened",
    "audio_clipped",
    "audio_downmixed",
    "audio_gap_filled",
    "audio_track_missing",
    "encoded_instead",
    "end_clamped",
    "errors_concealed",
    "fillers_kept",
    "glyphs_missing",
    "hdr_kept",
    "loudness_missed",
    "nominal_rate",
    "not_snapped",
    "output_ignored",
    "packets_damaged",
    "pauses_kept",
    "picture_missing",
    "picture_resized",
    "recording_cut_off",
    "recordings_apart",
    "size_missed",
    "size_unlikely",
    "tags_dropped",
    "timestamps_joined",
    "timestamps_repeated",
    "video_gap",
    "words_not_marked",
]
WARNING_CODES: tuple[str, ...] = get_args(WarningCode)
# Warnings of missing frames.
GAP_CODES = frozenset({"video_gap", "packets_damaged", "errors_concealed", "picture_missing"})

_ROUNDED = Fraction(1, 1000)  # seconds by which a rounded end may exceed the recording's
_LATE_SECONDS = Fraction(1, 4)  # as a pause
_SHOWN_SYMBOLS = 20
_LISTED_STRETCHES = 5  # of a part
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


def of_part(number: int, warnings: Iterable[str], *, of: int) -> list[str]:
    """Return the warnings of a part, with its number, counted from 1, in their text if the clip has several."""
    if of == 1:
        return [*warnings]
    return [f"{code}: part {number + 1}:{text}" for code, _, text in (each.partition(":") for each in warnings)]


def encoded_instead(reason: str) -> str:
    """Return the warning that smart render was asked for and nothing can be copied."""
    return warning("encoded_instead", f"nothing was copied, all of the clip was encoded: {reason}")


def asked_warnings(warnings: Iterable[str], profile: Profile) -> list[str]:
    """Return the warnings, without `encoded_instead` if the engine chooses how to render."""
    return [each for each in warnings if profile.render != "auto" or code_of(each) != "encoded_instead"]


def part_encoded(reason: str) -> str:
    """Return the warning that nothing of a part can be copied, although other parts of the clip are."""
    return warning("encoded_instead", f"all of the part was encoded: {reason}")


def stretches_encoded(refused: Sequence[RefusedStretch]) -> Iterator[str]:
    """Yield a warning for each stretch of a part that was encoded between copied packets, or after them."""
    for start, end, reason in refused[:_LISTED_STRETCHES]:
        until = "on" if end is None else f"to {float(end):.2f} s"
        yield warning("encoded_instead", f"from {float(start):.2f} s {until}, it was encoded: {reason}")
    more = len(refused) - _LISTED_STRETCHES
    if more > 0:
        yield warning("encoded_instead", f"{more} more stretches were encoded for such reasons")


def picture_resized(size: PictureSize) -> str:
    """Return the warning that pictures of several sizes are shown in the range."""
    text = f"pictures of {size.others_text} in the range are fitted into {size.width}x{size.height}"
    return warning("picture_resized", text)


def size_unlikely(limit: int, least: int) -> str:
    """Return the warning of a plan that a clip will hardly become as small as asked."""
    text = f"max_bytes is {limit}, and audio and container have about {least} bytes: the clip will probably fail"
    return warning("size_unlikely", text)


def picture_held(seconds: Fraction) -> str:
    """Return the warning that a part shows the frame before it for this many seconds, because it has no video."""
    text = f"it has no video for {float(seconds):.3f} s at its start: the frame before it is held"
    return warning("picture_missing", text)


def subtitles_dropped(language: str, reason: str) -> str:
    """Return the warning that the clip has no text track in this language."""
    return warning("subtitles_dropped", f"the transcript in {language} has no track in the clip: {reason}")


def text_lost(language: str, container: str) -> str:
    """Return the warning that the container cannot hold the cues in this language."""
    reason = "too many cues overlap" if container in TEXT_CODECS else f"{container} holds no text"
    return subtitles_dropped(language, reason)


def glyphs_missing(symbols: str) -> str:
    """Return the warning that no font has these symbols, so that the captions lack them."""
    shown = symbols if len(symbols) <= _SHOWN_SYMBOLS else f"{symbols[:_SHOWN_SYMBOLS]} …"
    return warning("glyphs_missing", f"no font has these symbols of the subtitles, which were left out: {shown}")


def cues_without_glyphs(count: int) -> str:
    """Return the warning that so many cues have no caption, because they have only characters such as U+200D."""
    return warning("glyphs_missing", f"{count} cues have only control characters, and no caption")


def subtitles_cut(language: str, count: int) -> str:
    """Return the warning that so many cues have no room in the picture into which they are drawn."""
    return warning("subtitles_dropped", f"{count} cues in {language} were not drawn as a whole: they have no room")


def words_not_marked(parts: Iterable[PlannedPart]) -> list[str]:
    """Return the warning that cues are drawn without marking their words, because their times are not known."""
    drawn = [part.burnt for part in parts if part.burnt and part.caption_style and part.caption_style.name == "word"]
    count = sum(not cue.timed_words for track in drawn for cue in track.cues)
    if not count:
        return []
    text = f"the transcript in {drawn[0].language} has no times of words in {count} cues, whose words are not marked"
    return [warning("words_not_marked", text)]


def subtitles_not_drawn(language: str) -> str:
    return warning("subtitles_dropped", f"the transcript in {language} was not drawn: the clip has no video")


def known_warnings(parts: Sequence[PlannedPart], number: int, profile: Profile) -> Iterator[str]:
    """Yield the warnings of a part of a clip that are known before anything is decoded.

    The end of the part is the requested one, not yet clamped.
    """
    facts, end, first = parts[number].facts, parts[number].end, parts[0].facts
    yield from facts.warnings
    yield from loss_warnings(facts, profile, first=first)
    if end > facts.duration + _ROUNDED:
        text = f"the end was clamped from {float(end):.3f} s to the recording's, {float(facts.duration):.3f} s"
        yield warning("end_clamped", text)
    chosen, tracks = profile.audio_tracks, len(facts.audio)
    if isinstance(chosen, int) and chosen >= tracks:
        text = f"the profile keeps audio track {chosen}, the recording has {tracks}: no audio is kept"
        yield warning("audio_track_missing", text)
    if number == 0 and facts.video is not None and profile.video != "none":
        yield from _size_warnings(facts.video, profile)
    yield from _late_warnings(parts[number], profile, is_first=number == 0)
    yield from _joining_warnings(facts, profile, first)
    yield from _downmixing_warnings(facts, profile, first)


def _size_warnings(video: VideoFacts, profile: Profile) -> Iterator[str]:
    """Yield the warning that the clip is smaller than its `size`, because the picture is not enlarged."""
    size = profile.output.size
    if size is not None and (found := clip_size(video, profile)) != (size.width, size.height):
        text = f"the clip is {found.width}x{found.height}, not {size.width}x{size.height}: the picture is smaller"
        yield warning("size_missed", f"{text}; with `enlarge` it is enlarged")


def _late_warnings(part: PlannedPart, profile: Profile, *, is_first: bool) -> Iterator[str]:
    """Yield the warnings of media that begins late in a recording of many files: earlier files may be missing.

    A later part shows the frame before it, of which `picture_held` warns.
    """
    facts = part.facts
    if facts.container != PIECES:
        return
    video = facts.video if is_first and profile.video != "none" else None
    if video is not None and (late := _late_by(video.first_frame, part)):
        text = f"the video begins {float(late):.3f} s after the start: there is no picture before its first frame"
        yield warning("video_gap", text)
    for number, track in enumerate(kept_tracks(profile, facts.audio)):
        if late := _late_by(track.start, part):
            text = f"audio track {number}: it begins {float(late):.3f} s after the start: there is silence before it"
            yield warning("audio_gap_filled", text)


def _late_by(begins: Fraction | None, part: PlannedPart) -> Fraction:
    """Return the seconds of the part before a stream that begins late, or 0."""
    if begins is None or begins <= _LATE_SECONDS or begins >= part.end:
        return Fraction(0)
    return max(Fraction(0), begins - part.start)


def _joining_warnings(facts: SourceFacts, profile: Profile, first: SourceFacts) -> Iterator[str]:
    """Yield the warnings of a part whose streams differ from the first part, which decides the tracks."""
    if facts.tags and facts.tags != first.tags:
        yield warning("tags_dropped", f"the tags of the first part apply: {', '.join(facts.tags)}")
    if facts.video is not None and first.video is None and profile.video != "none":
        text = f"video stream {facts.video.index} is not carried over: the first part has no video"
        yield warning("stream_dropped", text)
    if profile.audio_tracks == "mix":
        added, expected = (min(1, len(kept_tracks(profile, each.audio))) for each in (facts, first))
    else:
        added, expected = (len(kept_tracks(profile, each.audio)) for each in (facts, first))
    if added > expected:
        text = f"the first part has {_tracks(expected)}, this one {_tracks(added)}: the last are dropped"
        yield warning("stream_dropped", text)
    elif added < expected:
        text = f"the first part has {_tracks(expected)}, this one {_tracks(added)}: the last are silent"
        yield warning("audio_track_missing", text)


def _tracks(count: int) -> str:
    return f"{count} audio track{'' if count == 1 else 's'}"


def _downmixing_warnings(facts: SourceFacts, profile: Profile, first: SourceFacts) -> Iterator[str]:
    """Yield a warning for each audio track that is mixed to stereo, by the tracks of the first part."""
    kept, targets = (kept_tracks(profile, each.audio) for each in (facts, first))
    if profile.audio_tracks == "mix" and len(kept) > 1:
        return
    most = MAX_CHANNELS[profile.audio] if profile.audio != "none" else 0
    for number, (track, target) in enumerate(zip(kept, targets, strict=False)):
        if track.channels > 2 and (target.channels == 2 or target.channels > most):
            text = f"audio track {number}: its {track.channels} channels were mixed to stereo"
            yield warning("audio_downmixed", text)


def loss_warnings(facts: SourceFacts, profile: Profile, *, first: SourceFacts | None = None) -> list[str]:
    """Return a warning for each stream that a clip of this profile cannot contain, and for the recording's chapters.

    Also warns of output options that have no effect: in a part without video they change the picture that is held
    from the parts before it, if the `first` one has video. Streams that the profile excludes do not count as lost.
    """
    found = [_dropped(stream) for stream in facts.other_streams]
    if profile.audio_tracks == "all" and profile.audio != "none":
        kept = {track.index for track in kept_tracks(profile, facts.audio)}
        lost = (track for track in facts.audio if track.index not in kept)
        found += [_dropped(track, f"{profile.container} holds one track") for track in lost]
    more = facts.other_streams_count - len(facts.other_streams)
    if more > 0:
        found.append(warning("stream_dropped", f"{more} more streams are not carried over"))
    shown = {"video": facts.video or (first and first.video), "audio": facts.audio}
    for medium in MEDIA:
        options = profile.output.options_that_need(medium)
        if options and not shown[medium]:
            text = f"the recording has no {medium}: {', '.join(options)} of the output had no effect"
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
    if isinstance(stream, StreamFacts) and stream.late:
        reason = "it appears later in the recording"
    reason = reason or _REASONS.get(kind)
    text = f"{_KINDS.get(kind, f'{kind} stream')} {stream.index} ({details}) is not carried over"
    return warning("stream_dropped", f"{text}: {reason}" if reason else text)


def recordings_apart(start: int, end: int) -> str:
    """Return the warning of a stretch that no recording of a series covers, in ms since 1970."""
    return warning("recordings_apart", f"no recording from {rfc3339(start)} to {rfc3339(end)}, which is left out")
