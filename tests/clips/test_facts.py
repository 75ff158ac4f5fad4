"""Limits of what a child may report of a recording: all of it can be stored, listed and calculated with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import MAX_POINTS, KeyframeIndex

VIDEO = {
    "index": 0,
    "codec": "h264",
    "width": 1920,
    "height": 1080,
    "frame_seconds": "1001/30000",
    "tick": "1/30000",
    "sample_aspect_ratio": "1",
    "variable_rate": False,
    "rotation": 90,
    "frames": 1800,
    "first_frame": "0",
}
AUDIO = {"index": 1, "codec": "aac", "channels": 2, "sample_rate": 48000, "language": "eng"}
FACTS = {
    "container": "mp4",
    "origin": "-1/30",
    "duration": "60.06",
    "video": VIDEO,
    "audio": [AUDIO],
    "warnings": ["a"],
}
LANDMARKS = {
    "tick": "1/1000",
    "shifts": ["0"],
    "head_bytes": 100,
    "exact": True,
    "offsets": [100, 200],
    "stamps": [0, 1000],
    "parts": [0, 0],
}

BEYOND: dict[str, dict[str, Any]] = {
    "a duration beyond a float": {"duration": "1" + 400 * "0"},
    "a duration of too many digits": {"duration": "1." + 41 * "0"},
    "a duration with an exponent": {"duration": "1e999999999"},
    "a duration by zero": {"duration": "1/0"},
    "no duration": {"duration": "0"},
    "a negative duration": {"duration": "-1"},
    "an infinite duration": {"duration": float("inf")},
    "a duration that is no number": {"duration": [1]},
    "a container of 1 MB": {"container": "x" * 1_000_000},
    "a lone surrogate": {"container": "\ud800"},
    "a language of 41 characters": {"audio": [{**AUDIO, "language": "x" * 41}]},
    "a codec of 81 characters": {"audio": [{**AUDIO, "codec": "x" * 81}]},
    "more tracks than a file can have": {"audio": [AUDIO] * 1001},
    "a warning of 501 characters": {"warnings": ["x" * 501]},
    "101 warnings": {"warnings": ["x"] * 101},
    "a width beyond 64 bits": {"video": {**VIDEO, "width": 1 << 64}},
    "a negative height": {"video": {**VIDEO, "height": -1}},
    "frames beyond what JavaScript counts": {"video": {**VIDEO, "frames": 1 << 53}},
    "a rotation of 45 degrees": {"video": {**VIDEO, "rotation": 45}},
    "a sample rate beyond 64 bits": {"audio": [{**AUDIO, "sample_rate": 1 << 64}]},
}


def test_facts_within_the_limits_are_stored_as_they_are() -> None:
    facts = SourceFacts.model_validate(FACTS)
    stored = json.loads(json.dumps(facts.model_dump(mode="json")))
    assert SourceFacts.model_validate(stored) == facts
    assert facts.video is not None
    assert facts.video.frame_rate == "30000/1001"


@pytest.mark.parametrize("change", BEYOND.values(), ids=BEYOND)
def test_facts_beyond_the_limits_are_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SourceFacts.model_validate({**FACTS, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": [0] * (MAX_POINTS + 1), "stamps": [0] * (MAX_POINTS + 1), "parts": [0] * (MAX_POINTS + 1)},
        {"shifts": ["0"] * (MAX_POINTS + 1)},
        {"shifts": []},
        {"shifts": ["1e9"]},
        {"offsets": [0, 1 << 63]},
        {"offsets": [0, -1]},
        {"stamps": [0, 1 << 63]},
        {"parts": [0, 1]},
        {"parts": [0]},
        {"head_bytes": -1},
    ],
    ids=lambda change: "-".join(change),
)
def test_seek_index_beyond_the_limits_is_rejected(change: dict[str, Any]) -> None:
    assert KeyframeIndex.model_validate(LANDMARKS)
    with pytest.raises(ValidationError):
        KeyframeIndex.model_validate({**LANDMARKS, **change})


def _unbounded(schema: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the places of a JSON schema that have no limit of their own."""
    limits = {
        "string": ("maxLength", "enum", "const", "format"),
        "array": ("maxItems",),
        "integer": ("maximum", "exclusiveMaximum", "enum"),
    }
    kind = schema.get("type")
    if isinstance(kind, str) and kind in limits and not any(limit in schema for limit in limits[kind]):
        yield where
    for name, part in schema.items():
        parts = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
        for inner, each in parts:
            if isinstance(each, dict):
                yield from _unbounded(each, f"{where}.{name}.{inner}")
    if isinstance(schema.get("items"), dict):
        yield from _unbounded(schema["items"], f"{where}[]")


@pytest.mark.parametrize("model", [SourceFacts, KeyframeIndex])
def test_every_text_list_and_integer_has_a_limit(model: type[SourceFacts] | type[KeyframeIndex]) -> None:
    """A new field of the facts is reported by a child, too."""
    assert sorted(set(_unbounded(model.model_json_schema(mode="validation"), model.__name__))) == []
