"""Every regular expression of the package, on strings made from its own parts: none may backtrack for long.

The literals of calls of `re` are found in the source, and compiled patterns in the imported modules. A repetition of
each part of a pattern is put where the pattern expects it, followed by a character that fails the match.
"""

from __future__ import annotations

import ast
import importlib
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import clipengine

SIZE = 10_000
MAX_SECONDS = 0.01  # of CPU, on a machine that needs _REFERENCE_SECONDS for _reference
STOP_SECONDS = 1.0
_REFERENCE_SECONDS = 0.0006
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


class Used(NamedTuple):
    """A pattern, where it is, and how the package uses it."""

    place: str
    pattern: re.Pattern[Any]
    ways: frozenset[str]


# ---- the patterns of the package ------------------------------------------------------------------------------


def patterns() -> list[Used]:
    """Return all patterns of the package, those of `pydantic` fields excepted: its engine does not backtrack."""
    trees = {path.relative_to(_ROOT).as_posix(): ast.parse(path.read_text()) for path in sorted(_ROOT.rglob("*.py"))}
    methods = _methods(trees.values())
    found: dict[tuple[str, str | bytes, int], Used] = {}
    for place, tree in trees.items():
        for used in [*_literals(place, tree), *_of_module(place, methods)]:
            key = place, used.pattern.pattern, used.pattern.flags
            ways = used.ways | found[key].ways if key in found else used.ways
            found[key] = used._replace(ways=ways)
    return list(found.values())


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


def hostile(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Yield strings of 10 KB: parts and pairs of them repeated, after what precedes them, with an end that fails."""
    parsed = re._parser.parse(pattern.pattern, pattern.flags)  # type: ignore[attr-defined]
    parts = list(dict.fromkeys(part for part in _parts(parsed) if part))
    whole = _sample(parsed)
    prefixes = list(dict.fromkeys(["", *_prefixes(parsed), whole]))
    pairs = [a + b for a in parts[:8] for b in parts[:8] if a != b]
    for part in dict.fromkeys([whole, *parts, *pairs]):
        if part:
            for before in prefixes[:8]:
                for end in ("", "\0", '"', "a"):
                    yield (before + part * (SIZE // len(part)))[: SIZE - 1] + end


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


class _Stopped(Exception):
    pass


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Raise _Stopped after so much CPU: `re` looks for signals while it matches."""

    def stop(*_: object) -> None:
        raise _Stopped

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _call(used: Used, way: str) -> Callable[[Any], object]:
    method = getattr(used.pattern, way)
    if way in ("sub", "subn"):
        return lambda text: method(b"" if isinstance(text, bytes) else "", text)
    return (lambda text: sum(1 for _ in method(text))) if way == "finditer" else method


def seconds_of(call: Callable[[Any], object], text: str | bytes, *, runs: int = 1) -> float:
    """Return the CPU seconds of the fastest run, STOP_SECONDS if it was stopped."""
    best = STOP_SECONDS
    for _ in range(runs):
        began = time.thread_time()
        try:
            with _stopped_after(STOP_SECONDS):
                call(text)
        except _Stopped:
            return STOP_SECONDS
        best = min(best, time.thread_time() - began)
    return best


def scale() -> float:
    """Return how much slower this machine is than the one of the limit, at least 1."""
    reference = re.compile("(?:[a-z]|[0-9])*!")
    return max(1.0, seconds_of(reference.match, "a7" * (SIZE // 2), runs=5) / _REFERENCE_SECONDS)


def slowest(used: Used, limit: float) -> tuple[float, str, str | bytes]:
    """Return the CPU seconds of the slowest string, with the way it is used, or the first that takes ten limits."""
    worst: tuple[float, str, str | bytes] = (0.0, "", "")
    for way in sorted(used.ways):
        call = _call(used, way)
        for text in hostile(used.pattern):
            given = text.encode("latin-1", "replace") if isinstance(used.pattern.pattern, bytes) else text
            taken = seconds_of(call, given)
            if taken > limit:
                taken = seconds_of(call, given, runs=3)
            worst = max(worst, (taken, way, given), key=lambda each: each[0])
            if taken > 10 * limit:
                return worst
    return worst


ALL = patterns()


def test_patterns_are_found() -> None:
    places = {each.place for each in ALL}
    assert {"clips/ranges/edl.py _EVENT", "clips/texts/transcript_file.py _TIMES"} <= places
    assert len(ALL) > 80


@pytest.mark.parametrize("used", ALL, ids=lambda used: used.place)
def test_pattern_does_not_backtrack(used: Used) -> None:
    """Row 104 of the faults."""
    limit = MAX_SECONDS * scale()
    taken, way, text = slowest(used, limit)
    assert taken <= limit, f"{way} of {used.pattern.pattern!r} takes {taken * 1000:.0f} ms for {text[:40]!r}…"


@pytest.mark.parametrize("pattern", [r'([A-Z0-9-]{1,40})=("[^"]*"|[^",]*)(?:,|$)', r"(a+)+!", r"\s*\s*!", r"\d+\d*x"])
def test_pattern_that_backtracks_is_found(pattern: str) -> None:
    used = Used("here", re.compile(pattern), frozenset(["findall"]))
    assert slowest(used, MAX_SECONDS * scale())[0] > MAX_SECONDS * scale()
