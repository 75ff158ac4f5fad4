"""Documents that children parse: the same results and errors as in the engine, and nothing else from a child."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from clipengine.api.http.json_cues import JSON_CUES
from clipengine.api.parser import DOCUMENTS
from clipengine.basis.documents import Document
from clipengine.clips.ranges.formats import FORMATS
from clipengine.clips.ranges.range_documents import RANGE_FILE, RANGE_LIST, range_list, source_values
from clipengine.clips.ranges.range_file import RangeSource
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.segmented import TextSegment, join_segments
from clipengine.clips.texts.text_documents import SEGMENTED_TEXT, SPOKEN, TRANSCRIPT
from clipengine.clips.transcript_searches import SENTENCES, SUGGESTIONS, sentence_search, suggestion_search
from clipengine.errors import ClipEngineError, DecoderCrashed, RateLimited
from clipengine.limits.shares import LIMITS
from clipengine.recordings.facts import ChapterFacts
from clipengine.recordings.packed_playlist import PLAYLIST
from clipengine.work.children.pool import ChildPool
from clipengine.work.documents import Documents, unpacked

VTT = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>one\n\n00:02.000 --> 00:03.000\ntwo &amp; three\nlines\n"
MAP = 'URI="init.mp4",BYTERANGE="900@0"'
MEDIA = (
    f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:{MAP}\n"
    "#EXT-X-PROGRAM-DATE-TIME:2026-11-28T10:00:00Z\n#EXTINF:4.004,\n#EXT-X-BYTERANGE:100@900\na.mp4\n"
    "#EXTINF:4.004,\n#EXT-X-BYTERANGE:50\na.mp4\n#EXT-X-DISCONTINUITY\n#EXT-X-GAP\n#EXTINF:1,\nsub/b%20\u00e9.ts\n"
    '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:1,\nc.ts\n#EXT-X-ENDLIST\n'
)
MASTER = (
    '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",LANGUAGE="de",URI="a.m3u8"\n'
    '#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=640x360,AUDIO="a"\nv.m3u8\n'
)
PLACE = {"key": "show/index.m3u8", "folder": "show/", "base_url": "", "segments": (100, 100, "the recording")}
SOURCE = source_values(RangeSource("Talk", "a.mp4", Fraction(60), Fraction(30000, 1001), 640, 360, 2, 48_000))
TIMES = {"duration": "60", "rate": "30000/1001", "first_frame": "1/30"}
SEGMENTS = [TextSegment(VTT.encode(), Fraction(1, 3), Fraction(0)), TextSegment(b"", Fraction(0), Fraction(4))]
WORD = {"word": "one", "start": 0.0, "end": 0.5}
ANSWER = {"language": "english", "segments": [{"start": 0.0, "end": 1.0, "text": "one", "words": [WORD]}]}
CUES = [{"start_seconds": 1, "end_seconds": 2, "text": "one", "speaker": "Ann", "words": [[1, 1.5, "one"]]}]
SENTENCE = [Cue(each, each + 20_000, "What is the price of it, then?", "Ann") for each in (0, 20_000)]
MOMENTS = suggestion_search(
    SENTENCE,
    duration_ms=30_000,
    language="en",
    chapters=[ChapterFacts(start=Fraction(1, 3), end=Fraction(9), title="A, b")],
    keywords=["price*"],
    limit=3,
)

GIVEN: list[tuple[Document[Any], bytes, dict[str, Any]]] = [
    (PLAYLIST, MEDIA.encode(), PLACE),
    (PLAYLIST, MASTER.encode(), PLACE),
    (RANGE_FILE, b"label,start,end,colour\nGoal,1.5,2.25,red\n,3,4,\n", TIMES),
    *((RANGE_LIST, range_list([(1.0, 2.5, "Goal \u00e9")]), {"kind": kind, "source": SOURCE}) for kind in FORMATS),
    (TRANSCRIPT, VTT.encode(), {"kind": "vtt"}),
    (JSON_CUES, json.dumps(CUES).encode(), {}),
    (SEGMENTED_TEXT, join_segments(SEGMENTS), {}),
    (SPOKEN, json.dumps(ANSWER).encode(), {"seconds": 10.0}),
    (SUGGESTIONS, MOMENTS.data, {}),
    (SENTENCES, sentence_search(SENTENCE, ["nobody", "price*"], duration_ms=30_000).data, {}),
]


@pytest.fixture(scope="module")
def documents() -> Iterator[Documents]:
    found = Documents(ChildPool(ahead=0))
    yield found
    found.stop()


def in_child(document: Document[Any]) -> Document[Any]:
    """Return the document, of which none is small."""
    return replace(document, small_bytes=-1)


def test_child_imports_no_database_media_or_options_of_clips() -> None:
    """Each document starts a child: with them, its imports took twice the CPU time."""
    code = "import sys, clipengine.api.parser; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    unwanted = {"peewee", "psycopg", "av", "clipengine.clips.options.output", "clipengine.recordings.facts"}
    assert not unwanted.intersection(loaded.stdout.split())


def test_each_document_is_tried() -> None:
    assert {document.name for document, *_ in GIVEN} == DOCUMENTS.keys()


@pytest.mark.parametrize(("document", "data", "values"), GIVEN)
def test_result_survives_the_way_out_of_a_child(document: Document[Any], data: bytes, values: dict[str, Any]) -> None:
    parsed = document.parse(data, **values)
    assert parsed
    assert unpacked(document, document.pack(parsed), values) == parsed


@pytest.mark.parametrize(("document", "data", "values"), [GIVEN[0], GIVEN[2], GIVEN[3], *GIVEN[-6:]])
def test_child_reads_what_the_engine_reads(
    documents: Documents, document: Document[Any], data: bytes, values: dict[str, Any]
) -> None:
    assert documents.read(in_child(document), data, **values) == document.parse(data, **values)


@pytest.mark.parametrize(
    ("document", "data", "values"),
    [
        (PLAYLIST, b"#EXTM3U\n#EXTINF:nan,\na.ts\n", PLACE),
        (PLAYLIST, b"#EXTM3U\n" + b"#EXTINF:1,\na.ts\n" * 101, PLACE),
        (RANGE_FILE, b"label,start,end\nGoal,5,4\n", TIMES),
        (TRANSCRIPT, b"WEBVTT\n\n00:05.000 --> 00:02.000\nx\n", {"kind": "vtt"}),
        (JSON_CUES, json.dumps([*CUES, {"start_seconds": "x", "text": 1}]).encode(), {}),
        (JSON_CUES, b"[" * 100, {}),
        (SPOKEN, b"{}", {"seconds": 10.0}),
    ],
)
def test_child_reports_the_error_of_the_engine(
    documents: Documents, document: Document[Any], data: bytes, values: dict[str, Any]
) -> None:
    with pytest.raises(ClipEngineError) as expected:
        document.parse(data, **values)
    with pytest.raises(ClipEngineError) as caught:
        documents.read(in_child(document), data, **values)
    assert (type(caught.value), caught.value.to_object()) == (type(expected.value), expected.value.to_object())
    for name in ("errors", "omitted"):
        assert getattr(caught.value, name, None) == getattr(expected.value, name, None)


HEAD = b"[true,0,5]\n"


@pytest.mark.parametrize(
    ("document", "packed", "values"),
    [
        (PLAYLIST, b"", PLACE),
        (PLAYLIST, b"[1,0,5]", PLACE),
        (PLAYLIST, HEAD, PLACE),
        (PLAYLIST, HEAD + b"{}", PLACE),
        *(
            (PLAYLIST, HEAD + json.dumps(columns).encode(), PLACE)
            for good in [
                [["show/a.ts", 1], [0, 1], [None, 1], [None, 1], ["4/1", 1], [0, 1], [False, 1], [None, 1], [False, 1]]
            ]
            for columns in [
                good[:8],
                [["other/a.ts", 1], *good[1:]],
                [["show/../a.ts", 1], *good[1:]],
                [["show//a.ts", 1], *good[1:]],
                [["show/a\u0000.ts", 1], *good[1:]],
                [["show/index.m3u8", 1], *good[1:]],
                [["show/a.ts", 2], *good[1:]],
                [["show/a.ts", 10**9], *good[1:]],
                [good[0], [-1, 1], *good[2:]],
                [good[0], [0.5, 1], *good[2:]],
                [*good[:2], [1 << 63, 1], *good[3:]],
                [*good[:3], [["other/i.mp4", 0, None], 1], *good[4:]],
                [*good[:4], ["3601/1", 1], *good[5:]],
                [*good[:4], ["1/0", 1], *good[5:]],
                [*good[:6], [1, 1], *good[7:]],
            ]
        ),
        (PLAYLIST, b'master\n[[["other/v.m3u8",[0,0],1,null,null,null]],[]]', PLACE),
        (RANGE_FILE, b'["line",[]]\n[1,[0,1],[1,0],"x"]', TIMES),
        (RANGE_FILE, b'["line",[]]\n[1,[0,1],[1.5,1],"x"]', TIMES),
        (RANGE_FILE, b'["line",[]]\n' + b'[1,[0,1],[1,1],"x"]\n' * 5001, TIMES),
        (RANGE_LIST, b"x", {}),
        (TRANSCRIPT, b"", {}),
        (TRANSCRIPT, b'[2,1,"x",null,[]]', {}),
        (TRANSCRIPT, b'[1,2,"x",null]', {}),
        (TRANSCRIPT, json.dumps([1, 2, "x" * 2001, None, []]).encode(), {}),
        (SPOKEN, b'"' + b"x" * 100 + b'"\n', {}),
        (SUGGESTIONS, b'[0,1,"other",null,"x",0]', {}),
        (SUGGESTIONS, b'[0,1,"pause",null,"x",NaN]', {}),
        (SUGGESTIONS, b'[0,1,"pause",null,"x",0]\n' * 50, {}),
        (SENTENCES, b'[0,1e999,"x"]', {}),
    ],
)
def test_report_of_a_child_that_was_taken_over_is_refused(
    document: Document[Any], packed: bytes, values: dict[str, Any]
) -> None:
    with pytest.raises(DecoderCrashed, match="invalid report"):
        unpacked(document, packed, values)


def test_bomb_of_a_child_is_refused() -> None:
    with pytest.raises(DecoderCrashed):
        unpacked(RANGE_LIST, zlib.compress(b"\0" * (65 << 20)), {})


def test_documents_of_one_key_are_limited() -> None:
    """Row 104 of the faults: keys take turns, and one of them cannot queue any number."""

    class Never(ChildPool):
        def take(self, program: Any = "maker") -> Any:
            held.result()
            raise OSError("no child")

    held: Future[None] = Future()
    found = Documents(Never(ahead=0))
    contexts = [
        found.requested(TRANSCRIPT, b"%d" % number, {"kind": "vtt"}, owner="key")
        for number in range((LIMITS["previews of this kind"].of_caller or 0) + 2)
    ]
    try:
        for each in contexts:
            each.__enter__()
        with pytest.raises(RateLimited), found.requested(TRANSCRIPT, b"more", {"kind": "vtt"}, owner="key"):
            pass
        with found.requested(TRANSCRIPT, b"other", {"kind": "vtt"}, owner="another key"):
            pass
    finally:
        held.set_result(None)
        for each in contexts:
            each.__exit__(None, None, None)
        found.stop()
