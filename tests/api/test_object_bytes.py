"""The bytes of the API's objects stay as they were recorded: webhooks of stored bodies are signed again when resent.

`objects.txt` has a line for each of the values below, as the release 0.2.0 shows them. Later fields are not in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, get_args

from clipengine.basis.events import EventType
from clipengine.clips.clip import Clip, ClipResult, ClipState, ClipSubtitles, QueuePlace, ResultPart, Step
from clipengine.clips.edit import Part
from clipengine.clips.options.output import Output
from clipengine.clips.options.snap import Snap, SnappedCut
from clipengine.clips.texts.cues import Cue
from clipengine.errors import EncoderFailed, RecordingTruncated, StorageUnavailable
from clipengine.ledger.clips.shares import Share
from clipengine.ledger.database.database import compact_json
from clipengine.ledger.people.keys import ApiKey
from clipengine.ledger.texts.transcripts import SearchHit, Transcript
from clipengine.ledger.webhooks.deliveries import Attempt, Delivery
from clipengine.ledger.webhooks.endpoints import Endpoint
from clipengine.objects.clip import ClipObject
from clipengine.objects.key import KeyObject
from clipengine.objects.recording import RecordingObject
from clipengine.objects.share import ShareObject
from clipengine.objects.transcript import SearchHitObject, TranscriptObject
from clipengine.objects.webhook import DeliveryObject, WebhookObject
from clipengine.recordings.facts import AudioFacts, ChapterFacts, SourceFacts, VideoFacts
from clipengine.recordings.recording import Recording

T = TypeVar("T")

_RECORDED = Path(__file__).with_name("objects.txt")
_SHOWN: dict[str, Callable[..., Any]] = {
    "clip": ClipObject.of,
    "recording": RecordingObject.of,
    "share": ShareObject.of,
    "key": KeyObject.of,
    "webhook": WebhookObject.of,
    "delivery": DeliveryObject.of,
    "transcript": TranscriptObject.of,
    "hit": SearchHitObject.of,
}
_TIMES = (1_764_000_000_000, 0, 1_764_000_000_001, 253_402_300_799_999)
_TEXTS = ("key-moment", 'Łódź "quoted" \\ /', "line\u2028break\n\t\x1f\x7f", "🎬 日本語", "</script>")
_SECONDS = (120.0, 0.0, 1e-05, 0.1, 12.345678, 1e16, 33.333333)


def _pick(number: int, values: Sequence[T]) -> T:
    """Return a value for this case. Lists of different prime lengths are combined with each other."""
    return values[number % len(values)]


def _sub(number: int, *, count: int) -> Sequence[int]:
    return range(number, number + count)


# Without later ones.
_STEPS = [each for each in get_args(Step) if each != "waiting"]
_LATER_EVENTS = ("recording.recording", "transcript.", "marker.", "rule.", "storage.")
_EVENTS = [each for each in get_args(EventType) if not each.startswith(_LATER_EVENTS)]
_OUTPUTS = (
    None,
    Output(),
    Output(speed=2.0, max_height=720),
    Output.model_validate({"aspect": "9:16", "fit": "crop", "crop": {"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.7}}),
    Output.model_validate({"blur": [{"x": 0.1, "y": 0.2, "width": 1e-05, "height": 0.25}], "mute": [[1.0, 2.5]]}),
    Output(fps=29.97, fade_seconds=0.1, max_bytes=10_000_000),
    Output(speed=0.5),
)


def _result(number: int) -> ClipResult:
    parts = [
        ResultPart("rec_2", _pick(each, _SECONDS), 12.0, 0.5 * each, _pick(each + 1, _SECONDS), 12.0)
        for each in _sub(number, count=_pick(number, (0, 1, 3)))
    ]
    return ClipResult(
        actual_start_seconds=_pick(number, _SECONDS),
        actual_end_seconds=_pick(number + 1, _SECONDS),
        duration_seconds=_pick(number + 2, _SECONDS),
        frames=number,
        width=_pick(number, (1920, None)),
        height=_pick(number, (1080, None)),
        video_codec=_pick(number, ("h264", None)),
        audio_codec=_pick(number, ("aac", None, "opus")),
        size_bytes=2**number % 10**15,
        sha256="ab" * 32,
        poster_path=_pick(number, ("relay/clips/a.jpg", None, None)),
        encode_seconds=_pick(number + 3, _SECONDS),
        bytes_read=number * 1000,
        render=_pick(number, ("encode", "smart")),
        copied_seconds=_pick(number + 4, _SECONDS),
        encoded_seconds=_pick(number + 5, _SECONDS),
        warnings=[f"gap_filled: {_pick(each, _TEXTS)}" for each in _sub(number, count=_pick(number, (0, 1, 2)))],
        subtitles=[ClipSubtitles("en", f"relay/{_pick(number, _TEXTS)}.en.vtt")] * _pick(number, (0, 1)),
        parts=parts or None,
        manifest_path=_pick(number, (None, "relay/clips/a.json", None)),
        snapped=[SnappedCut(0, "start", 1.0, _pick(number, (1.1, None)))] * _pick(number, (0, 0, 2)),
    )


def _error(number: int) -> dict[str, Any]:
    made = (EncoderFailed("no such preset"), RecordingTruncated(_pick(number, _TEXTS)), StorageUnavailable("away"))
    return _pick(number, made).to_object()


def _clip(number: int) -> Clip:
    state: ClipState = _pick(number, get_args(ClipState))
    ended = state in ("complete", "failed")
    return Clip(
        clip_id=f"clip_{number}",
        recording_id=f"rec_{number}",
        label=_pick(number, _TEXTS),
        start_seconds=_pick(number, (*_SECONDS[:5], 5)),
        end_seconds=_pick(number, (150, 1e16)),
        state=state,
        object_key=f"relay/recordings/{_pick(number, _TEXTS)}.mp4",
        created_at=_pick(number, _TIMES),
        completed_at=_pick(number, _TIMES) if ended else None,
        progress=_pick(number, (0.0, 1.0, 0.5)) if not ended else 1.0,
        step=None if ended else _pick(number, _STEPS),
        profile=_pick(number, ("default", "small")),
        priority=_pick(number, (0, -5, 10)),
        metadata=_pick(number, ({}, {"a": "b"}, {_TEXTS[1]: _TEXTS[2], "": ""})),
        attempt=number % 4,
        error=_error(number) if state == "failed" else None,
        result=_result(number) if state == "complete" else None,
        poster=_pick(number, (True, False)),
        webhook_url=_pick(number, (None, "https://example.org/hooks")),
        expires_at=_pick(number, (None, 0, 1_764_000_000_000)),
        request_id=_pick(number, (None, "req_1")),
        render=_pick(number, (None, "smart", "encode")),
        output=_pick(number, _OUTPUTS),
        subtitles=_pick(number, (None, "keep", "burn", "none")),
        subtitle_language=_pick(number, (None, "en", "pt-BR")),
        parts=tuple(Part("rec_1", _pick(each, _SECONDS), 2) for each in _sub(number, count=_pick(number, (0, 2, 0)))),
        tags=_pick(number, ([], ["board"], list(_TEXTS))),
        snap=_pick(number, (None, Snap(to="silence"), Snap(to="keyframe", within_seconds=1e-05))),
    )


def _place(number: int) -> QueuePlace | None:
    return _pick(number, (None, QueuePlace(1, None, None), QueuePlace(3, 0, 1_764_000_000_000)))


def _facts(number: int) -> SourceFacts:
    video = VideoFacts(
        index=0,
        codec="h264",
        width=1920,
        height=1080,
        frame_seconds=_pick(number, (Fraction(1001, 30000), Fraction(1, 25), Fraction(0))),
        tick=Fraction(1, 15360),
        sample_aspect_ratio=Fraction(1),
        variable_rate=_pick(number, (False, True)),
        first_frame=_pick(number, (None, Fraction(0), Fraction(1, 3))),
        rotation=_pick(number, (0, 90, 180, 270)),
    )
    tracks = [
        AudioFacts(index=each, codec="aac", channels=2, sample_rate=48000, language=_pick(each, (None, "eng")))
        for each in range(number % 3)
    ]
    chapters = [
        ChapterFacts(start=Fraction(each, 3), end=Fraction(each + 1, 3), title=_pick(each, _TEXTS))
        for each in range(_pick(number, (0, 0, 2)))
    ]
    return SourceFacts(
        container="mp4",
        origin=Fraction(0),
        duration=_pick(number, (Fraction("5400.04"), Fraction(1, 3), Fraction(7))),
        video=_pick(number, (video, video, None)),
        audio=tuple(tracks),
        chapter_list=tuple(chapters),
    )


def _recording(number: int) -> Recording:
    state = _pick(number, ("processing", "complete", "failed"))
    return Recording(
        recording_id=f"rec_{number}",
        state=state,
        bucket_path=f"relay/recordings/{_pick(number, _TEXTS)}.mp4",
        etag=_pick(number, ("", "2bc0_18f3a")),
        file_size_bytes=2**number,
        created_at=_pick(number, _TIMES),
        completed_at=None if state == "processing" else _pick(number, _TIMES),
        name=_pick(number, (None, *_TEXTS)),
        metadata=_pick(number, ({}, {"a": "b"}, {_TEXTS[1]: _TEXTS[2]})),
        facts=_facts(number) if state == "complete" else None,
        error=_error(number) if state == "failed" else None,
        tags=_pick(number, ([], ["board"])),
        expires_at=_pick(number, (None, 0, 1_764_000_000_000)),
        fetched_bytes=_pick(number, (None, 0, 734_003_200)),
        pieces=_pick(number, (None, None, {"count": 9, "runs": 2, "tracks": 1, "bytes": 10**9})),
        digest=_pick(number, (None, "sha256:ab")),
    )


def _share(number: int) -> Share:
    return Share(
        share_id=f"shr_{number}",
        clip_id="clip_1",
        created_at=_pick(number, _TIMES),
        expires_at=_pick(number, (None, 0, 1)),
        download=_pick(number, (True, False)),
        embed=_pick(number, (True, False, False)),
        views=number,
        last_viewed_at=_pick(number, (None, 0)),
    )


def _key(number: int) -> ApiKey:
    return ApiKey(
        key_id=f"key_{number}",
        name=_pick(number, _TEXTS),
        scopes=_pick(number, (("read", "write", "admin"), ("read",), ())),
        created_at=_pick(number, _TIMES),
        last_used_at=_pick(number, (None, 0)),
        revoked_at=_pick(number, (None, 0, 1)),
    )


def _endpoint(number: int) -> Endpoint:
    return Endpoint(
        webhook_id=f"whk_{number}",
        url=f"https://example.org/{number}",
        events=list(_EVENTS[: number % 8]),
        secret="whsec_secret",
        previous_secret=None,
        previous_until=None,
        enabled=_pick(number, (True, False)),
        origin=_pick(number, ("api", "settings", "api")),
        created_at=_pick(number, _TIMES),
        disabled_reason=_pick(number, (None, _TEXTS[1])),
        failing_since=_pick(number, (None, 0, 1)),
        format=_pick(number, ("json", "slack", "discord", "json", "json")),
    )


def _delivery(number: int) -> Delivery:
    data = _pick(number, ({"label": _TEXTS[1]}, {"name": "", "bucket_path": "a.mp4"}, {"url": "https://example.org"}))
    return Delivery(
        delivery_id=f"dlv_{number}",
        event_id=f"evt_{number}",
        event_type=_pick(number, _EVENTS),
        clip_id=_pick(number, (None, "clip_1")),
        recording_id=_pick(number, (None, "rec_1", None)),
        endpoint_id=_pick(number, ("whk_1", None)),
        url="https://example.org/hooks?token=x",
        target="example.org",
        secrets=[],
        body=_pick(number, (compact_json({"data": data}).encode(), b"", compact_json({"data": data}).encode())),
        attempt=number,
        status=_pick(number, ("pending", "sending", "delivered", "failed")),
        created_at=_pick(number, _TIMES),
        next_at=_pick(number, (None, 0, 1)),
        last_status_code=_pick(number, (None, 500)),
        last_error=_pick(number, (None, _TEXTS[2])),
        owner=None,
        lease=0,
        request_id=None,
        traceparent=None,
    )


def _attempts(number: int) -> list[Attempt]:
    outcome = _pick(number, ("delivered", "retry", "failed"))
    return [
        Attempt(each, _pick(each, _TIMES), outcome, _pick(each, (None, 204)), _pick(each, (None, "timeout")), each * 7)
        for each in range(number % 4)
    ]


def _transcript(number: int) -> Transcript:
    source = _pick(number, ("upload", "sidecar", "embedded"))
    return Transcript(f"trn_{number}", "rec_1", _pick(number, ("en", "pt-BR")), source, number, _pick(number, _TIMES))


def _hit(number: int) -> SearchHit:
    cue = Cue(number * 333, number * 1000 + 1, _pick(number, _TEXTS), _pick(number, (None, "Ana")))
    return SearchHit("rec_1", "en", cue, _pick(number, ([], [[0, 3]], [[0, 1], [2, 3]])))


def values() -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the kind of an object and what it is made of."""
    for number in range(105):
        yield "clip", (_clip(number), _place(number))
    for number in range(30):
        yield "recording", (_recording(number),)
    for number in range(20):
        yield "webhook", (_endpoint(number),)
        yield "delivery", (_delivery(number), _attempts(number))
        yield "share", (_share(number),)
        yield "key", (_key(number),)
        yield "transcript", (_transcript(number),)
        yield "hit", (_hit(number),)


def test_objects_have_the_recorded_bytes() -> None:
    recorded = _RECORDED.read_text("utf-8").removesuffix("\n").split("\n")
    for line, (kind, made) in zip(recorded, values(), strict=True):
        known = json.loads(line.partition(" ")[2])
        shown = _SHOWN[kind](*made).to_object()
        assert f"{kind} {compact_json(_known(shown, known))}" == line


def _known(shown: Any, known: Any) -> Any:
    """Return the value without the keys that it has been given since the bytes were recorded."""
    if isinstance(shown, dict) and isinstance(known, dict):
        return {name: _known(shown[name], known[name]) for name in shown if name in known}
    return shown
