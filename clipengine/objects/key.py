"""API keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import WithJsonSchema

from clipengine.access.roles import Scope
from clipengine.objects.base import ApiObject, MaybeTime, Time


@dataclass(frozen=True)
class KeyObject(ApiObject):
    """An API key without its text, which is not stored."""

    key_id: str
    name: str = ""
    scopes: list[Scope] = field(default_factory=list)
    created_at: Time = ""
    last_used_at: MaybeTime = None
    revoked_at: MaybeTime = None
    user_id: str | None = None
    """The user to whom it belongs; null for a key of the installation."""

    @classmethod
    def of(cls, key: Any, /, **given: Any) -> Self:
        return super().of(key, scopes=[*key.scopes], **given)


@dataclass(frozen=True)
class NewKeyObject(KeyObject):
    """An API key. Only the response to its creation contains its text."""

    key: Annotated[str | None, WithJsonSchema({"type": "string"})] = field(default=None, repr=False)
    """The key. It is not shown again."""
