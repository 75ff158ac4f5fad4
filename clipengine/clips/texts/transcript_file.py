"""Parser of WebVTT and SubRip files, and of the language tags of transcripts.

webvtt-py skips blocks that it cannot read. Such a file is rejected here, because nothing may be lost silently.
"""

from __future__ import annotations

import codecs
import html
import io
import re

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from clipengine.basis.budget import Allowance, LineReader, TextLimits
from clipengine.clips.texts.cues import MAX_CUES, TOO_MANY_CUES, Cue, TextFormat, check_cues, clean_line, clean_text
from clipengine.errors import InvalidTranscript

MAX_TRANSCRIPT_BYTES = 2 << 20
_MAX_LINES = 10 * MAX_CUES
_MAX_LINE_CHARACTERS = 20_000  # a cue has at most 2,000, without its tags
_CLOCK = {"vtt": r"(?:\d{1,10}:)?[0-5]?\d:[0-5]?\d\.\d{1,3}", "srt": r"\d{1,10}:[0-5]?\d:[0-5]?\d[,.]\d{1,3}"}
_TIMES = {kind: re.compile(rf"\s*{clock}\s*-->\s*{clock}(?!\d)") for kind, clock in _CLOCK.items()}
_OVERRIDES = re.compile(r"\{\\[^{}]*\}")  # of SubStation Alpha, in SubRip: {\an8}
_SHOWN = 80
_LIMITS = TextLimits("the transcript", InvalidTranscript, 2 * MAX_TRANSCRIPT_BYTES, _MAX_LINES, _MAX_LINE_CHARACTERS)


def parse_transcript(body: bytes, kind: TextFormat) -> list[Cue]:
    """Return the cues of a WebVTT or SubRip file, sorted by time. Tags and styles are removed from their text.

    Raises InvalidTranscript.
    """
    if len(body) > MAX_TRANSCRIPT_BYTES:
        raise InvalidTranscript(f"the transcript has more than {MAX_TRANSCRIPT_BYTES} bytes")
    text = _decode(body).strip("\ufeff\r\n")
    if not text.strip():
        raise InvalidTranscript("the file is empty", hint="Send a file with at least one cue.")
    expected = _count_cues(text, kind)
    try:
        found = webvtt.from_string(text) if kind == "vtt" else webvtt.from_buffer(io.StringIO(text), format="srt")
    except MalformedFileError:
        first = "the line WEBVTT" if kind == "vtt" else "the number of its first cue"
        raise InvalidTranscript(f"the file does not begin with {first}") from None
    except MalformedCaptionError as error:
        raise InvalidTranscript(f"the file has a cue that cannot be read: {str(error)[:_SHOWN]}") from None
    if len(found.captions) != expected:
        raise InvalidTranscript(f"{len(found.captions)} of {expected} cues can be read")
    return check_cues([_cue(caption, kind) for caption in found.captions])


def _decode(body: bytes) -> str:
    encoding = "utf-16" if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        hint = "Save the file as UTF-8."
        raise InvalidTranscript(f"the file is not UTF-8: byte {error.start} is wrong", hint=hint) from None


def _too_many(message: str) -> InvalidTranscript:
    return InvalidTranscript(message, hint=TOO_MANY_CUES)


def _count_cues(text: str, kind: TextFormat) -> int:
    """Return the number of cues with a text.

    Raises InvalidTranscript if the times of one cannot be read, and before the file is parsed if it has too many.
    """
    left, count = Allowance(MAX_CUES, "cues", of="the transcript", refusal=_too_many), 0
    feeds = text.replace("\r\n", "\n").replace("\r", "\n").encode()
    lines: list[str] = []
    for block in LineReader(_LIMITS).blocks(feeds):
        left.spend(sum("-->" in line for line in block))
        lines += block
    for number, (line, following) in enumerate(zip(lines, [*lines[1:], ""], strict=True), 1):
        if "-->" not in line:
            continue
        if not _TIMES[kind].match(line):
            example = "00:01:02.500 --> 00:01:04.000" if kind == "vtt" else "00:01:02,500 --> 00:01:04,000"
            hint = f"Write {example}."
            raise InvalidTranscript(f"line {number} has no valid times: {line[:_SHOWN]!r}", hint=hint)
        count += kind == "vtt" or bool(following.strip())
    return count


def _cue(caption: webvtt.Caption, kind: TextFormat) -> Cue:
    text, speaker = caption.text, caption.voice
    if kind == "vtt":
        text, speaker = html.unescape(text), html.unescape(speaker or "")
    else:
        text = _OVERRIDES.sub("", text)
    times = caption.start_time.in_milliseconds(), caption.end_time.in_milliseconds()
    return Cue(*times, clean_text(text), clean_line(speaker or "") or None)
