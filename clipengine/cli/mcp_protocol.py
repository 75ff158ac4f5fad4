"""Model Context Protocol over stdio: JSON-RPC 2.0, one message per line.

Only the part that a server of tools needs, see https://modelcontextprotocol.io/specification. Calls of tools run in
threads, so that `ping` is answered while a tool waits for a clip.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pydantic import BaseModel, ValidationError

log = logging.getLogger(__name__)

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")  # newest first
MAX_LINE_BYTES = 1024 * 1024
_MAX_CALLS = 8  # at the same time
_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS, _INTERNAL = -32700, -32600, -32601, -32602, -32603

Content = Mapping[str, Any]


class ToolError(Exception):
    """A tool failed. The message is for the model."""


@dataclass(frozen=True)
class Tool:
    """A tool. `run` gets the validated `arguments` and returns the contents of the result."""

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[Any], Sequence[Content]]
    writes: bool = False

    def describe(self) -> dict[str, Any]:
        schema = self.arguments.model_json_schema()
        schema.pop("title", None)
        hints = {"readOnlyHint": not self.writes, "destructiveHint": False, "openWorldHint": False}
        return {"name": self.name, "description": self.description, "inputSchema": schema, "annotations": hints}


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class McpServer:
    """A server of tools.

    Those that write are available only while `may_write` returns True. It is called when they are needed, because the
    rights of the key may change.
    """

    def __init__(
        self, name: str, version: str, instructions: str, tools: Sequence[Tool], may_write: Callable[[], bool]
    ) -> None:
        self._info = {"name": name, "version": version}
        self._instructions = instructions
        self._tools = tools
        self._may_write = may_write
        self._writing = threading.Lock()
        self._calls = threading.BoundedSemaphore(_MAX_CALLS)

    def serve(self, lines: BinaryIO, output: BinaryIO) -> None:
        """Answer the messages until the end of the input."""
        while line := lines.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                self._send(output, _error(None, _INVALID_REQUEST, f"a message has over {MAX_LINE_BYTES} bytes"))
                while line and not line.endswith(b"\n"):
                    line = lines.readline(MAX_LINE_BYTES)
            elif line.strip():
                self._receive(line, output)

    def _receive(self, line: bytes, output: BinaryIO) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._send(output, _error(None, _PARSE_ERROR, "the message is not JSON"))
            return
        ident = message.get("id") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(ident, str | int | None):
            self._send(output, _error(None, _INVALID_REQUEST, "the message is not one JSON-RPC request"))
        elif "id" in message and isinstance(method := message.get("method"), str):
            params = message.get("params", {})
            if method != "tools/call":
                self._answer(output, ident, method, params)
            elif self._calls.acquire(blocking=False):
                # A daemon: a call that waits for a clip must not keep the process alive after its client is gone.
                call = threading.Thread(target=self._answer_call, args=(output, ident, params), daemon=True)
                call.start()
            else:
                self._send(output, _error(ident, _INTERNAL, f"{_MAX_CALLS} calls are running: wait for one of them"))
        # Everything else is a notification, or a response to a request that this server never sends.

    def _answer_call(self, output: BinaryIO, ident: str | int | None, params: Any) -> None:
        try:
            self._answer(output, ident, "tools/call", params)
        finally:
            self._calls.release()

    def _answer(self, output: BinaryIO, ident: str | int | None, method: str, params: Any) -> None:
        try:
            if not isinstance(params, dict):
                raise RpcError(_INVALID_PARAMS, "params must be an object")
            self._send(output, {"jsonrpc": "2.0", "id": ident, "result": self._result(method, params)})
        except RpcError as error:
            self._send(output, _error(ident, error.code, str(error)))
        except Exception as error:
            log.exception("%s failed", method)
            self._send(output, _error(ident, _INTERNAL, f"{type(error).__name__}: see the log of the server"))

    def _result(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            asked = params.get("protocolVersion")
            return {
                "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": self._info,
                "instructions": self._instructions,
            }
        if method == "ping":
            return {}
        if method == "tools/list":
            writes = self._may_write()
            return {"tools": [tool.describe() for tool in self._tools if writes or not tool.writes]}
        if method == "tools/call":
            return self._call(params)
        raise RpcError(_NO_METHOD, f"there is no method {method[:100]}")

    def _call(self, params: Mapping[str, Any]) -> dict[str, Any]:
        tool = next((each for each in self._tools if each.name == params.get("name")), None)
        if tool is None or (tool.writes and not self._may_write()):
            raise RpcError(_INVALID_PARAMS, "there is no tool of this name, or the API key may not use it")
        try:
            arguments = tool.arguments.model_validate(params.get("arguments") or {})
            return {"content": list(tool.run(arguments)), "isError": False}
        except ValidationError as error:
            faults = [f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in error.errors()]
            return {"content": [text("; ".join(faults))], "isError": True}
        except ToolError as error:
            return {"content": [text(str(error))], "isError": True}

    def _send(self, output: BinaryIO, message: Mapping[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", errors="replace")
        with self._writing:
            output.write(line + b"\n")
            output.flush()


def text(value: str) -> Content:
    return {"type": "text", "text": value}


def _error(ident: str | int | None, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": ident, "error": {"code": code, "message": message}}
