"""One job in a real encoder child, without an engine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from clipengine.recordings.facts import SourceFacts
from clipengine.settings.settings import Sandbox, Settings
from clipengine.stores.base import ObjectReader
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import Job, Message, probe_job
from clipengine.work.children.process import Child, Watch

# Called with each child before it gets its job.
Watching = Callable[[Child], Watch]


def do_job(
    job: Job,
    recording: Path | ObjectReader,
    *,
    output: int | None = None,
    watching: Watching | None = None,
    sandbox: Sandbox = "auto",
) -> Message:
    """Return the result of the child. Raises the error that ends the job."""
    if isinstance(recording, Path):
        with closing(FolderStore(recording.parent).open(recording.name)) as reader:
            return do_job(job, reader, output=output, watching=watching, sandbox=sandbox)
    child = Child(sandbox=sandbox)
    watch: Any = watching(child) if watching else lambda message: None
    message, _ = child.run(job, recording, output=output, watch=watch)
    return message


def find_facts(settings: Settings, recording: Path | ObjectReader) -> SourceFacts:
    return SourceFacts.model_validate(do_job(probe_job(settings.encoding), recording)["facts"])
