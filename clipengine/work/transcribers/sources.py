"""The transcribers that the settings name."""

from __future__ import annotations

import logging
from functools import partial

from clipengine.basis.documents import ReadDocument, read_here
from clipengine.clips.transcription import Transcriber
from clipengine.errors import TranscriberFailed
from clipengine.outbound.services import Service
from clipengine.settings.settings import Settings
from clipengine.work.children.pool import ChildPool
from clipengine.work.transcribers.local_model import LocalTranscriber, model_files
from clipengine.work.transcribers.server import ServerTranscriber
from clipengine.work.transcribers.transcriber import SpeechSource

log = logging.getLogger(__name__)


def speech_sources(
    settings: Settings, pool: ChildPool, *, own_port: int | None, read: ReadDocument = read_here
) -> dict[Transcriber, SpeechSource]:
    """Return the transcribers by name. The children of a model are taken from `pool`; `read` parses the answers."""
    found: dict[Transcriber, SpeechSource] = {}
    transcription = settings.transcription
    for name in transcription.sources:
        if name == "local":
            found[name] = LocalTranscriber(
                settings.encoding, transcription, partial(pool.take, "transcriber"), read=read
            )
        else:
            found[name] = ServerTranscriber(transcription, Service(transcription.url, own_port=own_port), read=read)
    return found


def warn_if_unusable(settings: Settings) -> None:
    """Log why the model of the settings cannot be used, such as a missing folder. Clips are cut without one."""
    folder = settings.transcription.model_folder
    try:
        if folder is not None:
            model_files(folder)
    except TranscriberFailed as error:
        log.warning("transcription.model_folder: %s; nothing can be transcribed. %s", error.message, error.hint)
