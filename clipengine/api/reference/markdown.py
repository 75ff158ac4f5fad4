"""The reference of the API as Markdown, made from the OpenAPI document: curl and Python for every route.

A route that the Python client has a method for is shown with it; any other with `client.request` or `client.save`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from clipengine.api.http.problems import PROBLEM_TYPE

Schema = Mapping[str, Any]

_SHELL_URL = "http://127.0.0.1:8377"
_TAGS = {"recordings": "Recordings", "clips": "Clips", "webhooks": "Webhooks", "deliveries": "Deliveries"}
_BY_TYPE: dict[str, Any] = {"string": "text", "number": 5.0, "integer": 1, "boolean": True, "array": [], "object": {}}
_INTRODUCTION = f"""\
# API reference

Made from [the OpenAPI document](../v1/openapi.json) of this installation. The examples take the key from `KEY` and ids
from variables such as `CLIP_ID`; in Python `client` is `Client("{_SHELL_URL}", api_key)` of `clipengine.client`. How
things hang together is in [The API](api.md), every code in [Errors](errors.md).
"""

_SHOWN = (
    "Object",
    "Result",
    "ResultPart",
    "ClipPart",
    "BatchedClip",
    "ClipSubtitles",
    "SnappedCut",
    "SubtitlesOfClip",
)  # ends of the names of schemas that have a section
_PYTHON = {
    "post_recordings": 'client.recordings.add("relay/recordings/h_01/recording.mp4")',
    "get_recordings": 'for recording in client.recordings.each(status="complete"):\n    print(recording.name)',
    "get_recordings_recording_id": "client.recordings.get(recording_id)",
    "patch_recordings_recording_id": 'client.recordings.update(recording_id, name="Board meeting")',
    "delete_recordings_recording_id": "client.recordings.delete(recording_id)",
    "post_ingest_source": 'client.request("POST", "/v1/ingest/generic", json={"key": "recordings/meeting.mp4"})',
    "put_recordings_upload": 'client.recordings.upload("meeting.mp4").wait()',
    "get_recordings_recording_id_download": 'client.recordings.download(recording_id, "meeting.mp4")',
    "get_recordings_recording_id_frame": 'client.recordings.frame(recording_id, "frame.jpg", 12.5)',
    "get_recordings_recording_id_frames": "client.recordings.frames(recording_id, start=5.0, end=12.5).frames",
    "get_recordings_recording_id_filmstrip": 'client.recordings.filmstrip(recording_id, "strip.jpg")',
    "get_recordings_recording_id_waveform": "client.recordings.waveform(recording_id).peaks",
    "get_recordings_recording_id_proxy": "client.recordings.proxy(recording_id).segments",
    "get_recordings_recording_id_proxy_init.mp4": 'client.recordings.proxy_segment(recording_id, "init.mp4")',
    "get_recordings_recording_id_proxy_number_.m4s": 'client.recordings.proxy_segment(recording_id, "0.m4s", 0)',
    "get_recordings_recording_id_transcripts": "client.transcripts.list(recording_id).data",
    "put_recordings_recording_id_transcripts_language": 'client.transcripts.put(recording_id, "en", "meeting.vtt")',
    "get_recordings_recording_id_transcripts_language": 'client.transcripts.get(recording_id, "en")',
    "delete_recordings_recording_id_transcripts_language": 'client.transcripts.delete(recording_id, "en")',
    "get_recordings_recording_id_transcripts_language_search": 'client.transcripts.search(\n    "budget", '
    'recording_id=recording_id, language="en"\n).data',
    "get_status": 'client.installation.status()["queue"]',
    "get_settings": 'client.installation.settings()["limits"]',
    "get_keys": "client.installation.keys().data",
    "post_keys": 'client.installation.create_key("laptop", scopes=["read"]).key',
    "delete_keys_key_id": "client.installation.revoke_key(key_id)",
    "get_search": 'for hit in client.transcripts.each_hit("budget"):\n    print(hit.recording_id, hit.start_seconds, '
    "hit.text)",
    "post_recordings_recording_id_clips": 'client.clips.create(recording_id, "key-moment", 5.0, 12.5).wait()',
    "post_recordings_recording_id_clips_plan": "client.clips.plan(recording_id, 5.0, 12.5).segments",
    "get_recordings_recording_id_clips": "list(client.clips.each(recording_id=recording_id))",
    "get_clips": 'for clip in client.clips.each(status="failed"):\n    print(clip.clip_id, clip.error.code)',
    "post_clips_batch": 'client.clips.create_many(\n    [{"recording_id": recording_id, "label": "key-moment", '
    '"start_seconds": 5.0, "end_seconds": 12.5}]\n)',
    "post_clips_archive": 'client.clips.archive([clip_id], "clips.zip")',
    "post_clips_delete": "client.clips.delete_many([clip_id])",
    "get_clips_clip_id": "client.clips.wait(clip_id, timeout=60)  # or get(clip_id), which answers at once",
    "patch_clips_clip_id": 'client.clips.update(clip_id, label="winning goal", metadata={"team": "blue"})',
    "delete_clips_clip_id": "client.clips.delete(clip_id)",
    "post_clips_clip_id_cancel": "client.clips.cancel(clip_id)",
    "post_clips_clip_id_retry": "client.clips.retry(clip_id)",
    "get_clips_clip_id_download": 'client.clips.download(clip_id, "key-moment.mp4")',
    "get_clips_clip_id_poster": 'client.clips.poster(clip_id, "key-moment.jpg")',
    "get_clips_clip_id_deliveries": "client.clips.deliveries(clip_id).data",
    "post_clips_clip_id_shares": "client.clips.share(clip_id).url",
    "get_clips_clip_id_shares": "client.clips.shares(clip_id).data",
    "delete_clips_clip_id_shares_share_id": "client.clips.unshare(clip_id, share_id)",
    "get_profiles": "client.profiles.list().data",
    "get_events": "for event in client.events():\n    print(event.event, event.data)",
    "post_webhooks": 'client.webhooks.create("https://example.org/hooks").secret',
    "get_webhooks": "list(client.webhooks.each())",
    "get_webhooks_webhook_id": "client.webhooks.get(webhook_id)",
    "patch_webhooks_webhook_id": "client.webhooks.update(webhook_id, enabled=False)",
    "delete_webhooks_webhook_id": "client.webhooks.delete(webhook_id)",
    "post_webhooks_webhook_id_test": "client.webhooks.test(webhook_id)",
    "get_webhooks_webhook_id_deliveries": "client.webhooks.deliveries(webhook_id).data",
    "get_deliveries_delivery_id": "client.webhooks.delivery(delivery_id).payload",
    "post_deliveries_delivery_id_redeliver": "client.webhooks.redeliver(delivery_id)",
}


def reference(openapi: Mapping[str, Any]) -> str:
    """Return the Markdown of the whole page."""
    schemas, shared = openapi["components"]["schemas"], openapi["components"]["responses"]
    parts = [_INTRODUCTION]
    section = ""
    for entry in _entries(openapi["paths"]):
        title = _TAGS.get(entry.tag, entry.tag.capitalize())
        if title != section:
            parts.append(f"## {title}\n")
            section = title
        parts.append(_route(entry, schemas, shared))
    parts.append("## Objects\n")
    shown = {name: schema for name, schema in schemas.items() if name.endswith(_SHOWN)}
    parts += [f"### {name}\n\n{_fields(schema)}" for name, schema in sorted(shown.items())]
    return "\n".join(parts)


class _Entry:
    """One operation, with the other addresses that lead to the same."""

    def __init__(self, method: str, path: str, operation: Mapping[str, Any]) -> None:
        self.method, self.path, self.operation = method, path, operation
        self.summary: str = operation["summary"]
        self.tag: str = next(iter(operation.get("tags", ())), "other")
        self.also: list[str] = []


def _entries(paths: Mapping[str, Any]) -> list[_Entry]:
    """Return every operation once, grouped by tag, in the order of the document."""
    entries: dict[tuple[str, str], _Entry] = {}
    listed = [(method.upper(), path, each) for path, methods in paths.items() for method, each in methods.items()]
    for method, path, operation in sorted(listed, key=lambda item: item[1].count("{")):  # the shortest address first
        entry = _Entry(method, path, operation)
        same = entries.setdefault((method, entry.summary), entry)
        if same is not entry:
            same.also.append(path)
    order = {path: index for index, path in enumerate(paths)}
    tags = list(dict.fromkeys(entry.tag for entry in sorted(entries.values(), key=lambda each: order[each.path])))
    return sorted(entries.values(), key=lambda each: (tags.index(each.tag), order[each.path]))


def _route(entry: _Entry, schemas: Mapping[str, Schema], shared: Mapping[str, Schema]) -> str:
    operation = entry.operation = _resolved(entry.operation, shared)
    scope = operation.get("x-scope")
    address = f"`{entry.method} {entry.path}`" + "".join(f", also `{each}`" for each in entry.also)
    parts = [f"### {entry.summary}\n", f"{address}. " + (f"Scope `{scope}`." if scope else "No key is needed.") + "\n"]
    body, kind = _body(operation, schemas)
    parameters = [each for each in operation.get("parameters", ()) if each["in"] != "path"]
    if parameters or body:
        rows = [_row(each["name"], each["schema"], each["required"], each["in"]) for each in parameters]
        required = body.get("required", ())
        rows += [_row(name, each, name in required, "body") for name, each in body.get("properties", {}).items()]
        parts.append("| name | in | type | default | what it is |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n")
    parts.append(f"```sh curl\n{_curl(entry, body, kind)}\n```\n")
    parts.append(f"```python Python\n{_python(entry, body)}\n```\n")
    parts.append("\n".join(_answers(operation)) + "\n")
    return "\n".join(parts)


def _resolved(operation: Mapping[str, Any], shared: Mapping[str, Schema]) -> Mapping[str, Any]:
    """Return the operation with the responses that it refers to."""
    responses = {
        status: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for status, answer in operation["responses"].items()
    }
    return {**operation, "responses": responses}


def _body(operation: Mapping[str, Any], schemas: Mapping[str, Schema]) -> tuple[Schema, str]:
    """Return the schema of the JSON body and the content type of any body."""
    content = operation.get("requestBody", {}).get("content", {})
    kind = next(iter(content), "")
    schema = content.get("application/json", {}).get("schema", {})
    return schemas.get(schema.get("$ref", "").rpartition("/")[2], schema), kind


def _example(schema: Schema) -> Any:
    """Return a value of the schema: its example, or one of its type."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        return {name: _example(schema["properties"][name]) for name in schema.get("required", ())}
    if "enum" in schema:
        return schema["enum"][0]
    return schema.get("minimum") or _BY_TYPE.get(schema.get("type", "string"))


def _query(operation: Mapping[str, Any]) -> dict[str, Any]:
    known = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    shown = [each for each in known if each["required"] or "examples" in each["schema"]]
    return {each["name"]: _example(each["schema"]) for each in shown}


def _curl(entry: _Entry, body: Schema, kind: str) -> str:
    operation = entry.operation
    path = re.sub(r"\{(\w+)\}", lambda match: f"${match[1].upper()}", entry.path)
    query = "&".join(f"{name}={value}" for name, value in _query(operation).items())
    url = f'"{_SHELL_URL}{path}{f"?{query}" if query else ""}"'
    options = []
    if operation.get("security") != []:
        options.append('-H "Authorization: Bearer $KEY"')
    if kind == "application/json":
        options += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(_example(body))}'"]
    if entry.method == "PUT":
        options.append("-H 'Content-Type: text/vtt' -T meeting.vtt" if kind == "text/vtt" else "-T meeting.mp4")
    elif entry.method not in ("GET", "POST") or (entry.method == "POST" and not kind):
        options.append(f"-X {entry.method}")
    return " \\\n  ".join([f"curl {url}", *options, *_curl_output(operation)])


def _curl_output(operation: Mapping[str, Any]) -> list[str]:
    kinds = _kinds(operation)
    if "text/event-stream" in kinds:
        return ["-N"]
    if "302" in operation["responses"]:
        return ["-fL -o file"]
    return ["-f -o file"] if _bytes(kinds) else []


def _bytes(kinds: list[str]) -> bool:
    return any(not each.endswith("json") for each in kinds)


def _python(entry: _Entry, body: Schema) -> str:
    parts = [part for part in re.split(r"[/{}]+", entry.path.removeprefix("/v1")) if part]
    if example := _PYTHON.get("_".join([entry.method.lower(), *parts])):
        return example
    path = f'f"{entry.path}"' if "{" in entry.path else f'"{entry.path}"'
    kinds = _kinds(entry.operation)
    query = _query(entry.operation)
    options = (f", params={query!r}" if query else "") + (f", json={_example(body)!r}" if body else "")
    if _bytes(kinds):
        return f'client.save({path}, "file"{options})'
    return f'client.request("{entry.method}", {path}{options})'


def _kinds(operation: Mapping[str, Any]) -> list[str]:
    """Return the content types of the responses."""
    return [each for answer in operation["responses"].values() for each in answer.get("content", {})]


def _answers(operation: Mapping[str, Any]) -> Iterator[str]:
    errors = []
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if PROBLEM_TYPE in content:
            errors.append(re.sub(r"`(\w+)`", rf"{status} [`\1`](errors.md#\1)", answer["description"]))
        else:
            described: Schema = next(iter(content.values()), {})
            schema = described.get("schema", {})
            kind = _type(schema) if schema else ", ".join(f"`{each}`" for each in content)
            yield f"- **{status}** {answer['description']}" + (f" {kind}" if kind else "")
    if errors:
        yield f"- Errors: {', '.join(errors).replace(' or ', ', ')}"


def _fields(schema: Schema) -> str:
    rows = [
        f"| `{name}` | {_type(each)} | {_cell(each.get('description', ''))} |"
        for name, each in schema.get("properties", {}).items()
    ]
    text = f"{schema['description']}\n\n" if schema.get("description") else ""
    return text + "| key | type | what it is |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _row(name: str, schema: Schema, required: bool, where: str) -> str:
    value = schema.get("x-default", schema.get("default"))
    default = "required" if required else "" if value is None else f"`{json.dumps(value)}`"
    return f"| {name} | {where} | {_type(schema)} | {default} | {_cell(schema.get('description', ''))} |"


def _type(schema: Schema) -> str:
    """Return a type in words, with a link if it is an object of the reference."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name.endswith("Page"):
            return f"page of {_type({'$ref': name.removesuffix('Page') + 'Object'})}"
        if name == "ErrorCode":
            return "[error code](errors.md)"
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    kind = schema.get("type", "any")
    limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    kinds = "string or null" if isinstance(kind, list) else "time" if schema.get("format") == "date-time" else kind
    return " ".join([kinds, *limits])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
