"""Examples of the reference: requests with curl, Python and TypeScript, and the JSON of responses.

A route that the Python client has a method for is shown with it; any other with `client.request` or `client.save`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

Schema = Mapping[str, Any]

SERVER_URL = "http://127.0.0.1:8377"  # replaced by the address of the server that shows the page
_ID = "01j9xzk3v8e5qtrb2m7c4n6wfd"
_MOMENT = "2030-01-31T12:00:00.000Z"
# Values of properties that their types do not tell.
_VALUES: dict[str, Any] = {
    "recording_id": f"rec_{_ID}",
    "transcript_id": f"trn_{_ID}",
    "clip_id": f"clip_{_ID}",
    "webhook_id": f"whk_{_ID}",
    "delivery_id": f"dlv_{_ID}",
    "share_id": f"shr_{_ID}",
    "key_id": f"key_{_ID}",
    "rule_id": f"rul_{_ID}",
    "user_id": f"user_{_ID}",
    "session_id": f"ses_{_ID}",
    "batch_id": f"bat_{_ID}",
    "engine_id": f"inst_{_ID}",
    "event_id": f"evt_{_ID}",
    "label": "key-moment",
    "name": "Board meeting",
    "bucket_path": "relay/recordings/h_01/recording.mp4",
    "status": "complete",
    "profile": "default",
    "language": "en",
    "text": "We open the harbour office next spring.",
    "speaker": "Ana",
    "start_seconds": 5.0,
    "end_seconds": 12.5,
    "actual_start_seconds": 5.0,
    "actual_end_seconds": 12.5,
    "duration_seconds": 7.5,
    "file_size_bytes": 734003200,
    "size_bytes": 4194304,
    "codec": "h264",
    "video_codec": "h264",
    "audio_codec": "aac",
    "width": 1920,
    "height": 1080,
    "fps": 25.0,
    "frame_rate": "25",
    "sample_rate": 48000,
    "channels": 2,
    "container": "mp4",
    "etag": "2bc0_18f3a",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "url": "https://example.org/hooks",
    "metadata": {"team": "blue"},
    "tags": ["board"],
    "scopes": ["read", "write"],
    "has_more": False,
    "next_cursor": None,
    "title": "Budget",
    "path": "relay/clips/key-moment.en.vtt",
    "deleted": [f"clip_{_ID}"],
    "not_found": [],
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "key": f"relay_live_{_ID}_…",
    "video_url": "https://clips.example.org/s/2mQx…/video",
    "content_type": "video/mp4",
    "host": "engine-1",
    "video": "h264",
    "audio": "aac",
    "last_clip_id": f"clip_{_ID}",
    "code": "recording_changed",
    "completed_at": _MOMENT,
    "step": None,
    "priority": 0,
    "frames": 188,
    "bytes_read": 5242880,
    "encode_seconds": 1.84,
    "copied_seconds": 0.0,
    "encoded_seconds": 7.5,
    "error": None,
    "event": "clip.ready",
    "queue": None,
    "progress": 1.0,
    "ok": True,
    "version": "0.2.0",
    "warnings": [],
}
_PRESENT = ("result", "media", "video")  # although they may be null
_TYPES = {str: "string", float: "number", int: "integer", bool: "boolean", list: "array", dict: "object"}
_TYPES |= {type(None): "null"}
_BY_TYPE: dict[str, Any] = {"string": "text", "number": 5.0, "integer": 1, "boolean": True, "array": [], "object": {}}


@dataclass
class Entry:
    """One operation, with the other addresses that lead to the same."""

    method: str
    path: str
    operation: Mapping[str, Any]
    also: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        return str(self.operation["summary"])

    @property
    def kinds(self) -> list[str]:
        """The content types of the responses."""
        return [each for answer in self.operation["responses"].values() for each in answer.get("content", {})]

    @property
    def returns_bytes(self) -> bool:
        return any(not each.endswith("json") for each in self.kinds)


_TUS_BYTES = "application/offset+octet-stream"
_PYTHON = {
    "post_recordings": 'client.recordings.add("relay/recordings/h_01/recording.mp4")',
    "get_recordings": 'for recording in client.recordings.each(status="complete"):\n    print(recording.name)',
    "get_recordings_recording_id": "client.recordings.get(recording_id)",
    "patch_recordings_recording_id": 'client.recordings.update(recording_id, name="Board meeting")',
    "delete_recordings_recording_id": "client.recordings.delete(recording_id)",
    "post_ingest_source": 'client.request("POST", "/v1/ingest/generic", json={"key": "recordings/meeting.mp4"})',
    "put_recordings_upload": 'client.recordings.upload("meeting.mp4").wait()',
    "post_uploads": 'client.recordings.upload("meeting.mp4", tags=["board"])',
    "patch_uploads_upload_id": "# `client.recordings.upload` sends the bytes.",
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
    "post_recordings_recording_id_transcripts": 'client.transcripts.transcribe(recording_id, language="en")',
    "get_transcriptions": 'list(client.transcripts.each_transcription(status="failed"))',
    "get_transcriptions_transcript_id": "client.transcripts.wait(transcript_id)  # or transcription(transcript_id)",
    "post_transcriptions_transcript_id_cancel": "client.transcripts.cancel(transcript_id)",
    "post_recordings_recording_id_ranges": 'client.recordings.ranges(recording_id, "ranges.csv").data',
    "post_recordings_recording_id_ranges_file": "client.recordings.write_ranges(\n    recording_id, "
    '[{"start_seconds": 5.0, "end_seconds": 12.5, "label": "key-moment"}], "cut.edl"\n)',
    "get_recordings_recording_id_segments": "client.recordings.segments(recording_id).segments",
    "put_recordings_recording_id_segments": "stored = client.recordings.segments(recording_id)\n"
    "client.recordings.put_segments(\n    recording_id, "
    '[{"start_seconds": 5.0, "end_seconds": 12.5, "label": "key-moment"}], version=stored.version\n)',
    "get_status": 'client.installation.status()["queue"]',
    "get_storage": 'client.installation.storage()["clips"]["bytes"]',
    "get_settings": 'client.installation.settings()["limits"]',
    "get_keys": "client.installation.keys().data",
    "post_keys": 'client.installation.create_key("laptop", scopes=["read"]).key',
    "delete_keys_key_id": "client.installation.revoke_key(key_id)",
    "get_me": "client.users.me().scopes",
    "get_users": "client.users.list().data",
    "get_users_user_id": "client.users.get(user_id).role",
    "patch_users_user_id": 'client.users.update(user_id, role="editor")',
    "delete_users_user_id": "client.users.delete(user_id)",
    "get_audit": "client.installation.audit(object=clip_id).data",
    "get_sessions": "client.users.sessions().data",
    "delete_sessions_session_id": "client.users.end_session(session_id)",
    "get_search": 'for hit in client.transcripts.each_hit("budget"):\n    print(hit.recording_id, hit.start_seconds, '
    "hit.text)",
    "post_recordings_recording_id_clips": 'client.clips.create(recording_id, "key-moment", 5.0, 12.5).wait()',
    "post_recordings_recording_id_framing": 'client.recordings.framing(recording_id, {"aspect": "9:16"}).region',
    "post_recordings_recording_id_captions": 'client.recordings.captions(recording_id, "en", 5.0, 12.5).captions',
    "post_recordings_recording_id_clips_plan": "client.clips.plan(recording_id, 5.0, 12.5).segments",
    "get_recordings_recording_id_clips": "list(client.clips.each(recording_id=recording_id))",
    "get_clips": 'for clip in client.clips.each(status="failed"):\n    print(clip.clip_id, clip.error.code)',
    "post_clips_batch": 'client.clips.create_many(\n    [{"recording_id": recording_id, "label": "key-moment", '
    '"start_seconds": 5.0, "end_seconds": 12.5}]\n)',
    "post_clips_archive": 'client.clips.archive([clip_id], "clips.zip")',
    "post_clips_by_time": 'client.clips.by_time(\n    ["front", "yard"], "parcel", "2026-11-28T23:59:50Z", '
    '"2026-11-29T00:00:20Z"\n)',
    "post_clips_variants": 'client.clips.try_variants({"output": {"aspect": "9:16"}}, filter={"tag": ["auto"]}).count',
    "delete_recordings_recording_id_clips": "selected = client.clips.try_delete_matching("
    '{"recording_id": recording_id})\nclient.clips.delete_of_recording(recording_id, selected.selection)',
    "get_batches": "list(client.batches.each())",
    "get_batches_batch_id": "client.batches.wait(batch_id)  # or get(batch_id), which answers at once",
    "post_batches_batch_id_cancel": "client.batches.cancel(batch_id)",
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
    "get_clips_clip_id_shares_share_id": "client.clips.share_link(clip_id, share_id).url",
    "get_clips_clip_id_shares_share_id_qr.svg": 'client.clips.share_code(clip_id, share_id, "link.svg")',
    "delete_clips_clip_id_shares_share_id": "client.clips.unshare(clip_id, share_id)",
    "get_profiles": "client.profiles.list().data",
    "get_watermarks": "client.profiles.watermarks().data",
    "get_watermarks_name": 'client.profiles.watermark(name, "logo.png")',
    "get_events": "for event in client.events():\n    print(event.event, event.data)",
    "post_webhooks": 'client.webhooks.create("https://example.org/hooks").secret',
    "get_webhooks": "list(client.webhooks.each())",
    "get_webhooks_webhook_id": "client.webhooks.get(webhook_id)",
    "patch_webhooks_webhook_id": "client.webhooks.update(webhook_id, enabled=False)",
    "delete_webhooks_webhook_id": "client.webhooks.delete(webhook_id)",
    "post_webhooks_webhook_id_test": "client.webhooks.test(webhook_id)",
    "get_webhooks_webhook_id_deliveries": "client.webhooks.deliveries(webhook_id).data",
    "get_deliveries_delivery_id": "client.webhooks.delivery(delivery_id).payload",
    "post_rules": 'client.rules.create("Meetings", ranges={"kind": "chapters"}).rule_id',
    "get_rules": "list(client.rules.each())",
    "get_rules_rule_id": "client.rules.get(rule_id)",
    "patch_rules_rule_id": "client.rules.update(rule_id, enabled=False)",
    "delete_rules_rule_id": "client.rules.delete(rule_id)",
    "post_rules_rule_id_try": "client.rules.try_out(rule_id, recording_id).data",
    "post_rules_try": 'client.rules.try_new(recording_id, ranges={"kind": "chapters"}).data',
    "post_rules_rule_id_backfill": "client.rules.backfill(rule_id).backfill",
    "delete_rules_rule_id_backfill": "client.rules.cancel_backfill(rule_id).backfill",
    "get_rules_rule_id_batches": "client.rules.batches(rule_id).data",
    "post_deliveries_delivery_id_redeliver": "client.webhooks.redeliver(delivery_id)",
}


def requests_of(entry: Entry, body: Schema, kind: str) -> str:
    """Return the request with curl, Python and TypeScript, as tabs. `kind` is the content type of the body."""
    codes = {
        "sh curl": _curl(entry, body, kind),
        "python Python": _python(entry, body),
        "ts TypeScript": _typescript(entry, body, kind),
    }
    return "".join(f"```{info}\n{code}\n```\n" for info, code in codes.items())


def example_of(schema: Schema, schemas: Mapping[str, Schema]) -> Any:
    """Return a response with this schema."""
    return _sample(schema, schemas, "")


def _sample(schema: Schema, schemas: Mapping[str, Schema], name: str) -> Any:
    """Return a value of the schema of the property `name`."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "$ref" in schema:
        return _sample(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    if name in _VALUES and _fits(_VALUES[name], schema):
        return _VALUES[name]
    if "allOf" in schema:
        parts = [_sample(each, schemas, name) for each in schema["allOf"]]
        return {key: value for part in parts for key, value in part.items()}
    if kinds := _kinds(schema):
        absent = {"type": "null"} in kinds and name not in _PRESENT
        return None if absent else _sample(kinds[0], schemas, name)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if "properties" in schema:
        return {key: _sample(each, schemas, key) for key, each in schema["properties"].items()}
    if schema.get("type") == "array":
        return [_sample(schema.get("items", {}), schemas, name)]
    return _plain(schema)


def _kinds(schema: Schema) -> Sequence[Schema]:
    """Return the schemas of which a value has one."""
    return cast(Sequence[Schema], schema.get("anyOf", schema.get("oneOf", ())))


def _fits(value: Any, schema: Schema) -> bool:
    """Return True if a schema may have the value: `video` is an object of a recording and text of a profile."""
    return any(
        _TYPES[type(value)] in each.get("type", "object") and value in each.get("enum", (each.get("const", value),))
        for each in _kinds(schema) or (schema,)
    )


def _plain(schema: Schema) -> Any:
    if schema.get("format") == "date-time":
        return _MOMENT
    kind = schema.get("type", "string")
    kind = kind[0] if isinstance(kind, list) else kind
    return schema.get("minimum") or _BY_TYPE[kind]


def _example(schema: Schema) -> Any:
    """Return a request body of the schema: its example, or its required properties."""
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


def _headers(operation: Mapping[str, Any]) -> dict[str, str]:
    known = [each for each in operation.get("parameters", ()) if each["in"] == "header"]
    return {each["name"]: each["schema"]["examples"][0] for each in known if "examples" in each["schema"]}


def _curl(entry: Entry, body: Schema, kind: str) -> str:
    path = re.sub(r"\{(\w+)\}", lambda match: f"${match[1].upper()}", entry.path)
    query = "&".join(f"{name}={value}" for name, value in _query(entry.operation).items())
    url = f'"{SERVER_URL}{path}{f"?{query}" if query else ""}"'
    options = []
    if entry.operation.get("security") != []:
        options.append('-H "Authorization: Bearer $KEY"')
    if kind == "application/json":
        options += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(_example(body))}'"]
    if entry.method == "PUT" and kind == "application/json":
        options.append("-X PUT")
    elif entry.method == "PUT":
        options.append("-H 'Content-Type: text/vtt' -T meeting.vtt" if kind == "text/vtt" else "-T meeting.mp4")
    elif kind == _TUS_BYTES:
        options.append(f"-X {entry.method} -H 'Content-Type: {kind}' -T meeting.mp4")
    elif kind == "text/plain":
        options.append("-H 'Content-Type: text/plain' --data-binary @ranges.csv")
    elif entry.method not in ("GET", "POST") or (entry.method == "POST" and not kind):
        options.append(f"-X {entry.method}")
    if entry.method != "GET":
        options += [f"-H '{name}: {value}'" for name, value in _headers(entry.operation).items()]
    return " \\\n  ".join([f"curl {url}", *options, *_curl_output(entry)])


def _curl_output(entry: Entry) -> list[str]:
    if "text/event-stream" in entry.kinds:
        return ["-N"]
    if "302" in entry.operation["responses"]:
        return ["-fL -o file"]
    return ["-f -o file"] if entry.returns_bytes else []


def _python(entry: Entry, body: Schema) -> str:
    parts = [part for part in re.split(r"[/{}]+", entry.path.removeprefix("/v1")) if part]
    if example := _PYTHON.get("_".join([entry.method.lower(), *parts])):
        return example
    path = f'f"{entry.path}"' if "{" in entry.path else f'"{entry.path}"'
    query = _query(entry.operation)
    options = (f", params={query!r}" if query else "") + (f", json={_example(body)!r}" if body else "")
    if entry.returns_bytes:
        return f'client.save({path}, "file"{options})'
    return f'client.request("{entry.method}", {path}{options})'


def _typescript(entry: Entry, body: Schema, kind: str) -> str:
    """Return a call of the client. Uploads and streams are called in special ways."""
    if entry.path.endswith("/upload"):
        return 'await client.upload(await openAsBlob("meeting.mp4"), { name: "meeting.mp4" });'
    if kind == _TUS_BYTES:
        return "// A client of tus sends the bytes, such as tus-js-client."
    if "text/event-stream" in entry.kinds:
        return f'const response = await fetch("{SERVER_URL}{entry.path}", {{ headers }}); // read response.body'
    query = _query(entry.operation)
    path = ", ".join(re.findall(r"\{(\w+)\}", entry.path))
    places = [f"path: {{ {path} }}" if path else "", f"query: {_object(query)}" if query else ""]
    parameters = ", ".join(filter(None, places))
    options = [f"params: {{ {parameters} }}" if parameters else ""]
    if kind:
        options.append(f"body: {_object(_example(body)) if kind == 'application/json' else 'text'}")
    options.append('parseAs: "blob"' if entry.returns_bytes else "")
    given = ", ".join(filter(None, options))
    return f'await client.{entry.method}("{entry.path}"{f", {{ {given} }}" if given else ""});'


def _object(value: Any) -> str:
    """Return JSON as it is written in TypeScript: names without quotes."""
    return re.sub(r'"(\w+)": ', r"\1: ", json.dumps(value)).replace("{", "{ ").replace("}", " }").replace("{  }", "{}")
