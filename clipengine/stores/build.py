"""Creation of the configured store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from clipengine.basis.disk_space import UNLIMITED, DiskSpace
from clipengine.errors import InvalidBucketPath, SettingsError
from clipengine.settings.settings import Settings, Storage
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from clipengine.stores.store_identity import SavedIdentity


def build_store(
    storage: Storage,
    *,
    folder: Path,
    journal: Path,
    identity: SavedIdentity | None = None,
    on_request: Callable[[str, str, float], None] = lambda method, status, seconds: None,
    disk: DiskSpace = UNLIMITED,
) -> Store:
    """Create the store of the settings without connecting to it. Raises SettingsError if the settings cannot work.

    `folder` holds the objects of the folder store, which `identity` identifies. In `journal`, the S3 store records its
    open multipart uploads, and it calls `on_request` with method, status and duration of each request. `disk` limits
    what the folder store writes.
    """
    try:
        if storage.kind == "folder":
            return FolderStore(folder, storage.prefix, identity=identity, disk=disk)
        return _s3_store(storage, journal, on_request)
    except InvalidBucketPath as error:
        raise SettingsError(f"storage.prefix: {error.message.replace('bucket_path', 'it')}") from None


def store_of(
    settings: Settings,
    *,
    identity: SavedIdentity | None = None,
    on_request: Callable[[str, str, float], None] = lambda method, status, seconds: None,
    disk: DiskSpace = UNLIMITED,
) -> Store:
    """Create the store of an engine, see `build_store`."""
    folder, journal = settings.store_folder, settings.data.folder / "uploads"
    return build_store(
        settings.storage, folder=folder, journal=journal, identity=identity, on_request=on_request, disk=disk
    )


def _s3_store(storage: Storage, journal: Path, on_request: Callable[[str, str, float], None]) -> Store:
    # Imported here, because the S3 client is slow to import and the folder store does not need it.
    from clipengine.stores.s3 import S3Store
    from clipengine.stores.s3_client import S3Location
    from clipengine.stores.s3_http import Timeouts

    location = S3Location(
        endpoint=storage.endpoint,
        bucket=storage.bucket,
        access_key=storage.access_key.get_secret_value(),
        secret_key=storage.secret_key.get_secret_value(),
        session_token=storage.session_token.get_secret_value(),
        region=storage.region,
        prefix=storage.prefix,
        chain=storage.credentials == "chain",
        path_style=storage.path_style,
        tls_verify=storage.tls_verify,
        ca_file=storage.ca_file,
        public_endpoint=storage.public_endpoint,
        timeouts=Timeouts(connect=storage.connect_timeout_seconds, read=storage.read_timeout_seconds),
    )
    return S3Store(location, journal=journal, link_seconds=storage.link_seconds, on_request=on_request)
