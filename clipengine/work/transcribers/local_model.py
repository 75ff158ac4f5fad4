"""Transcriber on this machine: a child with a Whisper model in the sandbox. Needs `clipengine[transcribe]`."""

from __future__ import annotations

import array
import importlib.util
import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.clips.texts.spoken import Spoken
from clipengine.clips.texts.text_documents import SPOKEN
from clipengine.errors import (
    ClipEngineError,
    DecoderKilled,
    DecoderNotStarted,
    Internal,
    InvalidTranscript,
    Timeout,
    TranscriberFailed,
    TranscriberUnavailable,
)
from clipengine.settings.settings import Encoding, Transcription
from clipengine.work.children.bytes_reader import BytesReader
from clipengine.work.children.jobs import Message, transcribe_job
from clipengine.work.children.process import Child
from clipengine.work.children.running import RunningChildren
from clipengine.work.transcribers.transcriber import Report, length_of, whisper_language

_NEEDED = ("model.bin", "config.json", "tokenizer.json")
_FILES = (*_NEEDED, "preprocessor_config.json", "vocabulary.json", "vocabulary.txt")
_FOLDER_HINT = (
    "Name a folder with a Whisper model for CTranslate2: model.bin, config.json, tokenizer.json and a vocabulary."
)
_MODEL_HINT = "Copy or convert the model again if its files are damaged."
_MAX_VOCABULARY_BYTES = 16 << 20
_MULTILINGUAL_TOKENS = 51_865  # of a model with several languages, at least; others know English only
_LANGUAGE_TOKEN = re.compile(r"<\|([a-z]{2,3})\|>")


def model_files(folder: Path) -> Sequence[Path]:
    """Return the files of the model in a folder. Raises TranscriberFailed if it has none, or the extra is missing."""
    if not folder.is_dir():
        raise TranscriberFailed(f"the folder {folder} does not exist", hint=_FOLDER_HINT)
    if importlib.util.find_spec("faster_whisper") is None:
        raise TranscriberFailed(
            "the package faster-whisper is not installed", hint="Install it with: pip install clipengine[transcribe]"
        )
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise TranscriberFailed(f"the model in {folder} has no file {missing[0]}", hint=_FOLDER_HINT)
    return [folder / name for name in _FILES if (folder / name).is_file()]


def model_languages(folder: Path) -> frozenset[str]:
    """Return the languages that the model in a folder knows, or none if its vocabulary cannot be read."""
    for name in ("vocabulary.json", "vocabulary.txt"):
        try:
            found = (folder / name).stat()
            return _languages(folder / name, found.st_mtime_ns, found.st_size)
        except (OSError, ValueError):
            continue
    return frozenset()


@lru_cache(maxsize=8)
def _languages(path: Path, changed_ns: int, size: int) -> frozenset[str]:
    """Return the languages of a vocabulary. Raises OSError and ValueError."""
    if size > _MAX_VOCABULARY_BYTES:
        raise ValueError("the vocabulary is too large")
    text = path.read_text("utf-8")
    tokens = json.loads(text) if path.suffix == ".json" else text.removesuffix("\n").split("\n")
    if not isinstance(tokens, list):
        raise ValueError("the vocabulary is not a list")
    if len(tokens) < _MULTILINGUAL_TOKENS:  # one of them is empty
        return frozenset(["en"])
    return frozenset(
        match[1] for each in tokens if isinstance(each, str) and (match := _LANGUAGE_TOKEN.fullmatch(each))
    )


def unknown_language(folder: Path, language: str) -> str | None:
    """Return the reason why the model in a folder cannot transcribe a language, or None if it may know it."""
    known = model_languages(folder)
    if not known or language in known:
        return None
    return f"the model does not know the language {language}; it knows {', '.join(sorted(known))}"


class LocalTranscriber:
    """`take_child` returns a child with the program "transcriber"."""

    def __init__(
        self,
        encoding: Encoding,
        settings: Transcription,
        take_child: Callable[[], Child],
        *,
        read: ReadDocument = read_here,
    ) -> None:
        assert settings.model_folder is not None
        self._read = read
        self._encoding = encoding
        self._settings = settings
        self._folder = settings.model_folder
        self._children = RunningChildren(take_child)

    def transcribe(self, samples: array.array[int], *, language: str | None, report: Report) -> Spoken:
        seconds, model = length_of(samples), model_files(self._folder)
        tag = whisper_language(language)
        if tag is not None and (fault := unknown_language(self._folder, tag)) is not None:
            raise TranscriberFailed(fault, hint="Choose one of them, or a model that knows the language.")
        job = transcribe_job(self._encoding, self._settings, model, seconds=seconds, language=tag)

        def watch(message: Message | None) -> None:
            report(None if message is None else message["part"])

        try:
            with BytesReader("samples", samples.tobytes()) as reader:
                _, answer = self._children.run(job, reader, watch=watch)
            return self._read(SPOKEN, answer, seconds=seconds)
        except InvalidTranscript as error:
            raise TranscriberFailed(f"the model's answer is invalid: {error.message}", hint=_MODEL_HINT) from error
        except TranscriberFailed:
            raise
        except ClipEngineError as error:
            # A suspended model did not run, because the machine was busy or suspended.
            suspended = isinstance(error, Timeout) and error.suspended
            if suspended or isinstance(error, DecoderKilled | DecoderNotStarted):
                raise TranscriberUnavailable(f"the model did not finish: {error.message}", hint=error.hint) from error
            hint = _MODEL_HINT if isinstance(error, Internal) else error.hint
            raise TranscriberFailed(f"the model cannot transcribe the audio: {error.message}", hint=hint) from error

    def close(self) -> None:
        self._children.kill()
