"""Protocol of the engine as the API uses it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from clipengine.basis.disk_space import DiskSpace
from clipengine.ledger.ledger import Ledger
from clipengine.settings.settings import Settings
from clipengine.stores.base import Store
from clipengine.work.cutting.rule_clips import RuleClips
from clipengine.work.cutting.variants import Variants
from clipengine.work.documents import Documents
from clipengine.work.previews.previews import Previews
from clipengine.work.suggester import Suggester
from clipengine.work.upload_receiver import UploadReceiver

if TYPE_CHECKING:
    from clipengine.oidc.provider import Provider  # imports joserfc, of an extra


class Check(Protocol):
    """One check of `/readyz`. `detail` is for the operator and may contain addresses and paths."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class Engine(Protocol):
    """The engine. All methods are thread-safe and return without waiting."""

    @property
    def instance_id(self) -> str: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def store(self) -> Store: ...
    @property
    def disk(self) -> DiskSpace: ...
    @property
    def previews(self) -> Previews: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def rule_clips(self) -> RuleClips: ...
    @property
    def variants(self) -> Variants: ...
    @property
    def upload_receiver(self) -> UploadReceiver: ...
    @property
    def oidc(self) -> Provider | None: ...
    @property
    def suggester(self) -> Suggester | None: ...

    def admit(self) -> None:
        """Raise DiskLow or StorageUnavailable if no new work can be accepted."""

    def abandon(self, clip_id: str) -> None: ...
    def health(self) -> Sequence[Check]: ...
    def awaited(self) -> list[str]:
        """Return the names of the failing checks for which clips wait. Does not wait for the store."""

    def left_out(self) -> int:
        """Return the number of objects that the watch of the store has left out."""

    def metrics(self) -> bytes: ...


class Endpoint(Protocol):
    """ASGI application of one path that is not a resource of the API, with tasks that run as long as the server."""

    @property
    def path(self) -> str: ...
    def running(self, app: Starlette) -> AbstractAsyncContextManager[None]: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...
