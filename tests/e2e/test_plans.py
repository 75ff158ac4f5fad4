"""Plans beside the clips of the same requests, on a real server: both are prepared by the same code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clipengine.client import Client
from tests.films.catalogue import Shelf
from tests.support.selection import cases

CUES: list[tuple[float, list[tuple[float, str]]]] = [
    (1.8, [(0.5, "so"), (0.9, "um"), (1.2, "we"), (1.5, "begin.")]),
    (5.1, [(3.3, "The"), (3.6, "next"), (4.0, "uh"), (4.4, "thing"), (4.8, "is.")]),
    (6.9, [(5.4, "Then"), (5.8, "we"), (6.2, "um"), (6.6, "stop.")]),
    (10.9, [(9.7, "At"), (10.1, "last."), (10.6, "End")]),
]
SMART, AUTO = {"render": "smart"}, {"render": "auto"}
QUIET, FILLERS = {"without": ["silence"]}, {"without": ["silence", "fillers"]}
BURN = {"subtitles": {"mode": "burn", "language": "en"}}
Span = tuple[str, float, float]


def _case(*spans: Span, **options: Any) -> tuple[tuple[Span, ...], dict[str, Any]]:
    return spans, options


def _fades(seconds: float, **options: Any) -> dict[str, Any]:
    return {"output": {"fade_seconds": seconds, **options}}


TYPICAL = {
    "smart": _case(("mp4_bframes", 1.01, 5.3), **SMART),
    "snapped smart": _case(("moments", 1.7, 5.9), snap={"to": "keyframe"}, **SMART),
    "nothing to snap to": _case(("moments", 1.5, 2.5), snap={"to": "scene", "within_seconds": 0.2}),
    "sentence without silence": _case(("moments", 1.7, 10.8), snap={"to": "sentence"}, **QUIET),
    "without fillers, faster": _case(("moments", 0.3, 11.5), **FILLERS, output={"speed": 1.5}),
    "without silence, set rate": _case(("moments", 0.3, 11.5), **QUIET, output={"fps": 10}),
    "burnt in": _case(("moments", 0.3, 6.5), **BURN, **SMART),
    "parts, the second late": _case(("mp4_25", 1.0, 1.55), ("live_video_late", 0.2, 3.0)),
    "parts of two encoders": _case(("mp4_bframes", 1.0, 5.0), ("mp4_25", 1.0, 2.0), **SMART),
    "gap of the audio": _case(("audio_gap_mp4", 0.2, 5.5)),
    "smart, ends in a GOP": _case(("ts_bframes", 1.01, 5.1), **SMART),
    "audio first": _case(("audio_only_m4a", 1.0, 2.0), ("mp4_25", 1.0, 1.55)),
}
OTHERS = {
    "plain": _case(("mp4_25", 1.01, 4.37)),
    "past the end": _case(("mp4_25", 1.01, 6.4)),
    "auto": _case(("mp4_bframes", 1.7, 3.1), **AUTO),
    "auto, burnt in": _case(("moments", 0.5, 6.5), **AUTO, **BURN),
    "smart, sizes change": _case(("size_changes_ts", 0.5, 5.5), **SMART),
    "smart, fades": _case(("mp4_bframes", 1.01, 5.3), **SMART, **_fades(0.5)),
    "smart, clock jumps": _case(("ts_jumps_back", 1.0, 5.0), **SMART),
    "smart, one keyframe": _case(("mp4_one_keyframe", 1.0, 5.3), **SMART),
    "slides": _case(("one_frame_a_second", 2.3, 8.7)),
    "slides fade": _case(("one_frame_a_second", 2.3, 8.7), **_fades(0.5)),
    "still fades": _case(("still_with_sound", 1.0, 4.0), **_fades(0.5)),
    "rotated and padded": _case(("rotated_90", 1.0, 3.0), output={"size": {"width": 120, "height": 120}, "fit": "pad"}),
    "hdr": _case(("hdr_pq", 0.5, 2.5)),
    "interlaced": _case(("interlaced_h264", 0.5, 3.5)),
    "surround": _case(("audio_51", 0.5, 3.5)),
    "mute without sound": _case(("video_only_mp4", 0.5, 3.0), output={"mute": [[0.1, 0.4]]}),
    "timelapse": _case(("mp4_gop_10s", 0.3, 11), output={"to_seconds": 2}),
    "snapped silence": _case(("moments", 1.7, 6.8), snap={"to": "silence"}),
    "snapped sentence": _case(("moments", 0.7, 5.2), snap={"to": "sentence"}),
    "snapped parts": _case(("moments", 1.7, 3.9), ("mp4_25", 1.1, 3.3), snap={"to": "keyframe"}, **SMART),
    "without silence, smart": _case(("moments", 0.3, 11.5), **QUIET, **SMART),
    "without silence, fades": _case(("moments", 0.3, 11.5), **QUIET, **_fades(0.4)),
    "without silence, parts": _case(("moments", 0.3, 6.5), ("moments", 6.5, 11.5), **QUIET),
    "without silence, burnt in": _case(("moments", 0.3, 11.5), **QUIET, **BURN),
    "without silence past the end": _case(("moments", 0.3, 12.7), **QUIET),
    "one language": _case(("moments", 0.3, 6.5), subtitles={"mode": "keep", "language": "en"}),
    "no subtitles": _case(("moments", 0.3, 6.5), subtitles={"mode": "none"}),
    "parts without video": _case(("mp4_25", 1.0, 1.55), ("audio_only_m4a", 1.0, 2.0), ("mp4_25", 2.0, 2.25)),
    "late part, smart": _case(("mp4_25", 1.0, 5.55), ("edit_empty_video_late", 0.2, 5.0), **SMART),
    "late part, set rate": _case(("mp4_25", 1.0, 1.55), ("live_video_late", 0.2, 3.0), output={"fps": 10}),
    "parts, set rate": _case(("mp4_25", 1.0, 1.33), ("one_frame_a_second", 2.0, 4.6), output={"fps": 10}),
    "variable rate": _case(("mp4_vfr_jitter", 0.7, 5.3), **SMART),
    "variable rate with gaps": _case(("mp4_vfr_gaps", 0.7, 5.3), **SMART),
    "pauses": _case(("webm_live_pauses", 1.0, 5.0)),
    "long still": _case(("mp4_vfr_still", 0.5, 12.3)),
    "gap of a transport stream": _case(("ts_gap", 0.5, 8.5)),
    "lost packets of audio": _case(("audio_lost_packets", 0.5, 4.5)),
    "smart, begins before its first frame": _case(("ts_bframes", 0.0, 4.8), **SMART),
    "smart, keyframes out of place": _case(("mkv_lying_cues", 1.0, 5.3), **SMART),
    "smart, parts": _case(("mp4_bframes", 3.2, 5.0), ("mp4_bframes", 1.0, 2.0), **SMART),
    "smart, too many bytes": _case(("mp4_bframes", 1.01, 5.3), **SMART, output={"max_bytes": 90000}),
    "dropped frames": _case(("avi_dropped_frames", 0.5, 4.5)),
    "same frame twice": _case(*[("mp4_bframes", 1.6, 1.64)] * 2, ("mp4_bframes", 3.2, 5.0), **SMART),
}


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Shelf:
    folder = tmp_path_factory.getbasetemp()
    return Shelf(folder if worker_id == "master" else folder.parent)


@pytest.fixture(scope="module")
def ids(client: Client, moments_id: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the recordings that were uploaded, by the names of their films."""
    cues = [
        {"start_seconds": words[0][0], "end_seconds": end, "text": " ".join(word for _, word in words)}
        | {"words": [[at, at + 0.25, word] for at, word in words]}
        for end, words in CUES
    ]
    client.transcripts.put(moments_id, "en", cues)
    return {"moments": moments_id}


def _id_of(client: Client, ids: dict[str, str], path: Path, name: str) -> str:
    if name not in ids:
        made = client.recordings.upload(path)
        ids[name] = client.recordings.wait(made.recording_id, timeout=300).recording_id
    return ids[name]


@pytest.mark.parametrize("name", cases([*TYPICAL, *OTHERS], [*TYPICAL]))
def test_clip_is_what_its_plan_says(client: Client, ids: dict[str, str], shelf: Shelf, name: str) -> None:
    spans, options = (TYPICAL | OTHERS)[name]
    parts = [
        {
            "recording_id": ids.get(film) or _id_of(client, ids, shelf.get(film).path, film),
            "start_seconds": start,
            "end_seconds": end,
        }
        for film, start, end in spans
    ]
    id, fields = parts[0]["recording_id"], {"parts": parts, **options}
    plan = client.clips.plan(id, **fields)
    clip = client.clips.wait(client.clips.create(id, name, **fields).clip_id, timeout=300)
    assert clip.result is not None, clip.error
    made = clip.result
    values = ("actual_start_seconds", "actual_end_seconds", "duration_seconds", "width", "height", "frames")
    assert [getattr(plan, each) for each in values] == [getattr(made, each) for each in values]
    assert plan.frames_exact
    assert sorted(plan.warnings) == sorted(made.warnings)
    assert plan.snapped == [vars(cut) for cut in made.snapped]
    removed = sum(each["end_seconds"] - each["start_seconds"] for each in plan.removed)
    assert removed == pytest.approx(made.removed_seconds, abs=1e-4)
    copied = [each for each in plan.segments if each["kind"] == "copy"]
    assert ("smart" if copied else "encode") == made.render
    assert sum(each["end_seconds"] - each["start_seconds"] for each in copied) == pytest.approx(
        made.copied_seconds, abs=1e-4
    )
