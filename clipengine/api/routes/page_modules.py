"""Joining of the page's modules, so that a browser requests two files instead of a hundred.

The modules are written in one style, which Biome checks: an import is one line, and nothing but declarations is
exported. Each module becomes a block, and its exports a property of one object. A module that does not fit is an
error, and so is a cycle of imports.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

_IMPORT = re.compile(r'^import {(?P<names>[^}]*)} from "(?P<address>\.[^"]+)";$', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(?P<address>\.[^"]+)"\)')
_COMPUTED = re.compile(r"\bimport\(`(?P<folder>\.[^`$]*/)")
_EXPORT = re.compile(
    r"^export (?=(?:async function|function|class|const) (?P<names>\w+|[\[{][^\]}=]*[\]}]))", re.MULTILINE
)
_LIST = re.compile(r"^export ?{(?P<names>[^}]*)};?|(?<=[;}])export{(?P<listed>[^}]*)};?", re.MULTILINE)
_COMMENTS = re.compile(r"^[ \t]*(?:/\*\*(?:[^*]|\*(?!/))*\*/|//[^\n]*)\n", re.MULTILINE)


def imported(contents: Mapping[str, str], names: Sequence[str], *, without: Sequence[str] = ()) -> list[str]:
    """Return these modules and all that they import, each after its imports. Raise ValueError for a cycle."""
    found: list[str] = []
    opened: list[str] = []

    def add(name: str) -> None:
        if name in found or name in without:
            return
        if name in opened:
            raise ValueError(f"modules import each other: {' → '.join([*opened, name])}")
        opened.append(name)
        for match in _IMPORT.finditer(contents[name]):
            add(_resolved(name, match["address"]))
        opened.pop()
        found.append(name)

    for name in names:
        add(name)
    return found


def imported_later(contents: Mapping[str, str], first: Sequence[str]) -> list[str]:
    """Return the modules that `first` and these modules import when needed, each after its imports.

    Modules whose names are computed are left out. Raise ValueError for a cycle.
    """
    later: list[str] = []
    while True:
        matches = ((name, match["address"]) for name in (*first, *later) for match in _LATER.finditer(contents[name]))
        found = imported(contents, list(dict.fromkeys(_resolved(*match) for match in matches)), without=first)
        if len(found) == len(later):
            return found
        later = found


def joined(contents: Mapping[str, str], names: Sequence[str], *, later: str, first: str = "") -> str:
    """Return one module of these, which stand in the order of their imports.

    `later` is the address of the file with the modules that are imported when needed, which may be this one, and
    `first` the address of the file with the modules before these. Both files are siblings of this one.
    """
    head = f'import {{$}} from "./{first}"; export {{$}};' if first else "export const $ = {};"
    return "\n".join([head, *(_block(name, contents, later) for name in names), ""])


def _block(name: str, contents: Mapping[str, str], later: str) -> str:
    exports: list[str] = []

    def declared(match: re.Match[str]) -> str:
        exports.extend(_names(match["names"].strip("[]{}")))
        return ""

    def listed(match: re.Match[str]) -> str:
        pairs = (each.split(" as ") for each in _names(match["names"] or match["listed"]))
        exports.extend(f"{pair[-1]}: {pair[0]}" for pair in pairs)
        return ""

    def needed(match: re.Match[str]) -> str:
        return f'import("./{later}").then(({{$}}) => $["{_resolved(name, match["address"])}"])'

    text = _COMMENTS.sub("", contents[name])
    text = _IMPORT.sub(lambda found: _taken(found, name), text)
    text = _COMPUTED.sub(lambda found: f"import(`./{_resolved(name, found['folder'])}/", _LATER.sub(needed, text))
    text = _LIST.sub(listed, _EXPORT.sub(declared, text))
    if re.search(r"^(?:import|export)\b", text, re.MULTILINE):
        raise ValueError(f"{name} has an import or an export in another form")
    return f'{{\n{text}\n$["{name}"] = {{{", ".join(exports)}}};\n}}'


def _taken(match: re.Match[str], name: str) -> str:
    names = ", ".join(each.replace(" as ", ": ") for each in _names(match["names"]))
    return f'const {{{names}}} = $["{_resolved(name, match["address"])}"];'


def _names(text: str) -> Iterator[str]:
    return (each.strip() for each in text.split(",") if each.strip())


def _resolved(name: str, address: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), address))
