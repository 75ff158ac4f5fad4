"""Encoding profiles, as configured by the operator."""

from __future__ import annotations

from clipengine.client.exchange import Api, Steps
from clipengine.client.methods import AsyncResource, Resource, awaiting, blocking
from clipengine.client.models import Page, Profile
from clipengine.client.transport import AsyncTransport, Transport


class ProfileCalls:
    """The calls about profiles."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def list(self) -> Steps[Page[Profile]]:
        """Return all profiles, `default` first."""
        return Page.of((yield from self._api.get("/v1/profiles")), Profile.from_object)


class Profiles(Resource[ProfileCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, ProfileCalls(api))

    list = blocking(ProfileCalls.list)


class AsyncProfiles(AsyncResource[ProfileCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, ProfileCalls(api))

    list = awaiting(ProfileCalls.list)
