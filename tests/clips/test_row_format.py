"""Options of a request that the release before does not know are declared in `SINCE`."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from typing import Any

from clipengine.api.http.requests.clips import CreateClip
from clipengine.basis.row_format import FIRST_FORMAT, ROW_FORMAT
from clipengine.clips.spec import SINCE
from tests.support.past_release import ARCHIVES


def options(schema: dict[str, Any], document: dict[str, Any], path: str = "") -> Iterator[str]:
    """Yield the places of all options of a schema: `output.focus[].x`, and `mode=burn` for a value of an enum."""
    if "$ref" in schema:
        target: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        schema = {**target, **{name: each for name, each in schema.items() if name != "$ref"}}
    for name, each in schema.get("properties", {}).items():
        inner = f"{path}.{name}" if path else name
        yield inner
        yield from options(each, document, inner)
    for each in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("oneOf", ())):
        yield from options(each, document, path)
    if "items" in schema:
        yield from options(schema["items"], document, f"{path}[]")
    for value in (*schema.get("enum", ()), *([schema["const"]] if "const" in schema else ())):
        yield f"{path}={value}"


def described(release: str) -> dict[str, Any]:
    """Return the OpenAPI document of a release, which `scripts/openapi.py` of its checkout wrote."""
    found: dict[str, Any] = json.loads(lzma.decompress((ARCHIVES / f"{release}.openapi.json.xz").read_bytes()))
    return found


def is_declared(option: str) -> bool:
    return any(option == name or option.startswith((f"{name}.", f"{name}[", f"{name}=")) for name in SINCE)


def test_each_option_that_0_2_0_does_not_know_is_declared() -> None:
    document = described("0.2.0")
    body = document["paths"]["/v1/recordings/{recording_id}/clips"]["post"]["requestBody"]["content"]
    known = {*options(body["application/json"]["schema"], document)}
    schema = CreateClip.model_json_schema()
    new = {*options(schema, schema)} - known
    assert "output.focus[].x" in known
    assert {option for option in new if not is_declared(option)} == set()
    assert {name for name in SINCE if name in known} == set()


def test_formats_of_options_are_those_of_rows() -> None:
    assert {since.format for since in SINCE.values()} <= {*range(FIRST_FORMAT + 1, ROW_FORMAT + 1)}
