"""Cutting a clip without a server or ledger, for `clipengine cut` and scripts."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path

from clipengine.clips.clip import ClipResult
from clipengine.clips.clip_file import CutReport, FilePlan
from clipengine.clips.output import Output
from clipengine.clips.profiles import Render
from clipengine.clips.request import check_range
from clipengine.errors import InvalidTimeRange, SettingsError, UnknownProfile
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.build import build_store
from clipengine.stores.folder import FolderStore
from clipengine.work.encoder.jobs import Message, clip_result, cut_job, probe_job, probe_result
from clipengine.work.encoder.process import EncoderProcess
from clipengine.work.verification import verify_clip


def cut_once(
    settings: Settings,
    source: str,
    output: Path,
    *,
    start: Fraction,
    end: Fraction,
    profile: str,
    render: Render | None = None,
    options: Output | None = None,
    on_progress: Callable[[float], None],
) -> ClipResult:
    """Cut a clip from a file or an object (`s3://bucket/key`) and write it atomically to `output`.

    `on_progress` receives the encoded fraction, 0 to 1. Raises the errors that a clip of the API fails with.
    """
    if profile not in settings.profiles:
        raise UnknownProfile(f"profile {profile!r} does not exist in the settings")
    store, key = _locate(settings, source)

    def watch(message: Message | None) -> None:
        if message is not None:
            on_progress(message["part"])

    descriptor, temporary = tempfile.mkstemp(prefix=f".{output.name[:100]}.", dir=output.parent)
    try:
        with ExitStack() as stack:
            scratch = stack.enter_context(open(descriptor, "r+b"))
            reader = stack.enter_context(closing(store.open(key)))
            # One child for both jobs, because its start costs as much as a second of encoding.
            encoder = stack.enter_context(closing(EncoderProcess(sandbox=settings.encoding.sandbox)))
            probe = probe_job(settings.encoding, cut_seconds=float(end - start))
            probed, _ = encoder.run(probe, reader=reader, watch=lambda message: None, keep=True)
            facts, seek_index = probe_result(probed)
            if start >= facts.duration:
                raise InvalidTimeRange(
                    f"--start {float(start):g} is after the end of the recording at {float(facts.duration):g} s"
                )
            # It starts while the clip is cut, and is ready when the clip is.
            inspector = stack.enter_context(closing(EncoderProcess("inspector", sandbox=settings.encoding.sandbox)))
            check_range(float(start), float(end), duration=float(facts.duration), shortest=0, longest=float("inf"))
            if options is not None:
                options.check_length(float(min(end, facts.duration) - start))
            job = cut_job(
                settings,
                facts,
                profile,
                start=start,
                end=end,
                poster=False,
                render=render,
                output=options,
                seek_index=seek_index,
            )
            message, _ = encoder.run(job, reader=reader, output=scratch.fileno(), watch=watch)
            cut = CutReport.of(message.get("cut"))
            plan = FilePlan(facts, settings.profiles[profile].rendered(render, options), start, end)
            verify_clip(inspector, Path(temporary), plan, cut, encoding=settings.encoding, watch=lambda message: None)
            scratch.seek(0)
            sha256 = hashlib.file_digest(scratch, "sha256").hexdigest()
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, output)
        return clip_result(cut, sha256=sha256, poster_path=None)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _locate(settings: Settings, source: str) -> tuple[Store, str]:
    """Return the store and the key of a source."""
    if source.startswith("s3://"):
        bucket, _, key = source.removeprefix("s3://").partition("/")
        if settings.storage.kind != "s3":
            raise SettingsError('an s3:// source needs storage.kind = "s3" in the settings')
        storage = settings.storage.model_copy(update={"bucket": bucket, "prefix": ""})
        return build_store(storage, folder=Path("/nonexistent"), journal=Path(tempfile.gettempdir())), key
    path = Path(source).resolve()
    return FolderStore(path.parent, ""), path.name
