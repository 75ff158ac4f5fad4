"""Soak test: load, kill -9, and failing stores and receivers for a long time; nothing may be lost.

    python -m scripts.soak --minutes 30          # make soak ARGS="--minutes 30"
    python -m scripts.soak --outage-hours 23     # a day without the store, with compressed delays
    python -m scripts.soak --fleet 300           # 300 clips by a server and three workers that share a PostgreSQL
    python -m scripts.soak --fleet 300 --upgrade-from 0.2.0   # begun as 0.2.0, and upgraded meanwhile: make chaos

Three fifths of the time are storms: rounds in which the engine is killed every few seconds while the store and the
webhook receiver fail at random. In the rest one engine runs undisturbed under the same load, to see if its memory,
descriptors or WAL grow. After each round all work must settle, and the invariants are checked against the store. Exits
with 1 and the faults found. The store is the one at S3_ENDPOINT, else moto's.

With `--fleet`, engines are killed, stopped and frozen, their children killed, the database restarts, and the store does
not respond for half a minute. If root runs it, the disk of a worker is full at times.

With `--outage-hours`, delays between attempts are 1440 times shorter, so that a day takes a minute; the attempts
themselves take their normal time.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import click

from scripts.soaking.fleet import fleet
from scripts.soaking.place import Told, place
from scripts.soaking.rounds import calm, outage, settle, storm
from scripts.soaking.watch import slope
from tests.support.past_release import installed


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="Duration.")
@click.option(
    "--outage-hours", default=0.0, help="Instead, simulate this many hours without the store, with compressed delays."
)
@click.option("--fleet", "fleet_clips", default=0, help="Instead, cut this many clips with several failing engines.")
@click.option("--upgrade-from", help="With --fleet, the release as which the engines begin.")
@click.option("--seed", default=0, help="Seed of the random choices; 0 picks a new one.")
def main(minutes: float, outage_hours: float, fleet_clips: int, upgrade_from: str | None, seed: int) -> None:
    """Run load and faults together for a long time and check that nothing is lost."""
    seed = seed or random.randrange(1, 10**6)
    random.seed(seed)
    click.echo(f"seed {seed}")
    if fleet_clips:
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            release = installed(upgrade_from, Path(folder) / "releases") if upgrade_from else None
            fleet(Path(folder), fleet_clips, minutes * 60, release)
        return
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, place(Path(folder)) as made:
        if outage_hours:
            outage(made, outage_hours)
            return
        told = Told()
        end = time.monotonic() + minutes * 60 * 0.6
        kills = rounds = 0
        while time.monotonic() < end:
            kills += storm(made, told, min(60, max(10, end - time.monotonic())))
            clips = settle(made, told)
            rounds += 1
            states = Counter(clip.state for clip in clips.values())
            click.echo(
                f"round {rounds}: {kills} kills, {len(told.accepted)} accepted, {dict(states)}, nothing lost;"
                f" answers {dict(told.answers)}"
            )
        samples = calm(made, told, minutes * 60 * 0.4)
        clips = settle(made, told)
        states = Counter(clip.state for clip in clips.values())
        attempts = Counter(clip.attempt for clip in clips.values())
        click.echo(f"calm: {len(told.accepted)} accepted, {dict(states)}, nothing lost; attempts {dict(attempts)}")
        ends = [samples[0], *samples[len(samples) // 4 :: max(1, len(samples) // 8)], samples[-1]]
        for each in ends:
            click.echo(
                f"  {each.at - samples[0].at:6.0f} s  {each.rss / 1e6:6.1f} MB  {each.descriptors:4} descriptors"
                f"  WAL {each.wal / 1e6:5.2f} MB  {each.scratch} in scratch"
            )
        most = max(each.wal for each in samples)
        click.echo(f"  memory {slope(samples) / 1e6:+.2f} MB an hour; WAL at most {most / 1e6:.2f} MB")
        assert most < 64e6, "the WAL grew beyond 64 MB"


if __name__ == "__main__":
    main()
