"""Proxies of recordings: H.264 and AAC in segments, made on demand, for browsers that cannot decode the recording.

The playlist (HLS) is for players; the page appends segments to a MediaSource.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import partial

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.routes.previews import KNOWN, PREVIEW_ERRORS, complete_recording, preview_response, seek_index_of
from clipengine.clips.plan.proxy import (
    SEGMENT_SECONDS,
    content_type,
    finished_segments,
    playlist,
    proxy_segment,
    proxy_size,
    segment_count,
)
from clipengine.clips.plan.read_jobs import PROXY
from clipengine.errors import NotFound
from clipengine.objects.preview import ProxyObject
from clipengine.recordings.recording import Recording
from clipengine.recordings.seek_index import SeekIndex
from clipengine.work.previews.previews import Preview

_MP4, _PLAYLIST = "video/mp4", "application/vnd.apple.mpegurl"
_REVALIDATED = "private, no-cache"  # segments of different sizes of the picture must not be mixed
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_MARGIN_SECONDS = 2  # decoded before a segment


async def get_proxy(call: Call[NoQuery, NoBody]) -> Response:
    recording, duration = await complete_recording(call)
    facts = recording.facts
    assert facts is not None
    size = (None, None) if facts.video is None else proxy_size(facts.video, call.engine.settings.previews.proxy_lines)
    return json_response(
        ProxyObject(
            content_type=content_type(facts),
            width=size[0],
            height=size[1],
            duration_seconds=round(float(duration), 6),
            segment_seconds=SEGMENT_SECONDS,
            segments=finished_segments(duration, growing=_grows(recording)),
        ).to_object()
    )


async def get_proxy_playlist(call: Call[NoQuery, NoBody]) -> Response:
    recording, duration = await complete_recording(call)
    text = playlist(duration, growing=_grows(recording))
    return Response(text, headers={"Cache-Control": _REVALIDATED}, media_type=_PLAYLIST)


async def get_proxy_init(call: Call[NoQuery, NoBody]) -> Response:
    recording, duration = await complete_recording(call)
    segment_count(duration)  # raises an error if the recording has no proxy
    seek_index = await seek_index_of(call, recording)
    return await _segment(call, recording, "init", seek_index and seek_index.near(Fraction(0)))


async def get_proxy_segment(call: Call[NoQuery, NoBody]) -> Response:
    recording, duration = await complete_recording(call)
    number = _number(call.path("number"), finished_segments(duration, growing=_grows(recording)))
    seek_index = await seek_index_of(call, recording)
    start = max(Fraction(0), proxy_segment(duration, number).start - _MARGIN_SECONDS)
    return await _segment(call, recording, number, seek_index and seek_index.near(start))


async def _segment(
    call: Call[NoQuery, NoBody], recording: Recording, segment: str | int, seek_index: SeekIndex | None = None
) -> Response:
    values: dict[str, str | int] = {"segment": segment, "lines": call.engine.settings.previews.proxy_lines}
    preview = Preview(PROXY, recording, values, seek_index)
    return await preview_response(call, preview, _MP4, cache=_REVALIDATED)


def _grows(recording: Recording) -> bool:
    return recording.state == "recording"


def _number(text: str, count: int) -> int:
    """Return the number of a segment. Raises NotFound if it is not one of `count`."""
    if not _NUMBER.fullmatch(text) or int(text) >= count:
        raise NotFound(
            f"The proxy has no segment {text[:20]!r}: it has {count}, counted from 0",
            hint="GET /v1/recordings/{recording_id}/proxy returns their number.",
        )
    return int(text)


_operation = partial(Operation, "GET", action="read", errors=PREVIEW_ERRORS)

OPERATIONS = [
    _operation(
        "/v1/recordings/{recording_id}/proxy",
        handler=get_proxy,
        summary="Get the segments in which a recording can be played by every browser",
        answers=[Answer(200, "The media type and the number of segments. None is made yet.", ProxyObject)],
    ),
    _operation(
        "/v1/recordings/{recording_id}/proxy.m3u8",
        handler=get_proxy_playlist,
        summary="Get the playlist of a proxy",
        answers=[Answer(200, "A media playlist (HLS) of all segments.", media_type=_PLAYLIST)],
    ),
    _operation(
        "/v1/recordings/{recording_id}/proxy/init.mp4",
        handler=get_proxy_init,
        summary="Get the initialization segment of a proxy",
        answers=[Answer(200, "The beginning of a fragmented MP4 file, without media.", media_type=_MP4), KNOWN],
    ),
    _operation(
        "/v1/recordings/{recording_id}/proxy/{number}.m4s",
        handler=get_proxy_segment,
        summary="Get a segment of a proxy",
        answers=[Answer(200, "A fragment with H.264 and AAC, at the recording's times.", media_type=_MP4), KNOWN],
        errors=(*PREVIEW_ERRORS, NotFound),
        audit="recording.play",
    ),
]
