"""Builders of the parts of an engine: one for each part whose settings are not its parameters.

A builder takes the settings, the parts that it uses, and the functions of the engine that it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipengine.basis.disk_space import DiskSpace
from clipengine.basis.documents import ReadDocument
from clipengine.errors import StartupError
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.recordings.recordings import Recordings
from clipengine.outbound.download import Downloader
from clipengine.outbound.services import Service
from clipengine.settings.settings import Encoding, Settings
from clipengine.stores.base import Store
from clipengine.webhooks.send import Sender
from clipengine.work.children.header_cache import HeaderCache
from clipengine.work.children.pool import ChildPool
from clipengine.work.children.priority import MAX_NICE
from clipengine.work.jobs.deliveries import Courier
from clipengine.work.jobs.fetches import Fetcher
from clipengine.work.jobs.probes import Prober
from clipengine.work.jobs.refreshes import Refresher
from clipengine.work.jobs.transcriptions import TranscriptionJobs
from clipengine.work.previews.copies import LocalCopies
from clipengine.work.previews.previews import Previews
from clipengine.work.queue import WorkQueue
from clipengine.work.suggester import Suggester
from clipengine.work.transcribers.sources import speech_sources
from clipengine.work.upkeep.health import Health
from clipengine.work.upkeep.sweep import Sweep
from clipengine.work.upkeep.watch import Watch
from clipengine.work.worker import JobContext

if TYPE_CHECKING:
    from clipengine.oidc.provider import Provider

_MAX_WARM_ENCODERS = 4  # each uses memory for its libraries
_PREVIEW_NICE = 5  # previews: added to the nice value of clips
_FOLDER_SECONDS, _S3_SECONDS = 1, 30  # between two health checks of the store


@dataclass(frozen=True)
class Pools:
    """The pools of children, by what they read for.

    Previews and transcriptions run at a lower priority than clips, documents at the priority of the engine, because
    requests wait for them. None of them takes a warm child of clips.
    """

    clips: ChildPool
    previews: ChildPool
    documents: ChildPool
    speech: ChildPool


def build_pools(encoding: Encoding, *, on_loss: Callable[[str], None]) -> Pools:
    """Return the pools, which share a cache of headers. `on_loss` gets the cause of each lost child of clips."""
    header_cache, preview_nice = HeaderCache(), min(encoding.nice + _PREVIEW_NICE, MAX_NICE)
    return Pools(
        clips=ChildPool(
            nice=encoding.nice,
            sandbox=encoding.sandbox,
            ahead=min(encoding.workers, _MAX_WARM_ENCODERS),
            inspectors_ahead=1,
            header_cache=header_cache,
            on_loss=on_loss,
        ),
        previews=ChildPool(nice=preview_nice, sandbox=encoding.sandbox, header_cache=header_cache),
        documents=ChildPool(sandbox=encoding.sandbox, ahead=0),
        speech=ChildPool(
            nice=min(2 * encoding.nice, MAX_NICE), sandbox=encoding.sandbox, ahead=0, header_cache=header_cache
        ),
    )


def build_previews(
    settings: Settings, store: Store, recordings: Recordings, pool: ChildPool, *, disk: DiskSpace
) -> Previews:
    folder = settings.data.folder
    return Previews(
        settings.encoding,
        store,
        recordings,
        pool,
        folder / "previews",
        LocalCopies(folder / "copies", disk=disk),
        disk=disk,
        max_bytes=settings.previews.max_bytes,
    )


def build_prober(
    settings: Settings,
    jobs: JobContext,
    store: Store,
    pool: ChildPool,
    *,
    read: ReadDocument,
    suspects_allowed: Callable[[], bool],
) -> Prober:
    return Prober(
        jobs,
        store,
        pool,
        suspects_allowed=suspects_allowed,
        encoding=settings.encoding,
        playlist_base_url=settings.storage.playlist_base_url,
        settle_seconds=_settle_seconds(settings),
        read=read,
    )


def build_refresher(
    settings: Settings, jobs: JobContext, store: Store, pool: ChildPool, *, read: ReadDocument
) -> Refresher:
    return Refresher(
        jobs,
        store,
        pool,
        encoding=settings.encoding,
        playlist_base_url=settings.storage.playlist_base_url,
        settle_seconds=_settle_seconds(settings),
        read=read,
    )


def build_fetcher(
    settings: Settings, jobs: JobContext, store: Store, copies: LocalCopies, *, check_disk: Callable[[], None]
) -> Fetcher:
    return Fetcher(
        jobs,
        store,
        Downloader(settings.webhooks.allow_cidrs, own_port=settings.own_port),
        settings.data.folder / "fetches",
        copies,
        settings=settings.fetch,
        check_disk=check_disk,
    )


def build_courier(settings: Settings, jobs: JobContext, *, on_attempt: Callable[[str], None]) -> Courier:
    webhooks = settings.webhooks
    return Courier(
        jobs,
        Sender(webhooks.allow_cidrs, webhooks.timeout_seconds, own_port=settings.own_port),
        trusted_urls=[endpoint.url for endpoint in webhooks.endpoints],
        per_target=webhooks.parallel_deliveries,
        public_url=settings.server.public_url.rstrip("/"),
        links=webhooks.links,
        on_attempt=on_attempt,
    )


def build_transcriptions(
    settings: Settings,
    jobs: JobContext,
    store: Store,
    pool: ChildPool,
    *,
    read: ReadDocument,
    may_run: Callable[[], bool],
) -> TranscriptionJobs:
    sources = speech_sources(settings, pool, own_port=settings.own_port, read=read)
    return TranscriptionJobs(jobs, store, pool, sources, encoding=settings.encoding, may_run=may_run)


def build_suggester(settings: Settings) -> Suggester | None:
    """Return the client of the language model, or None if none is configured."""
    suggestions = settings.suggestions
    return Suggester(suggestions, Service(suggestions.url, own_port=settings.own_port)) if suggestions.url else None


def build_oidc(settings: Settings) -> Provider | None:
    """Return the client of the provider that signs users in, or None if none is configured.

    Raises StartupError if the extra is missing.
    """
    if not settings.auth.oidc.enabled:
        return None
    try:
        from clipengine.oidc.provider import Provider
    except ImportError as error:
        raise StartupError(
            f"auth.oidc needs packages that are not installed ({error})",
            hint="Install the extra `oidc`: in a checkout, make install EXTRAS=oidc.",
        ) from error
    return Provider(settings.auth.oidc, public_url=settings.server.public_url, own_port=settings.own_port)


def build_health(
    settings: Settings,
    ledger: Ledger,
    store: Store,
    disk: DiskSpace,
    *,
    check_folder: Callable[[], None],
    queues: Sequence[WorkQueue],
    sweep: Sweep,
) -> Health:
    return Health(
        ledger,
        store,
        disk,
        check_folder=check_folder,
        store_seconds=_FOLDER_SECONDS if settings.storage.kind == "folder" else _S3_SECONDS,
        floor=settings.limits.min_free_bytes,
        queues=queues,
        sweep=sweep,
    )


def build_watch(settings: Settings, ledger: Ledger, store: Store, *, read: ReadDocument) -> Watch:
    watch, storage = settings.watch, settings.storage
    return Watch(
        ledger,
        store,
        prefixes=watch.prefixes,
        rule=watch.name,
        seconds=watch.seconds,
        settle_seconds=_settle_seconds(settings),
        folder=settings.store_folder / storage.prefix if storage.kind == "folder" else None,
        playlist_base_url=storage.playlist_base_url,
        live=watch.live,
        folders=settings.folder_rules,
        read=read,
    )


def _settle_seconds(settings: Settings) -> float:
    """Return the seconds after which a file of the folder store is complete; objects of S3 always are."""
    return settings.watch.settle_seconds if settings.storage.kind == "folder" else 0
