"""The transcripts that a clip carries, or whose sentences its cuts are snapped to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from clipengine.clips.edit import PlannedPart
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.language_tags import alpha3_of
from clipengine.clips.texts.subtitles import MAX_TEXT_BYTES, MAX_TEXT_TRACKS, SubtitleMode, TextTrack
from clipengine.clips.warnings import subtitles_dropped, words_not_marked
from clipengine.ledger.texts.transcripts import MAX_TRANSCRIPTS, Transcript, Transcripts


@dataclass(frozen=True)
class LedgerTexts:
    """The transcripts in the ledger of a clip's recordings, see `ClipTexts`.

    `ids` are the ids of the recordings. With the mode "burn", the transcript is drawn in the `style`.
    """

    transcripts: Transcripts
    ids: Sequence[str]
    mode: SubtitleMode | None
    language: str | None
    style: CaptionStyle | None = None

    def cues(self, part: PlannedPart, start: Fraction, end: Fraction) -> Sequence[Cue]:
        """Return the cues in the language if the recording has it, otherwise of its first transcript."""
        transcript = self.transcripts.preferred(self.ids[part.source], self.language)
        if transcript is None:
            return ()
        return self.transcripts.cues(transcript, start_ms=round(start * 1000), end_ms=round(end * 1000))

    def spoken(self, part: PlannedPart) -> TextTrack | None:
        """Return the same transcript as `cues` with the cues of the part."""
        transcript = self.transcripts.preferred(self.ids[part.source], self.language)
        if transcript is None:
            return None
        start_ms, end_ms = round(part.start * 1000), round(part.end * 1000)
        cues = self.transcripts.cues(transcript, start_ms=start_ms, end_ms=end_ms)
        return TextTrack(transcript.language, alpha3_of(transcript.language), tuple(cues))

    def added(self, parts: Sequence[PlannedPart]) -> tuple[list[PlannedPart], list[str]]:
        """Return the parts with the transcripts near their ranges, and a warning for each that exceeds the limits.

        They are the transcripts in the language, or all. Burnt-in transcripts become no tracks.
        """
        if self.mode == "none":
            return list(parts), []
        chosen = _ChosenTexts(self.transcripts, self.language, self.ids)
        tracks = [(part, tuple(chosen.tracks(part))) for part in parts]
        if self.mode != "burn":
            return [part.with_texts(each) for part, each in tracks], chosen.warnings()
        drawn = [part.with_captions(each, self.style) for part, each in tracks]
        return drawn, [*chosen.warnings(), *words_not_marked(drawn)]


class _ChosenTexts:
    """Chooses transcripts within the limits of a clip."""

    def __init__(self, transcripts: Transcripts, language: str | None, recording_ids: Sequence[str]) -> None:
        self._transcripts = transcripts
        self._language = language
        self._found = [transcripts.list(each, limit=MAX_TRANSCRIPTS).data for each in recording_ids]
        self._languages: set[str] = set()
        self._lost: set[str] = set()
        self._bytes = 0

    def tracks(self, part: PlannedPart) -> Iterator[TextTrack]:
        """Yield the cues near the part, which begins on a frame, up to half a frame before its start."""
        margin = part.frame_seconds + 1
        start_ms, end_ms = round(1000 * (part.start - margin)), round(1000 * (part.end + margin))
        for each in sorted(self._found[part.source], key=lambda transcript: transcript.language):
            if self._language not in (None, each.language):
                continue
            cues = tuple(self._transcripts.cues(each, start_ms=start_ms, end_ms=end_ms))
            if cues and self._has_room(each, sum(len(cue.text.encode()) for cue in cues)):
                yield TextTrack(each.language, alpha3_of(each.language), cues)

    def _has_room(self, transcript: Transcript, added: int) -> bool:
        languages = self._languages | {transcript.language}
        if len(languages) > MAX_TEXT_TRACKS or self._bytes + added > MAX_TEXT_BYTES:
            self._lost.add(transcript.language)
            return False
        self._languages, self._bytes = languages, self._bytes + added
        return True

    def warnings(self) -> list[str]:
        reason = f"a clip holds {MAX_TEXT_TRACKS} text tracks and {MAX_TEXT_BYTES >> 20} MiB of text"
        found = [subtitles_dropped(language, reason) for language in sorted(self._lost)]
        known = {each.language for transcripts in self._found for each in transcripts}
        if self._language is not None and self._language not in known:
            found.append(subtitles_dropped(self._language, "it was deleted"))
        return found
