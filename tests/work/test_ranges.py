"""Range requests of children to an S3 store: their number, and errors."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from clipengine.clips.edit import PlannedPart
from clipengine.errors import ObjectChanged
from clipengine.settings.settings import Settings
from clipengine.stores.s3 import S3Store
from clipengine.work.children.jobs import Message, cut_job, probe_job, probe_result
from clipengine.work.children.pool import ChildPool
from tests.support.reading import FORMS, make
from tests.support.s3 import QUICK, S3Server, faulty_s3  # noqa: F401 - fixture
from tests.support.s3_faults import FaultyS3, stall

_SETTINGS = Settings()
_SECONDS = 40
_GOP_BYTES = 3_200_000  # slightly more than five seconds of the recording


class _Bench:
    """A recording in a store behind a proxy that records each request."""

    def __init__(self, server: S3Server, bucket: str, proxy: FaultyS3, folder: Path, form: str) -> None:
        self.proxy = proxy
        self.path = folder / f"recording.{FORMS[form].extension}"
        make(self.path, form, _SECONDS)
        self.put = lambda: server.client.fput_object(bucket, "r", str(self.path))
        self.put()
        location = server.location(bucket, endpoint=proxy.endpoint)
        self.store = S3Store(location, journal=folder / "journal", link_seconds=60, retries=QUICK)
        self._folder = folder

    def ranges(self, since: int) -> list[tuple[int, int]]:
        """Return the ranges requested after the first `since` requests, as first and last byte."""
        asked = [request.headers.get("range", "") for request in self.proxy.seen[since:] if request.method == "GET"]
        return [(int(found[1]), int(found[2])) for each in asked if (found := re.fullmatch(r"bytes=(\d+)-(\d+)", each))]

    def cut(self, pool: ChildPool, probed: Message, start: int) -> tuple[Message, list[tuple[int, int]]]:
        """Cut one second. Return the report of the child and the requested ranges."""
        facts, landmarks = probe_result(probed)
        part = PlannedPart(facts, Fraction(start), Fraction(start + 1), seek_index=landmarks)
        job = cut_job(_SETTINGS.encoding, _SETTINGS.profiles["default"], [part], poster=False)
        since = len(self.proxy.seen)
        with closing(self.store.open("r")) as reader, (self._folder / f"{start}.mp4").open("x+b") as output:
            made, _ = pool.take().run(job, reader, output=output.fileno(), watch=lambda message: None)
        return made["cut"], self.ranges(since)

    def probe(self, pool: ChildPool) -> Message:
        return _probed(self.store, "r", pool)


def _probed(store: S3Store, key: str, pool: ChildPool) -> Message:
    with closing(store.open(key)) as reader:
        return pool.take().run(probe_job(_SETTINGS.encoding), reader, watch=lambda message: None)[0]


@pytest.mark.exhaustive
@pytest.mark.parametrize("form", ["mp4", "mkv_live", "ts"])
def test_second_clip_reads_neither_header_nor_index_again(
    s3: S3Server,
    bucket: str,
    faulty_s3: FaultyS3,  # noqa: F811
    tmp_path: Path,
    form: str,
) -> None:
    bench = _Bench(s3, bucket, faulty_s3, tmp_path, form)
    with closing(ChildPool()) as pool:
        probed = bench.probe(pool)
        cuts = [bench.cut(pool, probed, start) for start in (12, 33)]
    for (made, ranges), start in zip(cuts, (10, 30), strict=True):
        asked = sum(last - first + 1 for first, last in ranges)
        assert made["bytes_read"] == asked < _GOP_BYTES
        part = start / _SECONDS * bench.path.stat().st_size
        assert min(first for first, _ in ranges) > 0.9 * part  # the index of this MP4 is at its end
        assert max(last for _, last in ranges) < part + 1.1 * _GOP_BYTES
        assert len(ranges) < 20


@pytest.mark.exhaustive
def test_parts_of_two_recordings_are_read_by_their_ranges(
    s3: S3Server,
    bucket: str,
    faulty_s3: FaultyS3,  # noqa: F811
    tmp_path: Path,
) -> None:
    first = _Bench(s3, bucket, faulty_s3, tmp_path, "mp4")
    s3.client.fput_object(bucket, "first", str(first.path))
    second = _Bench(s3, bucket, faulty_s3, tmp_path, "mkv_live")
    with closing(ChildPool()) as pool:
        facts = [probe_result(each)[0] for each in (_probed(first.store, "first", pool), second.probe(pool))]
        parts = [
            PlannedPart(facts[source], Fraction(start), Fraction(start + 1), source)
            for start, source in ((12, 0), (33, 1), (3, 0))
        ]
        job = cut_job(_SETTINGS.encoding, _SETTINGS.profiles["default"], parts, poster=False)
        with (
            (tmp_path / "clip.mp4").open("x+b") as output,
            closing(first.store.open("first")) as mp4,
            closing(second.store.open("r")) as mkv,
        ):
            made, _ = pool.take().run(job, mp4, mkv, output=output.fileno(), watch=lambda message: None)
    assert [(each["actual_start"], each["actual_end"]) for each in made["cut"]["parts"]] == [
        ("12", "13"),
        ("33", "34"),
        ("3", "4"),
    ]
    assert made["cut"]["frames"] == 75


@pytest.mark.exhaustive
def test_recording_replaced_during_the_cut_is_reported_as_changed(
    s3: S3Server,
    bucket: str,
    faulty_s3: FaultyS3,  # noqa: F811
    tmp_path: Path,
) -> None:
    bench = _Bench(s3, bucket, faulty_s3, tmp_path, "mp4")
    with closing(ChildPool()) as pool:
        facts, _ = probe_result(bench.probe(pool))
        job = cut_job(
            _SETTINGS.encoding,
            _SETTINGS.profiles["default"],
            [PlannedPart(facts, Fraction(12), Fraction(14))],
            poster=False,
        )
        with closing(bench.store.open("r")) as reader, (tmp_path / "clip.mp4").open("x+b") as output:
            make(bench.path, "mp4_index_first", _SECONDS)
            bench.put()
            with pytest.raises(ObjectChanged):
                pool.take().run(job, reader, output=output.fileno(), watch=lambda message: None)


@pytest.mark.exhaustive
def test_child_killed_during_a_range_request_leaves_no_thread(
    s3: S3Server,
    bucket: str,
    faulty_s3: FaultyS3,  # noqa: F811
    tmp_path: Path,
) -> None:
    class Stopped(Exception):
        pass

    bench = _Bench(s3, bucket, faulty_s3, tmp_path, "mkv_live")
    faulty_s3.fail(stall(100), method="GET", times=1)
    with closing(ChildPool()) as pool, closing(bench.store.open("r")) as reader:

        def watch(message: Message | None) -> None:
            if faulty_s3.count("GET"):  # it waits for its first bytes
                raise Stopped

        with pytest.raises(Stopped):
            pool.take().run(probe_job(_SETTINGS.encoding), reader, watch=watch)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
