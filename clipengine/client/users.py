"""The caller, users and their sessions."""

from __future__ import annotations

from clipengine.client.exchange import Api, Steps, route, without_none
from clipengine.client.methods import AsyncResource, Resource, awaiting, blocking
from clipengine.client.models import Me, Page, Session, User
from clipengine.client.transport import AsyncTransport, Transport


class UserCalls:
    """The calls about users. All but `me`, and the own sessions, need an operator."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def me(self) -> Steps[Me]:
        """Return the user or the key that calls."""
        return Me.from_object((yield from self._api.get("/v1/me")))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Steps[Page[User]]:
        """Return one page of users, newest first."""
        return Page.of((yield from self._api.get("/v1/users", {"limit": limit, "cursor": cursor})), User.from_object)

    def get(self, user_id: str) -> Steps[User]:
        """Return a user."""
        return User.from_object((yield from self._api.get(route("users", user_id))))

    def update(self, user_id: str, *, role: str | None = None, disabled: bool | None = None) -> Steps[User]:
        """Change the role of a user, or disable one, which ends the sessions. It counts from the next request on."""
        body = without_none({"role": role, "disabled": disabled})
        return User.from_object((yield from self._api.send("PATCH", route("users", user_id), json=body)))

    def delete(self, user_id: str) -> Steps[None]:
        """Delete a user and the sessions, and revoke the keys. Objects stay."""
        yield from self._api.send("DELETE", route("users", user_id))

    def sessions(
        self, *, user_id: str | None = None, all: bool = False, limit: int | None = None, cursor: str | None = None
    ) -> Steps[Page[Session]]:
        """Return one page of your own sessions, of a user, or of all users, newest first."""
        params = {"user_id": user_id, "all": "true" if all else None, "limit": limit, "cursor": cursor}
        return Page.of((yield from self._api.get("/v1/sessions", params)), Session.from_object)

    def end_session(self, session_id: str) -> Steps[None]:
        """End a session at once."""
        yield from self._api.send("DELETE", route("sessions", session_id))


class Users(Resource[UserCalls]):
    def __init__(self, transport: Transport, api: Api) -> None:
        super().__init__(transport, UserCalls(api))

    me = blocking(UserCalls.me)
    list = blocking(UserCalls.list)
    get = blocking(UserCalls.get)
    update = blocking(UserCalls.update)
    delete = blocking(UserCalls.delete)
    sessions = blocking(UserCalls.sessions)
    end_session = blocking(UserCalls.end_session)


class AsyncUsers(AsyncResource[UserCalls]):
    def __init__(self, transport: AsyncTransport, api: Api) -> None:
        super().__init__(transport, UserCalls(api))

    me = awaiting(UserCalls.me)
    list = awaiting(UserCalls.list)
    get = awaiting(UserCalls.get)
    update = awaiting(UserCalls.update)
    delete = awaiting(UserCalls.delete)
    sessions = awaiting(UserCalls.sessions)
    end_session = awaiting(UserCalls.end_session)
