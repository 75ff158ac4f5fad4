"""Principals: who sends a request, and with what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from clipengine.ledger.people.keys import ApiKey, Keys
from clipengine.ledger.people.sessions import Sessions
from clipengine.ledger.people.user_sessions import UserSessions, is_user_token
from clipengine.ledger.people.users import User, Users


@dataclass(frozen=True)
class Principal:
    """A user or a key of the installation, with the key or the session of the request.

    `id` is the id of the user, or of the key if it belongs to no user. It owns what the principal creates. A session
    that was started with a key counts as the key.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    user: User | None = None
    key_id: str | None = None
    session_id: str | None = None

    @classmethod
    def of_key(cls, key: ApiKey, user: User | None = None) -> Principal:
        """Return the principal of a key, whose scopes the role of its user limits."""
        if user is None:
            return cls(key.key_id, key.name, key.scopes, key_id=key.key_id)
        scopes = tuple(scope for scope in key.scopes if scope in user.scopes)
        return cls(user.user_id, user.name, scopes, user, key_id=key.key_id)


class Principals:
    def __init__(self, keys: Keys, sessions: Sessions, users: Users, user_sessions: UserSessions) -> None:
        self._keys = keys
        self._sessions = sessions
        self._users = users
        self._user_sessions = user_sessions

    def of_key(self, text: str) -> Principal | None:
        """Return the principal of a key's text, or None if the key is unknown or revoked, or its user is disabled."""
        key = self._keys.verify(text)
        if key is None or key.user_id is None:
            return None if key is None else Principal.of_key(key)
        user = self._active(key.user_id)
        return None if user is None else Principal.of_key(key, user)

    def of_session(self, token: str) -> Principal | None:
        """Return the principal of a session, or None if the session has ended, or its key or user is not valid."""
        if not is_user_token(token):
            key = self._sessions.verify(token)
            return None if key is None or key.user_id is not None else Principal.of_key(key)
        session = self._user_sessions.find(token)
        user = None if session is None else self._active(session.user_id)
        if session is None or user is None:
            return None
        return Principal(user.user_id, user.name, user.scopes, user, session_id=session.session_id)

    def end_session(self, token: str) -> None:
        """End the session of a token."""
        if not is_user_token(token):
            self._sessions.end(token)
        elif (session := self._user_sessions.find(token)) is not None:
            self._user_sessions.end(session.session_id)

    def _active(self, user_id: str) -> User | None:
        user = self._users.find(user_id)
        if user is None or user.disabled_at is not None:
            return None
        self._users.seen(user)
        return user

    def ended(self, principals: Collection[Principal]) -> set[Principal]:
        """Return the principals whose key was revoked, whose session has ended, or whose user has another role now."""
        revoked = {key.key_id for key in self._keys.list() if key.revoked_at is not None}
        roles = self._users.roles({each.user.user_id for each in principals if each.user is not None})
        sessions = self._user_sessions.living({each.session_id for each in principals if each.session_id is not None})
        return {
            each
            for each in principals
            if each.key_id in revoked
            or (each.session_id is not None and each.session_id not in sessions)
            or (each.user is not None and each.user.role != roles.get(each.user.user_id))
        }
