"""The rounds: storms and the settling after them, the same load without kills, and a long outage."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from contextlib import suppress

import click

from clipengine.clips.clip import Clip
from scripts.soaking.load import Load, Trouble
from scripts.soaking.place import Place, Told
from scripts.soaking.watch import Sample, Watch
from tests.support.invariants import children_of
from tests.support.s3_faults import refuse

_STILL_SECONDS = 180
_DAY_PACE = 1440


def storm(place: Place, told: Told, seconds: float) -> int:
    """Kill the engine every few seconds under load and faults; return the number of kills."""
    kills = 0
    end = time.monotonic() + seconds
    with Load(place, told, posters=2, gap=1.5), Trouble(place):
        while time.monotonic() < end:
            with place.engine() as server:
                time.sleep(random.uniform(1, 8))
                children = children_of(place.data)
                if children and random.random() < 0.1:
                    with suppress(ProcessLookupError):
                        os.kill(random.choice(children), signal.SIGKILL)
                    time.sleep(1)
                server.process.kill()
                server.process.wait()
                kills += 1
    return kills


def settle(place: Place, told: Told) -> dict[str, Clip]:
    """Let everything end, stop, and check that nothing is lost. Raises AssertionError."""
    with place.engine() as server, server.client(timeout=60) as api:
        moved, seen = time.monotonic(), None
        while left := _left(place):
            if left != seen:
                moved, seen = time.monotonic(), left
            if time.monotonic() - moved > _STILL_SECONDS:
                stuck = [vars(clip) for clip in api.clips.each(status="processing")]
                shutil.copytree(place.data, f"{place.data.parent}.failed")
                raise AssertionError(f"no progress: {left}; {stuck}; see {place.data.parent}.failed")
            time.sleep(1)
        assert server.stop() == 0
    clips = place.check()
    for id in told.accepted:
        if id in told.undone:
            continue
        assert id in clips, f"{id} was accepted and is gone"
        assert clips[id].state == "complete", f"{id} was accepted and is {clips[id].state}: {clips[id].error}"
    return clips


def _left(place: Place) -> tuple[int, int, int] | None:
    """Return unfinished clips, objects not yet removed and scratch folders, or None."""
    connection = sqlite3.connect(place.data / "ledger.db", timeout=20)
    try:
        (clips,) = connection.execute("SELECT COUNT(*) FROM clips WHERE status = 'processing'").fetchone()
        (removals,) = connection.execute("SELECT COUNT(*) FROM removals").fetchone()
    finally:
        connection.close()
    left = (clips, removals, len(list((place.data / "scratch").iterdir())))
    return left if any(left) else None


def calm(place: Place, told: Told, seconds: float) -> list[Sample]:
    """Run the same load and faults on one engine without kills."""
    with place.engine() as server, Watch(server) as watch, Load(place, told, posters=2, gap=1.5), Trouble(place):
        time.sleep(seconds)
        assert server.process.poll() is None
    return watch.samples


def outage(place: Place, hours: float) -> None:
    """Run this many hours without the store, with compressed delays and kills: each clip is cut once, none is lost."""
    env = {"CLIPENGINE_FAULT": f"outage:pace={_DAY_PACE}", "CLIPENGINE_ENCODING__WORKERS": "8"}
    place.proxy.fail(refuse(503, "SlowDown"), method="PUT", times=10**9)
    ids: list[str] = []
    began = time.monotonic()
    kills = 0
    waited = 0.0
    while waited < hours:
        with place.engine(**env) as server, server.client() as api:
            if len(ids) < 8:
                made = [api.clips.create(place.recording, "day", float(n % 4), n % 4 + 1.5) for n in range(4)]
                ids += [clip.clip_id for clip in made]
            end = time.monotonic() + 90
            while time.monotonic() < end and waited < hours:
                time.sleep(2)
                waited = _waited_hours(place)
            assert all(api.clips.get(id).status == "processing" for id in ids), "a clip ended in the outage"
            click.echo(f"  {waited:5.1f} h waited, {kills} kills, {time.monotonic() - began:5.0f} s of real time")
            server.process.kill()
            server.process.wait()
            kills += 1
    place.proxy.clear()
    with place.engine(**env) as server, server.client() as api:
        for id in ids:
            clip = api.clips.wait(id, timeout=120)
            assert clip.status == "complete", clip.error
        attempts = Counter(api.clips.get(id).attempt for id in ids)
        assert server.stop() == 0
    tries = (place.data.with_name("data.log")).read_text().count("its upload is tried again")
    place.check()
    click.echo(f"  {len(ids)} clips, {tries} tries, {kills} kills, attempts {dict(attempts)}: all complete")


def _waited_hours(place: Place) -> float:
    connection = sqlite3.connect(place.data / "ledger.db", timeout=20)
    try:
        return float(connection.execute("SELECT MAX(outage_ms) FROM clips").fetchone()[0] or 0) / 3_600_000
    finally:
        connection.close()
