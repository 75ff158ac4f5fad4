"""Framing of clips: what the picture of a clip would show, known without reading the recording, and watermarks."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from clipengine.api.http.operation import Answer, Call, Operation, json_response, page_response
from clipengine.api.http.requests.fields import NoBody, NoQuery
from clipengine.api.http.requests.previews import FrameClip
from clipengine.api.routes.clip_requests import recording_of_path
from clipengine.clips.options.framing import Framing, Size, covering_pixels, region_path, upright_framing
from clipengine.clips.options.output import AnyBox, MovingBox, Output, RecordingTime
from clipengine.clips.options.watermarks import check_watermark, png_size
from clipengine.clips.resolve import ClipSource
from clipengine.errors import (
    InvalidRequest,
    NoMediaInRange,
    RecordingNotComplete,
    RecordingNotFound,
    UnknownWatermark,
    located,
)
from clipengine.objects.preview import BlurObject, FramingObject, WatermarkPlaceObject
from clipengine.objects.profile import WatermarkObject
from clipengine.work.children.watermarks import read_watermark


def frame_clip(call: Call[NoQuery, FrameClip]) -> Response:
    video = ClipSource(recording_of_path(call)).facts.video
    if video is None:
        raise NoMediaInRange("the recording has no video", hint="Only a picture has a framing.")
    output = call.body.output
    size, found = upright_framing(video, output)
    picture = {"recording": size._asdict(), "region": found.region._asdict(), "inner": found.inner._asdict()}
    moves = [{"at_seconds": round(time, 6), **region._asdict()} for time, region in region_path(video, output)]
    drawn = {
        "path": moves,
        "blur": [_blurred(box, size) for box in output.blur or ()],
        "watermark": _watermark(call, output, found),
        "fade_seconds": output.fade_seconds,
    }
    return json_response(picture | found.canvas._asdict() | drawn)


def _blurred(box: AnyBox, size: Size) -> BlurObject:
    places = [(each.time, each) for each in box.box] if isinstance(box, MovingBox) else [(0.0, box)]
    path: Any = [{"at_seconds": at, **covering_pixels(region, *size)._asdict()} for at, region in places]
    is_recorded = isinstance(box, MovingBox) and isinstance(box.box[0], RecordingTime)
    return {
        "from_seconds": box.from_seconds,
        "to_seconds": box.to_seconds,
        "times_of": "recording" if is_recorded else "clip",
        "path": path,
    }


def _watermark(call: Call[NoQuery, FrameClip], output: Output, found: Framing) -> WatermarkPlaceObject | None:
    watermarks = call.engine.settings.watermarks
    with located(pointer="/output/watermark"):
        check_watermark(output, watermarks)
    if output.watermark is None:
        return None
    file = read_watermark(output.watermark, watermarks[output.watermark])
    box = file.watermark.box(png_size(file.png), found.canvas, found.sample_aspect_ratio)
    opacity = file.watermark.opacity
    return WatermarkPlaceObject(
        name=output.watermark, opacity=opacity, x=box.x, y=box.y, width=box.width, height=box.height
    )


def list_watermarks(call: Call[NoQuery, NoBody]) -> Response:
    watermarks = sorted(call.engine.settings.watermarks.items())
    return page_response(call, [WatermarkObject(name, watermark.position) for name, watermark in watermarks], None)


def get_watermark(call: Call[NoQuery, NoBody]) -> Response:
    name, watermarks = call.path("name"), call.engine.settings.watermarks
    if name not in watermarks:
        raise UnknownWatermark(f"There is no watermark {name[:60]!r}")
    png = read_watermark(name, watermarks[name]).png
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/framing",
        "read",
        frame_clip,
        "Get the part of the picture that a clip would show, and its size",
        [Answer(200, "The part in pixels of the upright picture, and the size of the clip.", FramingObject)],
        (RecordingNotFound, RecordingNotComplete, InvalidRequest, NoMediaInRange, UnknownWatermark),
        body=FrameClip,
    ),
    Operation(
        "GET",
        "/v1/watermarks",
        "read",
        list_watermarks,
        "List watermarks",
        [Answer(200, "Every watermark of the settings, by name.", WatermarkObject, page=True)],
    ),
    Operation(
        "GET",
        "/v1/watermarks/{name}",
        "read",
        get_watermark,
        "Get the picture of a watermark",
        [Answer(200, "The PNG file of the settings.", media_type="image/png")],
        (UnknownWatermark,),
    ),
]
