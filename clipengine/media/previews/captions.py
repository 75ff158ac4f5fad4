"""Captions of a recording, painted as a clip of it would show them: the job of the program `media.worker.burner`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import clipengine.clips.texts.caption_pages  # noqa: F401 - captions import it late, which the sandbox would prevent
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.framing import Size
from clipengine.clips.texts.subtitles import TextTrack, unpack
from clipengine.media.input.read_request import ReadRequest
from clipengine.media.video.caption_painter import read_fonts
from clipengine.media.video.captions import Captions

_MAX_IMAGES = 200
_MAX_BYTES = 8 << 20  # of the images, as Base64
_MAX_CUES = 2 * _MAX_IMAGES  # that are laid out, and their characters; cues that begin together count as one more
_MAX_CHARACTERS = 20_000


def read_captions(request: ReadRequest) -> bytes:
    """Return JSON with a picture for each time of the range in which the same captions are shown.

    The list ends earlier if there are too many cues. Times are in seconds of the recording. Raises FontsMissing.
    """
    start, end = request.range
    values = request.values
    warnings: list[str] = json.loads(values["warnings"])
    width, height = int(values["width"]), int(values["height"])
    fonts = read_fonts(values["fonts"], request.descriptors)
    found: list[dict[str, Any]] = []
    for whole in unpack(values["track"]):
        track, end = _within_limits(whole, start, end)
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
        warnings += captions.warnings()
    return json.dumps(
        {"start_seconds": float(start), "end_seconds": float(end), "width": width, "height": height, "captions": found}
        | {"warnings": warnings},
        separators=(",", ":"),
    ).encode()


def _within_limits(track: TextTrack, start: Fraction, end: Fraction) -> tuple[TextTrack, Fraction]:
    """Return the first cues of the track, and the end of the range in which no others are shown."""
    characters = 0
    for number, cue in enumerate(track.cues):
        begins = Fraction(cue.start_ms, 1000)
        is_new = number > 0 and cue.start_ms > track.cues[number - 1].start_ms
        if is_new and begins > start and (number >= _MAX_CUES or characters > _MAX_CHARACTERS):
            return replace(track, cues=track.cues[:number]), min(begins, end)
        characters += len(cue.text)
    return track, end


def _painted(captions: Captions, start: Fraction, end: Fraction) -> Iterator[dict[str, Any]]:
    edges = sorted({start, *captions.changes(start, end), end})
    for first, last in pairwise(edges):
        shown = captions.shown(first)
        painted = captions.paint(shown) if shown else None
        if painted is not None:
            times = {"start_seconds": float(first), "end_seconds": float(last)}
            image = base64.b64encode(painted.png()).decode()
            yield {**times, **captions.place(painted)._asdict(), "image": f"data:image/png;base64,{image}"}
