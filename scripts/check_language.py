"""Count phrases in comments and docstrings that send the reader back to the words before: `make check`."""

from __future__ import annotations

import argparse
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

_MOST = 30
_PHRASES = re.compile(r"\b(?:those of|that of|the one|of its own)\b", re.IGNORECASE)
_SUBJECT = re.compile(r"(?:\A\W*|[.:;]\s+)What\b[^.?:]*\b(?:is|are)\b")  # "What is read is kept."


def main(package: Path) -> int:
    found = [line for file in sorted(package.rglob("*.py")) for line in _found(file)]
    if len(found) <= _MOST:
        return 0
    print(*found, sep="\n")
    print(f"{len(found)} such phrases are more than {_MOST}: name the thing itself", file=sys.stderr)
    return 1


def _found(file: Path) -> Iterator[str]:
    text = file.read_text("utf-8")
    if not (_PHRASES.search(text) or "What" in text):
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.endswith('"""')):
            for match in (*_PHRASES.finditer(token.string), *_SUBJECT.finditer(token.string)):
                yield f"{file}:{token.start[0]}: {' '.join(match[0].split())}"


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("package", type=Path)
    sys.exit(main(options.parse_args().package))
