"""Browser sessions of users. Engines of 0.2.0, which know neither users nor roles, do not accept them.

A session token has 256 random bits and is stored only as SHA-256.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass

from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import NotFound
from clipengine.ledger.database.act import Act, acting, current_act
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import UserSessionRow
from clipengine.ledger.people.sessions import LIFETIME_MS
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.ledger.rows.permission import Permit

_PREFIX = "user-"  # of tokens, which are longer than in `sessions`
_CHARACTERS = len(_PREFIX) + 43
MAX_SESSIONS = 100  # of a user; a further one ends the oldest


@dataclass(frozen=True)
class UserSession:
    """A session of a user. Times are in ms since 1970, UTC."""

    session_id: str
    user_id: str
    created_at: int
    expires_at: int


def is_user_token(token: str) -> bool:
    """Return True if the token has the form of a user's session."""
    return len(token) == _CHARACTERS and token.startswith(_PREFIX)


class UserSessions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, user_id: str, *, lifetime_ms: int = LIFETIME_MS) -> tuple[UserSession, str]:
        """Start a session of a user and return it with its token, which cannot be retrieved later."""
        token, now = _PREFIX + secrets.token_urlsafe(32), now_ms()
        session = UserSession(new_id("ses"), user_id, now, now + lifetime_ms)
        with self._database.transaction():
            self._database.change(UserSessionRow.delete().where(UserSessionRow.expires_at <= now))
            self._end_oldest(user_id)
            self._database.insert(UserSessionRow.insert({"sha256": _digest(token), **vars(session)}))
            self._database.concerns(session.session_id)
        return session, token

    def _end_oldest(self, user_id: str) -> None:
        """End the oldest sessions of a user that are too many, as an act of the caller who begins another."""
        own = UserSessionRow.select(UserSessionRow.session_id).where(UserSessionRow.user_id == user_id)
        newest = own.order_by(UserSessionRow.created_at.desc(), UserSessionRow.session_id.desc())
        for row in self._database.rows(newest.offset(MAX_SESSIONS - 1).limit(MAX_SESSIONS)):
            with acting(_act_of_end(user_id, row["session_id"])), self._database.transaction():
                self.end(row["session_id"])

    def find(self, token: str) -> UserSession | None:
        """Return the session of a token, or None if it is unknown or has expired."""
        row = self._database.by_key(UserSessionRow, _digest(token))
        return None if row is None or row["expires_at"] <= now_ms() else _session(row)

    def get(self, session_id: str, *, lock: bool = False) -> UserSession:
        """Return a session. Raises NotFound."""
        query = UserSessionRow.select().where(UserSessionRow.session_id == session_id)
        row = self._database.row(self._database.locked(query) if lock else query)
        if row is None:
            raise NotFound(f"no session has the id {session_id}", hint="It may have ended.")
        return _session(row)

    def list(self, user_id: str | None, *, limit: int, cursor: str | None = None) -> Page[UserSession]:
        """Return a page of the sessions of a user, or of all users, newest first."""
        query = UserSessionRow.select().where(UserSessionRow.expires_at > now_ms())
        if user_id is not None:
            query = query.where(UserSessionRow.user_id == user_id)
        return read_page(
            self._database,
            query,
            of=f"sessions/{user_id}",
            created_at=UserSessionRow.created_at,
            ident=UserSessionRow.session_id,
            limit=limit,
            cursor=cursor,
            make=_session,
        )

    def living(self, ids: Collection[str]) -> set[str]:
        """Return which of these sessions have not ended."""
        these = (UserSessionRow.session_id.in_([*ids]), UserSessionRow.expires_at > now_ms())
        rows = self._database.rows(UserSessionRow.select().where(*these)) if ids else ()
        return {row["session_id"] for row in rows}

    def end_for(self, session_id: str, permit: Permit) -> None:
        """End a session for a caller. Raises NotFound."""
        with self._database.transaction(ordered=False):
            session = self.get(session_id, lock=True)
            permit(lambda: session.user_id)
            self.end(session_id)

    def end(self, session_id: str) -> None:
        """End a session, if it exists."""
        self._database.change(UserSessionRow.delete().where(UserSessionRow.session_id == session_id))


def _act_of_end(user_id: str, session_id: str) -> Act | None:
    begin = current_act()
    if begin is None:
        return None
    return Act("session.end", begin.actor, path=[user_id, session_id], request_id=begin.request_id)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _session(row: Row) -> UserSession:
    return UserSession(**{name: row[name] for name in UserSession.__dataclass_fields__})
