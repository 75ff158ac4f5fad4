"""The catalogues of the page's texts, read from `web/texts`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import clipengine

WEB = Path(clipengine.__file__).parent / "web"
CATALOGUES = sorted((WEB / "texts").glob("*.js"))


def catalogue(path: Path) -> dict[str, Any]:
    """Return the entries of a catalogue. Each key may occur once."""
    body = re.sub(r"(?m)^\s*//.*$", "", path.read_text("utf-8").partition("export default ")[2])
    return dict(json.loads(re.sub(r",\s*\};?\s*$", "}", body), object_pairs_hook=_unique))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), {key for key in keys if keys.count(key) > 1}
    return dict(pairs)
