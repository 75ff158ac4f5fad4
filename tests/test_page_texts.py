"""The texts of the page: every catalogue has exactly the texts that the modules use, with the same placeholders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clipengine

WEB = Path(clipengine.__file__).parent / "web"
CATALOGUES = sorted((WEB / "texts").glob("*.js"))
MODULES = [path for path in sorted(WEB.rglob("*.js")) if path not in CATALOGUES]

_STRING = r'"(?:[^"\\]|\\.)*"'
_TEXT = re.compile(rf"\b(?:t|rich)\(\s*({_STRING})?")
_PLURAL = re.compile(rf"\bplural\(\s*[^\"`]+?,\s*({_STRING})?\s*,?\s*({_STRING})?")


def catalogue(path: Path) -> dict[str, Any]:
    body = re.sub(r"(?m)^\s*//.*$", "", path.read_text("utf-8").partition("export default ")[2])
    return dict(json.loads(re.sub(r",\s*\};?\s*$", "}", body), object_pairs_hook=_unique))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), {key for key in keys if keys.count(key) > 1}
    return dict(pairs)


def code(path: Path) -> str:
    return re.sub(r"(?m)(?:^|\s)//.*$", "", path.read_text("utf-8"))


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
    return found


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


def forms(entry: str | dict[str, str]) -> Iterator[str]:
    yield from [entry] if isinstance(entry, str) else entry.values()


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_catalogue_has_every_text_and_no_other(path: Path) -> None:
    texts, used = catalogue(path), used_texts()
    assert sorted(set(used) - set(texts)) == []
    assert sorted(set(texts) - set(used)) == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_translations_keep_the_placeholders(path: Path) -> None:
    texts, used = catalogue(path), used_texts()
    for key, entry in texts.items():
        assert isinstance(entry, dict) == (used[key] is not None), f"{key!r}: only plural() has categories"
        assert not isinstance(entry, dict) or "other" in entry, key
        for text in forms(entry):
            assert text.strip(), key
            assert placeholders(text) == placeholders(key), key
