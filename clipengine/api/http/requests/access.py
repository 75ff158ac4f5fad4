"""API keys and sessions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from clipengine.access.roles import Scope
from clipengine.api.http.requests.fields import LINE, Body, Filter, like, line
from clipengine.ledger.people.keys import MAX_KEY_NAME, SCOPES


class CreateKey(Body):
    model_config = like(name="laptop", scopes=["read", "write"])

    name: Annotated[str, Field(min_length=1, max_length=MAX_KEY_NAME, json_schema_extra=LINE), AfterValidator(line)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))] = Field(
        default=["read", "write"], description="Scopes of the key. `admin` is only given if it is listed."
    )
    user_id: Filter | None = Field(
        default=None, description="Owner, whose role limits the scopes. Default: the key belongs to the installation."
    )


class SignIn(Body):
    """Sign-in with an API key or a one-time code."""

    max_bytes = 4 * 1024

    key: str | None = Field(default=None, max_length=300)
    code: str | None = Field(default=None, max_length=100)
