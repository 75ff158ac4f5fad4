"""Captions of a recording, painted as a clip of it would show them: the job of the program `media.worker.burner`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import clipengine.clips.texts.caption_pages  # noqa: F401 - captions import it late, which the sandbox would prevent
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.framing import Size
from clipengine.clips.texts.subtitles import unpack
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.video.caption_painter import read_fonts
from clipengine.media.video.captions import Captions

_MAX_IMAGES = 200
_MAX_BYTES = 8 << 20  # of the images, as Base64


def read_captions(request: ReadRequest) -> bytes:
    """Return JSON with a picture for each time of the range in which the same captions are shown.

    It ends earlier if there are too many. The times are those of the recording. Raises FontsMissing.
    """
    start, end = request.range
    values = request.values
    width, height = int(values["width"]), int(values["height"])
    fonts = read_fonts(values["fonts"], request.descriptors)
    found: list[dict[str, Any]] = []
    for track in unpack(values["track"]):
        captions = Captions(
            track,
            fonts,
            Fraction(0),
            Fraction(1),
            canvas=Size(width, height),
            sample_aspect_ratio=request.seconds("ratio"),
            style=CaptionStyle.model_validate_json(values["style"]) if values["style"] else None,
        )
        size = 0
        for each in _painted(captions, start, end):
            size += len(each["image"])
            if len(found) == _MAX_IMAGES or size > _MAX_BYTES:
                end = Fraction(str(each["start_seconds"]))
                break
            found.append(each)
    return json.dumps(
        {"start_seconds": float(start), "end_seconds": float(end), "width": width, "height": height, "captions": found},
        separators=(",", ":"),
    ).encode()


def _painted(captions: Captions, start: Fraction, end: Fraction) -> Iterator[dict[str, Any]]:
    edges = sorted({start, *captions.changes(start, end), end})
    for first, last in pairwise(edges):
        shown = captions.shown(first)
        painted = captions.paint(shown) if shown else None
        if painted is not None:
            times = {"start_seconds": float(first), "end_seconds": float(last)}
            image = base64.b64encode(painted.png()).decode()
            yield {**times, **captions.place(painted)._asdict(), "image": f"data:image/png;base64,{image}"}
