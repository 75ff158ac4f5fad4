"""Children that are kept for more jobs on the recording that they have read. The children are real processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from clipengine.clips.plan.read_jobs import FRAME, PROXY, TIMES, ReadJob
from clipengine.media.sandbox.limits import MAX_DESCRIPTORS
from clipengine.recordings.facts import SourceFacts
from clipengine.settings.settings import Encoding, Settings
from clipengine.stores.base import ObjectReader
from clipengine.stores.folder import FolderStore
from clipengine.work.children import kept_children
from clipengine.work.children.jobs import read_job
from clipengine.work.children.kept_children import KeptChildren
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.process import Child
from scripts.sample import make_sample
from tests.support.child import find_facts
from tests.support.waiting import until

pytestmark = pytest.mark.programs

_VALUES: dict[ReadJob, dict[str, str | int]] = {
    FRAME: {"at": "1", "width": 64},
    TIMES: {"start": "0", "end": "1"},
    PROXY: {"segment": 0, "lines": 240},
}


class Reading:
    """Makes previews of copies of one recording with kept children."""

    def __init__(self, sample: Path, folder: Path, facts: SourceFacts) -> None:
        self.children = KeptChildren(ChildPool(ahead=0))
        self._facts = facts
        self._store = FolderStore(folder)
        for name in ("a.mp4", "b.mp4", "c.mp4"):
            (folder / name).hardlink_to(sample)

    def read(self, name: str = "a.mp4", kind: ReadJob = FRAME, *, etag: str = "1") -> Child:
        """Do one job, and return the child that has done it."""
        with self.children.lent((name, etag, kind.name), partial(self._store.open, name)) as (child, reader):
            self.run(child, reader, kind)
        return child

    def lent(self, name: str) -> AbstractContextManager[tuple[Child, ObjectReader]]:
        return self.children.lent((name, "1", "frame"), lambda: self._store.open(name))

    def run(self, child: Child, reader: ObjectReader, kind: ReadJob) -> None:
        job = read_job(Encoding(), kind, self._facts, _VALUES[kind])
        _, made = child.run(job, reader, watch=lambda message: None, keep=True)
        assert made


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    make_sample(path, seconds=2)
    return path


@pytest.fixture(scope="module")
def facts(sample: Path) -> SourceFacts:
    return find_facts(Settings(), sample)


@pytest.fixture
def reading(sample: Path, tmp_path: Path, facts: SourceFacts, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    monkeypatch.setattr(KeptChildren, "idle_seconds", 300)  # a busy machine takes seconds to start a child
    made = Reading(sample, tmp_path, facts)
    yield made
    made.children.close()


@pytest.mark.exhaustive
def test_child_is_kept_for_one_recording_and_one_kind_of_jobs(reading: Reading) -> None:
    first = reading.read()
    assert first.alive
    assert reading.read() is first
    others = [reading.read("b.mp4"), reading.read(etag="2"), reading.read(kind=TIMES)]
    assert first not in others
    assert len({*map(id, others)}) == 3
    assert reading.read() is first


@pytest.mark.exhaustive
def test_child_does_more_jobs_than_it_may_have_descriptors(reading: Reading) -> None:
    first = reading.read()
    assert all(reading.read() is first for _ in range(MAX_DESCRIPTORS))


@pytest.mark.exhaustive
def test_idle_children_end_in_time(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeptChildren, "idle_seconds", 0.05)
    first = reading.read()
    until(lambda: not first.alive)
    assert reading.read() is not first


@pytest.mark.exhaustive
def test_few_children_are_idle(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeptChildren, "most_idle", 2)
    made = [reading.read(name) for name in ("a.mp4", "b.mp4", "c.mp4")]
    assert [child.alive for child in made] == [False, True, True]


def test_child_that_used_much_cpu_time_is_not_kept(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of CPU time counts that of earlier jobs."""
    monkeypatch.setattr(kept_children, "_MAX_CPU_SECONDS", 0.01)
    assert not reading.read().alive


@pytest.mark.exhaustive
def test_child_that_encodes_video_is_not_kept(reading: Reading) -> None:
    assert not reading.read(kind=PROXY).alive


def test_child_that_failed_is_not_kept(reading: Reading) -> None:
    class Stop(Exception):
        pass

    first = reading.read()
    with pytest.raises(Stop), reading.lent("a.mp4"):
        raise Stop
    assert not first.alive


@pytest.mark.exhaustive
def test_children_that_are_given_back_after_the_end_are_ended(reading: Reading) -> None:
    idle = reading.read()
    with reading.lent("b.mp4") as (child, reader):
        reading.children.close()
        assert not idle.alive
        reading.run(child, reader, FRAME)
    assert not child.alive
