"""Text tracks of a recording, read by the probe. They become transcripts of the recording.

Texts lie between the packets of video and audio, so the bytes that are read for them are limited: if a container must
be read as a whole and is too large, its text tracks remain among the streams that a clip lacks.
"""

from __future__ import annotations

import html
import re
from fractions import Fraction
from typing import Any

import av
from av.packet import Packet

from clipengine.clips.texts.cues import MAX_CUE_CHARACTERS, MAX_CUE_SECONDS, MAX_CUES, Cue, clean_text
from clipengine.clips.texts.subtitles import MAX_TEXT_BYTES, MAX_TEXT_TRACKS, TextTrack
from clipengine.errors import ClipEngineError, RecordingUnreadable
from clipengine.media.input.containers.cached_reader import ByteSource, MediaReader
from clipengine.media.input.containers.container import codec_name, keep_only, open_recording
from clipengine.media.input.timing.timeline import as_fraction
from clipengine.media.memory import raise_if_out_of_memory
from clipengine.recordings.facts import SourceFacts

_CODECS = ("mov_text", "subrip", "webvtt", "ass", "ssa", "text")
_MAX_READ_BYTES, _MAX_READ_BYTES_REMOTE = 512 << 20, 32 << 20
_TAGS = re.compile(r"</?(?:b|i|u|s|font)\b[^<>]*>|\{\\[^{}]*\}", re.IGNORECASE)
_CUE_TAGS = re.compile(r"<[^<>]*>")  # of WebVTT, which escapes other brackets
_ASS_FIELDS = 8  # before the text
_UNTIMED_MS = 3000  # shown for, if the container does not say


class _LimitedSource:
    """A byte source that fails after so many bytes."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._left = _MAX_READ_BYTES_REMOTE if source.remote else _MAX_READ_BYTES
        self.size, self.remote = source.size, source.remote

    def read_at(self, offset: int, length: int, *, keep: bool = False) -> bytes:
        self._left -= length
        if self._left < 0:
            raise RecordingUnreadable("its texts are too far apart")
        return self._source.read_at(offset, length, keep=keep)


def read_texts(source: ByteSource, facts: SourceFacts) -> dict[int, TextTrack]:
    """Return the text tracks by the index of their stream, the first in each language, in recording time.

    Returns none if a text cannot be read or the limits are exceeded.
    """
    languages: dict[str, int] = {}
    for stream in (each for each in facts.other_streams if not each.late):
        if stream.kind == "subtitle" and stream.codec in _CODECS and len(languages) < MAX_TEXT_TRACKS:
            languages.setdefault(stream.language or "und", stream.index)
    if not languages:
        return {}
    try:
        with MediaReader(_LimitedSource(source)) as reader, open_recording(reader) as container:
            streams = [container.streams[index] for index in languages.values()]
            keep_only(container, streams)
            cues: dict[int, list[Cue]] = {index: [] for index in languages.values()}
            codecs = {stream.index: codec_name(stream) for stream in streams}
            size = 0
            for packet in container.demux(streams):
                if packet.size and packet.stream_index in cues:
                    found = cues[packet.stream_index]
                    size += _add(packet, codecs[packet.stream_index], found, facts.origin)
                    if len(found) > MAX_CUES or size > MAX_TEXT_BYTES:
                        return {}
    except (av.FFmpegError, ClipEngineError, IndexError, ValueError):
        raise_if_out_of_memory()
        return {}
    return {
        index: TextTrack(language, "und", tuple(sorted(cues[index], key=lambda cue: (cue.start_ms, cue.end_ms))))
        for language, index in languages.items()
        if cues[index]
    }


def _add(packet: Packet[Any], codec: str, cues: list[Cue], origin: Fraction) -> int:
    """Add the cue of a packet, unless it is empty, and return the bytes of its text."""
    if packet.pts is None:
        return 0
    text = clean_text(_plain(bytes(packet), codec))[:MAX_CUE_CHARACTERS]
    tick = as_fraction(packet.time_base)
    start = round(1000 * (packet.pts * tick - origin))
    end = start + (round(1000 * (packet.duration or 0) * tick) or _UNTIMED_MS)
    if not text or end <= max(0, start) or end > 1000 * MAX_CUE_SECONDS:
        return 0
    cues.append(Cue(max(0, start), end, text))
    return len(text.encode())


def _plain(data: bytes, codec: str) -> str:
    """Return the text of a packet without its formatting. No decoder is needed, which a hostile text could attack."""
    if codec == "mov_text":
        return data[2 : 2 + int.from_bytes(data[:2], "big")].decode("utf-8", "replace")
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = text.split(",", _ASS_FIELDS)[-1].replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    return html.unescape(_CUE_TAGS.sub("", text)) if codec == "webvtt" else _TAGS.sub("", text)
