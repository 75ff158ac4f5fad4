"""Options `--subtitles` and `--transcript` of `clipengine cut`.

Subtitles are the texts that a clip gets, as tracks or drawn into its picture. A transcript times the words of SOURCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.texts.subtitles import MAX_TEXT_TRACKS, SubtitleMode, TextTrack, numbered
from clipengine.errors import InvalidTranscript, RequestError, TranscriptNotFound

_MODES: tuple[SubtitleMode, ...] = ("keep", "burn", "none")


@dataclass(frozen=True)
class LocalSubtitles:
    """The subtitles of a clip: `texts`, the cues of files, or without them the subtitles of SOURCE."""

    mode: SubtitleMode = "keep"
    language: str | None = None
    texts: tuple[TextTrack, ...] = ()
    style: CaptionStyle | None = None  # of burnt-in subtitles

    @property
    def burns(self) -> bool:
        return self.mode == "burn"

    def choose(self, embedded: Sequence[TextTrack]) -> tuple[TextTrack, ...]:
        """Return the chosen tracks, of which `burn` has one. Raises TranscriptNotFound or InvalidTranscript."""
        found = tuple(self.texts or embedded)
        known = ", ".join(track.language for track in found) or "none"
        if self.mode == "none":
            return ()
        if self.language is not None:
            found = tuple(track for track in found if track.language == self.language)
        if not found and (self.language is not None or self.burns):
            wanted = "There are no subtitles" if self.language is None else f"There are no subtitles in {self.language}"
            raise TranscriptNotFound(
                f"{wanted}; the known languages are: {known}",
                hint="Give a file, such as --subtitles burn:talk.en.vtt.",
            )
        if self.burns and len(found) > 1:
            raise InvalidTranscript(
                f"only one language can be drawn into the picture, not {known}", hint="Choose it: --subtitles burn:en."
            )
        return found


def local_subtitles(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> LocalSubtitles:
    """Parse the values: files, `none`, `keep`, `keep:en`, `burn`, `burn:en` and `burn:talk.en.vtt`."""
    modes = [value for value in values if value.partition(":")[0] in _MODES]
    files = [Path(value) for value in values if value not in modes]
    if len(modes) > 1:
        raise click.BadParameter(f"{' and '.join(modes)} exclude each other")
    mode, _, chosen = modes[0].partition(":") if modes else ("keep", "", "")
    if mode == "none" and (files or chosen):
        raise click.BadParameter("none excludes files and languages")
    if chosen and Path(chosen).is_file():
        files, chosen = [*files, Path(chosen)], ""
    for file in files:
        if not file.is_file():
            raise click.BadParameter(f"{str(file)!r} is not a file, none, keep[:LANGUAGE] or burn[:LANGUAGE or FILE]")
    return LocalSubtitles(mode, _language(chosen), _read_files(files))  # type: ignore[arg-type]


def _language(tag: str) -> str | None:
    if not tag:
        return None
    from clipengine.clips.texts.language_tags import parse_language

    try:
        return parse_language(tag)
    except InvalidTranscript as error:
        raise click.BadParameter(f"{error.message}, and there is no such file") from None


def local_transcript(ctx: click.Context, parameter: click.Parameter, value: str | None) -> TextTrack | None:
    """Parse `talk.en.json` and `en:talk.json`. Raises InvalidTranscript with the name of the file."""
    if value is None:
        return None
    tag, _, name = ("", "", value) if Path(value).is_file() else value.partition(":")
    if not Path(name).is_file():
        raise click.BadParameter(f"{value!r} is not a file or LANGUAGE:FILE")
    return _read_file(Path(name), _language(tag))


def _read_files(paths: Sequence[Path]) -> tuple[TextTrack, ...]:
    """Return the cues of files. Raises InvalidTranscript with the name of the file."""
    if len(paths) > MAX_TEXT_TRACKS:
        raise InvalidTranscript(f"a clip has at most {MAX_TEXT_TRACKS} text tracks, not {len(paths)}")
    return numbered(_read_file(path) for path in paths)


def _read_file(path: Path, language: str | None = None) -> TextTrack:
    """Return the cues of a WebVTT, SubRip or JSON file, in the language of its name unless one is given."""
    # Imported here, because most clips have no subtitles, and it imports slow modules.
    from clipengine.clips.texts.language_tags import alpha3_of, language_in_name
    from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES, parse_transcript

    with path.open("rb") as file:
        body = file.read(MAX_TRANSCRIPT_BYTES + 1)
    suffix = path.suffix.lower()
    try:
        if suffix == ".json" and len(body) <= MAX_TRANSCRIPT_BYTES:
            from clipengine.api.http.json_cues import json_cues

            cues = json_cues(body)
        else:
            cues = parse_transcript(body, "srt" if suffix == ".srt" else "vtt")
    except RequestError as error:
        raise InvalidTranscript(f"{path}: {error.message}", errors=error.errors, hint=error.hint) from None
    language = language or language_in_name(path.name)
    return TextTrack(language, alpha3_of(language), tuple(cues))
