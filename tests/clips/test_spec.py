"""Specs of clips as they are stored, of this version and of others."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from clipengine.clips.edit import Part
from clipengine.clips.options.caption_style import CaptionStyle
from clipengine.clips.options.output import Output
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import KeptRange, Without
from clipengine.clips.spec import ClipSpec, spec_values

ALL: dict[str, Any] = {
    "label": "goal",
    "start_seconds": 1.5,
    "end_seconds": 3.0,
    "profile": "small",
    "metadata": {"a": "b"},
    "tags": ["x"],
    "priority": 3,
    "webhook_url": "https://example.org/",
    "poster": False,
    "render": "smart",
    "output": Output(speed=2),
    "subtitles": "burn",
    "subtitle_language": "en",
    "caption_style": CaptionStyle(name="word"),
    "expires_at": 1,
    "request_id": "req_1",
    "traceparent": "00-1",
    "parts": (Part("rec_1", 1.5, 2.0), Part("rec_2", 2.5, 3.0)),
    "start_time": 2,
    "end_time": 3,
    "warnings": ("stream_dropped: x",),
    "snap": Snap(to="scene"),
    "without": Without(("silence",), (KeptRange(start_seconds=1, end_seconds=2),)),
    "wait_until": 4,
    "on_timeout": "clamp",
    "variant_of": "clip_1",
    "created_by": "key_1",
}


def test_spec_is_read_as_it_was_stored() -> None:
    spec = ClipSpec(**ALL)
    plain = ClipSpec("goal", 1.5, 3.0)
    assert all(getattr(spec, each.name) != getattr(plain, each.name) for each in fields(ClipSpec)[3:])
    for each in (spec, plain):
        stored = json.loads(json.dumps(each.to_stored()))
        values, unread = spec_values(stored)
        assert (ClipSpec(**values), unread) == (each, ())


def test_spec_of_another_version_has_defaults_and_no_unknown_fields() -> None:
    stored = {"label": "goal", "start_seconds": 1.5, "end_seconds": 3.0, "of_a_later_version": 1}
    values, _ = spec_values(stored)
    assert ClipSpec(**values) == ClipSpec("goal", 1.5, 3.0)


def test_option_that_cannot_be_read_is_named_and_has_its_default() -> None:
    stored = ClipSpec(**ALL).to_stored() | {"output": {"focus": [{"planet": "Mars"}]}, "without": [{"keep": [1]}]}
    values, unread = spec_values(stored)
    assert unread == ("output", "without")
    assert ClipSpec(**values).output is None
    assert ClipSpec(**values).snap == ALL["snap"]
