"""The files in `config/` for operators: checked by the tools that read them, and tried where that is cheap."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import yaml

from clipengine.settings.settings import Settings
from tests.support.api import ApiServer, api_server, recorded_engine
from tests.support.memory import memory_growth_below
from tests.support.ports import free_port
from tests.support.raw_requests import answer_to, floods
from tests.support.waiting import until

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "config"


def tool(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def judge(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_unit_file_is_valid_and_locked_down(tmp_path: Path) -> None:
    unit = (CONFIG / "clipengine.service").read_text("utf-8")
    for line in ("KillSignal=SIGINT", "LimitNOFILE=65536", "StateDirectoryMode=0700", "TimeoutStopSec=20"):
        assert f"\n{line}\n" in unit
    analyze = tool("systemd-analyze")
    here = tmp_path / "clipengine.service"
    here.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={shutil.which('true')}", unit))
    assert "Unknown" not in judge(analyze, "verify", str(here))
    exposure = re.search(r"exposure level for \S+ (\d+\.\d)", judge(analyze, "security", "--offline=true", str(here)))
    assert exposure is not None
    assert float(exposure[1]) < 2


def test_documented_place_of_the_secrets_key_can_be_written_by_the_unit() -> None:
    unit = (CONFIG / "clipengine.service").read_text("utf-8")
    state = re.search(r"^StateDirectory=(\S+)$", unit, re.MULTILINE)
    assert state is not None
    assert "\nProtectSystem=strict\n" in unit  # all but this is read-only
    places = re.findall(r"^secrets_key = \"(.+)\"", (ROOT / "clipengine/docs/machines.md").read_text(), re.MULTILINE)
    assert places == [f"/var/lib/{state[1]}/secrets.key"]


def test_alert_rules_use_documented_metrics() -> None:
    documented = set(re.findall(r"^\| `(clipengine_\w+)`", (ROOT / "clipengine/docs/monitoring.md").read_text(), re.M))
    used = set(re.findall(r"\bclipengine_\w+", (CONFIG / "alerts.yml").read_text("utf-8")))
    assert used
    assert used <= documented
    promtool = tool("promtool")
    judge(promtool, "check", "rules", str(CONFIG / "alerts.yml"))
    judge(promtool, "check", "config", "--syntax-only", str(CONFIG / "prometheus.yml"))


def test_silent_camera_raises_an_alert(tmp_path: Path) -> None:
    """Two engines of one ledger report the same number: one alert, after five minutes, until the camera writes."""
    rules = yaml.safe_load((CONFIG / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
    alert = next((rule for rule in rules if rule["alert"] == "ClipengineCameraSilent"), None)
    assert alert is not None
    told = {name: text.replace("{{ $labels.job }}", "clipengine") for name, text in alert["annotations"].items()}
    fired = {"exp_labels": {**alert["labels"], "job": "clipengine"}, "exp_annotations": told}
    times = {"9m": [], "14m": [], "16m": [fired], "29m": [fired], "31m": []}
    series = [
        {"series": f'clipengine_recordings_silent{{job="clipengine",instance="{host}"}}', "values": "0x9 1x19 0x9"}
        for host in ("a:8377", "b:8377")
    ]
    checks = [{"eval_time": at, "alertname": alert["alert"], "exp_alerts": alerts} for at, alerts in times.items()]
    test = {"interval": "1m", "input_series": series, "alert_rule_test": checks}
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(CONFIG / "alerts.yml")], "tests": [test]}))
    judge(tool("promtool"), "test", "rules", str(file))


def test_bucket_policy_is_limited_to_the_prefix() -> None:
    objects, listing = json.loads((CONFIG / "minio-policy.json").read_text("utf-8"))["Statement"]
    assert all(each["Effect"] == "Allow" for each in (objects, listing))
    assert not [action for each in (objects, listing) for action in each["Action"] if "*" in action]
    assert all(resource.endswith("/relay/*") for resource in objects["Resource"])


@contextmanager
def nginx(folder: Path, port: int, upstream: int) -> Iterator[None]:
    text = (CONFIG / "nginx.conf").read_text("utf-8")
    text = re.sub(r"\n *ssl_certificate[^\n]*", "", text).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    (folder / "site.conf").write_text(text.replace("127.0.0.1:8377", f"127.0.0.1:{upstream}"))
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "main.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}include {folder}/site.conf;\n}}\n"
    )
    command = [tool("nginx"), "-e", str(folder / "log"), "-c", str(folder / "main.conf"), "-p", str(folder)]
    judge(*command, "-t")
    with running(command, port):
        yield


@contextmanager
def caddy(folder: Path, port: int, upstream: int) -> Iterator[None]:
    command = tool("caddy")
    text = (CONFIG / "Caddyfile").read_text("utf-8")
    text = re.sub(r"^clips\.example\.org", f"http://127.0.0.1:{port}", text, flags=re.MULTILINE)
    place = folder / "Caddyfile"
    place.write_text("{\n\tadmin off\n}\n\n" + text.replace("127.0.0.1:8377", f"127.0.0.1:{upstream}"))
    with running([command, "run", "--adapter", "caddyfile", "--config", str(place)], port):
        yield


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 300
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield
    finally:
        process.kill()  # otherwise Caddy waits for streams to end
        process.communicate(timeout=300)


@pytest.mark.parametrize("proxy", [nginx, caddy], ids=["nginx", "caddy"])
def test_proxies_stream_uploads_and_events(proxy: object, tmp_path: Path) -> None:
    port = free_port()
    with (
        recorded_engine(tmp_path / "data") as engine,
        api_server(engine) as server,
        proxy(tmp_path, port, server.port),  # type: ignore[operator]
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {server.key}"}, timeout=300
        ) as http,
    ):
        assert http.get("/v1/clips").headers["x-request-id"]
        own = {"X-Request-Id": "of-the-client-0001"}
        assert http.get("/v1/clips", headers=own).headers["x-request-id"] == "of-the-client-0001"
        assert http.get("/v1/nothing").json()["code"] == "not_found"
        assert http.get("/metrics").status_code == 200
        _upload(server, http)
        recording = engine.make_recording()
        clip = engine.make_clip(recording)
        with http.stream("GET", "/v1/events") as stream:
            assert stream.status_code == 200
            threading.Timer(0.3, lambda: engine.ledger.clips.cancel(clip.clip_id)).start()
            for line in stream.iter_lines():
                if line == "event: clip.failed":
                    break
            else:
                pytest.fail("the event did not come")


def shown(language: str) -> str:
    """Return the block of the recipe of the sign-in."""
    text = (ROOT / "clipengine/docs/recipes/sign-in.md").read_text("utf-8")
    found = re.search(rf"```{language}\n(.+?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_settings_of_the_recipe_of_openid_connect_are_valid() -> None:
    text = (ROOT / "clipengine/docs/recipes/oidc.md").read_text("utf-8")
    blocks = re.findall(r"```(?:toml|ini)\n(.+?)```", text, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        given = {"server": {"public_url": "https://clips.example.org"}} | tomllib.loads(block)
        assert Settings.model_validate(given).auth.oidc.enabled


class SignInServer(BaseHTTPRequestHandler):
    """An authentication server that knows one cookie, and answers a proxy as Authelia does."""

    def do_GET(self) -> None:
        known = self.headers.get("Cookie", "").startswith("sso=anna")
        self.send_response(200 if known else 401)
        for name, value in {"User": "anna", "Name": "Anna", "Groups": "cutters"}.items() if known else ():
            self.send_header(f"Remote-{name}", value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def sign_in_server() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SignInServer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def recipe_of(name: str, sign_in_port: int) -> str:
    """Return a file of `config` with the block of the recipe."""
    block = shown("nginx" if name == "nginx.conf" else "caddy").replace("127.0.0.1:9091", f"127.0.0.1:{sign_in_port}")
    if name != "nginx.conf":
        return block
    whole = (CONFIG / name).read_text("utf-8")
    return re.sub(r"    location / \{.+?\n    \}\n", lambda found: block, whole, count=1, flags=re.DOTALL)


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_recipe_of_the_sign_in_lets_nobody_pass_for_a_user(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    settings = {"enabled": True, "peers": ["127.0.0.1"], "editors": ["cutters"], "operators": ["admins"]}
    forged = {"Remote-User": "root", "Remote-Name": "Root", "Remote-Groups": "admins"}
    proxy = nginx if name == "nginx.conf" else caddy
    with (
        recorded_engine(tmp_path / "data", auth={"proxy": settings}) as engine,
        api_server(engine) as server,
        sign_in_server() as sign_in_port,
    ):
        (tmp_path / name).write_text(recipe_of(name, sign_in_port))
        monkeypatch.setattr(sys.modules[__name__], "CONFIG", tmp_path)
        with (
            proxy(tmp_path, port, server.port),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as http,
        ):
            for path in ("/v1/me", "/session"):
                assert http.get(path, headers=forged).status_code in (302, 401)
            signed_in = http.get("/session", headers={"Cookie": "sso=anna"} | forged)
            assert (signed_in.json()["name"], signed_in.json()["role"]) == ("Anna", "editor")
            token = signed_in.cookies["clipengine_session"]
            http.cookies.clear()
            page = {"Cookie": f"sso=anna; clipengine_session={token}"} | forged
            assert http.get("/v1/me", headers=page).json()["user"]["subject"] == "anna"
            hiding = page | {"Connection": "close, Remote-Groups"}
            assert http.get("/v1/me", headers=hiding).json()["user"]["role"] == "editor"
            assert http.get("/v1/users", headers=page).status_code == 403
            assert http.get("/v1/me", headers={"Cookie": f"clipengine_session={token}"} | forged).status_code != 200
            key = {"Authorization": f"Bearer {server.key}"} | forged
            assert http.get("/v1/me", headers=key).json()["user"] is None
            assert http.get("/session", headers={"Authorization": "x"} | forged).status_code == 204
            assert http.get("/s/x", headers=forged).status_code == 404
            assert http.get("/assets/app.js", headers=forged).status_code == 200
        assert [each.subject for each in engine.ledger.users.list(limit=9).data] == ["anna"]


@pytest.mark.parametrize("proxy", [nginx, caddy], ids=["nginx", "caddy"])
@pytest.mark.typical(1)
def test_requests_through_a_proxy_cannot_fill_the_memory(proxy: object, tmp_path: Path) -> None:
    """Row 82 of the faults."""
    port = free_port()
    with (
        recorded_engine(tmp_path / "data") as engine,
        api_server(engine) as server,
        proxy(tmp_path, port, server.port),  # type: ignore[operator]
    ):
        for name, pieces in floods("POST /v1/ingest/s3").items():
            with memory_growth_below(20):
                answer = answer_to(port, *pieces)
            assert b" 200 " not in answer or name == "pipelining", name  # nothing but the engine answers
        assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).status_code == 200


def _upload(server: ApiServer, http: httpx.Client) -> None:
    """Send the rest of the body only after the engine has received the start, so that a buffering proxy times out."""
    beginning = server.engine.settings.store_folder / ".clipengine" / "tmp"

    def pieces() -> Iterator[bytes]:
        yield bytes(2_000_000)
        until(lambda: any(path.stat().st_size for path in beginning.glob("*")))
        yield bytes(2_000_000)

    answer = http.put("/v1/recordings/upload?name=a.mp4", content=pieces())
    assert answer.status_code == 202, answer.text
    assert answer.json()["file_size_bytes"] == 4_000_000
