"""The transcripts that a clip carries: those of its recording, as its request says."""

from __future__ import annotations

from typing import NamedTuple

from clipengine.clips.clip import Clip, Recording
from clipengine.clips.subtitles import MAX_TEXT_BYTES, MAX_TEXT_TRACKS, TextTrack
from clipengine.clips.transcript_file import alpha3_of
from clipengine.clips.warnings import JOINED_TEXTS, subtitles_dropped
from clipengine.ledger.transcripts import MAX_TRANSCRIPTS, Transcripts


class ClipTexts(NamedTuple):
    """The tracks on the recording's timeline, and a warning for each transcript for which there is no room."""

    tracks: tuple[TextTrack, ...] = ()
    warnings: tuple[str, ...] = ()


def clip_texts(transcripts: Transcripts, clip: Clip, recording: Recording) -> ClipTexts:
    """Return the cues near the range of the clip. It begins on a frame, up to half a frame before its start."""
    if clip.subtitles == "none":
        return ClipTexts()
    if clip.parts:
        languages = [each.language for each in transcripts.list(recording.recording_id, limit=MAX_TRANSCRIPTS).data]
        return ClipTexts((), tuple(subtitles_dropped(each, JOINED_TEXTS) for each in sorted(languages)))
    video = recording.facts.video if recording.facts else None
    margin = float(video.frame_seconds) if video else 0.0
    start_ms, end_ms = (
        round(1000 * seconds) for seconds in (clip.start_seconds - margin - 1, clip.end_seconds + margin + 1)
    )
    found = transcripts.list(recording.recording_id, limit=MAX_TRANSCRIPTS).data
    tracks: list[TextTrack] = []
    warnings = []
    size = 0
    for each in sorted(found, key=lambda transcript: transcript.language):
        if clip.subtitle_language not in (None, each.language):
            continue
        cues = tuple(transcripts.cues(each, start_ms=start_ms, end_ms=end_ms))
        added = sum(len(cue.text.encode()) for cue in cues)
        if len(tracks) == MAX_TEXT_TRACKS or size + added > MAX_TEXT_BYTES:
            reason = f"a clip holds {MAX_TEXT_TRACKS} text tracks and {MAX_TEXT_BYTES >> 20} MiB of text"
            warnings.append(subtitles_dropped(each.language, reason))
        elif cues:
            size += added
            tracks.append(TextTrack(each.language, alpha3_of(each.language), cues))
    if clip.subtitle_language is not None and not any(each.language == clip.subtitle_language for each in found):
        warnings.append(subtitles_dropped(clip.subtitle_language, "it was deleted"))
    return ClipTexts(tuple(tracks), tuple(warnings))
