"""The tools for agents over stdio and over HTTP, called by the client of the official package."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import httpx
import httpx2
import pytest
from mcp import Client as Agent
from mcp import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ImageContent, TextContent

from clipengine import __version__
from clipengine.api.http.access import Action, Object
from clipengine.mcp.server import MAX_LINE_BYTES, Caller, tool_server
from tests.support.selection import cases
from tests.support.server import COMMAND, LOOPBACK_ALLOWED, RunningServer, clean_environ, running_server

Transport = Literal["stdio", "http"]
both = pytest.mark.parametrize("transport", ["stdio", "http"])
one = pytest.mark.parametrize("transport", cases(["stdio", "http"], ["http"]))  # make test
SLOW = {"CLIPENGINE_PROFILES__SLOW__PRESET": "veryslow", "CLIPENGINE_PROFILES__SLOW__FPS": "240"}
ENABLED = LOOPBACK_ALLOWED | SLOW | {"CLIPENGINE_MCP__ENABLED": "true"}
JSON_TYPES = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("mcp") / "data", env=ENABLED) as running:
        yield running


@dataclass(frozen=True)
class Session:
    agent: Agent

    async def tools(self) -> set[str]:
        tools = (await self.agent.list_tools()).tools
        assert all(tool.annotations is not None for tool in tools)
        return {tool.name for tool in tools}

    async def call(self, tool: str, /, **arguments: Any) -> Any:
        result = await self.agent.call_tool(tool, arguments)
        assert not result.is_error, result
        (content,) = result.content
        return json.loads(content.text) if isinstance(content, TextContent) else content

    async def fails(self, tool: str, /, **arguments: Any) -> str:
        result = await self.agent.call_tool(tool, arguments)
        assert result.is_error, result
        (content,) = result.content
        assert isinstance(content, TextContent)
        return content.text


@asynccontextmanager
async def session(
    server: RunningServer, key: str, transport: Transport, *options: str, mode: str = "auto"
) -> AsyncIterator[Session]:
    """Connect an agent with a key: to the command, or to `/mcp` of the server."""
    if transport == "stdio":
        env = {"CLIPENGINE_URL": server.url, "CLIPENGINE_API_KEY": key}
        async with Agent(StdioServerParameters(command=COMMAND, args=["mcp", *options], env=env), mode=mode) as agent:
            yield Session(agent)
        return
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=300, trust_env=False) as http,
        Agent(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as agent,
    ):
        yield Session(agent)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with anyio.fail_after(120):
            await work()

    anyio.run(limited)


@pytest.fixture(scope="module")
def recording_id(server: RunningServer, film: Path) -> str:
    """Return a recording with a transcript."""
    api = server.client()
    recording = api.recordings.upload(film, name="Board meeting").wait()
    cue = {"start_seconds": 2.0, "end_seconds": 4.0, "text": "The budget is approved."}
    api.transcripts.put(recording.recording_id, "en", [cue])
    return recording.recording_id


def reading_key(server: RunningServer) -> str:
    made = server.command("keys", "create", "reader", "--scope", "read", "--data", str(server.data))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@one
def test_agent_finds_a_moment_and_shares_its_clip(
    server: RunningServer, recording_id: str, transport: Transport
) -> None:
    async def work() -> None:
        async with session(server, server.key, transport) as agent:
            assert agent.agent.server_info is not None
            assert agent.agent.server_info.name == "clipengine"
            assert len(await agent.tools()) == 19
            (listed,) = (await agent.call("list_recordings"))["data"]
            (hit,) = await agent.call("search_transcripts", query="budget")
            assert hit["recording_id"] == listed["recording_id"] == recording_id
            assert "raw" not in hit
            assert await agent.call("suggest_moments", recording_id=recording_id) == []  # it has one short sentence
            frame = await agent.call("get_frame", recording_id=recording_id, at_seconds=2, width=160)
            assert isinstance(frame, ImageContent)
            assert frame.mime_type == "image/jpeg"
            assert base64.b64decode(frame.data)[:2] == b"\xff\xd8"
            part = {key: hit[key] for key in ("recording_id", "start_seconds", "end_seconds")}
            assert (await agent.call("plan_clip", **part))["frames"] > 0
            clip = await agent.call("create_clip", label=f"budget-{transport}", **part)
            assert clip["status"] == "complete"
            ranges = [{"start_seconds": 0.0, "end_seconds": 0.4}, {"start_seconds": 1.0, "end_seconds": 1.4}]
            request = {"recording_id": recording_id, "parts": ranges, "output": {"speed": 2.0, "max_height": 90}}
            assert (await agent.call("plan_clip", **request))["duration_seconds"] == pytest.approx(0.4)
            fast = await agent.call("create_clip", label="fast", **request)
            assert (fast["result"]["height"], len(fast["result"]["parts"])) == (90, 2)
            (found,) = (await agent.call("list_clips", label=f"budget-{transport}"))["data"]
            assert found["clip_id"] == clip["clip_id"]
            wanted = {"clip_ids": [clip["clip_id"]], "output": {"aspect": "1:1"}}
            assert (await agent.call("make_variants", **wanted))["count"] == 1
            assert (await agent.call("make_variants", **wanted, dry_run=False))["kind"] == "variants"
            link = (await agent.call("share_clip", clip_id=clip["clip_id"]))["url"]
            assert httpx.get(link, trust_env=False).status_code == 200

    run(work)


def test_agent_and_command_line_cut_by_time_with_the_options_of_waiting_clips(
    server: RunningServer, recording_id: str
) -> None:
    began, ends = "2026-11-28T12:00:00.000Z", "2100-01-01T00:00:00Z"  # far ahead: only with clamp, there is a clip
    with server.client() as api:
        api.recordings.update(recording_id, started_at=began, series="front")
    values = {"series": ["front"], "start_time": began, "end_time": ends, "label": "parcel"}

    async def work() -> None:
        async with session(server, server.key, "http") as agent:
            assert "not_recorded_yet" in await agent.fails("create_clips_by_time", **values)
            (clip,) = await agent.call("create_clips_by_time", **values, on_timeout="clamp")
            assert clip["recording_id"] == recording_id

    run(work)
    span = ("--series", "front", "--start", began, "--end", ends, "--wait-until", ends)
    made = server.command("clips", "by-time", "parcel", *span, "--on-timeout", "clamp", "--json")
    assert "wait_until must be in the next 7 days" in made.stderr


@one
def test_key_without_the_scope_write_gets_reading_tools_only(server: RunningServer, transport: Transport) -> None:
    key = reading_key(server)

    async def work() -> None:
        async with session(server, key, transport) as agent:
            assert await agent.tools() == READING
            assert (await agent.call("list_recordings", limit=1))["data"] is not None
            with pytest.raises(MCPError, match="may not use it"):
                await agent.call("share_clip", clip_id="clip_x")
        async with session(server, server.key, "stdio", "--read-only") as careful:
            assert await careful.tools() == READING | {"list_rules", "try_rule"}

    run(work)


READING = {
    "list_recordings",
    "get_recording",
    "search_transcripts",
    "get_transcript",
    "suggest_moments",
    "get_frame",
    "plan_clip",
    "list_clips",
    "wait_for_clip",
    "wait_for_transcript",
}


@one
def test_agent_tries_creates_and_deletes_a_rule(server: RunningServer, recording_id: str, transport: Transport) -> None:
    async def work() -> None:
        async with session(server, server.key, transport) as agent:
            rule = {"ranges": {"kind": "first", "seconds": 1.0}, "clip": {"tags": ["agent"]}, "when": {"tag": "none"}}
            tried = await agent.call("try_rule", recording_id=recording_id, **rule)
            assert [each["body"]["tags"] for each in tried["data"]] == [["agent"]]
            assert not tried["matches"]
            made = await agent.call("create_rule", name="Openings", **rule)
            assert (await agent.call("list_rules"))["data"] == [made]
            assert (await agent.call("list_rules", rule_id=made["rule_id"]))["data"] == []
            assert await agent.call("try_rule", recording_id=recording_id, rule_id=made["rule_id"]) == tried
            disabled = await agent.call("change_rule", rule_id=made["rule_id"], action="disable")
            assert disabled["stopped_reason"] == "disabled by request"
            assert "rule_id or ranges" in await agent.fails("try_rule", recording_id=recording_id)
            assert "/ranges" in await agent.fails("create_rule", name="x", ranges={"kind": "first"})
            await agent.call("change_rule", rule_id=made["rule_id"], action="delete")
            assert (await agent.call("list_rules"))["data"] == []

    run(work)


@one
def test_errors_reach_the_agent_with_their_hint(server: RunningServer, transport: Transport) -> None:
    async def work() -> None:
        async with session(server, server.key, transport) as agent:
            assert "recording_not_found" in await agent.fails("get_recording", recording_id="rec_x")
            assert "is required" in await agent.fails("plan_clip", recording_id="rec_x", end_seconds=1)
            said = await agent.fails("plan_clip", recording_id="rec_x", output={"speed": 99999.0}, snap="scene")
            assert said.startswith("invalid_request: /snap must be an object. ")
            assert "/output/speed must be less than or equal to" in said
            said = await agent.fails("plan_clip", recording_id="rec_x", output={"aspekt": "1:1"})
            assert said == "invalid_request: /output/aspekt is not a known field. Did you mean `aspect`?"
            assert "together" in await agent.fails("search_transcripts", query="a", recording_id="rec_x")
            assert "less than or equal to 600" in await agent.fails("wait_for_clip", clip_id="c", wait_seconds=601)
            with pytest.raises(MCPError, match="no tool of this name"):
                await agent.call("delete_everything")

    run(work)


@one
def test_clients_of_the_former_protocol_are_served(server: RunningServer, transport: Transport) -> None:
    async def work() -> None:
        async with session(server, server.key, transport, mode="legacy") as agent:
            assert agent.agent.protocol_version.startswith("2025-")
            assert "create_clip" in await agent.tools()
            assert "clip_not_found" in await agent.fails("wait_for_clip", clip_id="clip_x")

    run(work)


def test_internal_errors_reveal_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def allowed(action: Action, object: Object) -> bool:
        return True

    class Broken:
        @property
        def recordings(self) -> None:
            raise KeyError("secret")

    async def work() -> None:
        server = tool_server(lambda request: Caller(Broken(), allowed))  # type: ignore[arg-type]
        async with Agent(server) as agent:
            with pytest.raises(MCPError, match="KeyError: see the log") as failed:
                await agent.call_tool("get_recording", {"recording_id": "rec_x"})
            assert "secret" not in str(failed.value)

    run(work)
    assert "the tool get_recording failed" in caplog.text


@pytest.mark.exhaustive
def test_message_over_stdin_that_is_too_long_is_rejected_and_the_session_continues(server: RunningServer) -> None:
    lines = [
        HELLO,
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"cursor": "x" * MAX_LINE_BYTES}},
        {"jsonrpc": "2.0", "id": 3, "method": "ping"},
    ]
    answers, code, _ = exchange(server.url, server.key, lines)
    assert code == 0
    assert [each["id"] for each in answers] == [1, None, 3]
    assert f"over {MAX_LINE_BYTES} bytes" in answers[1]["error"]["message"]


@pytest.mark.parametrize("key", cases(["", "relay_live_x"], ["relay_live_x"]))
@pytest.mark.exhaustive
def test_key_that_the_server_rejects_is_reported_at_the_start(server: RunningServer, key: str) -> None:
    answers, code, stderr = exchange(server.url, key, [])
    assert (answers, code) == ([], 1)
    assert "(unauthorized)" in stderr
    assert "CLIPENGINE_API_KEY" in stderr


@pytest.mark.exhaustive
def test_unreachable_server_is_reported_and_lists_no_tools() -> None:
    answers, _, stderr = exchange(
        "http://127.0.0.1:9", "x", [HELLO, {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}]
    )
    assert "no answer from http://127.0.0.1:9" in stderr
    assert "no answer from http://127.0.0.1:9" in answers[1]["error"]["message"]


def exchange(url: str, key: str, lines: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int, str]:
    """Run the command with messages on stdin. Return its answers, its exit code and stderr."""
    env = clean_environ({"CLIPENGINE_URL": url, "CLIPENGINE_API_KEY": key})
    pipe = subprocess.PIPE
    with subprocess.Popen([COMMAND, "mcp"], env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for line in lines:
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        _, stderr = process.communicate(timeout=300)
        return answers, process.returncode, stderr


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}


def post(server: RunningServer, content: bytes = b"{}", **headers: str | bytes) -> httpx.Response:
    given = JSON_TYPES | {"Authorization": f"Bearer {server.key}"} | headers
    return httpx.post(f"{server.url}/mcp", content=content, headers=given, trust_env=False)


def test_requests_without_a_valid_key_are_rejected(server: RunningServer) -> None:
    for response in (post(server, Authorization=""), post(server, Authorization="Bearer relay_live_x")):
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    signed_in = {"Cookie": "clipengine_session=x", "X-Clipengine-Page": "1"}
    assert httpx.post(f"{server.url}/mcp", headers=JSON_TYPES | signed_in, trust_env=False).status_code == 401


def test_requests_of_foreign_pages_are_rejected(server: RunningServer) -> None:
    foreign = post(server, Origin="https://evil.example")
    assert (foreign.status_code, foreign.json()["code"]) == (403, "forbidden")
    assert "server.cors_origins" in foreign.json()["hint"]
    rebound = post(server, Host="evil.example")
    assert (rebound.status_code, rebound.json()["code"]) == (403, "forbidden")
    assert "server.public_url" in rebound.json()["hint"]
    assert post(server, Host="localhost:1").status_code == 400  # the body is no message


@pytest.mark.parametrize(
    "host", ["[", "]", "[::1", "[x]", "[::1]]", "a b", "\x01", "é", "x" * 9000, "localhost:x", "//"]
)
def test_malformed_host_is_rejected(server: RunningServer, host: str) -> None:
    response = post(server, b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}', Host=host.encode("latin-1"))
    assert response.status_code in (400, 403), response.text


@one
@pytest.mark.parametrize("identifier", [".", ".."])
def test_id_of_dots_reaches_no_other_route(server: RunningServer, transport: Transport, identifier: str) -> None:
    async def work() -> None:
        async with session(server, server.key, transport) as agent:
            for tool, name in (
                ("get_recording", "recording_id"),
                ("wait_for_clip", "clip_id"),
                ("share_clip", "clip_id"),
            ):
                assert "is not a valid id" in await agent.fails(tool, **{name: identifier})
            said = await agent.fails("get_transcript", recording_id="rec_1", language=identifier)
            assert "is not a valid id" in said

    run(work)


def test_bodies_and_methods_that_are_not_allowed(server: RunningServer) -> None:
    large = post(server, b"x" * (1024 * 1024 + 1))
    assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")
    assert post(server, b"{").status_code == 400
    for method in ("GET", "DELETE"):
        response = httpx.request(method, f"{server.url}/mcp", trust_env=False)
        assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.exhaustive
def test_waiting_agents_do_not_delay_the_stop(tmp_path: Path, film: Path) -> None:
    with running_server(tmp_path / "data", env=ENABLED) as server:
        recording = server.client().recordings.upload(film).wait()
        clip = server.client().clips.create(recording.recording_id, "slow", 0, 8, profile="slow")

        async def work() -> None:
            async with session(server, server.key, "http") as agent, anyio.create_task_group() as tasks:

                async def wait() -> None:
                    said.append(await agent.fails("wait_for_clip", clip_id=clip.clip_id, wait_seconds=600))

                tasks.start_soon(wait)
                await anyio.sleep(5)  # the agent waits by then
                assert await anyio.to_thread.run_sync(server.stop) == 0

        said: list[str] = []
        run(work)
        assert "the engine stops" in said[0]
        assert "Traceback" not in server.log.read_text()


def test_endpoint_is_disabled_by_default(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        assert post(server).status_code == 404


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", [["mcp"], ["serve", "--port", "0"]])
def test_missing_extra_is_reported_with_its_installation(tmp_path: Path, command: list[str]) -> None:
    program = "import sys; sys.modules['mcp'] = None; from clipengine.cli.main import run; sys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=tmp_path,
        env=clean_environ(ENABLED),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert f"pip install './clipengine-{__version__}-py3-none-any.whl[mcp]'" in done.stderr
