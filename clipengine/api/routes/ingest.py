"""`/v1/ingest/{source}`: events of other systems about finished recordings, which are registered as by hand.

No API key is needed: each source verifies its sender (see `clipengine.ingest`). A response of 2xx ends the event for
its sender, so that a store that cannot be reached gets 502 or 503, and the sender tries again.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from itertools import islice

from prometheus_client import CollectorRegistry, Counter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clipengine.api.http.access import Object, Sender, require
from clipengine.api.http.acts import recording
from clipengine.api.http.operation import in_session, json_response
from clipengine.api.http.ports import Engine
from clipengine.api.http.source_acts import MakeAct, acts_of_source
from clipengine.api.http.validation import BodyBudget, parse_json, read_bytes
from clipengine.api.routes.recordings import fetch_recording
from clipengine.errors import InvalidBucketPath, NotFound, ObjectMissing, RecordingNotFound, RequestError
from clipengine.ingest import event
from clipengine.ingest.event import Arrival, Download, Ignored
from clipengine.ingest.jibri import described
from clipengine.ingest.sources import NAMES, enabled_sources
from clipengine.ledger.database.act import acting
from clipengine.ledger.recordings.fetches import Origin
from clipengine.recordings.discovery import (
    clean_name,
    id_of_upload,
    is_playlist,
    is_recording,
    is_upload,
    may_be_piece,
    recording_name,
)
from clipengine.recordings.file_name_pattern import UNREAD
from clipengine.recordings.folder_rules import RuledFolder
from clipengine.recordings.recording import Recording, RecordingSpec
from clipengine.stores.base import StoredObject
from clipengine.stores.playlists import named_objects, named_segments
from clipengine.work.recording_files import recognise

log = logging.getLogger(__name__)

_BODY_BYTES = 16 << 20  # of all events that arrive at the same time: S3 and Daily are verified by their bodies
# Objects in the folder of a playlist among which another one may name it, and such playlists that are read.
_MAX_BESIDE, _MAX_MASTERS = 10_000, 20
_WARNED = ("missing", "failed")  # the sender should have sent something else


def route(engine: Engine, registry: CollectorRegistry) -> Route:
    counter = Counter(
        "clipengine_ingest_events",
        "Recordings that events have announced, and rejected events",
        ("source", "outcome"),
        registry=registry,
    )
    return Route("/v1/ingest/{source}", _Ingest(engine, counter).answer, methods=["POST"])


class _Ingest:
    def __init__(self, engine: Engine, counter: Counter) -> None:
        self._engine = engine
        self._sources = enabled_sources(engine.settings)
        self._folders = engine.settings.folder_rules
        self._counter = counter
        self._bodies = BodyBudget(_BODY_BYTES)
        for name in self._sources:
            self._counter.labels(name, "rejected")  # an alert does not notice the first increase of a new series

    async def answer(self, request: Request) -> Response:
        name = request.path_params["source"]
        source = self._sources.get(name)
        if source is None:
            hint = f"The operator can enable it with `[ingest.{name}]` in the settings."
            known = name in NAMES
            what = "is disabled" if known else "does not exist"
            raise NotFound(f"This source of events {what}", hint=hint if known else f"Use one of {', '.join(NAMES)}.")
        try:
            with recording(self._engine.ledger.audit, request, "recording.create", changes=False):
                # A body takes memory and time, so the headers are checked first.
                source.check_headers(event.Request(request.headers, b"", None, time.time()))
                with self._bodies.body() as take:
                    body = await read_bytes(request, limit=source.max_bytes, take=take)
                    return await run_in_threadpool(self._handle, name, source, request, bytes(body))
        except RequestError as error:
            self._counter.labels(name, "rejected").inc()
            log.warning("an event of %s was rejected: %s", name, error.message)
            raise

    def _handle(self, name: str, source: event.Source, request: Request, body: bytes) -> Response:
        received = event.Request(request.headers, body, event.without_nul(parse_json(body)), time.time())
        source.verify(received)
        require(Sender(name), "write", Object("recordings"))
        reading = source.read(received)
        if reading.reply is not None:
            return json_response(reading.reply)
        make_act = acts_of_source(name, "signature", request)
        return in_session(self._engine.ledger, lambda: self._register(name, reading, make_act))

    def _register(self, source: str, reading: event.Reading, make_act: MakeAct) -> Response:
        recording_ids: list[str] = []
        ignored: list[Ignored] = []
        for each in reading.found:
            with acting(make_act("recording.create")):
                result = self._handle_one(each, make_act)
            if isinstance(result, Ignored):
                ignored.append(result)
                outcome: str = result.reason
                level = logging.WARNING if outcome in _WARNED else logging.INFO
                log.log(level, "an event of %s is ignored (%s): %s", source, outcome, result.key)
            else:
                recording, new = result
                recording_ids.append(recording.recording_id)
                with acting(make_act("recording.update", path=[recording.recording_id])):
                    self._add_markers(recording.recording_id, each)
                outcome = "registered" if new else "known"
            self._counter.labels(source, outcome).inc()
        answer = {"recording_ids": list(dict.fromkeys(recording_ids)), "ignored": [vars(each) for each in ignored]}
        return json_response(answer, 202)

    def _add_markers(self, recording_id: str, found: Arrival | Download | Ignored) -> None:
        if isinstance(found, Ignored) or not found.markers:
            return
        added = self._engine.ledger.markers.add(recording_id, found.markers)
        log.info("%d of %d markers are new to recording %s", added, len(found.markers), recording_id)

    def _handle_one(self, found: Arrival | Download | Ignored, make_act: MakeAct) -> tuple[Recording, bool] | Ignored:
        """Return the recording, and True if it is new, or why it is ignored."""
        if isinstance(found, Ignored):
            return found
        if isinstance(found, Download):
            return fetch_recording(
                self._engine,
                Origin(found.url, found.token, found.link_field),
                RecordingSpec(
                    name=clean_name(found.name or ""), metadata={**found.metadata}, given_start=found.given_start
                ),
                file=found.file,
                source_id=found.source_id,
            )
        if (known := self._written(found, make_act) or self._uploaded(found)) is not None:
            return known, False
        stored = self._look_up(found)
        if isinstance(stored, RuledFolder):
            return self._register_folder(stored, found.keys[0])
        return stored if isinstance(stored, Ignored) else self._register_object(found, stored)

    def _register_folder(self, folder: RuledFolder, key: str) -> tuple[Recording, bool] | Ignored:
        """Return the recording of a camera's files, and True if it is new. It is read again now.

        One that was deleted is not registered again, as by the watch.
        """
        ledger = self._engine.ledger
        with ledger.transaction():
            if ledger.recordings.find_folder(folder.source) is None and ledger.watched.has(folder.key):
                return Ignored(key, "piece")
            recording, new = ledger.recordings.register_folder(
                folder.source, RecordingSpec(series=folder.series, live=True), retry_failed=False
            )
            ledger.watched.mark(folder.key, UNREAD)
            ledger.live.want(recording.recording_id)
        return recording, new

    def _written(self, arrival: Arrival, make_act: MakeAct) -> Recording | None:
        """Return the recording of the object if it is still written. It is read again now, or ends."""
        ledger = self._engine.ledger
        for key in arrival.keys:
            recording = ledger.recordings.written(key)
            if recording is not None and arrival.has_ended:
                with acting(make_act("recording.end", path=[recording.recording_id])):
                    return ledger.live.end(recording.recording_id)
            if recording is not None:
                ledger.live.want(recording.recording_id)
                return recording
        return None

    def _uploaded(self, arrival: Arrival) -> Recording | None:
        """Return the recording whose object the engine has stored itself, if the event has markers of it."""
        uploads = ((key, id) for key in arrival.keys if arrival.markers and (id := id_of_upload(key)))
        for key, id in uploads:
            with suppress(RecordingNotFound):
                recording = self._engine.ledger.recordings.get(id)
                if recording.bucket_path == key:
                    return recording
        return None

    def _look_up(self, arrival: Arrival) -> StoredObject | RuledFolder | Ignored:
        """Return the store's entry of the object, or the folder to which it belongs."""
        for key in arrival.keys:
            if not is_recording(key, everything=True) or is_upload(key):
                return Ignored(key, "own_object")
            owner = self._folders.owner(key)
            if owner is None and not is_recording(key, everything=arrival.any_suffix) and not is_playlist(key):
                return Ignored(key, "not_media")
            if owner is None and not arrival.any_suffix and may_be_piece(key):
                return Ignored(key, "piece")
            try:
                stored = self._engine.store.head(key)
                if owner is not None:
                    return owner
                return self._playlist(stored) if is_playlist(key) else stored
            except (ObjectMissing, InvalidBucketPath):
                continue
        return Ignored(arrival.keys[0], "missing")

    def _playlist(self, stored: StoredObject) -> StoredObject | Ignored:
        """Return a playlist if it has ended, or may be live; instead of one that another names, that one.

        Raises ObjectMissing and StorageError.
        """
        store, folder = self._engine.store, stored.key.rpartition("/")[0] + "/"
        read = partial(
            named_objects,
            store,
            base_url=self._engine.settings.storage.playlist_base_url,
            read=self._engine.documents.read,
            segments=named_segments(),
        )
        if not (read(stored.key).ended or self._engine.settings.watch.live):
            return Ignored(stored.key, "not_ended")
        beside = islice(store.list(folder), _MAX_BESIDE) if folder != "/" else ()
        masters = [found.key for found in beside if is_playlist(found.key) and found.key != stored.key][:_MAX_MASTERS]
        for master in masters:
            named = read(master)
            if stored.key in (named.keys or ()):
                return store.head(master) if named.ended else Ignored(stored.key, "piece")
        return stored

    def _register_object(self, arrival: Arrival, stored: StoredObject) -> tuple[Recording, bool]:
        """Return the recording of an object, and True if it is new.

        A repeated event does not probe a recording again that has failed.
        """
        engine = self._engine
        recognise(engine.store, engine.ledger.recordings, stored)
        name, metadata = described(engine.store, stored.key, clean_name(arrival.name or ""), arrival.metadata)
        return engine.ledger.recordings.register(
            stored.key,
            RecordingSpec(
                name=name or recording_name(stored.key, engine.settings.watch.name),
                metadata=metadata,
                given_start=arrival.given_start,
                live=engine.settings.watch.live and is_playlist(stored.key),
            ),
            etag=stored.etag,
            size=stored.size,
            retry_failed=False,
        )
