"""Mutated documents from outside: each is read within its budget, or refused with a code."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from random import Random
from typing import Any

from pydantic import ValidationError

from clipengine.api.http.json_cues import JSON_CUES
from clipengine.api.http.validation import parse_json
from clipengine.basis.documents import Document
from clipengine.clips.ranges.formats import FORMATS, format_ranges
from clipengine.clips.ranges.range_documents import RANGE_FILE
from clipengine.clips.ranges.range_file import ListedRange, RangeSource
from clipengine.clips.texts.segmented import TextSegment, join_segments
from clipengine.clips.texts.text_documents import SEGMENTED_TEXT, SPOKEN, TRANSCRIPT
from clipengine.errors import ClipEngineError
from clipengine.ingest.daily import DailyEvents
from clipengine.ingest.event import Place, Request, Source, without_nul
from clipengine.ingest.generic import GenericEvents
from clipengine.ingest.jibri import _Metadata
from clipengine.ingest.livekit import LiveKitEvents
from clipengine.ingest.s3 import S3Events
from clipengine.ingest.zoom import ZoomEvents
from clipengine.recordings.file_name_pattern import NamePattern
from clipengine.recordings.packed_playlist import PLAYLIST
from scripts.fuzzing import playlists
from scripts.fuzzing.texts import mutated
from tests.support.memory import peak_mebibytes

MAX_CPU_SECONDS = 2.0  # of one input: the budgets end far below, also on a slow machine
MAX_MEMORY_MIB = 512  # of all

# fmt: off
_TEXTS = (
    "nan", "-1", "1e308", "9" * 40, "\x00", '"', ",", ";", "\t", "=", "@", "[", "]", "{", "}", "\r", "\u2028", "\ud7ff",
    "\u202e", "\u200d", "00:00:00.000", "-->", "99:59:59,999", "<v ", "&lt;", "{\\an8}", "\\", "'", "\x1b", "Infinity",
    "1e999999", "9999-12-31", "../", "//", "%2e", "null", "A=" * 2000, "[" * 2000, '"' * 2000, ":" * 2000, " " * 2000,
)
# fmt: on
_PLACE = {"key": "a/index.m3u8", "folder": "a/", "base_url": "", "segments": (1000, 1000, "the recording")}
_TIMES = {"duration": "600", "rate": "30000/1001", "first_frame": "1/30"}
_SOURCE = RangeSource("Talk", "a.mp4", Fraction(600), Fraction(25), 640, 360, 2, 48_000)
_RANGES = [ListedRange(1, Fraction(1), Fraction(5, 2), "Goal"), ListedRange(2, Fraction(4), Fraction(6), "=1+1")]
_CUE = {"start_seconds": 1, "end_seconds": 2, "text": "one", "speaker": "Ann", "words": [[1, 1.5, "one"]]}
_VTT = (
    "WEBVTT\n\nNOTE x\n\n1\n00:01.000 --> 00:02.000 line:0\n<v Ann>one &amp;\ntwo</v>\n\n"
    "00:03.000 --> 00:04.000\n<b>three</b>\n"
)
_SRT = "1\n00:00:01,000 --> 00:00:02,000\n{\\an8}one\ntwo\n\n2\n00:00:03,000 --> 00:00:04,000\nthree\n"
_ANSWER = {"language": "english", "text": "one two", "segments": [{"start": 0.0, "end": 1.0, "text": "one", "words": [
    {"word": "one", "start": 0.0, "end": 0.5, "probability": 0.9}]}]}  # fmt: skip
_AGORA = (
    "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=AUDIO,TIME=20261128100000000\n"
    "#EXTINF:15.0\nsid_cname__uid_s_1__uid_e_audio_20261128100000000.ts\n"
    "#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE=AUDIO,TIME=1795860000000\n#EXTINF:4\nb.ts\n#EXT-X-ENDLIST\n"
)
_JIBRI = {"meeting_url": "https://meet.example/room", "participants": [{"user": {"name": "Ann", "id": "1"}}]}
# fmt: off
_EVENTS = {
    "generic": {"key": "a.mp4", "name": "Talk", "started_at": "2026-11-28T10:00:00Z", "metadata": {"a": "b"}},
    "s3": {"Records": [
        {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b.mp4"}}}]},
    "zoom": {"event": "recording.completed", "download_token": "t", "payload": {"object": {"uuid": "u", "topic": "Talk",
        "recording_files": [{"id": "1", "file_type": "MP4", "download_url": "https://zoom.example/1"}]}}},
    "daily": {"type": "recording.ready-to-download",
        "payload": {"recording_id": "r", "room_name": "a", "s3_key": "a.mp4"}},
    "livekit": {"event": "egress_ended", "egressInfo": {"egressId": "E", "roomName": "a", "status": "EGRESS_COMPLETE",
        "fileResults": [{"filename": "a.mp4", "location": "s3://b/a.mp4"}]}},
}
# fmt: on
_NAMES = "2026-11-28/12/front/00.07.mp4\n9999-12-31/23/back/59.59.mp4\nfront/x.mp4\n2026-02-30/24/a/60.61.mp4\n1.ts"
_PATTERNS = [
    NamePattern("%Y-%m-%d/%H/{camera}/%M.%S.mp4"),
    NamePattern("%Y-%m-%d/%H/{camera}/%M.%S.mp4", timezone="Europe/Berlin", day=date(2026, 10, 25), camera="front"),
    NamePattern("*{n}.ts".replace("*", "*-")),
    NamePattern("{camera}_%s.mp4"),
]


_SOURCES: tuple[Source, ...] = (
    GenericEvents("s"),
    S3Events("s", Place("b", "")),
    ZoomEvents("s"),
    DailyEvents("c2VjcmV0", Place("b", ""), api_key="k", api_url="https://daily.example"),
    LiveKitEvents("k", "s", Place("b", "")),
)


@dataclass(frozen=True)
class Target:
    """One kind of document: texts to mutate, and the function that reads one or raises ClipEngineError."""

    seeds: Sequence[str]
    read: Callable[[bytes], object]


def _document(document: Document[Any], **values: Any) -> Callable[[bytes], object]:
    """Return a function that reads a document, and carries what it says out of a child."""

    def read(data: bytes) -> object:
        found = document.parse(data, **values)
        assert document.unpack(document.pack(found), **values) == found, "a child would return something else"
        return found

    return read


def _read_events(data: bytes) -> object:
    """Read the body as an event of each source. Raises the error of the first one if none can read it."""
    request = Request({}, data, without_nul(parse_json(data)), 0.0)
    refused: list[ClipEngineError] = []
    for source in _SOURCES:
        try:
            source.read(request)
        except ClipEngineError as error:
            refused.append(error)
    if len(refused) == len(_SOURCES):
        raise refused[0]
    return refused


def _read_jibri(data: bytes) -> object:
    try:
        return _Metadata.model_validate_json(data)
    except ValidationError:
        return None  # it is ignored


def _read_names(data: bytes) -> object:
    names = data.decode(errors="replace").split("\n")
    return [(each.group_of(name), each.match(name)) for each in _PATTERNS for name in names]


def _written(kind: Any) -> str:
    return format_ranges(kind, _RANGES, _SOURCE)


def _indented(value: object) -> str:
    return json.dumps(value, indent=0)


TARGETS: dict[str, Target] = {
    "csv": Target([_written("csv"), "1.5;2,5;Goal\n"], _document(RANGE_FILE, **_TIMES)),
    "losslesscut": Target([_written("losslesscut")], _document(RANGE_FILE, **_TIMES)),
    "edl": Target([_written("edl"), "1 2 0\n5.5 6 1\n8 9 3\n"], _document(RANGE_FILE, **_TIMES)),
    "otio": Target([_written("otio")], _document(RANGE_FILE, **_TIMES)),
    "vtt": Target([_VTT], _document(TRANSCRIPT, kind="vtt")),
    "srt": Target([_SRT], _document(TRANSCRIPT, kind="srt")),
    "json": Target([_indented([_CUE, _CUE | {"end_seconds": 3, "words": []}])], _document(JSON_CUES)),
    "segmented": Target(
        ["WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000" + _VTT.removeprefix("WEBVTT")],
        lambda data: _document(SEGMENTED_TEXT)(join_segments([TextSegment(data, Fraction(1, 3), Fraction(4))])),
    ),
    "spoken": Target([_indented(_ANSWER)], _document(SPOKEN, seconds=30.0)),
    "agora": Target([_AGORA], _document(PLAYLIST, **_PLACE)),
    "playlists": Target(playlists.SEEDS, _document(PLAYLIST, **_PLACE)),
    "jibri": Target([_indented(_JIBRI)], _read_jibri),
    "events": Target([_indented(each) for each in _EVENTS.values()], _read_events),
    "names": Target([_NAMES], _read_names),
}
assert set(FORMATS) >= {"csv", "losslesscut", "edl", "otio"}


def mutants(kind: str, count: int, seed: int) -> Iterator[bytes]:
    """Yield mutated documents; the same seed gives the same ones."""
    for number in range(count):
        random = Random(f"{kind} {seed} {number}")
        repeated = (1, 2, 5, 20, 50) if random.random() < 0.98 else (2000,)
        yield mutated(random, TARGETS[kind].seeds, _TEXTS, repeated=repeated)


def outcome(kind: str, data: bytes) -> str:
    """Return `read`, or the code with which the document is refused."""
    try:
        TARGETS[kind].read(data)
    except ClipEngineError as error:
        return error.code
    return "read"


def fuzz(count: int, seed: int, only: str = "") -> int:
    """Print the outcomes of the mutants of each kind, and return 1 if one exceeds the budget.

    An exception without a code ends the program.
    """
    failed = False
    for kind in [only] if only else TARGETS:
        outcomes: Counter[str] = Counter()
        slowest, largest = 0.0, 0
        for data in mutants(kind, count, seed):
            began = time.thread_time()
            outcomes[outcome(kind, data)] += 1
            slowest, largest = max(slowest, time.thread_time() - began), max(largest, len(data))
        memory = peak_mebibytes()
        failed = failed or slowest > MAX_CPU_SECONDS or memory > MAX_MEMORY_MIB
        print(
            f"{kind}: {count} inputs of at most {largest >> 10} KiB, the slowest in {slowest:.3f} s of CPU, "
            f"{memory:.0f} MiB: {dict(outcomes.most_common())}",
            flush=True,
        )
    return int(failed)
