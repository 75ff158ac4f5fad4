"""Users: people whom a provider has signed in, each with one role."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from clipengine.access.roles import SCOPES, Scope, UserRole
from clipengine.basis.ids import new_id
from clipengine.basis.timecode import now_ms
from clipengine.errors import StorageError, UserNotFound
from clipengine.ledger.database.act import Act, acting
from clipengine.ledger.database.database import Database, Row
from clipengine.ledger.database.schema import KeyRow, UserRow, UserSessionRow
from clipengine.ledger.rows.pages import Page, read_page
from clipengine.objects.audit import AuditAction
from clipengine.objects.user import UserSource

log = logging.getLogger(__name__)

_SEEN_MS = 60_000


@dataclass(frozen=True)
class User:
    """A user. `subject` is the name by which the source knows the user. Times are in ms since 1970, UTC."""

    user_id: str
    subject: str
    source: UserSource
    name: str
    role: UserRole
    created_at: int
    last_seen_at: int | None = None
    disabled_at: int | None = None

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return () if self.disabled_at is not None else SCOPES[self.role]


class Users:
    def __init__(self, database: Database) -> None:
        self._database = database

    def sign_in(
        self,
        subject: str,
        *,
        source: UserSource,
        name: str,
        role: UserRole,
        by_groups: bool = False,
        make_act: Callable[[AuditAction], Act | None] = lambda action: None,
    ) -> User:
        """Return the user of a subject, with this name. A new user gets the `role`, and one `by_groups` as well.

        `make_act` returns the acts that record a new user and one who has changed.
        """
        with self._database.transaction(ordered=False):
            self._database.turn(f"user {source} {subject}")
            known = (UserRow.source == source, UserRow.subject == subject)
            row = self._database.row(UserRow.select().where(*known))
            if row is None:
                user = User(new_id("user"), subject, source, name, role, now_ms(), now_ms())
                with acting(make_act("user.create")), self._database.transaction():
                    self._database.insert(UserRow.insert(vars(user)))
                    self._database.concerns(user.user_id)
                log.info("user %s was created at the first sign-in, as %s", user.user_id, role)
                return user
            stated = {"name": name, "role": role if by_groups else row["role"]}
            if stated != {each: row[each] for each in stated}:
                with acting(make_act("user.update")), self._database.transaction():
                    self._change(row["user_id"], stated)
            return self._change(row["user_id"], {"last_seen_at": now_ms()})

    def get(self, user_id: str) -> User:
        """Return a user. Raises UserNotFound."""
        found = self.find(user_id)
        if found is None:
            raise UserNotFound.of(user_id)
        return found

    def find(self, user_id: str) -> User | None:
        """Return a user, or None."""
        row = self._database.by_key(UserRow, user_id)
        return None if row is None else _user(row)

    def list(self, *, limit: int, cursor: str | None = None) -> Page[User]:
        """Return a page of users, newest first."""
        return read_page(
            self._database,
            UserRow.select(),
            of="users",
            created_at=UserRow.created_at,
            ident=UserRow.user_id,
            limit=limit,
            cursor=cursor,
            make=_user,
        )

    def set_role(self, user_id: str, role: UserRole) -> User:
        """Change the role of a user, which counts from the next request on. Raises UserNotFound."""
        with self._database.transaction(ordered=False):
            return self._change(user_id, {"role": role}, UserRow.role != role)

    def set_disabled(self, user_id: str, disabled: bool) -> User:
        """Disable a user, which ends the sessions, or enable one again. Raises UserNotFound."""
        with self._database.transaction(ordered=False):
            if disabled:
                self._end_sessions(user_id)
            condition = UserRow.disabled_at.is_null(disabled)
            return self._change(user_id, {"disabled_at": now_ms() if disabled else None}, condition)

    def refuse(
        self,
        subject: str,
        *,
        source: UserSource,
        make_act: Callable[[AuditAction], Act | None] = lambda action: None,
    ) -> None:
        """Take the role from the user of a subject, if there is one, and end the sessions."""
        row = self._database.row(UserRow.select().where(UserRow.source == source, UserRow.subject == subject))
        if row is None:
            return
        with self._database.transaction(ordered=False):
            with acting(make_act("session.end")), self._database.transaction():
                self._end_sessions(row["user_id"])
            with acting(make_act("user.update")), self._database.transaction():
                self.set_role(row["user_id"], "none")

    def delete(self, user_id: str) -> None:
        """Delete a user and the user's sessions, and revoke the keys. Objects stay. Raises UserNotFound."""
        with self._database.transaction(ordered=False):
            self._end_sessions(user_id)
            keys = (KeyRow.user_id == user_id, KeyRow.revoked_at.is_null())
            self._database.change(KeyRow.update(revoked_at=now_ms()).where(*keys))
            if not self._database.change(UserRow.delete().where(UserRow.user_id == user_id)):
                raise UserNotFound.of(user_id)

    def seen(self, user: User) -> None:
        """Record that the user has sent a request, at most once a minute. A failure is only logged."""
        if 0 <= now_ms() - (user.last_seen_at or 0) < _SEEN_MS:
            return
        try:
            with self._database.transaction(durable=False, ordered=False):
                update = UserRow.update(last_seen_at=now_ms())
                self._database.change(update.where(UserRow.user_id == user.user_id))
        except StorageError as error:
            log.warning("the visit of user %s was not recorded: %s", user.user_id, error.message)

    def roles(self, ids: Collection[str]) -> dict[str, UserRole]:
        """Return the roles of these users, without users that are missing or disabled."""
        query = UserRow.select(UserRow.user_id, UserRow.role)
        query = query.where(UserRow.user_id.in_([*ids]), UserRow.disabled_at.is_null())
        return {row["user_id"]: row["role"] for row in self._database.rows(query)} if ids else {}

    def _end_sessions(self, user_id: str) -> None:
        if self._database.change(UserSessionRow.delete().where(UserSessionRow.user_id == user_id)):
            self._database.concerns(user_id)

    def _change(self, user_id: str, values: dict[str, Any], *conditions: Any) -> User:
        if self._database.change(UserRow.update(values).where(UserRow.user_id == user_id, *conditions)):
            self._database.concerns(user_id)
        return self.get(user_id)


def _user(row: Row) -> User:
    return User(**{name: row[name] for name in User.__dataclass_fields__})
