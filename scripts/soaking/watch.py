"""Measurements of a running engine: memory, descriptors, WAL and scratch folder."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import RunningServer


@dataclass
class Sample:
    at: float
    rss: int  # bytes
    descriptors: int
    wal: int  # bytes
    scratch: int  # entries


class Watch:
    """Samples a running engine every two seconds."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        process = Path("/proc") / str(self._server.process.pid)
        data = self._server.data
        while not self._over.wait(2):
            with suppress(OSError, StopIteration):
                status = (process / "status").read_text().splitlines()
                rss = int(next(line for line in status if line.startswith("VmRSS")).split()[1]) * 1024
                wal = data / "ledger.db-wal"
                self.samples.append(
                    Sample(
                        time.monotonic(),
                        rss,
                        len(list((process / "fd").iterdir())),
                        wal.stat().st_size if wal.exists() else 0,
                        len(list((data / "scratch").iterdir())),
                    )
                )


def slope(samples: list[Sample]) -> float:
    """Return the growth of memory in bytes per hour: least squares without the first quarter."""
    late = samples[len(samples) // 4 :]
    if len(late) < 3:
        return 0.0
    middle = sum(each.at for each in late) / len(late)
    mean = sum(each.rss for each in late) / len(late)
    spread = sum((each.at - middle) ** 2 for each in late)
    return 3600 * sum((each.at - middle) * (each.rss - mean) for each in late) / spread
