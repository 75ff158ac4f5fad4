"""Users and sessions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from clipengine.access.roles import Role
from clipengine.api.http.requests.fields import Body, Filter, PageQuery, like


class UpdateUser(Body):
    """Changes of a user. Omitted fields are not changed."""

    model_config = like(role="editor")

    role: Role | None = Field(default=None, description="What the user may do from the next request on.")
    disabled: bool | None = Field(
        default=None, description="`true` ends the sessions of the user and refuses the user and the user's keys."
    )


class ListSessions(PageQuery):
    user_id: Filter | None = Field(default=None, description="Those of this user, for operators. Default: your own.")
    all: Literal["true", "false"] = Field(default="false", description="`true`: all sessions, for operators.")
