"""The sources that the settings enable."""

from __future__ import annotations

from pathlib import Path

from clipengine.ingest.daily import DailyEvents
from clipengine.ingest.event import Place, Source
from clipengine.ingest.generic import GenericEvents
from clipengine.ingest.livekit import LiveKitEvents
from clipengine.ingest.s3 import S3Events
from clipengine.ingest.zoom import ZoomEvents
from clipengine.settings.ingest import Ingest
from clipengine.settings.settings import Settings
from clipengine.stores.keys import clean_prefix

NAMES = tuple(Ingest.model_fields)


def enabled_sources(settings: Settings) -> dict[str, Source]:
    """Return the sources that have a secret, by name."""
    ingest = settings.ingest
    found: dict[str, Source] = {}
    if secret := ingest.s3.secret.get_secret_value():
        found["s3"] = S3Events(secret, _place(settings, ingest.s3.bucket))
    if secret := ingest.livekit.secret.get_secret_value():
        place = _place(settings, ingest.livekit.bucket)
        found["livekit"] = LiveKitEvents(ingest.livekit.api_key, secret, place)
    if secret := ingest.daily.secret.get_secret_value():
        api_key = ingest.daily.api_key.get_secret_value()
        found["daily"] = DailyEvents(secret, _place(settings, ""), api_key=api_key, api_url=ingest.daily.api_url)
    if secret := ingest.zoom.secret.get_secret_value():
        found["zoom"] = ZoomEvents(secret)
    if secret := ingest.generic.secret.get_secret_value():
        found["generic"] = GenericEvents(secret)
    return found


def _place(settings: Settings, bucket: str) -> Place:
    storage = settings.storage
    folder: Path | None = settings.store_folder.absolute() if storage.kind == "folder" else None
    return Place(bucket or storage.bucket, clean_prefix(storage.prefix), folder)
