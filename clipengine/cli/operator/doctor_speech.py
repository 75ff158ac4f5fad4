"""Check of the models of the settings: that on this machine is loaded in the sandbox, and servers are connected to."""

from __future__ import annotations

import array
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from clipengine.cli.operator.doctor_finding import Finding, ok
from clipengine.clips.transcription import SAMPLE_RATE
from clipengine.errors import TranscriberFailed, TranscriberUnavailable
from clipengine.outbound.services import Service, ServiceFailed
from clipengine.settings.settings import Settings
from clipengine.work.children.pool import ChildPool
from clipengine.work.transcribers.local_model import LocalTranscriber, model_files

_TIMEOUT_SECONDS = 5
_SILENCE = array.array("h", bytes(2 * SAMPLE_RATE))


def transcription(settings: Settings) -> Iterator[Finding]:
    """Check each transcriber that the settings name, and the server that suggests moments."""
    if settings.transcription.model_folder is not None:
        yield _model(settings, settings.transcription.model_folder)
    for name, url in (
        ("transcription.url", settings.transcription.url),
        ("suggestions.url", settings.suggestions.url),
    ):
        if url:
            yield _server(settings, name, url)


def _model(settings: Settings, folder: Path) -> Finding:
    """Load the model as a transcription does: its files may be truncated or of another kind."""
    try:
        size = sum(path.stat().st_size for path in model_files(folder))
    except TranscriberFailed as error:
        return Finding("transcription", "warning", error.message, error.hint)
    try:
        with closing(ChildPool(sandbox=settings.encoding.sandbox, ahead=0)) as pool:
            model = LocalTranscriber(settings.encoding, settings.transcription, partial(pool.take, "transcriber"))
            model.transcribe(_SILENCE, language="en", report=lambda part: None)
    except (TranscriberFailed, TranscriberUnavailable) as error:
        remedy = "Copy the files of the model again, and check transcription.memory_mb."
        return Finding("transcription", "warning", f"the model in {folder} does not work: {error.message}", remedy)
    return ok("transcription", f"a model of {size >> 20} MiB in {folder} was loaded")


def _server(settings: Settings, name: str, url: str) -> Finding:
    """Open a connection. Nothing is sent."""
    service = Service(url, own_port=settings.own_port)
    try:
        service.reach(seconds=_TIMEOUT_SECONDS)
    except ServiceFailed as error:
        remedy = f"Check {name}, and that the server runs."
        return Finding(name, "warning", f"the server does not answer: {error}", remedy)
    finally:
        service.close()
    return ok(name, "the server can be reached")
