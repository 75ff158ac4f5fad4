"""Cutting a clip without a server or ledger, for `clipengine cut` and scripts."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path

from clipengine.cli.local_children import StartChild
from clipengine.cli.local_subtitles import LocalSubtitles
from clipengine.clips.clip import ClipResult
from clipengine.clips.clip_file import CutReport, FilePlan
from clipengine.clips.edit import Part, PlannedPart
from clipengine.clips.facts import SourceFacts
from clipengine.clips.output import Output
from clipengine.clips.profiles import Render
from clipengine.clips.request import LENGTH_HINT, check_range
from clipengine.clips.snap import Snap
from clipengine.clips.snapped import check_possible
from clipengine.clips.watermarks import check_watermark
from clipengine.errors import InvalidTimeRange, SettingsError, UnknownProfile
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.build import build_store
from clipengine.stores.folder import FolderStore
from clipengine.work.encoder.fonts import choose_fonts
from clipengine.work.encoder.jobs import (
    Message,
    Program,
    clip_result,
    cut_job,
    probe_job,
    probe_result,
    probe_texts,
    searched_seconds,
)
from clipengine.work.encoder.process import EncoderProcess
from clipengine.work.encoder.watermarks import read_watermark
from clipengine.work.snapping import snap_parts
from clipengine.work.verification import verify_clip


def cut_once(
    settings: Settings,
    source: str,
    output: Path,
    ranges: Sequence[tuple[Fraction, Fraction]],
    *,
    profile: str,
    render: Render | None = None,
    options: Output | None = None,
    subtitles: LocalSubtitles = LocalSubtitles(),
    snap: Snap | None = None,
    on_progress: Callable[[float], None],
    start_child: StartChild = EncoderProcess,
) -> ClipResult:
    """Cut ranges of a file or an object (`s3://bucket/key`) and write them atomically to `output`, as one clip.

    `subtitles` become text tracks of the clip, or are drawn into its picture; `snap` moves its cuts. `on_progress`
    receives the encoded fraction, 0 to 1. Raises the errors that a clip of the API fails with.
    """
    if profile not in settings.profiles:
        raise UnknownProfile(f"profile {profile!r} does not exist in the settings")
    chosen = settings.profiles[profile].rendered(render, options)
    check_watermark(chosen.output, settings.watermarks)
    name = chosen.output.watermark
    watermark = None if name is None else read_watermark(name, settings.watermarks[name])
    store, key = _locate(settings, source)

    def watch(message: Message | None) -> None:
        if message is not None:
            on_progress(message["part"])

    output = output.resolve()  # a symbolic link stays, and the file that it names is replaced
    descriptor, temporary = tempfile.mkstemp(prefix=f".{output.name[:50]}.", dir=output.parent)
    try:
        with ExitStack() as stack:
            scratch = stack.enter_context(open(descriptor, "r+b"))
            reader = stack.enter_context(closing(store.open(key)))
            # One child for all jobs, because its start costs as much as a second of encoding.
            program: Program = "burner" if subtitles.burns else "encoder"
            encoder = stack.enter_context(closing(start_child(program, sandbox=settings.encoding.sandbox)))
            length = float(sum(end - start for start, end in ranges)) + 2 * searched_seconds(snap, len(ranges))
            probe = probe_job(settings.encoding, cut_seconds=length)
            probed, embedded = encoder.run(probe, reader, watch=lambda message: None, keep=True)
            facts, seek_index = probe_result(probed)
            found = probe_texts(embedded)
            texts = subtitles.choose(found)
            late = [start for start, _ in ranges if start >= facts.duration]
            if late:
                begins, ends = f"{float(late[0]):g} s", f"{float(facts.duration):g} s"
                raise InvalidTimeRange(f"the start {begins} is not before the end of the recording at {ends}")
            # It starts while the clip is cut, and is ready when the clip is.
            inspector = stack.enter_context(closing(start_child("inspector", sandbox=settings.encoding.sandbox)))
            for start, end in ranges:
                check_range(float(start), float(end), duration=float(facts.duration), shortest=0, longest=math.inf)
            total = float(sum(min(end, facts.duration) - start for start, end in ranges))
            if options is not None:
                options.check_length(total, longest=math.inf)
            longest = chosen.longest_range(math.inf)
            if total > longest:
                fault = f"the clip would be {total:g} s long, but may have at most {longest:g} s"
                raise InvalidTimeRange(fault, hint=LENGTH_HINT)
            sentences = texts or found
            if snap is not None:
                check_possible(snap, facts, has_transcript=bool(sentences))
            snapped = snap_parts(
                snap,
                [PlannedPart(facts, start, end, 0, seek_index) for start, end in ranges],
                chosen,
                encoding=settings.encoding,
                cues=lambda part, low, high: sentences[0].near(low, high).cues,
                run=lambda job: encoder.run(job, reader, watch=lambda message: None, keep=True)[0],
            )
            snapped.check(shortest=0, longest=longest, output=options)
            parts = [
                part.with_texts(tuple(each.near(part.start, part.end) for each in texts), burns=subtitles.burns)
                for part in snapped.parts
            ]
            fonts = choose_fonts((part.burnt for part in parts), settings.encoding.font_folders)
            job = cut_job(
                settings,
                profile,
                parts,
                poster=False,
                render=render,
                output=options,
                searched=searched_seconds(snap, len(parts)),
                watermark=watermark,
                fonts=fonts.fonts,
            )
            message, _ = encoder.run(job, reader, output=scratch.fileno(), watch=watch)
            cut = CutReport.of(message.get("cut"))
            plan = FilePlan(parts, chosen)
            verify_clip(inspector, Path(temporary), plan, cut, encoding=settings.encoding, watch=lambda message: None)
            scratch.seek(0)
            sha256 = hashlib.file_digest(scratch, "sha256").hexdigest()
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, output)
        asked = [Part(source, float(start), float(end)) for start, end in ranges] if len(ranges) > 1 else []
        return clip_result(
            cut,
            chosen,
            asked,
            sha256=sha256,
            poster_path=None,
            warnings=[*snapped.warnings, *fonts.warnings()],
            snapped=snapped.cuts,
            bytes_before=snapped.bytes_read,
        )
    finally:
        Path(temporary).unlink(missing_ok=True)


def read_facts(settings: Settings, source: str) -> SourceFacts:
    """Return the facts of a file or an object. Raises RecordingError."""
    store, key = _locate(settings, source)
    with closing(store.open(key)) as reader, closing(EncoderProcess(sandbox=settings.encoding.sandbox)) as encoder:
        probed, _ = encoder.run(probe_job(settings.encoding), reader, watch=lambda message: None)
    return probe_result(probed)[0]


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
