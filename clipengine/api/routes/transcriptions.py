"""Transcriptions: jobs that make the transcript of a recording."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.responses import Response

from clipengine.api.http.long_poll import answer_when_ended
from clipengine.api.http.operation import Answer, Call, Operation, once, page_response
from clipengine.api.http.requests.fields import NoBody, NoQuery, WaitQuery
from clipengine.api.http.requests.transcripts import ListTranscriptions, Transcribe
from clipengine.clips.texts.language_tags import parse_language
from clipengine.clips.transcription import Transcriber, no_track
from clipengine.errors import (
    DiskLow,
    InvalidRequest,
    InvalidTranscript,
    NoMediaInRange,
    QueueFull,
    RecordingNotComplete,
    RecordingNotFound,
    TranscriptExists,
    TranscriptionEnded,
    TranscriptionOff,
    TranscriptNotFound,
    located,
)
from clipengine.ledger.rows.idempotency import Answer as StoredAnswer
from clipengine.objects.transcript import TranscriptionObject
from clipengine.work.transcribers.local_model import unknown_language
from clipengine.work.transcribers.transcriber import whisper_language

_NOUNS: dict[Transcriber, str] = {"local": "model", "url": "server"}
_SETTINGS: dict[Transcriber, str] = {"local": "transcription.model_folder", "url": "transcription.url"}


def transcribe(call: Call[NoQuery, Transcribe]) -> Response:
    def work() -> StoredAnswer:
        call.engine.admit()
        recording = call.ledger.recordings.get(call.path("recording_id"))
        if recording.facts is None:
            raise RecordingNotComplete.of(recording.recording_id, recording.state, recording.error)
        if call.body.track >= len(recording.facts.audio):
            raise no_track(call.body.track, len(recording.facts.audio))
        with located(pointer="/language"):
            language = None if call.body.language is None else parse_language(call.body.language)
        source = _source(call)
        with located(pointer="/language"):
            _check_language(call, source, language)
        made = call.ledger.transcriptions.add(
            recording.recording_id,
            source=source,
            language=language,
            track=call.body.track,
            created_by=call.caller.id,
        )
        location = {"Location": f"/v1/transcriptions/{made.transcript_id}"}
        return StoredAnswer(202, TranscriptionObject.of(made).to_object(), location)

    return once(call, work)


def _source(call: Call[NoQuery, Transcribe]) -> Transcriber:
    """Return the requested transcriber, or the default one. Raises TranscriptionOff if it is not configured."""
    sources = call.engine.settings.transcription.sources
    wanted = call.body.source or next(iter(sources), None)
    if wanted is None:
        raise TranscriptionOff("this engine has neither a model nor a server that transcribes")
    if wanted not in sources:
        hint = f"The operator sets {_SETTINGS[wanted]}" + (f"; or choose {sources[0]!r}." if sources else ".")
        raise TranscriptionOff(f"this engine has no {_NOUNS[wanted]} that transcribes ({wanted!r})", hint=hint)
    return wanted


def _check_language(call: Call[NoQuery, Transcribe], source: Transcriber, language: str | None) -> None:
    """Raise InvalidRequest if the model on this machine is known not to have the language."""
    folder, wanted = call.engine.settings.transcription.model_folder, whisper_language(language)
    if source == "local" and folder is not None and wanted is not None:
        fault = unknown_language(folder, wanted)
        if fault is not None:
            raise InvalidRequest(fault, hint="Choose one of them, or leave `language` out.")


def get_transcription(call: Call[WaitQuery, NoBody]) -> Response | Awaitable[Response]:
    id = call.path("transcript_id")
    return answer_when_ended(call, id, lambda: TranscriptionObject.of(call.ledger.transcriptions.get(id)))


def list_transcriptions(call: Call[ListTranscriptions, NoBody]) -> Response:
    page = call.ledger.transcriptions.list(**call.query.model_dump())
    return page_response(call, [TranscriptionObject.of(each) for each in page.data], page.next_cursor)


def cancel_transcription(call: Call[NoQuery, NoBody]) -> Response:
    def work() -> StoredAnswer:
        cancelled = call.ledger.transcriptions.cancel(call.path("transcript_id"), permit=call.permit("transcriptions"))
        return StoredAnswer(200, TranscriptionObject.of(cancelled).to_object(), {})

    return once(call, work)


_ONE = "/v1/transcriptions/{transcript_id}"

OPERATIONS = [
    Operation(
        "POST",
        "/v1/recordings/{recording_id}/transcripts",
        "write",
        transcribe,
        "Transcribe a recording",
        [Answer(202, "The transcription, queued or in progress.", TranscriptionObject)],
        (
            RecordingNotFound,
            RecordingNotComplete,
            TranscriptionOff,
            TranscriptExists,
            NoMediaInRange,
            InvalidRequest,
            InvalidTranscript,
            QueueFull,
            DiskLow,
        ),
        body=Transcribe,
        creates=True,
        audit="transcription.create",
    ),
    Operation(
        "GET",
        "/v1/transcriptions",
        "read",
        list_transcriptions,
        "List transcriptions, newest first",
        [Answer(200, "One page of transcriptions.", TranscriptionObject, page=True)],
        query=ListTranscriptions,
    ),
    Operation(
        "GET",
        _ONE,
        "read",
        get_transcription,
        "Get a transcription, or wait for its end",
        [Answer(200, "The transcription.", TranscriptionObject)],
        (TranscriptNotFound,),
        query=WaitQuery,
    ),
    Operation(
        "POST",
        f"{_ONE}/cancel",
        "delete",
        cancel_transcription,
        "Cancel a transcription",
        [Answer(200, "The transcription, which has failed with `cancelled`.", TranscriptionObject)],
        (TranscriptNotFound, TranscriptionEnded),
        creates=True,
        own=True,
        audit="transcription.cancel",
    ),
]
