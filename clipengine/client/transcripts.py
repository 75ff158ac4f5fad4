"""Transcripts of recordings, and the search in them."""

from __future__ import annotations

import json as codec
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clipengine.client.exchange import Api, Steps, route, without_none
from clipengine.client.files import read_chunks, save
from clipengine.client.long_poll import wait_until_ended
from clipengine.client.methods import AsyncResource, Resource, aiterating, awaiting, blocking, iterating
from clipengine.client.models import Cue, Page, SearchHit, Transcript, Transcription
from clipengine.client.transport import AsyncTransport, Transport
from clipengine.clips.texts.cues import MEDIA_TYPES, TextFormat, WrittenFormat
from clipengine.clips.transcription import Transcriber


class TranscriptCalls:
    """The calls about transcripts. `language` is a BCP 47 tag, such as `en` or `pt-BR`."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def put(
        self,
        recording_id: str,
        language: str,
        source: str | Path | Sequence[Mapping[str, Any]],
        *,
        version: str | None = None,
    ) -> Steps[Transcript]:
        """Create or replace a transcript from a `.vtt`, `.srt` or `.json` file, or from a list of cues.

        A cue has `start_seconds`, `end_seconds`, `text` and, if known, `speaker`. With a `version`, only that one is
        replaced: raises ApiError with the code `transcript_changed` if the stored transcript has another version.
        """
        path = _route(recording_id, language)
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        if not isinstance(source, str | Path):
            cues = [dict(cue) for cue in source]
            return Transcript.from_object((yield from self._api.send("PUT", path, headers=headers, json=cues)))
        source = Path(source)
        headers |= {"Content-Type": MEDIA_TYPES[format_of(source)], "Content-Length": str(source.stat().st_size)}
        answer = yield from self._api.send("PUT", path, headers=headers, content=read_chunks(source))
        return Transcript.from_object(answer)

    def get(self, recording_id: str, language: str) -> Steps[list[Cue]]:
        """Return the cues of a transcript, sorted by time."""
        body = yield from self._api.fetch(_route(recording_id, language), {"format": "json"})
        return [Cue.from_object(each) for each in codec.loads(body)]

    def save(
        self, recording_id: str, language: str, path: str | Path, *, format: WrittenFormat | None = None
    ) -> Steps[int]:
        """Write a transcript atomically to a file and return its size. `format` defaults to the file's suffix.

        `txt` is plain text without times.
        """
        kind = format or ("txt" if Path(path).suffix.lower() == ".txt" else format_of(Path(path)))
        return save(_route(recording_id, language), path, None, {"format": kind})

    def list(
        self, recording_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Steps[Page[Transcript]]:
        """Return one page of the transcripts of a recording, newest first, without their cues."""
        answer = yield from self._api.get(_route(recording_id), {"limit": limit, "cursor": cursor})
        return Page.of(answer, Transcript.from_object)

    def delete(self, recording_id: str, language: str) -> Steps[None]:
        yield from self._api.send("DELETE", _route(recording_id, language))

    def search(
        self,
        query: str,
        *,
        recording_id: str | None = None,
        language: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Steps[Page[SearchHit]]:
        """Return one page of the cues that contain all words of the query, in one transcript or in all.

        `"two words"` must follow each other; `bud*` is the beginning of a word.
        """
        if (recording_id is None) != (language is None):
            raise ValueError("give recording_id and language, or neither")
        path = "/v1/search" if recording_id is None else _route(recording_id, language or "", "search")
        answer = yield from self._api.get(path, {"q": query, "limit": limit, "cursor": cursor})
        return Page.of(answer, SearchHit.from_object)

    def transcribe(
        self,
        recording_id: str,
        *,
        language: str | None = None,
        source: Transcriber | None = None,
        track: int = 0,
        idempotency_key: str | None = None,
    ) -> Steps[Transcription]:
        """Queue a transcription, which makes a transcript. `wait` waits for it; `language` is detected by default."""
        body = {"track": track, **without_none({"language": language, "source": source})}
        answer = yield from self._api.create(_route(recording_id), body, idempotency_key=idempotency_key)
        return Transcription.from_object(answer)

    def transcription(self, transcript_id: str) -> Steps[Transcription]:
        """Return a transcription: its status and progress."""
        return Transcription.from_object((yield from self._api.get(route("transcriptions", transcript_id))))

    def transcriptions(
        self,
        *,
        recording_id: str | None = None,
        status: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Steps[Page[Transcription]]:
        """Return one page of transcriptions, newest first."""
        params = {"recording_id": recording_id, "status": status, "limit": limit, "cursor": cursor}
        return Page.of((yield from self._api.get("/v1/transcriptions", params)), Transcription.from_object)

    def wait(
        self,
        transcript_id: str,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Transcription], None] | None = None,
    ) -> Steps[Transcription]:
        """Wait until a transcription has ended and return it. Raises WaitTimeout.

        `on_progress` is called with the current state twice a second.
        """
        path = route("transcriptions", transcript_id)
        return wait_until_ended(self._api, path, Transcription.from_object, timeout=timeout, on_progress=on_progress)

    def cancel(self, transcript_id: str, *, idempotency_key: str | None = None) -> Steps[Transcription]:
        """Cancel a transcription that is queued or in progress."""
        path = route("transcriptions", transcript_id, "cancel")
        return Transcription.from_object((yield from self._api.create(path, idempotency_key=idempotency_key)))


def _route(recording_id: str, *rest: str) -> str:
    return route("recordings", recording_id, "transcripts", *rest)


def format_of(path: Path) -> TextFormat:
    """Return the format of a file by its suffix. Raises ValueError."""
    for kind in MEDIA_TYPES:
        if path.suffix.lower() == f".{kind}":
            return kind
    raise ValueError(f"the name of a transcript must end with .vtt, .srt or .json, not {path.suffix or 'nothing'}")


class Transcripts(Resource[TranscriptCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, TranscriptCalls(api))

    put = blocking(TranscriptCalls.put)
    get = blocking(TranscriptCalls.get)
    save = blocking(TranscriptCalls.save)
    list = blocking(TranscriptCalls.list)
    each = iterating(TranscriptCalls.list)
    delete = blocking(TranscriptCalls.delete)
    search = blocking(TranscriptCalls.search)
    each_hit = iterating(TranscriptCalls.search)
    transcribe = blocking(TranscriptCalls.transcribe)
    transcription = blocking(TranscriptCalls.transcription)
    transcriptions = blocking(TranscriptCalls.transcriptions)
    each_transcription = iterating(TranscriptCalls.transcriptions)
    wait = blocking(TranscriptCalls.wait)
    cancel = blocking(TranscriptCalls.cancel)


class AsyncTranscripts(AsyncResource[TranscriptCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, TranscriptCalls(api))

    put = awaiting(TranscriptCalls.put)
    get = awaiting(TranscriptCalls.get)
    save = awaiting(TranscriptCalls.save)
    list = awaiting(TranscriptCalls.list)
    each = aiterating(TranscriptCalls.list)
    delete = awaiting(TranscriptCalls.delete)
    search = awaiting(TranscriptCalls.search)
    each_hit = aiterating(TranscriptCalls.search)
    transcribe = awaiting(TranscriptCalls.transcribe)
    transcription = awaiting(TranscriptCalls.transcription)
    transcriptions = awaiting(TranscriptCalls.transcriptions)
    each_transcription = aiterating(TranscriptCalls.transcriptions)
    wait = awaiting(TranscriptCalls.wait)
    cancel = awaiting(TranscriptCalls.cancel)
