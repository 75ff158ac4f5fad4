"""Cutting a clip without a server or ledger, for `clipengine cut` and scripts."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from clipengine.cli.local.children import StartChild
from clipengine.cli.local.probe import probe_local
from clipengine.cli.local.subtitles import LocalSubtitles
from clipengine.clips.clip import ClipResult
from clipengine.clips.edit import Part, PlannedPart, bounds
from clipengine.clips.options.output import Output
from clipengine.clips.options.profiles import Profile, Render
from clipengine.clips.options.snap import Snap
from clipengine.clips.options.without import NOTHING, Without
from clipengine.clips.request import ClipRequest, GapMode, TimeRange
from clipengine.clips.resolve import ClipSource, resolve_clip
from clipengine.clips.texts.cues import Cue
from clipengine.clips.texts.subtitles import TextTrack
from clipengine.clips.warnings import words_not_marked
from clipengine.errors import InvalidTimeRange, ObjectMissing, SettingsError
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.file_name_pattern import FolderSource
from clipengine.recordings.playlist import VariantChoice
from clipengine.recordings.recording import Recording
from clipengine.settings.settings import Settings
from clipengine.stores.base import ObjectReader, Store
from clipengine.stores.build import build_store
from clipengine.stores.folder import FolderStore
from clipengine.work.children.jobs import Job, Message, Program, probe_job, searched_seconds
from clipengine.work.children.process import Child
from clipengine.work.children.watermarks import WatermarkFile, read_watermark
from clipengine.work.cutting.clip_maker import ClipMaker
from clipengine.work.cutting.preparation import Making

_PATTERN = re.compile(r"%[a-zA-Z]|\{n\}|\*")


@dataclass(frozen=True)
class LocalClip:
    """A clip of SOURCE, as it is asked for on the command line."""

    ranges: Sequence[tuple[Fraction, Fraction]]
    profile: str = "default"
    render: Render | None = None
    options: Output | None = None
    subtitles: LocalSubtitles = field(default_factory=LocalSubtitles)
    transcript: TextTrack | None = None  # of SOURCE; it times the words, and is not in the clip
    snap: Snap | None = None
    without: Without = NOTHING
    gaps: GapMode = "hold"
    variant: VariantChoice = field(default_factory=VariantChoice)
    times: TimeRange | None = None  # clock times of a single range, in place of its seconds

    @property
    def seconds(self) -> float:
        """The length of all ranges."""
        if self.times is not None:
            return max(0.0, (self.times[1] - self.times[0]) / 1000)
        return float(sum(end - start for start, end in self.ranges))

    def request(self, source: str) -> ClipRequest:
        parts = tuple(Part(source, float(start), float(end)) for start, end in self.ranges)
        start_seconds, end_seconds = bounds(parts, source)
        return ClipRequest(
            "clip",
            start_seconds,
            end_seconds,
            profile=self.profile,
            render=self.render,
            output=self.options,
            snap=self.snap,
            without=self.without,
            gaps=self.gaps,
            parts=parts if len(parts) > 1 else (),
            start_time=self.times and self.times[0],
            end_time=self.times and self.times[1],
        )

    def exact(self, planned: Sequence[PlannedPart]) -> list[PlannedPart]:
        """Return the parts with the seconds as they were given, unless gaps are skipped."""
        if self.gaps == "skip" or self.times is not None:
            return list(planned)
        return [replace(part, start=start, end=end) for part, (start, end) in zip(planned, self.ranges, strict=True)]


def cut_once(
    settings: Settings,
    source: str,
    output: Path,
    clip: LocalClip,
    *,
    on_progress: Callable[[float], None],
    start_child: StartChild = Child,
) -> ClipResult:
    """Cut a clip of a file or an object (`s3://bucket/key`) and write it atomically to `output`.

    `on_progress` receives the encoded fraction, 0 to 1. Raises the errors that a clip of the API fails with.
    """
    encoding, rules = settings.encoding, settings.clip_rules.unlimited
    with ExitStack() as stack:
        temporary = stack.enter_context(_replaced(output))
        store, opened = stack.enter_context(open_source(settings, source))
        # One child for all jobs, because its start costs as much as a second of encoding.
        program: Program = "burner" if clip.subtitles.burns else "maker"
        child = stack.enter_context(closing(start_child(program, sandbox=encoding.sandbox)))
        seconds = (2 if clip.without.kinds else 1) * clip.seconds + 2 * searched_seconds(clip.snap, len(clip.ranges))
        job, base_url = probe_job(encoding, cut_seconds=seconds), settings.storage.playlist_base_url
        probed = probe_local(store, opened, job, child, clip.variant, base_url=base_url)
        stack.enter_context(closing(probed.reader))
        encoder = _Encoder(child, probed.reader, on_progress)
        texts = LocalTexts(clip.subtitles, clip.subtitles.choose(probed.texts), probed.texts, clip.transcript)
        _check_starts(clip, probed.facts)
        # It starts while the clip is cut, and is ready when the clip is.
        inspector = stack.enter_context(closing(start_child("inspector", sandbox=encoding.sandbox)))
        languages = tuple(track.language for track in texts.sentences)
        known = ClipSource(
            Recording.local(source, probed.facts, probed.gaps, probed.clock), languages, probed.seek_index
        )
        resolved = resolve_clip(source, clip.request(source), {source: known}, rules)
        parts = clip.exact(resolved.planned)
        maker = ClipMaker(encoding, rules, _watermarks(settings, resolved.profile))
        making = Making(parts, resolved.profile, texts, clip.snap, clip.options, without=clip.without)
        made = maker.make(making, temporary, encoder, lambda: nullcontext((inspector, lambda message: None)))
        return made.result(resolved.request.parts)


def _check_starts(clip: LocalClip, facts: SourceFacts) -> None:
    """Raise InvalidTimeRange if a range begins after the recording."""
    for start, _ in clip.ranges:
        if start >= facts.duration:
            begins, ends = f"{float(start):g} s", f"{float(facts.duration):g} s"
            raise InvalidTimeRange(f"the start {begins} is not before the end of the recording at {ends}")


def _watermarks(settings: Settings, profile: Profile) -> dict[str, WatermarkFile]:
    name = profile.output.watermark
    return {} if name is None else {name: read_watermark(name, settings.watermarks[name])}


@contextmanager
def _replaced(output: Path) -> Iterator[Path]:
    """Yield an empty file that replaces `output` at the end, or is deleted if an exception is raised."""
    output = output.resolve()  # a symbolic link stays, and the file that it names is replaced
    # Named before it exists: a signal between `mkstemp` and `try` would leave its file.
    temporary = output.with_name(f".{output.name[:50]}.{secrets.token_hex(8)}")
    try:
        temporary.touch(mode=0o600, exist_ok=False)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class LocalTexts:
    """The texts of SOURCE and of files, see `ClipTexts`."""

    subtitles: LocalSubtitles
    chosen: Sequence[TextTrack]
    embedded: Sequence[TextTrack]
    transcript: TextTrack | None = None

    @property
    def sentences(self) -> Sequence[TextTrack]:
        return self.chosen or self.embedded if self.transcript is None else [self.transcript]

    def cues(self, part: PlannedPart, start: Fraction, end: Fraction) -> Sequence[Cue]:
        return self.sentences[0].near(start, end).cues

    def spoken(self, part: PlannedPart) -> TextTrack | None:
        return self.sentences[0].near(part.start, part.end) if self.sentences else None

    def added(self, parts: Sequence[PlannedPart]) -> tuple[list[PlannedPart], list[str]]:
        near = [tuple(each.near(part.start, part.end) for each in self.chosen) for part in parts]
        if not self.subtitles.burns:
            return [part.with_texts(texts) for part, texts in zip(parts, near, strict=True)], []
        style = self.subtitles.style
        drawn = [part.with_captions(texts, style) for part, texts in zip(parts, near, strict=True)]
        return drawn, words_not_marked(drawn)


class _Encoder:
    """A child with SOURCE. As a context manager, it ends the child."""

    def __init__(self, child: Child, reader: ObjectReader, on_progress: Callable[[float], None]) -> None:
        self._child = child
        self._reader = reader
        self._on_progress = on_progress

    def run(self, job: Job, *, output: int | None = None, keep: bool = False) -> tuple[Message, bytes]:
        return self._child.run(job, self._reader, output=output, watch=self._watch, keep=keep)

    def _watch(self, message: Message | None) -> None:
        if message is not None:
            self._on_progress(message["part"])

    def __enter__(self) -> _Encoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._child.close()


def read_facts(settings: Settings, source: str, variant: VariantChoice | None = None) -> SourceFacts:
    """Return the facts of a file or an object. Raises RecordingError."""
    with (
        open_source(settings, source) as (store, opened),
        closing(Child(sandbox=settings.encoding.sandbox)) as child,
    ):
        job, base_url = probe_job(settings.encoding), settings.storage.playlist_base_url
        probed = probe_local(store, opened, job, child, variant or VariantChoice(), base_url=base_url)
        probed.reader.close()
    return probed.facts


@contextmanager
def open_source(settings: Settings, source: str) -> Iterator[tuple[Store, ObjectReader | FolderSource]]:
    """Yield the store of a source, and the open file or playlist, or the folder with a camera's files."""
    store, key = _locate(settings, source)
    if isinstance(key, FolderSource):
        yield store, key
        return
    with closing(store.open(key)) as reader:
        yield store, reader


def _locate(settings: Settings, source: str) -> tuple[Store, str | FolderSource]:
    """Return the store, and the key or the folder of a source."""
    if source.startswith("s3://"):
        bucket, _, key = source.removeprefix("s3://").partition("/")
        if settings.storage.kind != "s3":
            raise SettingsError('an s3:// source needs storage.kind = "s3" in the settings')
        storage = settings.storage.model_copy(update={"bucket": bucket, "prefix": ""})
        store = build_store(storage, folder=Path("/nonexistent"), journal=Path(tempfile.gettempdir()))
        return store, _folder_in(key) if _PATTERN.search(key) and not _is_stored(store, key) else key
    if _PATTERN.search(source) and "://" not in source and not Path(source).exists():
        folder = _folder_in(str(Path(source).absolute()))
        return FolderStore(Path(folder.folder), ""), replace(folder, folder="")
    path = Path(source).resolve()
    return FolderStore(path.parent, ""), path.name


def _folder_in(pattern: str) -> FolderSource:
    """Return the folder of a camera's files, up to the first part of the path that varies."""
    parts = pattern.split("/")
    first = next(number for number, part in enumerate(parts) if _PATTERN.search(part))
    return FolderSource("".join(f"{part}/" for part in parts[:first]), "/".join(parts[first:]))


def _is_stored(store: Store, key: str) -> bool:
    try:
        store.head(key)
    except ObjectMissing:
        return False
    return True
