"""`clipengine mcp`: a session of an agent from search to shared clip, and messages that are not allowed."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from clipengine.cli.mcp_protocol import MAX_LINE_BYTES, McpServer, Tool, ToolError, text
from tests.support.server import COMMAND, RunningServer, clean_environ


class Session:
    """A client that speaks the protocol to the command."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._count = 0

    def request(self, method: str, **params: Any) -> Any:
        self._count += 1
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        message = {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert (answer["jsonrpc"], answer["id"]) == ("2.0", self._count)
        return answer["result"]

    def call(self, tool: str, /, **arguments: Any) -> Any:
        result = self.request("tools/call", name=tool, arguments=arguments)
        assert not result["isError"], result
        (content,) = result["content"]
        return json.loads(content["text"]) if content["type"] == "text" else content

    def fails(self, tool: str, /, **arguments: Any) -> str:
        result = self.request("tools/call", name=tool, arguments=arguments)
        assert result["isError"], result
        return str(result["content"][0]["text"])


@contextmanager
def session(server: RunningServer, key: str, *options: str) -> Iterator[Session]:
    env = clean_environ({"CLIPENGINE_URL": server.url, "CLIPENGINE_API_KEY": key})
    pipe = subprocess.PIPE
    with subprocess.Popen([COMMAND, "mcp", *options], env=env, stdin=pipe, stdout=pipe) as process:
        running = Session(process)
        found = running.request(
            "initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo={"name": "test"}
        )
        assert (found["protocolVersion"], found["serverInfo"]["name"]) == ("2025-03-26", "clipengine")
        yield running
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(20) == 0


def test_agent_finds_a_moment_and_shares_its_clip(server: RunningServer, film: Path) -> None:
    api = server.client()
    recording = api.recordings.upload(film, name="Board meeting").wait()
    cue = {"start_seconds": 2.0, "end_seconds": 4.0, "text": "The budget is approved."}
    api.transcripts.put(recording.recording_id, "en", [cue])
    with session(server, server.key) as agent:
        assert len(agent.request("tools/list")["tools"]) == 10
        (listed,) = (
            agent.call("list_recordings", name="Board meeting.mp4")["data"] or agent.call("list_recordings")["data"]
        )
        (hit,) = agent.call("search_transcripts", query="budget")
        assert hit["recording_id"] == listed["recording_id"] == recording.recording_id
        frame = agent.call("get_frame", recording_id=hit["recording_id"], at_seconds=hit["start_seconds"], width=160)
        assert frame["mimeType"] == "image/jpeg"
        assert base64.b64decode(frame["data"])[:2] == b"\xff\xd8"
        part = {"start_seconds": hit["start_seconds"], "end_seconds": hit["end_seconds"]}
        assert agent.call("plan_clip", recording_id=hit["recording_id"], **part)["frames"] > 0
        clip = agent.call("create_clip", recording_id=hit["recording_id"], label="budget", **part)
        assert clip["status"] == "complete"
        assert agent.call("list_clips", label="budget")["data"][0]["clip_id"] == clip["clip_id"]
        link = agent.call("share_clip", clip_id=clip["clip_id"])["url"]
    assert httpx.get(link, trust_env=False).status_code == 200


def test_key_without_the_scope_write_gets_reading_tools_only(server: RunningServer) -> None:
    made = server.command("keys", "create", "reader", "--scope", "read", "--data", str(server.data))
    assert made.returncode == 0, made.stderr
    with session(server, made.stdout.strip()) as agent, session(server, server.key, "--read-only") as careful:
        for each in (agent, careful):
            tools = each.request("tools/list")["tools"]
            assert all(tool["annotations"]["readOnlyHint"] for tool in tools)
            assert "create_clip" not in {tool["name"] for tool in tools}
            assert each.call("list_recordings", limit=1)["data"] is not None


def test_errors_reach_the_agent_with_their_hint(server: RunningServer) -> None:
    with session(server, server.key) as agent:
        assert "recording_not_found" in agent.fails("get_recording", recording_id="rec_x")
        assert "start_seconds: Field required" in agent.fails("plan_clip", recording_id="rec_x", end_seconds=1)
        assert "surprise: Extra inputs" in agent.fails("get_recording", recording_id="rec_x", surprise=1)
        assert "together" in agent.fails("search_transcripts", query="a", recording_id="rec_x")
        assert "less than or equal to 600" in agent.fails("wait_for_clip", clip_id="clip_x", wait_seconds=601)


class _Nothing(BaseModel):
    pass


def _fail(given: Any) -> Any:
    raise ToolError("it failed")


def _crash(given: Any) -> Any:
    raise KeyError("secret")


def exchange(*lines: bytes) -> list[Any]:
    """Return the answers of a server to these lines, calls of tools included."""
    tools = [
        Tool("good", "", _Nothing, lambda given: [text("done")]),
        Tool("bad", "", _Nothing, _fail),
        Tool("broken", "", _Nothing, _crash),
    ]
    server, output = McpServer("test", "1", "", tools, lambda: True), io.BytesIO()
    server.serve(io.BytesIO(b"\n".join(lines) + b"\n"), output)
    for _ in range(8):  # every call has ended when all of its places are free
        assert server._calls.acquire(timeout=20)
    return [json.loads(line) for line in output.getvalue().splitlines()]


def call(name: str, arguments: object = None) -> bytes:
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": name, "method": "tools/call", "params": params}).encode()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", -32700),
        (b"\xff", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'{"id": {}, "method": "ping"}', -32600),
        (b'{"id": 1, "method": "resources/list"}', -32601),
        (b'{"id": 1, "method": "ping", "params": []}', -32602),
        (call("unknown"), -32602),
        (call("broken"), -32603),
        (b'{"id": 1, "x": "' + b"x" * MAX_LINE_BYTES + b'"}', -32600),
    ],
)
def test_invalid_message_has_an_error_and_the_session_goes_on(line: bytes, code: int) -> None:
    first, ping = exchange(line, b'{"jsonrpc": "2.0", "id": 7, "method": "ping"}')
    if "error" not in first:
        first, ping = ping, first
    assert first["error"]["code"] == code
    assert "secret" not in first["error"]["message"]
    assert ping == {"jsonrpc": "2.0", "id": 7, "result": {}}


def test_results_and_failures_of_tools() -> None:
    answers = {each["id"]: each["result"] for each in exchange(call("good"), call("bad"), b"", b'{"method": "x"}')}
    assert answers == {
        "good": {"content": [{"type": "text", "text": "done"}], "isError": False},
        "bad": {"content": [{"type": "text", "text": "it failed"}], "isError": True},
    }


def test_unknown_version_is_answered_with_the_newest() -> None:
    (answer,) = exchange(b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "1"}}')
    assert answer["result"]["protocolVersion"] == "2025-06-18"
