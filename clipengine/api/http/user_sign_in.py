"""Identities of users, which a proxy or a provider states, and the start of their sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from clipengine.access.roles import UserRole
from clipengine.api.http.source_acts import MakeAct
from clipengine.errors import Forbidden, Unauthorized
from clipengine.ledger.ledger import Ledger
from clipengine.ledger.people.principals import Principal
from clipengine.ledger.people.sessions import LIFETIME_MS
from clipengine.ledger.people.users import User
from clipengine.objects.user import UserSource

_NO_ROLE = "This user has no role"
_NO_ROLE_HINT, _NO_GROUP_HINT = "Ask an operator for a role.", "Ask an operator for a group that has one."
_DISABLED, _DISABLED_HINT = "This user is disabled", "Ask an operator."
TEXTS = (_NO_ROLE, _NO_ROLE_HINT, _NO_GROUP_HINT, _DISABLED, _DISABLED_HINT)  # that pages of the server show


@dataclass(frozen=True)
class Identity:
    """A user as a source states it. Its `role` is `none` if neither groups nor the default give one."""

    source: UserSource
    subject: str
    name: str
    role: UserRole
    by_groups: bool  # the groups decide the role; otherwise an operator does, and a new user gets `role`
    make_act: MakeAct = field(compare=False)  # of the source


def subject_at(issuer: str, subject: str = "") -> str:
    """Return the subject of a user of a provider, or the beginning that the subjects of all its users share."""
    return f"{issuer}#{subject}"


def no_role(*, by_groups: bool) -> Forbidden:
    """Return the refusal of a user without a role."""
    return Forbidden(_NO_ROLE, hint=_NO_GROUP_HINT if by_groups else _NO_ROLE_HINT)


def begin_user_session(
    ledger: Ledger,
    identity: Identity,
    *,
    lifetime_ms: int = LIFETIME_MS,
    check: Callable[[User], None],
) -> tuple[Principal, str]:
    """Return the principal of a new session, and its token. The first sign-in creates the user.

    If groups decide the role, a new user without one is not stored. Otherwise an operator can give one afterwards.

    `check` is called before the session starts, in its transaction, and may raise.
    Raises Forbidden for a disabled user and one without a role, whose sessions end, and Conflict while engines
    of 0.2.0 run, which do not accept sessions of users.
    """
    hint = "Upgrade or stop these engines, then sign in. A key works meanwhile."
    ledger.engines.require_newer("know no users", hint=hint)
    users = ledger.users
    if identity.by_groups and identity.role == "none":
        users.refuse(identity.subject, source=identity.source, make_act=identity.make_act)
        raise no_role(by_groups=True)
    with ledger.transaction():
        user = users.sign_in(
            identity.subject,
            source=identity.source,
            name=identity.name,
            role=identity.role,
            by_groups=identity.by_groups,
            make_act=identity.make_act,
        )
        check(user)
        if user.disabled_at is not None:
            raise Forbidden(_DISABLED, hint=_DISABLED_HINT)
        if user.role != "none":
            _, token = ledger.user_sessions.begin(user.user_id, lifetime_ms=lifetime_ms)
    if user.role == "none":  # after the commit, which stores a new user
        raise no_role(by_groups=False)
    caller = ledger.principals.of_session(token)
    if caller is None:  # disabled at this moment
        raise Unauthorized
    return caller, token
