"""The reference of the API as Markdown, one page for each resource, made from the OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clipengine.api.http.problems import PROBLEM_TYPE
from clipengine.api.reference.examples import SERVER_URL, Entry, Schema, requests_of

INDEX = "reference"
# Name and title of a page, and a pattern of its operations, such as "GET /v1/clips". The first match applies.
_PAGES: tuple[tuple[str, str, str], ...] = (
    ("shares", "Shares", r"/shares"),
    ("deliveries", "Deliveries", r"/deliver"),
    ("transcripts", "Transcripts", r"/transcripts|/transcriptions|/search"),
    ("proxies", "Proxies", r"/proxy"),
    ("pieces", "Files of recordings", r"/pieces$"),
    ("previews", "Previews", r"/(frame|frames|filmstrip|waveform|moments)$"),
    ("ranges", "Lists of ranges", r"/(ranges|segments)"),
    ("uploads", "Uploads that resume", r"/uploads"),
    ("clip-plans", "Plans of clips", r"/clips/plan$"),
    ("clip-pictures", "Pictures of clips", r"/(framing|captions)$|/watermarks"),
    ("clip-files", "Files of clips", r"/clips/(archive|{clip_id}/(download|poster))"),
    ("clip-selections", "Variants and deletions", r"/clips/(delete|variants)|/v1/batches|^DELETE .*/clips$"),
    ("clip-batches", "Many clips", r"/clips/(batch|by-time)"),
    ("clip-jobs", "Jobs of clips", r"/clips/{clip_id}/(cancel|retry)$"),
    ("clips", "Clips", r"/clips"),
    ("webhooks", "Webhook endpoints", r"/webhooks"),
    ("rules", "Rules", r"/rules"),
    ("keys", "Keys", r"/keys"),
    ("users", "Users", r"/v1/(me|users|sessions|audit)"),
    ("installation", "Installation", r"/(status|storage|settings|profiles|livez|readyz)"),
    ("events", "Events", r"/(events|ingest)"),
    ("recordings", "Recordings", r"/"),
)
_ORDER: tuple[str, ...] = ("recordings", "uploads", "pieces", "transcripts", "ranges", "previews", "proxies")
_ORDER += (
    "clips",
    "clip-jobs",
    "clip-plans",
    "clip-pictures",
    "clip-batches",
    "clip-selections",
    "clip-files",
    "shares",
)
_ORDER += ("webhooks", "deliveries", "events", "rules", "keys", "users", "installation")
# Pages of the objects that several resources refer to.
_OBJECTS = {
    "clip-options": "Options of clips",
    "clip-objects": "Clips as objects",
    "recording-objects": "Recordings as objects",
    "batch-objects": "Rules and batches as objects",
    "objects": "Other objects",
}
# Objects that have the pages of themselves and of what they refer to. The last match applies.
_OBJECT_PAGES = {
    "RuleObject": "batch-objects",
    "BatchObject": "batch-objects",
    "RecordingObject": "recording-objects",
    "ClipObject": "clip-objects",
    "CreateClip": "clip-options",
}
PAGES = tuple(f"{INDEX}/{name}" for name in (*_ORDER, *_OBJECTS))
_TITLES = {name: title for name, title, _ in _PAGES} | _OBJECTS
_INTRODUCTION = f"""\
# API reference

Made from [the OpenAPI document](../v1/openapi.json) of this installation, which answers at `{SERVER_URL}`.

The examples take the key from `KEY` and ids from variables such as `CLIP_ID`. In Python, `client` is
`Client("{SERVER_URL}", api_key)` of `clipengine.client` ([Python](python.md)); in TypeScript
`new Client({{ baseUrl: "{SERVER_URL}", apiKey }})` of `clipengine-client` ([TypeScript](typescript.md)).

[The API](api.md) explains how things hang together, and [Errors](errors.md) every code.
"""
# Text below the titles of pages.
_INTRODUCTIONS = {"keys": "[Replace a key](../api.md#replace-a-key) has the steps for a change without an outage.\n"}
# Ends of the names of schemas that are described as objects.
_SHOWN: tuple[str, ...] = ("Object", "Result", "ResultPart", "ClipPart", "BatchedClip", "ClipSubtitles", "SnappedCut")
_SHOWN += ("SubtitlesOfClip", "CaptionStyle", "Output", "Snap", "Caption", "TranscriptCue")


def reference(openapi: Mapping[str, Any]) -> dict[str, str]:
    """Return the Markdown of each page by its name: the index, and one page for each resource."""
    return _Reference(openapi).pages()


class _Reference:
    def __init__(self, openapi: Mapping[str, Any]) -> None:
        self._schemas: Mapping[str, Schema] = openapi["components"]["schemas"]
        shared = openapi["components"]["responses"]
        self._entries: dict[str, list[Entry]] = {name: [] for name in _ORDER}
        for entry in _entries(openapi["paths"], shared):
            self._entries[_page_of(f"{entry.method} {entry.path}")].append(entry)
        self._places = self._place_objects()
        self._exemplified: set[str] = set()  # types of responses that the current page has an example of

    def pages(self) -> dict[str, str]:
        found = {INDEX: _INTRODUCTION + "\n".join(self._listing())}
        found |= {f"{INDEX}/{name}": self._page(name) for name in self._entries}
        for name in _OBJECTS:
            found[f"{INDEX}/{name}"] = "\n".join([f"# {_TITLES[name]}\n", *self._objects(name, "##")])
        return found

    def _listing(self) -> Iterator[str]:
        """Yield a list of all operations, which links to them."""
        for name, entries in self._entries.items():
            yield f"\n## {_TITLES[name]}\n"
            for each in entries:
                yield f"- [{each.summary}](reference/{name}.md#{_anchor(each.summary)}): `{each.method} {each.path}`"

    def _page(self, name: str) -> str:
        self._exemplified = set()
        routes = [self._route(each) for each in self._entries[name]]
        objects = self._objects(name)
        begin = [f"# {_TITLES[name]}\n", _INTRODUCTIONS.get(name, "")]
        return "\n".join([*begin, *routes, *(["## Objects\n", *objects] if objects else [])])

    def _objects(self, page: str, heading: str = "###") -> list[str]:
        shown = sorted(name for name, place in self._places.items() if place == page)
        return [f"{heading} {name}\n\n{self._fields(self._schemas[name])}" for name in shown]

    def _place_objects(self) -> dict[str, str]:
        """Return the page of each object: its only resource's page, or a page of shared objects."""
        places: dict[str, str] = {}
        for page, entries in self._entries.items():
            for name in self._referred([each.operation for each in entries]):
                places[name] = "objects" if name in places else page
        for schema, page in _OBJECT_PAGES.items():
            places |= dict.fromkeys(self._referred([f"#/components/schemas/{schema}"]), page)
        return places

    def _referred(self, values: Sequence[Any]) -> set[str]:
        """Return the names of the objects that the values refer to, directly and through others."""
        found: set[str] = set()
        for name in re.findall(r"#/components/schemas/(\w+)", json.dumps(values)):
            self._follow(name, found)
        return {name for name in found if name.endswith(_SHOWN)}

    def _follow(self, name: str, found: set[str]) -> None:
        if name in found:
            return
        found.add(name)
        for each in re.findall(r"#/components/schemas/(\w+)", json.dumps(self._schemas[name])):
            self._follow(each, found)

    def _route(self, entry: Entry) -> str:
        operation = entry.operation
        scope = operation.get("x-scope")
        address = f"`{entry.method} {entry.path}`" + "".join(f", also `{each}`" for each in entry.also)
        needs = f"Scope `{scope}`." if scope else "No key is needed."
        body, kind = _body(operation, self._schemas)
        parts = [f"## {entry.summary}\n", f"{address}. {needs}\n"]
        if rows := self._parameters(operation, body):
            parts.append("\n".join(["| name | in | type | default | what it is |", "|---|---|---|---|---|", *rows, ""]))
        parts += [requests_of(entry, body, kind), "\n".join(self._answers(operation)) + "\n"]
        return "\n".join(parts)

    def _parameters(self, operation: Mapping[str, Any], body: Schema) -> list[str]:
        named = [each for each in operation.get("parameters", ()) if each["in"] != "path"]
        rows = [
            self._row(each["name"], {**each["schema"], "description": each.get("description", "")}, each)
            for each in named
        ]
        for name, each in body.get("properties", {}).items():
            rows.append(self._row(name, each, {"required": name in body.get("required", ()), "in": "body"}))
        return rows

    def _row(self, name: str, schema: Schema, place: Mapping[str, Any]) -> str:
        value = schema.get("x-default", schema.get("default"))
        default = "required" if place["required"] else "" if value is None else f"`{json.dumps(value)}`"
        return f"| {name} | {place['in']} | {self._type(schema)} | {default} | {_cell(schema.get('description', ''))} |"

    def _answers(self, operation: Mapping[str, Any]) -> Iterator[str]:
        errors = []
        for status, answer in operation["responses"].items():
            content = answer.get("content", {})
            if PROBLEM_TYPE in content:
                errors.append(re.sub(r"`(\w+)`", rf"{status} [`\1`](../errors.md#\1)", answer["description"]))
                continue
            described: Schema = next(iter(content.values()), {})
            schema = described.get("schema", {})
            kind = self._type(schema) if schema else ", ".join(f"`{each}`" for each in content)
            yield f"**{status}** {answer['description']}" + (f" {kind}" if kind else "") + "\n"
            if schema and status.startswith("2") and kind not in self._exemplified:
                self._exemplified.add(kind)
                yield f"```json\n{json.dumps(described['example'], indent=2, ensure_ascii=False)}\n```\n"
        if errors:
            yield f"Errors: {', '.join(errors).replace(' or ', ', ')}"

    def _fields(self, schema: Schema) -> str:
        rows = [
            f"| `{name}` | {self._type(each)} | {_cell(each.get('description', ''))} |"
            for name, each in schema.get("properties", {}).items()
        ]
        text = f"{schema['description']}\n\n" if schema.get("description") else ""
        return text + "| key | type | what it is |\n|---|---|---|\n" + "\n".join(rows) + "\n"

    def _type(self, schema: Schema) -> str:
        """Return a type in words, with a link if it is an object of the reference."""
        if "$ref" in schema:
            return self._link(schema["$ref"].rpartition("/")[2])
        if kinds := schema.get("anyOf", schema.get("oneOf")):
            return " or ".join(self._type(each) for each in kinds)
        if "enum" in schema:
            return ", ".join(f"`{each}`" for each in schema["enum"])
        if "const" in schema:
            return f"`{schema['const']}`"
        if schema.get("type") == "array":
            return f"list of {self._type(schema.get('items', {}))}"
        return _plain_type(schema)

    def _link(self, name: str) -> str:
        if name.endswith("Page"):
            return f"page of {self._link(name.removesuffix('Page') + 'Object')}"
        if name == "ErrorCode":
            return "[error code](../errors.md)"
        place = self._places.get(name)
        return f"[{name}]({place}.md#{name.lower()})" if place else self._type(self._schemas[name])


def _page_of(operation: str) -> str:
    return next(name for name, _, pattern in _PAGES if re.search(pattern, operation))


def _entries(paths: Mapping[str, Any], shared: Mapping[str, Schema]) -> list[Entry]:
    """Return every operation once, in the order of the document."""
    entries: dict[tuple[str, str], Entry] = {}
    listed = [(method.upper(), path, each) for path, methods in paths.items() for method, each in methods.items()]
    for method, path, operation in sorted(listed, key=lambda item: item[1].count("{")):  # the shortest address first
        entry = Entry(method, path, _resolved(operation, shared))
        same = entries.setdefault((method, entry.summary), entry)
        if same is not entry:
            same.also.append(path)
    order = {path: index for index, path in enumerate(paths)}
    return sorted(entries.values(), key=lambda each: order[each.path])


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


def _plain_type(schema: Schema) -> str:
    kind = schema.get("type", "any")
    limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    kinds = "string or null" if isinstance(kind, list) else "time" if schema.get("format") == "date-time" else kind
    return " ".join([kinds, *limits])


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
