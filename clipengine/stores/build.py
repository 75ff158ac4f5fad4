"""From the settings to the store that they describe."""

from __future__ import annotations

from pathlib import Path

from clipengine.errors import InvalidBucketPath, SettingsError
from clipengine.settings import Storage
from clipengine.stores.base import Store
from clipengine.stores.folder import FolderStore
from clipengine.stores.marker import Known


def build_store(storage: Storage, *, folder: Path, journal: Path, known: Known | None = None) -> Store:
    """The store of the settings. Opens no connection; raises SettingsError for settings that cannot work.

    `folder` is where the folder store keeps its objects, and `known` what it has to be known by from then on;
    `journal` is where the S3 store notes its open uploads.
    """
    try:
        if storage.kind == "folder":
            return FolderStore(folder, storage.prefix, known=known)
        return _s3_store(storage, journal)
    except InvalidBucketPath as error:
        raise SettingsError(f"storage.prefix: {error.message.replace('bucket_path', 'it')}") from None


def _s3_store(storage: Storage, journal: Path) -> Store:
    # Imported where it is asked for: with a folder nobody waits for an S3 client.
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
        path_style=storage.path_style,
        tls_verify=storage.tls_verify,
        ca_file=storage.ca_file,
        public_endpoint=storage.public_endpoint,
        timeouts=Timeouts(connect=storage.connect_timeout_seconds, read=storage.read_timeout_seconds),
    )
    return S3Store(location, journal=journal, link_seconds=storage.link_seconds)
