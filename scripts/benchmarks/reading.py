"""Bytes, requests and time for a clip from an S3 store, compared with ffmpeg and with the ideal.

Both read through a counting endpoint on this machine, ffmpeg by a presigned link. The ideal is the container's index
and the packets that the clip needs (`tests.support.reading`). "clip" is the first one after the probe in a restarted
engine, "next clip" another one of the same recording, more than a minute away.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median

from clipengine.clips.edit import PlannedPart
from clipengine.recordings.facts import SourceFacts
from clipengine.recordings.seek_index import SeekIndex
from clipengine.settings.settings import Settings
from clipengine.stores.s3 import S3Store
from clipengine.stores.s3_client import S3Location
from clipengine.work.children.jobs import cut_job, probe_job, probe_result
from clipengine.work.children.pool import ChildPool
from scripts.benchmarks import sources
from scripts.benchmarks.cutting import ffmpeg_command
from scripts.benchmarks.endpoint import Endpoint
from scripts.benchmarks.figures import Bench, Figure
from scripts.benchmarks.measuring import run
from tests.support.reading import ideal

_DELAY_SECONDS = 0.02
_START = Fraction(11_165, 60)  # 186.08: in the middle of a GOP
_NEXT = Fraction(4_111, 10)
_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof"


@dataclass(frozen=True)
class _Form:
    """A recording, and the bound on bytes read as a multiple of the ideal (None without an index)."""

    name: str
    kind: sources.Kind
    extension: str
    mux: Sequence[str]
    bound: float | None


_FORMS = (
    _Form("MP4, index last", sources.H264_1080, "mp4", (), 1.05),
    _Form("MP4, index first", sources.H264_1080, "mp4", ("-movflags", "+faststart"), 1.05),
    _Form("MP4, fragments, sidx", sources.H264_1080, "mp4", ("-movflags", f"{_FRAGMENTS}+global_sidx"), 1.05),
    _Form("MP4, fragments, bare", sources.H264_1080, "mp4", ("-movflags", f"{_FRAGMENTS}+skip_trailer"), 1.05),
    _Form("Matroska, cues", sources.H264_1080, "mkv", (), 1.05),
    _Form("WebM, live", sources.VP8_LIVE, "webm", (), 1.05),
    _Form("MPEG-TS", sources.H264_1080, "ts", (), None),
)


@dataclass(frozen=True)
class _Cost:
    """Cost of one clip."""

    bytes: int
    requests: int
    wall: float


class _Engine:
    """State that an engine keeps between clips: connections, headers, facts and seek index of the recording."""

    def __init__(self, endpoint: Endpoint, folder: Path) -> None:
        location = S3Location(endpoint.url, endpoint.bucket, "key", "secret-secret")
        self._store = S3Store(location, journal=folder / "journal", link_seconds=3600)
        self._endpoint = endpoint
        self._folder = folder
        self._pool = ChildPool()
        self._settings = Settings()
        self._known: tuple[SourceFacts, SeekIndex | None] | None = None

    def probe(self) -> _Cost:
        with self._store_reader() as reader:
            began = time.perf_counter()
            result, _ = self._pool.take().run(probe_job(self._settings.encoding), reader, watch=lambda message: None)
        self._known = probe_result(result)
        return _Cost(*self._endpoint.taken(), time.perf_counter() - began)

    def start_anew(self) -> None:
        """Drop the state in memory; facts and seek index are in the ledger."""
        self._pool.close()
        self._pool = ChildPool()
        self._pool.warm_up()

    def cut(self, start: Fraction, end: Fraction) -> _Cost:
        assert self._known is not None
        facts, landmarks = self._known
        job = cut_job(
            self._settings.encoding,
            self._settings.profiles["default"],
            [PlannedPart(facts, start, end, seek_index=landmarks)],
            poster=False,
        )
        child = self._pool.take()
        child.wait_until_ready()
        began = time.perf_counter()
        with self._store_reader() as reader, tempfile.TemporaryFile(dir=self._folder) as output:
            child.run(job, reader, output=output.fileno(), watch=lambda message: None)
        return _Cost(*self._endpoint.taken(), time.perf_counter() - began)

    def link(self) -> str:
        link = self._store.link(self._endpoint.key, filename="recording", content_type="video/mp4")
        assert link is not None
        return link

    def close(self) -> None:
        self._pool.close()

    def _store_reader(self) -> closing:  # type: ignore[type-arg]
        return closing(self._store.open(self._endpoint.key))


def figures(bench: Bench) -> Iterator[Figure]:
    if (reason := sources.lacking()) is not None:
        bench.say(f"  {reason}")
        return
    seconds, length, rounds = bench.sized((600, 20, 3), (450, 5, 1), (450, 2, 1))
    with tempfile.TemporaryDirectory(dir=bench.cache) as folder:
        for form in bench.sized(_FORMS, _FORMS, _FORMS[:1]):
            source = sources.recording(bench, form.kind, seconds)
            as_it_is = not form.mux and form.extension == form.kind.extension
            recording = source if as_it_is else sources.remuxed(bench, source, form.name, form.extension, form.mux)
            yield from _bytes(form, recording, Path(folder), length)
            yield from _wall(form, recording, Path(folder), length, rounds)


def _bytes(form: _Form, recording: Path, folder: Path, length: int) -> Iterator[Figure]:
    spans = [(start, start + length) for start in (_START, _NEXT)]
    with Endpoint(recording, delay=0) as endpoint, closing(_Engine(endpoint, folder)) as engine:
        yield _megabytes(
            f"{form.name}: probe, bytes of the recording's", engine.probe().bytes, recording.stat().st_size
        )
        engine.start_anew()
        for name, (start, end) in zip(("clip", "next clip"), spans, strict=True):
            cost, least = engine.cut(start, end), ideal(recording, start, end)
            run(ffmpeg_command(engine.link(), folder / "theirs.mp4", start, end))
            theirs = endpoint.taken()
            yield _megabytes(f"{form.name}: {name}, bytes of the ideal's", cost.bytes, least.total, form.bound)
            yield _megabytes(f"{form.name}: {name}, bytes of ffmpeg's", cost.bytes, theirs[0])
            yield Figure(f"{form.name}: {name}, requests", cost.requests, "requests", theirs[1])


def _wall(form: _Form, recording: Path, folder: Path, length: int, rounds: int) -> Iterator[Figure]:
    """Measure with round trips of 20 ms; each round uses a restarted engine."""
    ours, theirs, end = [], [], _START + length
    with Endpoint(recording, delay=_DELAY_SECONDS) as endpoint, closing(_Engine(endpoint, folder)) as engine:
        engine.probe()
        for _ in range(rounds):
            engine.start_anew()
            ours.append(engine.cut(_START, end).wall)
            theirs.append(run(ffmpeg_command(engine.link(), folder / "theirs.mp4", _START, end)).wall)
    ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
    yield Figure(f"{form.name}: clip at 20 ms, wall", median(ours), "s", median(theirs), ratio, at_most=1.0)


def _megabytes(what: str, ours: int, beside: int, bound: float | None = None) -> Figure:
    return Figure(what, ours / 1e6, "MB", beside / 1e6, ours / beside, at_most=bound)
