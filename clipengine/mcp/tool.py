"""A tool for agents, and what the arguments of tools share."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from clipengine.api.http.access import Action, Object
from clipengine.client import AsyncClient

Id = Annotated[str, Field(min_length=1, max_length=200)]


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListArguments(Arguments):
    limit: int = Field(default=20, ge=1, le=100)
    cursor: str | None = Field(default=None, description="`next_cursor` of the previous page.")


@dataclass(frozen=True)
class Tool:
    """A tool. `run` calls the engine with validated `arguments` and returns a JSON value, or a JPEG as bytes.

    A key may use it if it may do `action` with `object`.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[AsyncClient, Any], Awaitable[str | bytes]]
    object: Object
    action: Action = "read"


def as_json(call: Callable[[AsyncClient, Any], Awaitable[Any]]) -> Callable[[AsyncClient, Any], Awaitable[str]]:
    """Return a call whose result is written as JSON."""

    async def run(client: AsyncClient, given: Any) -> str:
        return json.dumps(await call(client, given), ensure_ascii=False)

    return run
