"""The tools as a server of the Model Context Protocol, and its transport over stdin and stdout."""

from __future__ import annotations

import base64
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    CallToolRequestParams,
    CallToolResult,
    ContentBlock,
    ErrorData,
    ImageContent,
    JSONRPCError,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ToolObject

from clipengine import __version__
from clipengine.access.roles import Scope
from clipengine.api.http.access import Action, Object, needed_scope
from clipengine.api.http.validation import listing, validate_body
from clipengine.client import ApiError, AsyncClient, ClientError
from clipengine.errors import RequestError
from clipengine.mcp.tool import Tool
from clipengine.mcp.tools import TOOLS

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 1024 * 1024  # of a message over stdin
_INSTRUCTIONS = (
    "Cuts exact clips out of recordings. Find a recording and the moment with search_transcripts, get_transcript, "
    "suggest_moments and get_frame, then create_clip with start and end in seconds on the recording's timeline, and "
    "share_clip for a link."
)


@dataclass(frozen=True)
class Caller:
    """Client and rights of an agent. `may` is called for each request, because the rights of a key may change.

    `on_refusal` is called if the agent calls a tool that it may not use.
    """

    client: AsyncClient
    may: Callable[[Action, Object], Awaitable[bool]]
    on_refusal: Callable[[], None] = lambda: None


def tool_server(caller_of: Callable[[Any], Caller]) -> Server[Any]:
    """Return the server of the tools. `caller_of` gets the HTTP request of a message, None over stdin."""

    async def list_tools(
        context: ServerRequestContext[Any, Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        caller = caller_of(context.request)
        try:
            allowed = [tool for tool in TOOLS if await caller.may(tool.action, tool.object)]
        except ClientError as error:
            raise MCPError(INTERNAL_ERROR, _text(error)) from None
        return ListToolsResult(tools=[_describe(tool) for tool in allowed])

    async def call_tool(context: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        caller = caller_of(context.request)
        tool = next((each for each in TOOLS if each.name == params.name), None)
        try:
            if tool is None or not await caller.may(tool.action, tool.object):
                if tool is not None:
                    caller.on_refusal()
                raise MCPError(INVALID_PARAMS, "there is no tool of this name, or the API key may not use it")
            return await _call(tool, caller.client, params.arguments or {})
        except (ClientError, RequestError) as error:
            return CallToolResult(content=[TextContent(text=_text(error))], is_error=True)

    return Server(
        "clipengine",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: None,  # no argument is repeated in a header
    )


def _describe(tool: Tool) -> ToolObject:
    schema = tool.arguments.model_json_schema()
    schema.pop("title", None)
    hints = ToolAnnotations(read_only_hint=tool.action == "read", destructive_hint=False, open_world_hint=False)
    return ToolObject(name=tool.name, description=tool.description, input_schema=schema, annotations=hints)


async def _call(tool: Tool, client: AsyncClient, arguments: dict[str, Any]) -> CallToolResult:
    """Return the result of a tool. Raises InvalidRequest for wrong arguments, as the API does, and ClientError."""
    try:
        result = await tool.run(client, validate_body(tool.arguments, arguments))
    except (ClientError, RequestError):
        raise
    except Exception as error:
        log.exception("the tool %s failed", tool.name)
        raise MCPError(INTERNAL_ERROR, f"{type(error).__name__}: see the log of the server") from None
    return CallToolResult(content=[_content(result)])


def _text(error: ClientError | RequestError) -> str:
    """Return the error as a text with its code and the hints by which a model can correct it."""
    if isinstance(error, RequestError):
        return " ".join(
            [f"{error.code}:", *(f"{each['pointer']} {each['detail']}. {each['hint']}" for each in listing(error))]
        )
    said = str(error)
    return said if error.hint in said else f"{said}. {error.hint}"


def _content(result: str | bytes) -> ContentBlock:
    if isinstance(result, bytes):
        return ImageContent(data=base64.b64encode(result).decode(), mime_type="image/jpeg")
    return TextContent(text=result)


async def serve_stdio(url: str, api_key: str, *, read_only: bool) -> None:
    """Serve the tools of the engine at `url` over stdin and stdout until the end of the input."""
    async with AsyncClient(url, api_key) as client:
        caller = remote_caller(client, read_only=read_only)
        server = tool_server(lambda request: caller)

        async def reject() -> None:
            error = ErrorData(code=INVALID_REQUEST, message=f"a message has over {MAX_LINE_BYTES} bytes")
            await sent.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=None, error=error)))

        async with stdio_server(stdin=cast("anyio.AsyncFile[str]", _lines(reject))) as (received, sent):
            await server.run(received, sent, server.create_initialization_options())


def remote_caller(client: AsyncClient, *, read_only: bool) -> Caller:
    """Return the caller with the rights of the key at its engine. With `read_only`, the caller only reads."""

    async def allowed(action: Action, object: Object) -> bool:
        if read_only and action != "read":
            return False
        scope = needed_scope(action, object)
        return scope == "read" or await _has_scope(client, scope)

    return Caller(client, allowed)


async def _has_scope(client: AsyncClient, scope: Scope) -> bool:
    """Return True if the key has the scope. Raises ClientError if the engine rejects the key or cannot be reached."""
    try:
        return scope in (await client.users.me()).scopes
    except ApiError as error:
        if error.status == 404:  # an engine of 0.2.0, which has no rules and decides about each clip
            return scope == "write"
        raise


async def _lines(reject: Callable[[], Awaitable[None]]) -> AsyncIterator[str]:
    """Yield the lines of stdin. One that is too long is discarded, and `reject` is called."""
    read = sys.stdin.buffer.readline
    while line := await anyio.to_thread.run_sync(read, MAX_LINE_BYTES + 1, abandon_on_cancel=True):
        if len(line) <= MAX_LINE_BYTES:
            yield line.decode("utf-8", errors="replace")
            continue
        await reject()
        while line and not line.endswith(b"\n"):
            line = await anyio.to_thread.run_sync(read, MAX_LINE_BYTES, abandon_on_cancel=True)
