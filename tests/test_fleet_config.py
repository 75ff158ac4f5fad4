"""The files in `config/` for several machines: rendered, checked by their tools, and compared with a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from clipengine.cli.operator.serve import serve
from clipengine.cli.operator.worker import worker
from clipengine.settings.sources import load
from tests.support.server import RunningServer, running_server
from tests.test_config import CONFIG, ROOT, judge, tool

CHART = CONFIG / "helm" / "clipengine"
_COMMANDS: dict[str, click.Command] = {"serve": serve, "worker": worker}
_ALL = {"keda": {"enabled": True}, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}


def merged(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return {**values} | {
        key: merged(values[key], value)
        if isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
        else value
        for key, value in over.items()
    }


Chart = dict[tuple[str, str], dict[str, Any]]
Render = Callable[[Mapping[str, Any]], Chart]


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Return a function that renders the chart with some values overridden: its objects by kind and name."""
    renderer = tmp_path_factory.mktemp("chart") / "render"
    judge(tool("go"), "build", "-o", str(renderer), str(ROOT / "tests" / "support" / "render_chart.go"))
    about = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))

    def render_with(over: Mapping[str, Any]) -> Chart:
        data = {
            "Values": merged(values, over),
            "Chart": {"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
            "Release": {"Name": "clips", "Namespace": "media", "Service": "Helm"},
        }
        given = json.dumps({"templates": str(CHART / "templates"), "data": data})
        done = subprocess.run([renderer], input=given, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found = [each for each in yaml.safe_load_all(done.stdout) if each]
        objects = {(each["kind"], each["metadata"]["name"]): each for each in found}
        assert len(objects) == len(found)
        return objects

    return render_with


@pytest.fixture(scope="module")
def chart(render: Render) -> Chart:
    """Return the objects of the chart with everything that is optional."""
    return render(_ALL)


@pytest.mark.exhaustive
def test_optional_objects_are_off_by_default(render: Render, chart: Chart) -> None:
    plain = render({})
    always = {"ConfigMap", "Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service"}
    assert {kind for kind, _ in plain} == always
    assert {kind for kind, _ in chart} == always | {"ScaledObject", "ServiceMonitor"}
    assert plain["Deployment", "clips-workers"]["spec"]["replicas"] == 2
    assert "replicas" not in chart["Deployment", "clips-workers"]["spec"]  # KEDA sets them


def test_objects_of_the_chart_refer_to_each_other(chart: Chart) -> None:
    pods = {}
    for (kind, name), each in chart.items():
        if kind == "Deployment":
            pod = each["spec"]["template"]
            assert each["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
            (container,) = pod["spec"]["containers"]
            volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
            assert ("ConfigMap", volumes["settings"]["configMap"]["name"]) in chart
            pods[name] = pod
    selected = {
        name: {
            pod for pod, made in pods.items() if each["spec"]["selector"].items() <= made["metadata"]["labels"].items()
        }
        for (kind, name), each in chart.items()
        if kind == "Service"
    }
    assert selected == {"clips": {"clips-server"}, "clips-metrics": {"clips-server", "clips-workers"}}
    monitor = chart["ServiceMonitor", "clips"]["spec"]
    labels = chart["Service", "clips-metrics"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert not monitor["selector"]["matchLabels"].items() <= chart["Service", "clips"]["metadata"]["labels"].items()
    assert labels[monitor["jobLabel"]] == "clipengine"
    assert chart["ScaledObject", "clips-workers"]["spec"]["scaleTargetRef"]["name"] == "clips-workers"


def test_pods_are_limited_spread_and_protected(render: Render) -> None:
    plain = render({})
    (ingress,) = plain["NetworkPolicy", "clips"]["spec"]["ingress"]
    assert ingress == {"ports": [{"port": "http", "protocol": "TCP"}]}
    for name in ("clips-server", "clips-workers"):
        pod = plain["Deployment", name]["spec"]["template"]
        budget = plain["PodDisruptionBudget", name]["spec"]
        (spread,) = pod["spec"]["topologySpreadConstraints"]
        policy = plain["NetworkPolicy", "clips"]["spec"]["podSelector"]
        assert policy["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert budget["selector"] == spread["labelSelector"] == plain["Deployment", name]["spec"]["selector"]
        assert budget["maxUnavailable"] == 1
        assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"]
        assert pod["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] == "20Gi"


def test_data_folder_may_be_a_volume_whose_size_the_engine_sees(render: Render) -> None:
    pod = render({"scratchClass": "fast", "workers": {"scratch": "7Gi"}})["Deployment", "clips-workers"]["spec"]
    (volume,) = [each for each in pod["template"]["spec"]["volumes"] if each["name"] == "data"]
    claim = volume["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["storageClassName"], claim["resources"]["requests"]["storage"]) == ("fast", "7Gi")


def test_only_the_network_policy_can_be_disabled_or_narrowed(render: Render) -> None:
    assert ("NetworkPolicy", "clips") not in render({"networkPolicy": {"enabled": False}})
    peers = [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]
    narrowed = render({"networkPolicy": {"from": peers}})["NetworkPolicy", "clips"]["spec"]
    assert narrowed["ingress"][0]["from"] == peers


def test_containers_of_compose_are_locked_down_and_limited() -> None:
    services = yaml.safe_load((CONFIG / "docker" / "compose.yaml").read_text("utf-8"))["services"]
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["logging"]["options"]["max-size"], name
    for name in ("clipengine", "worker"):
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])
        volumes = {volume.split(":")[1] for volume in services[name]["volumes"]} | {"/data"}  # of the image
        assert volumes | {*services[name]["tmpfs"]} == {"/data", "/etc/clipengine", "/tmp"}


def test_pods_run_existing_commands_with_valid_settings(chart: Chart, tmp_path: Path) -> None:
    config = tmp_path / "clipengine.toml"
    config.write_text(chart["ConfigMap", "clips-settings"]["data"]["clipengine.toml"])
    tomllib.loads(config.read_text())
    secret = re.findall(r"--from-literal=([a-z0-9.-]+)=", (CHART / "values.yaml").read_text("utf-8"))
    for name in ("clips-server", "clips-workers"):
        pod = chart["Deployment", name]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        command, *options = container["args"]
        given = _COMMANDS[command].make_context(command, options).params
        assert (given["host"], given["port"]) == ("0.0.0.0", container["ports"][0]["containerPort"])
        assert given["drain_seconds"] + 15 < pod["terminationGracePeriodSeconds"]
        environ = {}
        for variable in container["env"]:
            value = variable["value"]
            if value.startswith("/run/clipengine/"):
                assert value.removeprefix("/run/clipengine/") in secret
                value = str(tmp_path / "value")
            environ[variable["name"]] = value
        (tmp_path / "value").write_text("postgresql://clipengine@db.test/clipengine")
        settings = load(config, environ=environ)
        assert settings.storage.kind == "s3"
        assert settings.database.url.get_secret_value().startswith("postgresql://")


def test_compose_profile_starts_postgres_and_two_workers() -> None:
    compose = tool("docker-compose")
    place = str(CONFIG / "docker" / "compose.yaml")
    env = {
        "PATH": os.environ["PATH"],
        "STORE_ACCESS_KEY": "a",
        "STORE_SECRET_KEY": "b",
        "DATABASE_URL": "postgresql://d",
    }

    def services(*options: str) -> dict[str, Any]:
        command = [compose, "-f", place, *options, "config", "--format", "json"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["services"]
        return found

    assert set(services()) == {"clipengine", "store"}
    fleet = services("--profile", "fleet")
    assert set(fleet) == {"clipengine", "store", "database", "worker"}
    workers = fleet["worker"]
    assert workers["deploy"]["replicas"] == 2
    assert workers["environment"] == fleet["clipengine"]["environment"]
    command, *options = workers["command"]
    assert _COMMANDS[command].make_context(command, options).params["drain_seconds"] == 600
    assert workers["stop_grace_period"] == "10m20s"
    load(environ={name: str(value) for name, value in workers["environment"].items()})


def test_worker_unit_drains_and_is_hardened_like_the_server(tmp_path: Path) -> None:
    server, unit = ((CONFIG / f"{name}.service").read_text("utf-8") for name in ("clipengine", "clipengine-worker"))
    begin = "# If the kernel kills an encoder"
    assert unit[unit.index(begin) :] == server[server.index(begin) :]
    match = re.search(r"^ExecStart=\S+ (worker) (.*)$", unit, re.MULTILINE)
    assert match is not None
    drain = worker.make_context(match[1], match[2].split()).params["drain_seconds"]
    assert f"\nTimeoutStopSec={drain + 20:.0f}\n" in unit
    here = tmp_path / "clipengine-worker.service"
    here.write_text(re.sub(r"ExecStart=\S+", f"ExecStart={tool('true')}", unit))
    assert "Unknown" not in judge(tool("systemd-analyze"), "verify", str(here))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    limited = {"CLIPENGINE_RETENTION__MAX_CLIPS_BYTES": "1000000000"}  # the gauges of the limit are absent without it
    with running_server(tmp_path_factory.mktemp("fleet") / "data", env=limited) as running:
        yield running


@pytest.mark.exhaustive
def test_health_check_of_the_image_succeeds_for_a_running_engine(server: RunningServer) -> None:
    text = (CONFIG / "docker" / "Dockerfile").read_text("utf-8")
    assert "'clipengine[mcp,postgres]'" in text
    check = re.search(r"HEALTHCHECK .*\\\n +CMD (\[.*\])\n", text)
    assert check is not None
    python, *arguments = json.loads(check[1])
    assert python == "python"
    for port, healthy in ((server.url.rpartition(":")[2], True), ("1", False)):
        env = {**os.environ, "CLIPENGINE_SERVER__PORT": port}
        done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, check=False, timeout=300)
        assert (done.returncode == 0) == healthy


def queries(chart: Chart) -> list[str]:
    """Return every PromQL query of the dashboard, the alerts and the scaling."""
    dashboard = json.loads((CONFIG / "grafana" / "clipengine.json").read_text("utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    found = [query.replace("$__rate_interval", "5m").replace("$job", "clipengine") for query in found]
    rules = yaml.safe_load((CONFIG / "alerts.yml").read_text("utf-8"))
    found += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    found += [each["metadata"]["query"] for each in chart["ScaledObject", "clips-workers"]["spec"]["triggers"]]
    return found


def test_queries_use_metrics_and_labels_of_a_real_server(chart: Chart, server: RunningServer, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {server.key}"}
    httpx.get(f"{server.url}/v1/clips", headers=headers, trust_env=False)
    text = httpx.get(f"{server.url}/metrics", headers=headers, trust_env=False).text
    names, labels = {"up"}, {"le", "job", "instance"}
    for family in text_string_to_metric_families(text):
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
        labels |= {label for sample in family.samples for label in sample.labels}
    labels |= {"method", "status"}  # of requests to S3, which a folder store does not make
    all_queries = queries(chart)
    assert len(all_queries) > 40
    for query in all_queries:
        used = re.findall(r"\b(?:clipengine|process)_\w+|\bup\b", query)
        assert used, query
        assert set(used) <= names, query
        grouped = [label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")]
        matched = re.findall(r"(\w+) *(?:=~|!~|!=|=)", "".join(re.findall(r"\{[^}]*\}", query)))
        assert {*grouped, *matched} <= labels, query
    rules = [{"record": f"checked:{number}", "expr": query} for number, query in enumerate(all_queries)]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    judge(tool("promtool"), "check", "rules", str(tmp_path / "rules.yml"))
