"""The documents are complete and correct: every setting, command and error code, and the commands of the README."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from clipengine import __version__
from clipengine.api.routes.sample_event import sample_clip
from clipengine.basis.events import EventType
from clipengine.cli.examples import EXAMPLES
from clipengine.cli.main import cli
from clipengine.clips.options.profiles import Profile
from clipengine.clips.options.watermarks import Watermark
from clipengine.clips.warnings import WARNING_CODES
from clipengine.errors import ClipEngineError, StartupError, by_code
from clipengine.media.input.containers.container import AUDIO_CODECS, FORMATS, VIDEO_CODECS
from clipengine.objects.clip import ClipObject
from clipengine.rules.rule import ConfiguredRule
from clipengine.settings.settings import Folder, Settings, Webhooks
from clipengine.webhooks.sign import sign

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "clipengine" / "docs"
COMMAND_PAGES = ("cli", "cli-remote", "cli-cut", "many-clips")


def doc(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def docs(*names: str) -> str:
    """Return several pages as one text."""
    return "\n".join(doc(f"{name}.md") for name in names)


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Return (invocation, command) of every leaf command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def codes() -> dict[str, type[ClipEngineError]]:
    """Return the class of every error code."""
    found: list[type[ClipEngineError]] = list(ClipEngineError.__subclasses__())
    for each in found:
        found += each.__subclasses__()
    return {each.code: by_code(each.code) for each in found}


def toml(value: object) -> str:
    """Format a default value as in the documents."""
    if value is None:
        return "unset"
    text = json.dumps([*value] if isinstance(value, tuple) else value)
    return f"`{text.removesuffix('.0')}`"


def documented_settings() -> dict[str, str]:
    """Return the documented default of each setting in the pages of the configuration and of rules."""
    return dict(
        re.findall(
            r"^\| `([a-z_0-9.]+)` \| (.+?) \| .+ \|$",
            docs("configuration", "configuration-clips", "rules", "recipes/sign-in", "recipes/oidc"),
            re.MULTILINE,
        )
    )


def flattened(table: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name and the value of every setting in a table and in the tables inside it."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{path}{name}.")
        else:
            yield path + name, value


def test_documented_settings_are_the_settings_with_their_defaults() -> None:
    defaults = Settings().model_dump(mode="json")
    sections = {section: defaults[section] for section in defaults if section != "profiles"}
    wanted = {name: toml(value) for name, value in flattened(sections)}
    wanted |= {f"profiles.default.{key}": toml(value) for key, value in Profile().model_dump(mode="json").items()}
    tables = {
        "webhooks.endpoints": Webhooks.Endpoint,
        "watermarks.logo": Watermark,
        "folders": Folder,
        "rules": ConfiguredRule,
    }
    for table, fields in tables.items():
        for key, field in fields.model_fields.items():
            default = field.get_default(call_default_factory=True)
            default = default.model_dump(exclude_defaults=True) if isinstance(default, BaseModel) else default
            wanted[f"{table}.{key}"] = "required" if field.is_required() else toml(default)
    assert documented_settings() == wanted


def test_documented_commands_are_the_commands() -> None:
    headings = re.findall(r"^###? `(clipengine [a-z -]+)`$", docs(*COMMAND_PAGES), re.MULTILINE)
    assert sorted(headings) == sorted(path for path, _ in commands(cli, "clipengine"))


def test_every_option_is_documented_with_its_command() -> None:
    sections = dict(
        re.findall(
            r"^###? `(.+?)`\n(.*?)(?=^##|\Z)",
            docs(*COMMAND_PAGES),
            re.MULTILINE | re.DOTALL,
        )
    )
    for path, command in commands(cli, "clipengine"):
        shown = [
            parameter
            for parameter in command.params
            if isinstance(parameter, click.Option) and not parameter.hidden and "--url" not in parameter.opts
        ]
        missing = [option for parameter in shown for option in parameter.opts if option not in sections[path]]
        assert not missing, f"{path}: {missing}"


def test_every_command_has_a_help_text() -> None:
    assert not [path for path, command in commands(cli, "clipengine") if not command.get_short_help_str()]


def test_every_command_has_valid_examples() -> None:
    known = dict(commands(cli, "clipengine"))
    assert {f"clipengine {path}" for path in EXAMPLES} == known.keys()
    for path, examples in EXAMPLES.items():
        command = known[f"clipengine {path}"]
        options = {option for parameter in command.params for option in parameter.opts}
        for example in examples:
            assert f"clipengine {path}" in example
            own = example.partition(f"clipengine {path}")[2].split("|")[0].split(" # ")[0]
            assert {word for word in own.split() if word.startswith("--")} <= options, example


def test_documented_error_codes_are_the_error_codes() -> None:
    rows = re.findall(r"^\| `([a-z_0-9]+)` \| (?:(\d+) \| (yes|no) \| )?(.+) \|$", doc("errors.md"), re.MULTILINE)
    documented = {code: (status, retry) for code, status, retry, _ in rows}
    wanted = {
        code: ("", "") if issubclass(kind, StartupError) else (str(kind.status), "yes" if kind.retryable else "no")
        for code, kind in codes().items()
    }
    assert documented == wanted
    assert len(rows) == len(documented)


def test_supported_formats_are_documented() -> None:
    lists = dict(re.findall(r"^- \*\*(\w+)\*\*: (.+)$", doc("recordings.md"), re.MULTILINE))
    named = {kind: set(re.findall(r"`([a-z0-9_]+)`", text)) for kind, text in lists.items()}
    audio = {codec for codec in AUDIO_CODECS if not codec.startswith("pcm_")}
    assert named == {"Formats": set(FORMATS), "Video": set(VIDEO_CODECS), "Audio": audio}


def test_every_warning_is_documented() -> None:
    _, _, text = doc("results.md").partition("## Warnings")
    documented = re.findall(r"^\| `([a-z_]+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    assert sorted(documented) == sorted(WARNING_CODES)


def test_every_event_is_documented() -> None:
    events = set(get_args(EventType))
    assert set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", doc("webhooks.md"), re.MULTILINE)) == events


def test_every_link_resolves() -> None:
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_demo_posts_the_body_of_the_readme() -> None:
    (body,) = re.findall(r"-d '(\{.+\})'", (ROOT / "README.md").read_text("utf-8"))
    assert f"BODY = '{body}'" in (ROOT / "scripts" / "demo.py").read_text("utf-8")
    assert list(json.loads(body)) == ["label", "start_seconds", "end_seconds"]


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for goal in set(re.findall(r"(?m)(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text("utf-8"))):
        assert re.search(rf"^{goal}:", makefile, re.MULTILINE), goal


def test_python_examples_compile() -> None:
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for block in re.findall(r"```python[^\n]*\n(.+?)```", page.read_text("utf-8"), re.DOTALL):
            compile(block, page.name, "exec")


def blocks(name: str, language: str) -> list[str]:
    """Return the code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.+?)```", doc(name), re.DOTALL)


def test_documented_webhook_has_the_fields_of_a_real_one() -> None:
    shown = json.loads(blocks("webhooks.md", "json")[1])
    sample = ClipObject.of(sample_clip()).to_object()
    assert list(shown) == ["event", "data", "organisation_id", "timestamp", "id"]
    assert list(shown["data"]) == list(sample)
    assert list(shown["data"]["result"]) == list(sample["result"])


SECRETS = ["0123456789abcdef", "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="]


def signed(secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook sent now."""
    now = int(time.time())
    return sign(body, event_id="evt_1", secrets=[secret], timestamp=now)


@pytest.mark.parametrize("secret", SECRETS)
def test_python_webhook_examples_verify_a_real_webhook(secret: str) -> None:
    names: dict[str, Any] = {}
    for block in blocks("webhooks.md", "python"):
        if "def verify" in block:
            exec(block, names)
    body = b'{"event": "clip.ready"}'
    headers = signed(secret, body)
    for verify in (names["verify"], names["verify_relay"]):
        given = {name.lower(): value for name, value in headers.items()}
        assert verify(body, given, secret)
        assert not verify(body + b" ", given, secret)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("secret", SECRETS)
def test_node_webhook_example_verifies_a_real_webhook(secret: str) -> None:
    (block,) = blocks("webhooks.md", "js")
    body = '{"event": "clip.ready"}'
    headers = {name.lower(): value for name, value in signed(secret, body.encode()).items()}
    old = headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 301)}
    calls = [[body, headers], [body + " ", headers], [body, old], [body, {**headers, "webhook-timestamp": "soon"}]]
    asked = f"for (const [body, headers] of {json.dumps(calls)}) "
    asked += f"console.log(verify(Buffer.from(body), headers, {json.dumps(secret)}))"
    done = subprocess.run(["node", "-e", block + asked], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.split() == ["true", "false", "false", "false"], done.stderr


def test_changelog_has_this_version() -> None:
    heading = rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$"
    assert re.search(heading, (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_top_level_pages_start_with_a_title(name: str) -> None:
    assert (ROOT / name).read_text("utf-8").startswith("# ")


PAGES = sorted(path.relative_to(DOCS) for path in DOCS.rglob("*.md") if path.name != "changelog.md")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_pages_and_paragraphs_are_short_enough_to_read(page: Path) -> None:
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text("utf-8"), flags=re.DOTALL)
    assert len(re.findall(r"[^\s|]*\w[^\s|]*", text)) <= (1200 if page.name == "contributing.md" else 1500)
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) |#|\s*\|)", text)
    assert [each[:60] for each in paragraphs if len(re.findall(r"\S*\w\S*", each)) > 80 and "|" not in each[:4]] == []


def test_modules_of_recordings_of_many_files_are_listed_with_their_first_lines() -> None:
    package = ROOT / "clipengine"
    rows = dict(re.findall(r"^\| `([\w/]+\.py)` \| (.+) \|$", doc("modules.md"), re.MULTILINE))
    assert rows == {
        name: (ast.get_docstring(ast.parse((package / name).read_text("utf-8"))) or "").split("\n")[0] for name in rows
    }
    about = re.compile(r"timeline/(?!__)|piece|playlist|growing|followed|/live(_row)?\.")
    folders = ("recordings", "stores", "ledger", "work/jobs", "work/upkeep", "media/input/seeking")
    found = {path.relative_to(package).as_posix() for name in folders for path in (package / name).rglob("*.py")}
    assert {name for name in found if about.search(name)} - rows.keys() == set()


def test_architecture_is_short_and_says_where_to_add_something() -> None:
    text = re.sub(r"(?ms)^## Where rules are decided$.*?(?=^## )", "", doc("architecture.md"))
    assert len(re.findall(r"[^\s|]*\w[^\s|]*", text)) <= 600
    named = re.findall(r"`([\w/]+(?:\.py|\.js|/))`", text.partition("## Where to add")[2].partition("\n## ")[0])
    package = ROOT / "clipengine"
    assert [name for name in named if not (package / name).exists() and not (package.parent / name).exists()] == []


def _functions(module: Path) -> set[str]:
    """Return the names of a module's functions, and of its methods with their classes."""
    found = set()
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{method.name}" for method in node.body if isinstance(method, ast.FunctionDef)}
    return found


def test_architecture_names_the_function_that_decides_each_rule() -> None:
    section = doc("architecture.md").partition("## Where rules are decided")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| `([\w/]+\.py)::([\w.]+)` \|$", section, re.MULTILINE)
    assert len(rows) >= 40
    package = ROOT / "clipengine"
    assert [row for row in rows if row[2] not in _functions(package / row[1])] == []
