"""Framing of clips: the part of the recording's picture that a clip would show, known without reading the recording."""

from __future__ import annotations

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response
from clipengine.api.http.requests import FrameClip, NoQuery
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.clips.options.framing import upright_framing
from clipengine.clips.resolve import ClipSource
from clipengine.errors import InvalidRequest, NoMediaInRange, RecordingNotComplete, RecordingNotFound
from clipengine.objects.preview import FramingObject


def frame_clip(call: Call[NoQuery, FrameClip]) -> Response:
    video = ClipSource(recording_of_path(call)).facts.video
    if video is None:
        raise NoMediaInRange("the recording has no video", hint="Only a picture has a framing.")
    size, found = upright_framing(video, call.body.output)
    picture = {"recording": size._asdict(), "region": found.region._asdict(), "inner": found.inner._asdict()}
    return json_response(picture | found.canvas._asdict())


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/framing",
        "read",
        frame_clip,
        "Get the part of the picture that a clip would show, and its size",
        [Answer(200, "The part in pixels of the upright picture, and the size of the clip.", FramingObject)],
        (RecordingNotFound, RecordingNotComplete, InvalidRequest, NoMediaInRange),
        body=FrameClip,
    )
]
