"""Clients that request clips, and a store and receivers that fail meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

import httpx

from scripts.soaking.place import FILM_SECONDS, Place, Told
from tests.support.receiver import Answer, Request
from tests.support.s3_faults import cut_after_commit, cut_before_commit, cut_body, refuse

_STORE_FAULTS = [
    ("PUT", refuse(503, "SlowDown")),
    ("PUT", cut_before_commit),
    ("PUT", cut_after_commit),
    ("HEAD", refuse(500, "InternalError")),
    ("GET", cut_body(1000)),
    ("DELETE", refuse(503, "SlowDown")),
]


class Load:
    """Clients that post, read, cancel and delete clips, each in a thread."""

    def __init__(self, place: Place, told: Told, *, posters: int, gap: float) -> None:
        self._place = place
        self._told = told
        self._gap = gap
        self._over = threading.Event()
        jobs = [self._post] * posters + [self._undo, self._look]
        self._threads = [threading.Thread(target=self._repeat, args=(job,), daemon=True) for job in jobs]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _repeat(self, job: Callable[[httpx.Client], None]) -> None:
        while not self._over.is_set():
            with suppress(httpx.HTTPError), self._place.http() as http:
                while not self._over.wait(random.uniform(0, 2 * self._gap)):
                    job(http)
            self._over.wait(0.2)

    def _post(self, http: httpx.Client) -> None:
        """Request one clip under one idempotency key until the engine accepts or rejects it."""
        start = random.uniform(0, FILM_SECONDS - 3)
        body = {"label": "soak", "start_seconds": start, "end_seconds": start + random.uniform(0.2, 2)}
        key = uuid4().hex
        while not self._over.is_set():
            try:
                answer = http.post(
                    f"/v1/recordings/{self._place.recording}/clips", json=body, headers={"Idempotency-Key": key}
                )
            except httpx.HTTPError:
                self._over.wait(0.3)
                continue
            with self._told.lock:
                self._told.answers[str(answer.status_code)] += 1
            if answer.status_code == 202:
                with self._told.lock:
                    self._told.accepted.append(answer.json()["clip_id"])
                return
            self._over.wait(0.5)

    def _undo(self, http: httpx.Client) -> None:
        """Cancel or delete one of the latest clips, or an old one."""
        if random.random() < 0.5 or not self._told.accepted:
            return
        with self._told.lock:
            id = random.choice(self._told.accepted[-20:] if random.random() < 0.5 else self._told.accepted)
            self._told.undone.add(id)
        if random.random() < 0.5:
            http.post(f"/v1/clips/{id}/cancel")
        else:
            http.delete(f"/v1/clips/{id}")

    def _look(self, http: httpx.Client) -> None:
        http.get("/v1/clips", params={"limit": 100})
        http.get("/metrics")
        with suppress(httpx.ReadTimeout), http.stream("GET", "/v1/events", timeout=1) as stream:
            next(stream.iter_lines(), None)


class Trouble:
    """A store and a receiver that fail for some seconds at a time."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Trouble:
        self._place.receiver.answer = _moody
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._place.proxy.clear()
        self._place.receiver.answer = lambda request: Answer()

    def _run(self) -> None:
        while not self._over.wait(random.uniform(1, 5)):
            method, fault = random.choice(_STORE_FAULTS)
            self._place.proxy.fail(fault, method=method, times=random.choice([1, 3, 10**6]))
            self._over.wait(random.uniform(1, 8))
            self._place.proxy.clear()


def _moody(request: Request) -> Answer:
    return random.choices([Answer(), Answer(500), Answer(hang_up=True), Answer(delay=0.5)], [85, 5, 5, 5])[0]
