"""What the API needs of the engine, so that it can be given the real one or, in tests, one that only records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clipengine.ledger.ledger import Ledger
from clipengine.settings import Settings
from clipengine.stores.base import Store
from clipengine.work.previews import Previews


class Check(Protocol):
    """One line of `/readyz`. `detail` is for the operator and may name addresses and paths."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...


class Engine(Protocol):
    """Every method may be called from any thread and returns at once."""

    @property
    def settings(self) -> Settings: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def store(self) -> Store: ...
    @property
    def previews(self) -> Previews: ...

    def admit(self) -> None:
        """Raises DiskLow where nothing new may be taken."""

    def wake_clips(self) -> None: ...
    def wake_chores(self) -> None: ...
    def abandon(self, clip_id: str) -> None: ...
    def health(self) -> Sequence[Check]: ...
    def answered(self, method: str, status: int) -> None: ...
    def metrics(self) -> bytes: ...
