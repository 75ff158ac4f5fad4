"""Texts of the page's catalogues, for the pages that the server writes in the language of the visitor's browser."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_MOST = 20  # languages of a header that are read
_COMMENT = re.compile(r"(?m)^\s*//.*$")  # of the catalogues, which are files of this package
_ENGLISH = "en"


@dataclass(frozen=True)
class VisitorTexts:
    """The texts of one language by the English text. A text without a translation is English."""

    language: str
    texts: Mapping[str, Any]

    def __call__(self, text: str, **values: object) -> str:
        """Return the text in this language, with the values in the place of their names."""
        found = self.texts.get(text)
        return (found if isinstance(found, str) else text).format(**values)

    def of_server(self, text: str) -> str:
        """Return a text in which nothing is replaced, such as the message of an error, in this language if it can."""
        found = self.texts.get(text)
        return found if isinstance(found, str) else text


ENGLISH = VisitorTexts(_ENGLISH, {})


def texts_for(accepted: str) -> VisitorTexts:
    """Return the texts of the first language of an `Accept-Language` header that has a catalogue, or English."""
    for language in _in_order(accepted):
        if language == _ENGLISH or language in _catalogues():
            return VisitorTexts(language, _catalogues().get(language, {}))
    return ENGLISH


def _in_order(accepted: str) -> list[str]:
    """Return the languages of the header without their regions, in the order of the visitor's preference."""
    found = []
    for entry in accepted.split(",", _MOST)[:_MOST]:
        tag, _, rank = entry.partition(";")
        weight = rank.strip().removeprefix("q=")
        try:
            found.append((-float(weight or 1), tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(found, key=lambda each: each[0]) if weight < 0]


@cache
def _catalogues() -> dict[str, dict[str, Any]]:
    folder = files("clipengine").joinpath("web", "texts")
    return {entry.name.removesuffix(".js"): _parsed(entry.read_text("utf-8")) for entry in folder.iterdir()}


def _parsed(text: str) -> dict[str, Any]:
    body = _COMMENT.sub("", text.partition("export default ")[2]).strip().removesuffix(";")
    parsed: dict[str, Any] = json.loads(body.removesuffix("}").rstrip().removesuffix(",") + "}")
    return parsed
