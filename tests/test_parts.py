"""Builders of the parts of an engine: each builds its part alone, without an engine."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from clipengine import parts
from clipengine.basis.disk_space import DiskSpace
from clipengine.basis.documents import read_here
from clipengine.clips.plan.read_jobs import FRAME, PROXY
from clipengine.errors import StartupError
from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.build import store_of
from clipengine.work.children.pool import ChildPool
from clipengine.work.upkeep.sweep import Sweep
from clipengine.work.worker import JobContext, Jobs, Worker
from tests.support.ledgers import copy_ledger
from tests.support.waiting import until

Build = Callable[[Settings, JobContext, Store, ChildPool], Jobs[Any]]
_JOBS: dict[str, Build] = {
    "prober": lambda settings, jobs, store, pool: parts.build_prober(
        settings, jobs, store, pool, read=read_here, suspects_allowed=lambda: True
    ),
    "refresher": lambda settings, jobs, store, pool: parts.build_refresher(settings, jobs, store, pool, read=read_here),
    "fetcher": lambda settings, jobs, store, pool: parts.build_fetcher(
        settings,
        jobs,
        store,
        parts.build_previews(settings, store, jobs.ledger.recordings, pool, disk=jobs.disk).copies,
        check_disk=lambda: None,
    ),
    "courier": lambda settings, jobs, store, pool: parts.build_courier(settings, jobs, on_attempt=lambda outcome: None),
    "transcriptions": lambda settings, jobs, store, pool: parts.build_transcriptions(
        settings, jobs, store, pool, read=read_here, may_run=lambda: True
    ),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    watch = {"prefixes": ["in/"], "settle_seconds": 0}
    return Settings.model_validate({"data": {"folder": tmp_path / "data"}, "watch": watch})


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    copy_ledger(settings.ledger_file)
    with closing(Ledger.of_settings(settings)) as opened:
        yield opened


@pytest.fixture
def store(settings: Settings, ledger: Ledger) -> Store:
    return store_of(settings, identity=ledger.store_identity)


@pytest.mark.parametrize("name", _JOBS)
def test_jobs_are_built_alone_and_find_none_in_an_empty_ledger(
    settings: Settings, ledger: Ledger, store: Store, name: str
) -> None:
    with closing(ChildPool(ahead=0)) as pool:
        context = JobContext(ledger, "inst_1", threading.Event())
        worker = Worker(_JOBS[name](settings, context, store, pool))
        assert (worker.is_due(), worker.run_next()) == (False, False)


def test_children_of_previews_and_speech_have_a_lower_priority_than_children_of_clips(settings: Settings) -> None:
    encoding = settings.encoding.model_copy(update={"nice": 4})
    pools = parts.build_pools(encoding, on_loss=lambda cause: None)
    found = []
    for pool in (pools.clips, pools.previews, pools.speech):
        with closing(pool), closing(pool.take()) as child:
            found.append(os.getpriority(os.PRIO_PROCESS, child._process.pid))
    own = os.getpriority(os.PRIO_PROCESS, 0)  # no child has a higher priority than the tests
    assert found == [max(own, each) for each in (4, 9, 8)]


def test_children_of_proxies_have_a_lower_priority_than_children_of_frames(settings: Settings) -> None:
    found = []
    with closing(ChildPool(nice=4, ahead=0)) as pool, closing(pool.take()) as child:
        for kind in (FRAME, PROXY, PROXY):
            child.add_nice(kind.nice)
            found.append(os.getpriority(os.PRIO_PROCESS, child._process.pid))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert found == [max(own, each) for each in (4, 8, 8)]


def test_watch_registers_the_objects_of_its_prefixes(settings: Settings, ledger: Ledger, store: Store) -> None:
    (settings.store_folder / "in").mkdir(parents=True)
    (settings.store_folder / "in" / "film.mp4").write_bytes(b"film")
    watch = parts.build_watch(settings, ledger, store, read=read_here)
    watch.start()
    try:
        until(lambda: ledger.watched.has("in/film.mp4"))
    finally:
        watch.stop(5)


def test_health_checks_the_store_and_the_disk(settings: Settings, ledger: Ledger, store: Store) -> None:
    disk, sweep = DiskSpace(settings.data.folder, 0), Sweep(lambda: None, lambda: None)
    health = parts.build_health(settings, ledger, store, disk, check_folder=lambda: None, queues=[], sweep=sweep)
    ended = {each.name: each.ok for each in health.checks()}
    assert ended == {"database": True, "schema": True, "workers": False, "store": True, "disk": True, "jobs": True}


def test_model_that_suggests_moments_is_built_if_it_is_configured(settings: Settings) -> None:
    assert parts.build_suggester(settings) is None
    given = settings.model_dump() | {"suggestions": {"url": "http://127.0.0.1:9"}}
    built = parts.build_suggester(Settings.model_validate(given))
    assert built is not None
    built.close()


def test_sign_in_without_its_extra_names_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("clipengine.oidc.provider", "clipengine.oidc.id_token"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "joserfc", None)
    oidc = {"enabled": True, "issuer": "https://auth.example.org", "client_id": "clips"}
    assert parts.build_oidc(Settings()) is None
    settings = Settings.model_validate({"auth": {"oidc": oidc}, "server": {"public_url": "https://clips.example.org"}})
    with pytest.raises(StartupError) as caught:
        parts.build_oidc(settings)
    assert "make install EXTRAS=oidc" in (caught.value.hint or "")
