"""Encoding profiles and watermarks, as configured by the operator."""

from __future__ import annotations

from pathlib import Path

from clipengine.client.exchange import Api, Steps, route
from clipengine.client.files import save
from clipengine.client.methods import AsyncResource, Resource, awaiting, blocking
from clipengine.client.models import Page, Profile, Watermark
from clipengine.client.transport import AsyncTransport, Transport


class ProfileCalls:
    """The calls about profiles."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def list(self) -> Steps[Page[Profile]]:
        """Return all profiles, `default` first."""
        return Page.of((yield from self._api.get("/v1/profiles")), Profile.from_object)

    def watermarks(self) -> Steps[Page[Watermark]]:
        """Return all watermarks of the settings."""
        return Page.of((yield from self._api.get("/v1/watermarks")), Watermark.from_object)

    def watermark(self, name: str, path: str | Path) -> Steps[int]:
        """Write the PNG of a watermark of the settings to the file `path`."""
        return save(route("watermarks", name), path, None)


class Profiles(Resource[ProfileCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, ProfileCalls(api))

    list = blocking(ProfileCalls.list)
    watermarks = blocking(ProfileCalls.watermarks)
    watermark = blocking(ProfileCalls.watermark)


class AsyncProfiles(AsyncResource[ProfileCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, ProfileCalls(api))

    list = awaiting(ProfileCalls.list)
    watermarks = awaiting(ProfileCalls.watermarks)
    watermark = awaiting(ProfileCalls.watermark)
