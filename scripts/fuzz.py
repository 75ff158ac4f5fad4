"""Fuzzing of the maker child: mutated recordings in the real sandbox; every one must end in order.

    python -m scripts.fuzz [--inputs 2000] [--seed 1] [--out .fuzz]
    python -m scripts.fuzz --requests 20000 [--seed 1]
    python -m scripts.fuzz --playlists 20000 [--seed 1]
    python -m scripts.fuzz --documents 20000 [--seed 1] [--kind csv]

In order means: complete, or an error with a code, before the deadline; no file created, no connection opened, no other
file read, and this program still running. Crashes caused by a recording are counted (`decoder_crashed`), and their
inputs are kept in OUT/kept. Another run continues from the last input; the same seed gives the same mutants.

With --requests, a server gets raw requests on every route instead: none may be answered with 500 or grow its memory.
With --playlists, the parser of playlists gets mutated ones: each must be read or refused with a code.
With --documents, so must this many documents of each kind that is read from outside, within its budget.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import click

from scripts.fuzzing.cell import Outcome, ignore_interrupts, run
from scripts.fuzzing.corpus import Seed, seeds
from scripts.fuzzing.documents import TARGETS
from scripts.fuzzing.documents import fuzz as fuzz_documents
from scripts.fuzzing.mutate import mutant
from scripts.fuzzing.playlists import fuzz as fuzz_playlists

_MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"
_TRAP_PORT = 39471  # fixed, because mutants contain the address
# Codes that no recording should cause: each is investigated.
_KEPT = {"decoder_crashed", "internal", "uncoded", "encoder_failed", "verification_failed", "timeout"}
_FAILED = {"internal", "uncoded"}


@click.command(help=__doc__)
@click.option("--inputs", default=2000, show_default=True, help="Number of further mutants.")
@click.option("--seed", default=1, show_default=True)
@click.option("--requests", default=0, help="Send this many requests to a server instead.")
@click.option("--playlists", default=0, help="Parse this many playlists instead.")
@click.option("--documents", default=0, help="Parse this many documents of each kind instead.")
@click.option("--kind", type=click.Choice([*TARGETS]), default=None, help="Only documents of this kind.")
@click.option("--workers", default=len(os.sched_getaffinity(0)), show_default=True)
@click.option("--seconds", default=0, help="Stop after this time, finished or not.")
@click.option("--only", type=int, help="Run this mutant only and print its outcome.")
@click.option("--match", default="", help="Mutate seeds whose names match this regular expression only.")
@click.option("--out", default=".fuzz", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--media", default=_MEDIA, type=click.Path(file_okay=False, path_type=Path),
              help="Folder of real recordings.  [default: ../shared/media]")  # fmt: skip
def main(inputs: int, seed: int, requests: int, playlists: int, documents: int, kind: str | None, workers: int,
         seconds: int, only: int | None, match: str, out: Path, media: Path) -> None:  # fmt: skip
    if documents:
        sys.exit(fuzz_documents(documents, seed, kind or ""))
    if playlists:
        sys.exit(fuzz_playlists(playlists, seed))
    if requests:
        from scripts.fuzzing.requests import fuzz

        sys.exit(fuzz(requests, seed))
    out = out.resolve()
    (out / "kept").mkdir(parents=True, exist_ok=True)
    bait = _bait(out / "bait.mp4")
    corpus = seeds(out / "films", media if media.is_dir() else None, f"http://127.0.0.1:{_TRAP_PORT}", bait, match)
    click.echo(f"{len(corpus)} seeds, {sum(len(each.data) for each in corpus) // 1024} KiB")
    if only is not None:
        for outcome in _one(corpus, seed, only, out / "one"):
            click.echo(json.dumps(asdict(outcome)))
        return
    with socket.create_server(("127.0.0.1", _TRAP_PORT)) as trap:
        first = 1 + max((line["number"] for line in _results(out, seed)), default=-1)
        until = time.monotonic() + seconds if seconds else None
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                 for pid in [_worker(k, workers, range(first, first + inputs), corpus, seed, out, until)
                             for k in range(workers)]]  # fmt: skip
        escapes = _escapes(trap, bait)
    bad = _report(list(_results(out, seed)), escapes)
    sys.exit(1 if bad or any(codes) else 0)


def _worker(
    place: int, workers: int, numbers: range, corpus: list[Seed], seed: int, out: Path, until: float | None
) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ignore_interrupts()
        os.setsid()
        with (out / f"results-{seed}-{place}.jsonl").open("a") as results:
            for number in numbers[place::workers]:
                if until is not None and time.monotonic() > until:
                    break
                for outcome in _one(corpus, seed, number, out / f"work-{place}"):
                    if outcome.code in _KEPT or outcome.late:
                        made = out / f"work-{place}" / "recording"
                        kept = out / "kept" / f"{outcome.code}-{seed}-{number}"
                        with suppress(FileNotFoundError):
                            kept.write_bytes(made.read_bytes())
                    results.write(json.dumps({"number": number, **asdict(outcome)}) + "\n")
                    results.flush()
        code = 0
    finally:
        os._exit(code)


def _one(corpus: list[Seed], seed: int, number: int, folder: Path) -> Iterator[Outcome]:
    random = Random(f"{seed}:{number}")
    chosen = random.choice(corpus)
    data = mutant(chosen.data, [each.data for each in corpus], random)
    folder.mkdir(exist_ok=True)
    path = folder / "recording"
    path.write_bytes(data)
    yield from run(path, random)
    made = [each.name for each in folder.iterdir() if each.name not in (path.name, ".clipengine")]
    if made:
        yield Outcome("files", "", "uncoded", f"files were created: {made}", 0.0, late=False)


def _bait(path: Path) -> Path:
    """Create a file that no child may read, with an old access time that reveals a read."""
    path.write_bytes(b"not for you")
    os.utime(path, (1, time.time()))
    path.read_bytes()
    if path.stat().st_atime == 1:
        click.echo("this file system records no access times: reads of other files will not be noticed", err=True)
    os.utime(path, (1, time.time()))
    return path


def _escapes(trap: socket.socket, bait: Path) -> list[str]:
    found = []
    trap.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            connection, _ = trap.accept()
            connection.close()
            found.append("a connection was opened")
    if bait.stat().st_atime != 1:
        found.append("another file was read")
    return found


def _results(out: Path, seed: int) -> Iterator[dict[str, Any]]:
    for path in sorted(out.glob(f"results-{seed}-*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


def _report(results: list[dict[str, Any]], escapes: list[str]) -> bool:
    """Print the table of all runs with this seed. Return True if something is wrong."""
    probes = Counter(each["code"] for each in results if each["job"] == "probe")
    cuts = Counter(each["code"] for each in results if each["job"] == "cut")
    width = max(map(len, [*probes, *cuts, "outcome"]))
    click.echo(f"{'outcome':<{width}}  {'probe':>7}  {'cut':>7}")
    for code in sorted({*probes, *cuts}, key=lambda code: -probes[code] - cuts[code]):
        click.echo(f"{code:<{width}}  {probes[code]:>7}  {cuts[code]:>7}")
    late = [each["number"] for each in results if each["late"]]
    wrong = [each["number"] for each in results if each["code"] in _FAILED]
    slowest = max((each["seconds"] for each in results), default=0.0)
    click.echo(
        f"{probes.total()} inputs, {cuts.total()} of them cut; slowest {slowest:.1f} s; late: {late or 'none'}; "
        f"without an error code: {wrong or 'none'}; escapes: {', '.join(escapes) or 'none'}"
    )
    return bool(late or wrong or escapes)


if __name__ == "__main__":
    main()
