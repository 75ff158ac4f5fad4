"""Every regular expression of the package, on strings made from its own parts: none may backtrack.

The literals of calls of `re` are found in the source, and compiled patterns in the imported modules. A repetition of
each part of a pattern is put where the pattern expects it, followed by a character that fails the match. Four times the
string may take four times the CPU time, not sixteen times.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import clipengine
from clipengine.media.input.containers import signatures
from clipengine.recordings.file_name_pattern import NamePattern
from tests.support.growth import is_linear

SIZE = 10_000
PARTS = 4  # of the patterns, for as many processes
_LEAST_REPEATED = 100  # of a part, in a string of a quarter of the size
_WAYS = ("match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split")
_ROOT = Path(clipengine.__file__).parent
_SETS = {
    "CATEGORY_DIGIT": "7",
    "CATEGORY_SPACE": " ",
    "CATEGORY_WORD": "a",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_NOT_SPACE": "a",
    "CATEGORY_NOT_WORD": "!",
}


FOLDER_PATTERNS = (
    "%Y-%m-%d/%H/{camera}/%M.%S.mp4",
    "{camera}/%Y-%m-%d_%H-%M-%S-%f.mp4",
    "%Y-%m-%d %H-%M-%S.mkv",
    "{camera}/{camera}_%s.mkv",
    "{camera}-%Y%m%d%H%M%S.ts",
    "*/*/*-{n}.ts",
    "*/{camera}/*/%H/*.%M.ts",
    "{n}/{n}-{camera}.ts",
    "%H-%M-%S.%f/*a.ts",
)


class Used(NamedTuple):
    """A pattern, where it is, and how the package uses it."""

    place: str
    pattern: re.Pattern[Any]
    ways: frozenset[str]


# ---- the patterns of the package ------------------------------------------------------------------------------


@cache
def patterns() -> list[Used]:
    """Return all patterns of the package, except those of `pydantic` fields, whose engine does not backtrack."""
    trees = {path.relative_to(_ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(_ROOT.rglob("*.py"))}
    methods = _methods(trees.values())
    found: dict[tuple[str, str | bytes, int], Used] = {}
    for place, tree in trees.items():
        for used in [*_literals(place, tree), *_of_module(place, methods)]:
            key = place, used.pattern.pattern, used.pattern.flags
            ways = used.ways | found[key].ways if key in found else used.ways
            found[key] = used._replace(ways=ways)
    return [*found.values(), *_computed()]


def _computed() -> Iterator[Used]:
    """Yield the patterns that are made from settings and requests, and those of a table."""
    for pattern in FOLDER_PATTERNS:
        for day in (None, date(2026, 11, 29)) if "%Y" in pattern else (None,):
            expression = NamePattern(pattern, day=day)._expression
            yield Used(f"recordings/file_name_pattern.py {pattern} {day or ''}", expression, frozenset(["fullmatch"]))
    for expected, name in signatures._SIGNATURES:
        yield Used(
            f"media/input/containers/signatures.py {name}", re.compile(expected, re.DOTALL), frozenset(["match"])
        )


def _methods(trees: Iterable[ast.AST]) -> Mapping[str, set[str]]:
    """Return the methods of patterns that are used, by the name of the pattern."""
    found: dict[str, set[str]] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and node.attr in _WAYS and (name := _name(node.value)):
            found.setdefault(name, set()).add(node.attr)
    return found


def _name(node: ast.expr) -> str:
    """Return the name of a variable, of an attribute, or of the table that an item is taken from."""
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _literals(place: str, tree: ast.AST) -> Iterator[Used]:
    """Yield the patterns of calls such as `re.sub(r"\\s+", …)`, whose pattern is a literal or a constant."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        way, first = node.func.attr, node.args[0]
        if way not in _WAYS or _name(node.func.value) != "re":
            continue
        text = first.value if isinstance(first, ast.Constant) else getattr(_module(place), _name(first), None)
        flags = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and _name(each.value) == "re"}
        if isinstance(text, str | bytes):
            value = sum(getattr(re, each) for each in flags if each.isupper())
            yield Used(f"{place}:{node.lineno}", re.compile(text, value), frozenset([way]))


def _module(place: str) -> ModuleType | None:
    name = "clipengine." + place.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    try:
        return importlib.import_module(name.removesuffix(".__init__"))
    except ImportError:  # an extra that is not installed
        return None


def _of_module(place: str, methods: Mapping[str, set[str]]) -> Iterator[Used]:
    for variable, value in vars(_module(place) or object).items():
        for pattern in _patterns_in(value):
            yield Used(f"{place} {variable}", pattern, frozenset(methods.get(variable, ["search"])))


def _patterns_in(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, re.Pattern))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from (each for each in value if isinstance(each, re.Pattern))


# ---- strings made from the parts of a pattern -----------------------------------------------------------------


def hostile(pattern: re.Pattern[Any]) -> Iterator[Callable[[int], str]]:
    """Yield makers of strings of a size: repeated parts and pairs of them, after what precedes them, and a bad end."""
    parsed = re._parser.parse(pattern.pattern, pattern.flags)  # type: ignore[attr-defined]
    parts = list(dict.fromkeys(part for part in _parts(parsed) if part))
    whole = _sample(parsed)
    prefixes = list(dict.fromkeys(["", *_prefixes(parsed), whole]))
    pairs = [a + b for a in parts[:8] for b in parts[:8] if a != b]
    for part in dict.fromkeys([whole, *parts, *pairs]):
        if part and len(part) * _LEAST_REPEATED < SIZE:
            for before in prefixes[:6]:
                for end in ("", "\0", '"'):
                    yield partial(_repeated, before, part, end)


def _repeated(before: str, part: str, end: str, size: int) -> str:
    return (before + part * (size // len(part)))[: size - 1] + end


def _prefixes(parsed: Any) -> Iterator[str]:
    done = ""
    for item in parsed:
        done += _sample([item])
        yield done


def _parts(parsed: Any) -> Iterator[str]:
    """Yield a sample of each item, and of each alternative and repeated item in it."""
    for item in parsed:
        yield from _samples(item)
        for inner in _inner(item):
            yield _sample(inner)
            yield from _parts(inner)


def _inner(item: Any) -> list[Any]:
    name, value = str(item[0]), item[1]
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [value[2]]
    if name == "SUBPATTERN":
        return [value[3]]
    if name == "BRANCH":
        return list(value[1])
    if name in ("ASSERT", "ATOMIC_GROUP"):
        return [value[1] if name == "ASSERT" else value]
    return []


def _sample(parsed: Any) -> str:
    return "".join(next(iter(_samples(item)), "") for item in parsed)


def _samples(item: Any) -> list[str]:
    """Return texts that an item matches: several of a set, because adjoining repetitions may share one of them."""
    name, value = str(item[0]), item[1]
    if name == "LITERAL":
        return [chr(value)]
    if name == "ANY":
        return ["a", " "]
    if name == "NOT_LITERAL":
        return [next(each for each in "a!" if ord(each) != value)]
    if name == "IN":
        return _of_set(value)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [_sample(value[2]) * max(1, min(value[0], SIZE))]
    if name in ("SUBPATTERN", "ATOMIC_GROUP"):
        return [_sample(value[3] if name == "SUBPATTERN" else value)]
    if name == "BRANCH":
        return [_sample(each) for each in value[1]]
    return []


def _of_set(items: Any) -> list[str]:
    if str(items[0][0]) == "NEGATE":
        excluded = [each for item in items[1:] for each in _of_set([item])]
        ranges = [item[1] for item in items[1:] if str(item[0]) == "RANGE"]
        free = [each for each in 'a7 -."=\t!é' if each not in excluded]
        return [each for each in free if not any(low <= ord(each) <= high for low, high in ranges)][:4]
    found = []
    for item in items:
        name, value = str(item[0]), item[1]
        if name == "LITERAL":
            found.append(chr(value))
        elif name == "RANGE":
            found.append(chr(value[0]))
        elif name == "CATEGORY":
            found.append(_SETS[str(value)])
    return found


# ---- their cost -----------------------------------------------------------------------------------------------


def _call(used: Used, way: str) -> Callable[[Any], object]:
    method = getattr(used.pattern, way)
    if way in ("sub", "subn"):
        return lambda text: method(b"" if isinstance(text, bytes) else "", text)
    return (lambda text: sum(1 for _ in method(text))) if way == "finditer" else method


def backtracking(used: Used) -> str | None:
    """Return a string for which the pattern backtracks, and the method, or None."""
    is_bytes = isinstance(used.pattern.pattern, bytes)
    for way in sorted(used.ways):
        call = _call(used, way)
        for make in hostile(used.pattern):

            def made(size: int, make: Callable[[int], str] = make) -> str | bytes:
                return make(size).encode("latin-1", "replace") if is_bytes else make(size)

            if not is_linear(call, made, SIZE // 4, SIZE):
                return f"{way} of {used.pattern.pattern!r} backtracks for {made(40)!r}…"
    return None


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.exhaustive
def test_pattern_does_not_backtrack(part: int) -> None:
    """Row 109 of the faults."""
    found = patterns()
    places = {each.place for each in found}
    assert {"clips/ranges/edl.py _EVENT", "clips/texts/transcript_file.py _TIMES"} <= places
    assert len(found) > 80
    faults = {used.place: fault for used in found[part::PARTS] if (fault := backtracking(used))}
    assert not faults


@pytest.mark.parametrize("pattern", [r'([A-Z0-9-]{1,40})=("[^"]*"|[^",]*)(?:,|$)', r"(a+)+!", r"\s*\s*!", r"\d+\d*x"])
@pytest.mark.exhaustive
def test_pattern_that_backtracks_is_found(pattern: str) -> None:
    assert backtracking(Used("here", re.compile(pattern), frozenset(["findall"])))
