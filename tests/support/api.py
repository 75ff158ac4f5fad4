"""The API over a real ledger and a real folder store, served by uvicorn in a thread.

Only the engine is a double: `calls` records the calls of the API to it and the messages to its workers, and tests act
as its workers by updating rows of the ledger.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from clipengine.api.app import create_app
from clipengine.api.http.operation import Operation, Resource
from clipengine.api.http.ports import Endpoint
from clipengine.api.http.requests.rules import RuleClipBodies
from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.clips.clip import Clip
from clipengine.clips.request import ClipRequest
from clipengine.errors import DiskLow, EncoderFailed
from clipengine.ledger.ledger import Ledger
from clipengine.parts import build_oidc, build_previews
from clipengine.recordings.facts import AudioFacts, SourceFacts, VideoFacts
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.server.http_protocol import LimitedProtocol
from clipengine.settings.settings import Settings
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from clipengine.work.children.pool import ChildPool
from clipengine.work.cutting.rule_clips import RuleClips
from clipengine.work.cutting.variants import Variants
from clipengine.work.documents import Documents
from clipengine.work.fault_injection import FaultInjection
from clipengine.work.recording_files import digest_of_file
from clipengine.work.suggester import Suggester
from clipengine.work.upload_receiver import UploadReceiver
from tests.support.ledgers import copy_ledger
from tests.support.results import clip_result
from tests.support.waiting import until

FACTS = SourceFacts(
    container="mp4",
    origin=Fraction(0),
    duration=Fraction("5400.04"),
    video=VideoFacts(
        index=0,
        codec="h264",
        width=1920,
        height=1080,
        frame_seconds=Fraction(1, 30),
        tick=Fraction(1, 15360),
        sample_aspect_ratio=Fraction(1),
        variable_rate=False,
        first_frame=Fraction(0),
        rotation=0,
    ),
    audio=(AudioFacts(index=1, codec="aac", channels=2, sample_rate=48000, language="eng"),),
)


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    detail: str


@dataclass
class RecordedEngine:
    """Engine double with the engine's attributes; its methods record their calls."""

    settings: Settings
    ledger: Ledger
    store: Store
    calls: list[tuple[str, ...]] = field(default_factory=list)
    disk_low: bool = False
    disk: DiskSpace = UNLIMITED
    suggester: Suggester | None = None
    instance_id: str = "inst_test"
    checks: list[Check] = field(default_factory=lambda: [Check("database", True, "/data/ledger.db is writable")])

    def __post_init__(self) -> None:
        self.ledger.on_message(lambda queue, id: self.calls.append((queue, id)))
        self.documents = Documents(ChildPool(ahead=0))
        self.rule_clips = RuleClips(self.ledger, self.settings, RuleClipBodies())
        self.variants = Variants(self.ledger, self.rule_clips)
        self.oidc = build_oidc(self.settings)
        self.previews = build_previews(self.settings, self.store, self.ledger.recordings, ChildPool(), disk=self.disk)
        self.upload_receiver = UploadReceiver(
            self.ledger,
            self.store,
            self.previews.copies,
            self.settings.limits,
            FaultInjection(""),
            owner=self.instance_id,
            link_seconds=self.settings.storage.link_seconds if self.settings.storage.direct_uploads else None,
        )

    def admit(self) -> None:
        if self.disk_low:
            raise DiskLow("the disk is full")

    def abandon(self, clip_id: str) -> None:
        self.calls.append(("abandon", clip_id))

    def health(self) -> list[Check]:
        return self.checks

    def awaited(self) -> list[str]:
        return [check.name for check in self.checks if not check.ok]

    def left_out(self) -> int:
        return 3

    def metrics(self) -> bytes:
        return b"clipengine_up 1\n"

    # ---- acting as the workers

    @contextmanager
    def unrecorded(self) -> Iterator[None]:
        """Do not record the calls of the block, by which a test acts as a worker."""
        before = list(self.calls)
        yield
        self.calls[:] = before

    def make_recording(
        self,
        key: str = "relay/recordings/h_01/recording.mp4",
        body: bytes = b"media",
        *,
        facts: SourceFacts = FACTS,
        digest: bool = True,
    ) -> Recording:
        """Store an object and return its complete recording. Without `digest`, it is one that version 0.1.0 probed."""
        self.put(key, body)
        stored = self.store.head(key)
        with self.unrecorded():
            made, _ = self.ledger.recordings.register(
                key, RecordingSpec(name="meeting"), etag=stored.etag, size=stored.size
            )
        claims = iter(lambda: self.ledger.recordings.claim_probe("test"), None)
        probe = next(claim for claim in claims if claim.recording.recording_id == made.recording_id)
        with closing(self.store.open(key)) as reader:
            known = digest_of_file(reader) if digest else None
        assert self.ledger.recordings.probe_complete(probe, facts, etag=stored.etag, size=stored.size, digest=known)
        return self.ledger.recordings.get(made.recording_id)

    def make_clip(self, recording: Recording, label: str = "key-moment", **values: Any) -> Clip:
        with self.unrecorded():
            return self.ledger.clips.create(recording, ClipRequest(label, 120.0, 150.0, **values), extension="mp4")

    def run(self, clip: Clip) -> Clip:
        """Claim the clip for a worker and return it."""
        running = self.ledger.clips.claim("test")
        assert running is not None
        assert running.clip_id == clip.clip_id
        return running

    def finish(self, clip: Clip, body: bytes = b"clip", *, poster: bool = True) -> Clip:
        """Claim the clip and complete it, with its objects in the store."""
        running = self.run(clip)
        self.put(clip.object_key, body)
        if poster:
            self.put(clip.poster_key, b"\xff\xd8poster")
        result = clip_result(size_bytes=len(body), poster_path=clip.poster_key if poster else None)
        assert self.ledger.clips.complete(clip.clip_id, running.attempt, result)
        return self.ledger.clips.get(clip.clip_id)

    def fail(self, clip: Clip) -> Clip:
        running = self.run(clip)
        with self.unrecorded():
            assert self.ledger.clips.fail(clip.clip_id, running.attempt, EncoderFailed("the encoder stopped"))
        return self.ledger.clips.get(clip.clip_id)

    def put(self, key: str, body: bytes) -> None:
        sha256 = hashlib.sha256(body).hexdigest()
        self.store.put(key, io.BytesIO(body), size=len(body), content_type="application/octet-stream", sha256=sha256)


@contextmanager
def recorded_engine(
    folder: Path, *, store: Store | None = None, **sections: Mapping[str, Any]
) -> Iterator[RecordedEngine]:
    """Yield an engine in `folder`, with a folder store unless one is given; `sections` override the settings."""
    settings = Settings.model_validate({"data": {"folder": folder}, **sections})
    copy_ledger(folder / "ledger.db")
    ledger = Ledger.of_settings(settings)
    try:
        engine = RecordedEngine(settings, ledger, store or FolderStore(settings.store_folder))
        yield engine
        engine.previews.stop()
        engine.documents.stop()
    finally:
        ledger.close()


@dataclass
class ApiServer:
    url: str
    port: int
    app: Starlette
    engine: RecordedEngine
    key: str  # has every scope
    server: _Server
    thread: threading.Thread

    def client(self, key: str | None = None, **options: Any) -> httpx.Client:
        """Return a client with the given key, by default the one with every scope; "" sends no key."""
        key = self.key if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=300, trust_env=False, **options)

    @property
    def operations(self) -> list[Operation]:
        resources = [route.app for route in self.app.routes if isinstance(getattr(route, "app", None), Resource)]
        return [each for resource in resources for each in resource._methods.values()]

    def begin_stop(self) -> None:
        self.app.state.changes.close()
        self.server.should_exit = True


class _Switch:
    """ASGI application that passes requests to the application of the current test."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn server that keeps its event loop."""

    loop: asyncio.AbstractEventLoop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)


class _SharedServer:
    """A server that several tests use, one after the other."""

    def __init__(self) -> None:
        self.switch = _Switch()
        config = uvicorn.Config(
            self.switch,
            port=0,
            http=LimitedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_graceful_shutdown=5,
        )
        self.server = _Server(config)
        self.thread = threading.Thread(target=self.server.run, name="uvicorn", daemon=True)
        self.thread.start()
        until(lambda: self.server.started or not self.thread.is_alive())
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    @contextmanager
    def serving(self, app: Starlette) -> Iterator[None]:
        """Serve the application, within its lifespan."""
        started, stopping = threading.Event(), asyncio.Event()

        async def live() -> None:
            async with app.router.lifespan_context(app):
                started.set()
                await stopping.wait()

        ended = asyncio.run_coroutine_threadsafe(live(), self.server.loop)
        assert started.wait(300)
        self.switch.app = app
        try:
            yield
        finally:
            app.state.changes.close()
            if self.usable:
                self.server.loop.call_soon_threadsafe(stopping.set)
                ended.result(300)

    @property
    def usable(self) -> bool:
        return self.thread.is_alive() and not self.server.should_exit

    def wait_until_idle(self) -> None:
        until(lambda: not self.server.server_state.tasks)


_IDLE: list[_SharedServer] = []


@contextmanager
def api_server(engine: RecordedEngine, endpoints: Sequence[Endpoint] = ()) -> Iterator[ApiServer]:
    """Serve the engine: with a server that another test has left, unless it was stopped."""
    shared = _IDLE.pop() if _IDLE else _SharedServer()
    app = create_app(engine, endpoints)
    _, key = engine.ledger.keys.create("all")
    running = ApiServer(f"http://127.0.0.1:{shared.port}", shared.port, app, engine, key, shared.server, shared.thread)
    with shared.serving(app):
        yield running
    if shared.usable:
        shared.wait_until_idle()
        _IDLE.append(shared)
    else:
        shared.thread.join(300)
        assert not shared.thread.is_alive()
