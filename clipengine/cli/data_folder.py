"""Access to the data folder and the ledger, which is in the folder or in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from clipengine.errors import StartupError
from clipengine.ledger.database.act import Act, Actor, acting
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.opening.location import inspect, is_current, location_of
from clipengine.ledger.stored_objects.store_identity import StoreIdentityRecord
from clipengine.objects.audit import AuditAction
from clipengine.settings.settings import Settings
from clipengine.work.upkeep.lock import FolderLock


def make_private(folder: Path) -> None:
    """Create the data folder with mode 0700 if it is missing, and set the umask so that new files are private."""
    os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(
            f"cannot create the data folder {folder}: {error.strerror}", hint="Choose another one with --data FOLDER."
        ) from None


@contextmanager
def exclusive(settings: Settings, *, new: bool = False) -> Iterator[None]:
    """Lock the data folder. Raises DataFolderInUse, and StartupError if it has no ledger, unless `new` is set."""
    if not new and not has_ledger(settings):
        raise no_ledger(settings)
    make_private(settings.data.folder)
    lock = FolderLock(settings.data.folder)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def has_ledger(settings: Settings) -> bool:
    """Return True if a ledger exists. In PostgreSQL, it is created when it is opened."""
    return in_postgres(settings) or settings.ledger_file.exists()


def in_postgres(settings: Settings) -> bool:
    return bool(settings.database.url.get_secret_value())


def locations(settings: Settings) -> list[str]:
    """Return the lines that show where the data is, printed at startup."""
    storage = settings.storage
    in_s3 = f"s3 {storage.endpoint} {storage.bucket}"
    return [
        f"  data     {settings.data.folder.resolve()}",
        *(["  ledger   PostgreSQL (database.url)"] if in_postgres(settings) else []),
        f"  objects  {in_s3 if storage.kind == 's3' else settings.store_folder.resolve()}",
    ]


def no_ledger(settings: Settings) -> StartupError:
    return StartupError(f"{settings.data.folder} has no ledger", hint="Give the data folder with --data FOLDER.")


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger of the settings. A server may be using it at the same time."""
    make_private(settings.data.folder)
    return Ledger.of_settings(settings)


def can_be_opened(settings: Settings) -> bool:
    """Return True if there is an undamaged ledger with the schema of this version."""
    location = location_of(settings)
    try:
        return has_ledger(settings) and bool(inspect(location)) and is_current(location)
    except StartupError:
        return False


@contextmanager
def store_identity(settings: Settings) -> Iterator[StoreIdentityRecord | None]:
    """Open the saved identity of the folder store, or None if there is no usable ledger."""
    if not can_be_opened(settings):
        yield None
        return
    with closing(open_ledger(settings)) as ledger:
        yield ledger.store_identity


@contextmanager
def command(action: AuditAction) -> Iterator[None]:
    """Record a change that a command makes in the ledger itself, by the user of the operating system."""
    with acting(Act(action, Actor("machine", str(os.getuid()), "command"))):
        yield
