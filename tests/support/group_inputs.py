"""Inputs of groups of tests, read from the files of the checkout without importing them, and their hashes.

A group is a module of tests that has tests marked `exhaustive` or `outage`. Its inputs are the modules that it, the
conftests above it, and in turn their imports import or name; the other files that these read; the lock files and
`setup.cfg`; and the versions of Python, ffmpeg and the store. Text such as "clipengine.media.worker." names modules,
because children and commands are started by name.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_PROGRAM = "clipengine.cli.main"  # of the command `clipengine`, which any module of the tests that names it may start
# Folders that modules of the tests read, each with the names by which they do: a part of a path, or an import. Any
# other file that is not Python belongs to the modules of the nearest folder above it that has some, and to those that
# name the file or its folder.
_NAMED = {
    ".github": {".github"},
    "clipengine/docs": {"docs"},
    "clipengine/web": {"web", "assets", "playwright.sync_api"},
    "config": {"config"},
    "scripts": {"scripts"},
    "tests/proof": set[str](),
    "tests/releases": {"releases", "outage"},
    "tests/typescript": {"typescript"},
    "tests/web": set[str](),
}
_STORE = "tests.support.s3"
_CONFTEST = "tests.conftest"  # imports the fixtures of the store for all tests
_OUTAGE = "outage"
_SKIPPED = {"__pycache__", "node_modules", "generated", "clipengine.egg-info"}


class GroupInputs:
    """The files of a checkout, and what each group needs of them. Each file is read once."""

    def __init__(self, root: Path, versions: Mapping[str, str]) -> None:
        """Take the versions by name; that of `store` concerns the groups that use it."""
        self._root = root
        self._versions = dict(versions)
        self._files = sorted(_files(root))
        self._modules = {_dotted(path): path for path in self._files if path.endswith(".py")}
        self._packages = {name.rpartition(".")[0] for name in self._modules}
        self._everywhere = [path for path in self._files if path == "setup.cfg" or path.endswith(".lock")]
        self._named = {path: _names_of(path) for path in self._files}
        self._beside: dict[str, list[str]] = {}
        for path in self._files:
            if not path.endswith(".py") and not _named_folder(path):
                self._beside.setdefault(self._folder_with_modules(path), []).append(path)

    def tests(self) -> list[str]:
        """Return the paths of all modules of tests."""
        return [each for each in self._files if each.startswith("tests/") and Path(each).match("test_*.py")]

    def hash(self, group: str, options: Iterable[str] = ()) -> str:
        """Return the hash of the inputs of the group, the path of a module of tests, and of the options."""
        modules, paths = self._closure(group)
        lines = [f"{path} {self._digest(path)}" for path in sorted(paths)]
        uses_store = any(_STORE in self._names(name)[0] for name in modules - {_CONFTEST})
        lines += [f"{name}: {text}" for name, text in self._versions.items() if name != "store" or uses_store]
        lines += options
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def size(self, group: str) -> int:
        """Return the number of files that the group needs."""
        return len(self.paths(group))

    def paths(self, group: str) -> frozenset[str]:
        """Return the files that the group needs."""
        return self._closure(group)[1]

    @functools.cache  # noqa: B019 - lives as long as the run
    def _closure(self, group: str) -> tuple[frozenset[str], frozenset[str]]:
        folders = [parent.as_posix() for parent in Path(group).parents]
        found: set[str] = set()
        names: set[str] = set()
        todo = [_dotted(path) for path in (group, *(f"{each}/conftest.py" for each in folders))]
        if "mark.outage" in (self._root / group).read_text("utf-8"):
            names.add(_OUTAGE)
            todo += [name for name in self._modules if name.startswith("clipengine.")]
        while todo:
            name = todo.pop()
            if name in self._modules and name not in found:
                found.add(name)
                modules, others = self._names(name)
                todo += modules
                names |= others
        return frozenset(found), frozenset(self._paths(found, names))

    def _paths(self, modules: set[str], names: set[str]) -> Iterator[str]:
        yield from self._everywhere
        for name in modules:
            path = self._modules[name]
            yield path
            yield from self._beside.get(path.rpartition("/")[0], ())
        yield from (path for path, those in self._named.items() if not those.isdisjoint(names))

    @functools.cache  # noqa: B019
    def _names(self, module: str) -> tuple[frozenset[str], frozenset[str]]:
        """Return the modules that this one imports or names, and all names in its text."""
        found: set[str] = set()
        texts: set[str] = set()
        for node in ast.walk(ast.parse((self._root / self._modules[module]).read_bytes())):
            if isinstance(node, ast.Import):
                found.update(each.name for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: only absolute imports are followed"
                found.update(f"{node.module}.{each.name}" for each in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
                texts.add(node.value)
        modules = {each for name in found | {text.partition(":")[0] for text in texts} for each in self._existing(name)}
        if module.startswith("clipengine."):
            return frozenset(modules), frozenset()
        modules |= {_PROGRAM for text in texts if text.partition(" ")[0].rpartition("/")[2] == "clipengine"}
        modules |= {name for text in texts if text.endswith(".py") for name in self._programs(text)}
        parts = {part for text in texts for part in (text, *text.split("/"))}
        return frozenset(modules), frozenset(parts | {name.rpartition(".")[0] for name in found})

    def _existing(self, name: str) -> Iterator[str]:
        """Yield the module and the packages around it; of "package.", which begins a name, all modules below it."""
        if name.endswith(".") and name[:-1] in self._packages:
            yield from (each for each in self._modules if each.startswith(name))
        while name:
            if name in self._modules:
                yield name
            name = name.rpartition(".")[0]

    def _programs(self, text: str) -> Iterator[str]:
        for name, path in self._modules.items():
            if f"/{path}".endswith(f"/{text}"):
                yield name

    def _folder_with_modules(self, path: str) -> str:
        folders = {each.rpartition("/")[0] for each in self._modules.values()}
        above = (parent.as_posix() for parent in Path(path).parents)
        return next((folder for folder in above if folder in folders), "")

    @functools.cache  # noqa: B019
    def _digest(self, path: str) -> str:
        return hashlib.sha256((self._root / path).read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what the tests use besides the locked packages."""
    ceph = _first_line("radosgw", "--version") or "unknown"
    return {
        "python": platform.python_version(),
        "ffmpeg": _first_line("ffmpeg", "-version"),
        "store": ceph if os.environ.get("S3_ENDPOINT") else "moto",
    }


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]


def _files(root: Path) -> Iterator[str]:
    """Yield the files at the top and in the folders of the project, also those that are not committed yet."""
    yield from (path.name for path in root.iterdir() if path.is_file())
    for top in (".github", "clipengine", "config", "scripts", "tests"):
        for folder, folders, names in os.walk(root / top):
            folders[:] = [each for each in folders if each not in _SKIPPED]
            yield from (Path(folder, name).relative_to(root).as_posix() for name in names)


def _named_folder(path: str) -> str:
    """Return the folder of `_NAMED` that has the file, or an empty text if its modules or its own name do."""
    if path.endswith(".py"):
        return "scripts" if path.startswith("scripts/") else ""
    return next((folder for folder in _NAMED if path.startswith(f"{folder}/")), "")


def _names_of(path: str) -> set[str]:
    """Return the names by which a module may read a file that is not beside it: those of its folder, or its own."""
    file = Path(path)
    if folder := _named_folder(path):
        return _NAMED[folder]
    return set() if path.endswith(".py") else {path, file.name, file.parent.name} - {""}


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
