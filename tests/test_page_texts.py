"""The texts of the page: every catalogue has exactly the texts that the modules use, with the same placeholders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import clipengine
from clipengine.api.routes.oidc import TEXTS as SIGN_IN_TEXTS
from clipengine.api.routes.share_page import TEXTS
from clipengine.errors import ClipEngineError, RequestError, StartupError
from clipengine.objects.webhook import DISABLED_BY_REQUEST
from clipengine.rules.rule import DISABLED_IN_SETTINGS
from clipengine.work.upkeep.health import GOOD
from tests.support.page_texts import CATALOGUES, WEB, catalogue

TEMPLATES = sorted(Path(clipengine.__file__).parent.glob("api/templates/s[hi]*.html"))
MODULES = [path for path in sorted(WEB.rglob("*.js")) if path not in CATALOGUES and path.parent.name != "vendor"]

_STRING = r'"(?:[^"\\]|\\.)*"'
_TEXT = re.compile(rf"\b(?:t|rich)\(\s*({_STRING})?")
_PLURAL = re.compile(rf"\bplural\(\s*[^\"`]+?,\s*({_STRING})?\s*,?\s*({_STRING})?")

_LITERAL = rf"({_STRING}|`[^`]*`)"
_PLACES = [  # of literals that are shown
    re.compile(rf'(?:\b(?:title|placeholder|label|text|alt)|"aria-(?:label|valuetext|description)"): {_LITERAL}'),
    re.compile(rf"\b(?:announce|toast|confirmDialog|openDialog|setProblem|showNote|Error)\({_LITERAL}"),
    re.compile(rf"\b(?:setText|fault|iconButton)\([^,]+, {_LITERAL}"),
    re.compile(rf"\.(?:textContent|title|placeholder) = {_LITERAL}"),
    re.compile(rf"[}})\[], {_LITERAL}(?!:)"),  # children of h()
    re.compile(rf"[?:\[] {_LITERAL}"),
    re.compile(r'("[A-Z][a-z]+[ …][^"]*")'),  # sentences
]
_NAMES = {
    "clipengine clips shares --without-end",
    "Shift+",
    "English",
    "Deutsch",
    "Python",
    "clipengine audit export",
    "clipengine serve",
    "clipengine keys create laptop",
    "clipengine recordings import",
}


def code(path: Path) -> str:
    return re.sub(r"(?m)/\*\*[\s\S]*?\*/|(?:^|\s)//.*$", "", path.read_text("utf-8"))


def used_texts() -> dict[str, str | None]:
    """Return the keys that the modules use, with the singular of plurals."""
    found: dict[str, str | None] = {}
    for path in MODULES:
        if path.name == "texts.js":
            continue
        for match in _TEXT.finditer(code(path)):
            assert match[1], f"{path.name}: t() needs a text in quotation marks: {match.string[match.start() :][:60]}"
            found[json.loads(match[1])] = None
        for match in _PLURAL.finditer(code(path)):
            assert match[2], f"{path.name}: plural() needs two texts in quotation marks"
            found[json.loads(match[2])] = json.loads(match[1])
    for path in TEMPLATES:
        found |= {json.loads(text): None for text in _TEXT.findall(path.read_text("utf-8")) if text}
    return found | dict.fromkeys((*TEXTS, *SIGN_IN_TEXTS))


def server_texts() -> set[str]:
    """Return the fixed texts of the API that the page shows: titles of errors, hints, details of checks, reasons."""
    shown = [error for error in _with_subclasses(ClipEngineError) if not issubclass(error, StartupError)]
    hints = {error.default_hint for error in shown if not issubclass(error, RequestError)}
    reasons = {DISABLED_BY_REQUEST, DISABLED_IN_SETTINGS}
    return hints | {error.title for error in shown} | set(GOOD.values()) | reasons


def _with_subclasses(error: type[ClipEngineError]) -> Iterator[type[ClipEngineError]]:
    yield error
    for each in error.__subclasses__():
        yield from _with_subclasses(each)


def joined(path: Path) -> str:
    """Return the code of a module without the line breaks inside calls, lists and conditions."""
    text = re.sub(r"([(\[{])\n\s*", r"\1", code(path))
    return re.sub(r"(,|=>?)\n\s*|\n\s*(?=[?:.] ?)", r"\1 ", text)


def unwrapped(path: Path) -> Iterator[str]:
    """Yield literals that look like words for the reader, and that are not a text of `t`, `rich` or `plural`."""
    others = rf"\bclass(?:Name)?\"?(?:: | = |, )[^,}};]*|\b(?:t|rich)\({_STRING}|\bplural\([^\"]+, {_STRING}, {_STRING}"
    for line in joined(path).splitlines():
        rest = re.sub(others, "t(", line)
        for match in (found for place in _PLACES for found in place.finditer(rest)):
            words = re.sub(r"\$\{.*?\}+", "", match[1].strip('"`')).strip(" ·")
            if re.match(r"[A-Z][a-z]|.*[a-z],? [a-z]", words) and words not in _NAMES:
                yield f"{path.relative_to(WEB)}: {match[1]}"


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


def forms(entry: str | dict[str, str]) -> Iterator[str]:
    yield from [entry] if isinstance(entry, str) else entry.values()


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_catalogue_has_every_text_and_no_other(path: Path) -> None:
    texts, used = catalogue(path), used_texts()
    assert sorted(set(used) - set(texts)) == []
    assert sorted(server_texts() - set(texts)) == []
    assert sorted(set(texts) - set(used) - server_texts()) == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_translations_keep_the_placeholders(path: Path) -> None:
    texts, used = catalogue(path), used_texts()
    for key, entry in texts.items():
        assert isinstance(entry, dict) == (used.get(key) is not None), f"{key!r}: only plural() has categories"
        assert not isinstance(entry, dict) or "other" in entry, key
        for text in forms(entry):
            assert text.strip(), key
            assert placeholders(text) == placeholders(key), key


def test_every_text_of_the_modules_can_be_translated() -> None:
    assert [found for path in MODULES for found in unwrapped(path)] == []
