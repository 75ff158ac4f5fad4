"""Transcriber behind a URL: a server with the transcription API of OpenAI."""

from __future__ import annotations

import array
import secrets
import struct
import sys
import threading
from collections.abc import Callable, Iterator

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.clips.texts.spoken import MAX_ANSWER_BYTES, Spoken
from clipengine.clips.texts.text_documents import SPOKEN
from clipengine.clips.transcription import SAMPLE_RATE
from clipengine.errors import InvalidTranscript, TranscriberFailed, TranscriberUnavailable
from clipengine.outbound.network import SenderClosed
from clipengine.outbound.services import Service, ServiceAnswer, ServiceFailed
from clipengine.settings.settings import Transcription
from clipengine.work.retry import Stopping
from clipengine.work.transcribers.transcriber import Report, length_of, whisper_language

_TRANSIENT = (408, 425, 429)
_REPORT_SECONDS = 1.0
_KEY_HINT = "Set the server's key in CLIPENGINE_TRANSCRIPTION__API_KEY."
_HINTS = {
    401: _KEY_HINT,
    403: _KEY_HINT,
    404: "Correct the path of transcription.url, often /v1/audio/transcriptions, or the name in transcription.model.",
}


class ServerTranscriber:
    """Sends each passage as a WAV file, and asks for `verbose_json` with the times of words."""

    def __init__(self, settings: Transcription, service: Service, *, read: ReadDocument = read_here) -> None:
        self._read = read
        self._settings = settings
        self._service = service

    def transcribe(self, samples: array.array[int], *, language: str | None, report: Report) -> Spoken:
        boundary, purpose = secrets.token_hex(16), secrets.token_hex(8)
        body = list(_multipart(boundary, self._fields(language), _wav(samples)))
        with _Reporting(report, lambda: self._service.abort(purpose)) as reporting:
            try:
                answer = self._service.post(
                    body,
                    {"Content-Type": f"multipart/form-data; boundary={boundary}", **self._settings.key_header},
                    seconds=self._settings.timeout_seconds,
                    max_bytes=MAX_ANSWER_BYTES,
                    purpose=purpose,
                )
            except SenderClosed:
                raise Stopping from None
            except ServiceFailed as error:
                reporting.raise_if_ended()
                kind = TranscriberUnavailable if error.transient else TranscriberFailed
                raise kind(f"the transcription server: {error}") from error
        return self._parsed(answer, length_of(samples))

    def close(self) -> None:
        self._service.close()

    def _parsed(self, answer: ServiceAnswer, seconds: float) -> Spoken:
        if answer.status != 200:
            said = answer.error_text(without=self._settings.api_key.get_secret_value())
            fault = f"the transcription server responded with status {answer.status}{said and f': {said}'}"
            if answer.status in _TRANSIENT or answer.status >= 500:
                raise TranscriberUnavailable(fault)
            raise TranscriberFailed(fault, hint=_HINTS.get(answer.status))
        try:
            return self._read(SPOKEN, answer.body, seconds=seconds)
        except InvalidTranscript as error:
            raise TranscriberFailed(f"the answer of the transcription server is invalid: {error.message}") from error

    def _fields(self, language: str | None) -> list[tuple[str, str]]:
        fields = [("response_format", "verbose_json")]
        fields += [("timestamp_granularities[]", each) for each in ("word", "segment")]
        if self._settings.model:
            fields.append(("model", self._settings.model))
        if (tag := whisper_language(language)) is not None:
            fields.append(("language", tag))
        return fields


def _multipart(boundary: str, fields: list[tuple[str, str]], wav: list[bytes]) -> Iterator[bytes]:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    for name, value in fields:
        yield f'{head}{name}"\r\n\r\n{value}\r\n'.encode()
    yield f'{head}file"; filename="audio.wav"\r\nContent-Type: audio/wav\r\n\r\n'.encode()
    yield from wav
    yield f"\r\n--{boundary}--\r\n".encode()


def _wav(samples: array.array[int]) -> list[bytes]:
    """Return a WAV file: its header and its samples."""
    if sys.byteorder == "big":
        samples = array.array("h", samples)
        samples.byteswap()
    data = samples.tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + len(data), b"WAVE")
    return [head + form + struct.pack("<4sI", b"data", len(data)), data]


class _Reporting:
    """Calls `report` each second while a request runs, and `abort` when it raises an exception."""

    def __init__(self, report: Report, abort: Callable[[], None]) -> None:
        self._report = report
        self._abort = abort
        self._over = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="transcription-report", daemon=True)

    def raise_if_ended(self) -> None:
        """Raise the exception with which `report` has ended the request, if it has."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> _Reporting:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_REPORT_SECONDS):
            try:
                self._report(None)
            except Exception as error:
                self._error = error
                self._abort()
                return
