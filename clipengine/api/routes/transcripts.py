"""Transcripts of a recording, one per language, and the search in them.

Several people may correct a transcript: If-Match keeps them from undoing each other.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from clipengine.api.http.jobs import read_document
from clipengine.api.http.json_cues import JSON_CUES
from clipengine.api.http.operation import NOTHING, Answer, Call, Operation, json_response, page_response, written
from clipengine.api.http.ranges import if_match, if_match_schema, matches
from clipengine.api.http.requests.fields import NoBody, NoQuery, PageQuery
from clipengine.api.http.requests.transcripts import GetTranscript, SearchText
from clipengine.api.http.validation import content_type, read_bytes
from clipengine.clips.texts.cues import MEDIA_TYPES, WRITTEN_TYPES, TextFormat, format_cues
from clipengine.clips.texts.language_tags import parse_language
from clipengine.clips.texts.text_documents import TRANSCRIPT
from clipengine.clips.texts.transcript_file import MAX_TRANSCRIPT_BYTES
from clipengine.errors import (
    Busy,
    DecoderCrashed,
    InvalidRequest,
    InvalidTranscript,
    MalformedRequest,
    PayloadTooLarge,
    RecordingNotFound,
    TranscriptChanged,
    TranscriptNotFound,
    UnsupportedContentType,
)
from clipengine.ledger.rows.pages import Page
from clipengine.ledger.texts.transcripts import SearchHit, Transcript
from clipengine.objects.transcript import SearchHitObject, TranscriptObject

_FORMATS: dict[str, TextFormat] = {media_type: kind for kind, media_type in MEDIA_TYPES.items()}


async def put_transcript(call: Call[NoQuery, NoBody]) -> Response:
    kind = _FORMATS.get(content_type(call.request))
    if kind is None:
        raise UnsupportedContentType(
            f"Content-Type is {content_type(call.request) or 'missing'}", hint=f"Send {', '.join(_FORMATS)}."
        )
    given = if_match(call.request)
    body = bytes(await read_bytes(call.request, limit=MAX_TRANSCRIPT_BYTES, check=call.check_rights))

    def check(stored: Transcript | None) -> None:
        if given is not None and (stored is None or not matches(given, _etag(stored))):
            found = "the recording has none in this language" if stored is None else f"it is now {_etag(stored)}"
            raise TranscriptChanged(f"The transcript is not {given}: {found}")

    language = await run_in_threadpool(parse_language, call.path("language"))
    if kind == "json":
        cues = await read_document(call, JSON_CUES, body)
    else:
        cues = await read_document(call, TRANSCRIPT, body, kind=kind)

    def work() -> Response:
        made, created = call.ledger.transcripts.put(
            call.path("recording_id"), language, cues, created_by=call.caller.id, check=check
        )
        headers = {"Location": f"/v1/recordings/{made.recording_id}/transcripts/{language}", "ETag": _etag(made)}
        return json_response(TranscriptObject.of(made).to_object(), 201 if created else 200, headers)

    return await call.in_session(lambda: written(call, work))


def get_transcript(call: Call[GetTranscript, NoBody]) -> Response:
    found = _find(call)
    body = format_cues(call.ledger.transcripts.cues(found), call.query.format)
    return Response(body, media_type=WRITTEN_TYPES[call.query.format], headers={"ETag": _etag(found)})


def _etag(stored: Transcript) -> str:
    return f'"{stored.version}"'


def list_transcripts(call: Call[PageQuery, NoBody]) -> Response:
    recording_id, query = call.path("recording_id"), call.query
    page = call.ledger.transcripts.list(recording_id, limit=query.limit, cursor=query.cursor)
    return page_response(call, [TranscriptObject.of(transcript) for transcript in page.data], page.next_cursor)


def delete_transcript(call: Call[NoQuery, NoBody]) -> Response:
    language = parse_language(call.path("language"))
    call.ledger.transcripts.delete(call.path("recording_id"), language, permit=call.permit("recordings"))
    return Response(status_code=204)


def search_transcript(call: Call[SearchText, NoBody]) -> Response:
    return _search(call, _find(call))


def search_transcripts(call: Call[SearchText, NoBody]) -> Response:
    return _search(call, None)


def _search(call: Call[SearchText, NoBody], within: Transcript | None) -> Response:
    query = call.query
    page: Page[SearchHit] = call.ledger.transcripts.search(
        query.q, within=within, limit=query.limit, cursor=query.cursor
    )
    clocks = call.ledger.recordings.clocks([hit.recording_id for hit in page.data])
    found = [SearchHitObject.of(hit, clock=clocks.get(hit.recording_id)) for hit in page.data]
    return page_response(call, found, page.next_cursor)


def _find(call: Call[GetTranscript, NoBody] | Call[NoQuery, NoBody] | Call[SearchText, NoBody]) -> Transcript:
    return call.ledger.transcripts.get(call.path("recording_id"), parse_language(call.path("language")))


_PATH = "/v1/recordings/{recording_id}/transcripts"
_HIT = Answer(
    200, "One page of cues: those of the newest transcript first, in order of time.", SearchHitObject, page=True
)
_IF_MATCH = if_match_schema(
    "The `ETag` or `version` of the transcript that this one replaces, or `*` for any. Without it, whatever is stored "
    "is replaced.",
    "trn_01j9xzk3v8e5qtrb2m7c4n6wfd",
)
_MISSING = (RecordingNotFound, TranscriptNotFound, InvalidTranscript)

OPERATIONS = [
    Operation(
        "GET",
        _PATH,
        "read",
        list_transcripts,
        "List the transcripts of a recording",
        [Answer(200, "One page of transcripts, newest first.", TranscriptObject, page=True)],
        (RecordingNotFound,),
        query=PageQuery,
    ),
    Operation(
        "PUT",
        f"{_PATH}/{{language}}",
        "write",
        put_transcript,
        "Create or replace the transcript in a language",
        [
            Answer(201, "The transcript, and its version as `ETag`.", TranscriptObject),
            Answer(200, "The transcript, which replaces an earlier one.", TranscriptObject),
        ],
        (
            RecordingNotFound,
            InvalidTranscript,
            MalformedRequest,
            PayloadTooLarge,
            UnsupportedContentType,
            InvalidRequest,
            TranscriptChanged,
            DecoderCrashed,
            Busy,
        ),
        uploads=tuple(_FORMATS),
        headers={"If-Match": _IF_MATCH},
        audit="transcript.update",
    ),
    Operation(
        "GET",
        f"{_PATH}/{{language}}",
        "read",
        get_transcript,
        "Get a transcript as WebVTT, SubRip, JSON or plain text",
        [
            Answer(
                200,
                "The cues, sorted by time, and their version as `ETag`.",
                media_type=", ".join(WRITTEN_TYPES.values()),
            )
        ],
        _MISSING,
        query=GetTranscript,
    ),
    Operation(
        "DELETE",
        f"{_PATH}/{{language}}",
        "delete",
        delete_transcript,
        "Delete a transcript",
        [NOTHING],
        _MISSING,
        own=True,
        audit="transcript.delete",
    ),
    Operation(
        "GET",
        f"{_PATH}/{{language}}/search",
        "read",
        search_transcript,
        "Search a transcript",
        [_HIT],
        _MISSING,
        query=SearchText,
    ),
    Operation(
        "GET",
        "/v1/search",
        "read",
        search_transcripts,
        "Search the transcripts of all recordings",
        [_HIT],
        query=SearchText,
    ),
]
